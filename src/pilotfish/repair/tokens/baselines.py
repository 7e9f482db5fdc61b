"""What needs no training: words that the evidence lacks, and words and sentences far from it in an encoder's space.

A detector that was taught stands beside these on the same words.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.measure.support import COMMON, ByWords
from pilotfish.models._tokens import buckets
from pilotfish.models.encoder import Encoder
from pilotfish.repair.tokens.judged import Judged
from pilotfish.repair.tokens.rows import Answered, words_of

__all__ = ["by_cosine", "by_overlap", "sentences_by_cosine", "sentences_by_overlap", "states_of"]


def by_overlap(rows: Sequence[Answered]) -> list[Judged]:
    """Score words by whether the evidence has them: 0 where it does, 1 where not, half for what any text has.

    A number that is not there counts 1 like any other word; so does all of an answer without evidence.
    """
    found = []
    for row in rows:
        there = {text[a:b].casefold() for text in (row.context, row.question) for a, b in words_of(text)}
        words = words_of(row.answer, row.before)
        said = [row.answer[a:b].casefold() for a, b in words]
        scores = [0.0 if word in there else 0.5 if word in COMMON else 1.0 for word in said]
        found.append(Judged(tuple(words), np.array(scores, dtype=np.float64)))
    return found


def by_cosine(rows: Sequence[Answered], encoder: Encoder) -> list[Judged]:
    """Score words by how far they are from all tokens of the evidence: 1 less the greatest cosine, halved.

    BERTScore's precision a word (Zhang et al. 2020, section 3) by the encoder's last states, untaught. A word's score
    is its worst token's. A text longer than the encoder takes is read in pieces.
    """
    states = states_of([text for row in rows for text in (row.answer, row.context)], encoder)
    found = []
    for at, row in enumerate(rows):
        words = words_of(row.answer, row.before)
        scores = np.full(len(words), 0.5)
        (said, places), (known, _) = states[2 * at], states[2 * at + 1]
        if len(known) and len(said):
            far = (1 - (said @ known.T).max(axis=1)) / 2
            for number, (a, b) in enumerate(words):
                mine = [far[k] for k, (start, end) in enumerate(places) if start < b and a < end]
                scores[number] = max(mine, default=0.5)
        found.append(Judged(tuple(words), scores))
    return found


def sentences_by_overlap(pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
    """Return 1 less the share of each sentence's words that stand in its evidence: (pairs,) of (evidence, sentence)."""
    return 1 - np.array(ByWords(numbers=False)(pairs), dtype=np.float64)


def sentences_by_cosine(pairs: Sequence[tuple[Sequence[str], str]], encoder: Encoder) -> NDArray[np.float64]:
    """Return 1 less the greatest cosine with any sentence of the evidence, halved.

    Args:
        pairs: (the evidence's sentences, a sentence) each.
        encoder: of sentences.
    """
    texts = list(dict.fromkeys(text for known, said in pairs for text in (*known, said)))
    vectors = encoder.encode(texts).astype(np.float64)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    at = {text: number for number, text in enumerate(texts)}
    return np.array(
        [
            (1 - max((float(vectors[at[one]] @ vectors[at[said]]) for one in known), default=0.0)) / 2
            for known, said in pairs
        ]
    )


def states_of(texts: Sequence[str], encoder: Encoder) -> list[tuple[NDArray[np.float64], list[tuple[int, int]]]]:
    """Return each text's last states, of length one, and where each token stands."""
    torch = need("torch", "local")
    encoder.load()
    tokenizer, room = encoder.tokenizer, encoder.max_length - 2
    body = encoder.model[0].auto_model
    distinct = [text for text in dict.fromkeys(texts) if text]
    pieces: list[tuple[str, int, list[int]]] = []
    offsets: dict[str, list[tuple[int, int]]] = {}
    with encoder._lock:
        told = (
            tokenizer(distinct, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
            if distinct
            else {}
        )
        for number, text in enumerate(distinct):
            ids, offsets[text] = list(told["input_ids"][number]), list(told["offset_mapping"][number])
            pieces += [(text, start, ids[start : start + room]) for start in range(0, len(ids), room)]
        found = {text: np.zeros((len(offsets[text]), int(body.config.hidden_size))) for text in distinct}
        first, last = tokenizer.cls_token_id, tokenizer.sep_token_id
        with torch.inference_mode():
            for batch in buckets([len(piece[2]) + 2 for piece in pieces], encoder.batch_tokens):
                rows = [[first, *pieces[i][2], last] for i in batch]
                longest = max(map(len, rows))
                ids = torch.tensor([row + [tokenizer.pad_token_id or 0] * (longest - len(row)) for row in rows])
                mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
                device = encoder.model.device
                states = body(input_ids=ids.to(device), attention_mask=mask.to(device)).last_hidden_state
                for i, one in zip(batch, states.double().cpu().numpy(), strict=True):
                    text, start, inner = pieces[i]
                    found[text][start : start + len(inner)] = one[1 : 1 + len(inner)]
    empty = np.zeros((0, int(body.config.hidden_size)))
    out = []
    for text in texts:
        states = found.get(text, empty)
        out.append((states / np.maximum(np.linalg.norm(states, axis=1, keepdims=True), 1e-12), offsets.get(text, [])))
    return out
