"""Text to token ids, and a context with its continuation tokenised jointly."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from pilotfish.errors import ModelError


def encode(tokenizer: Any, text: str) -> list[int]:
    """Return the ids of a text, begun by the beginning-of-sequence token where this tokenizer wants one."""
    ids = list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
    bos = tokenizer.bos_token_id
    if bos is not None and (not ids or ids[0] != bos) and _adds_bos(tokenizer):
        ids.insert(0, bos)
    return ids


def _adds_bos(tokenizer: Any) -> bool:
    """Say whether the tokenizer itself begins a text with its beginning-of-sequence token."""
    known = getattr(tokenizer, "_pilotfish_adds_bos", None)
    if known is None:
        known = list(tokenizer("a")["input_ids"])[:1] == [tokenizer.bos_token_id]
        tokenizer._pilotfish_adds_bos = known
    return bool(known)


def start_token(tokenizer: Any) -> int:
    """Return the token that stands for an empty text: the beginning-of-sequence token, else the end's.

    Raises:
        ModelError: the tokenizer has neither.
    """
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if start is None:
        raise ModelError("this tokenizer has no start token, so nothing can be said of an empty text")
    return int(start)


def read_whole(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Return the ids of each text; an empty one is the start token."""
    return [encode(tokenizer, text) or [start_token(tokenizer)] for text in texts]


def encode_pair(tokenizer: Any, context: str, continuation: str) -> tuple[list[int], int]:
    """Return the ids of context + continuation tokenised as one text, and how many of them are the context's.

    White space at the end of the context moves to the continuation, since most tokenizers join it to the next word.
    An empty context becomes the beginning- or end-of-sequence token, so that the first token has a probability too.
    Where the tokenizer joins the end of the context with the continuation, the split comes before the joined token:
    no part of the continuation goes unscored.

    Raises:
        ModelError: the tokenizer has neither token and the context is empty.
    """
    whole, split = _joint(tokenizer, context, continuation)
    return (whole, split) if split else ([start_token(tokenizer), *whole], 1)


def _joint(tokenizer: Any, context: str, continuation: str) -> tuple[list[int], int]:
    """Return the ids of the two as one text, and how many of the first are the context's alone (maybe none)."""
    stripped = context.rstrip(" \t")
    whole = encode(tokenizer, context + continuation)
    alone = encode(tokenizer, stripped) if stripped else whole[: int(_adds_bos(tokenizer))]
    return whole, _common(alone, whole)


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    """Return how many first ids two rows share."""
    return next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))


Tails = tuple[tuple[int, ...], ...]


def joint_choices(
    tokenizer: Any, contexts: Sequence[str], choices: Sequence[str]
) -> tuple[list[list[int]], list[Tails]]:
    """Return each context's ids, and for each context the ids of every choice, tokenised jointly with it.

    Where a choice melts into its context, all choices of that context are cut before the joined token, so that they
    are compared from the same place.

    A text is cut at special tokens before anything else, so what follows the last one (an assistant's header, in a
    chat) is tokenised by itself. Where all contexts end alike after it, choices are tokenised once rather than once a
    context; the first context is checked against the whole text, so a tokenizer that does otherwise is found out.
    """
    seams = [_seam(tokenizer, context) for context in contexts]
    if seams[0] and all(seam == seams[0] for seam in seams):
        first = [encode_pair(tokenizer, contexts[0], choice) for choice in choices]
        short = [encode_pair(tokenizer, seams[0], choice) for choice in choices]
        ids = [encode(tokenizer, context.rstrip(" \t")) for context in contexts]
        tails = tuple(tuple(whole[at:]) for whole, at in short)
        if all(whole == ids[0] + list(tail) for (whole, _), tail in zip(first, tails, strict=True)):
            return ids, [tails] * len(contexts)
    all_ids, all_tails = [], []
    for context in contexts:
        pairs = [_joint(tokenizer, context, choice) for choice in choices]
        at = min(split for _, split in pairs)
        all_ids.append(pairs[0][0][:at] or [start_token(tokenizer)])
        all_tails.append(tuple(tuple(whole[at:]) for whole, _ in pairs))
    return all_ids, all_tails


def one_begins_another(rows: Sequence[tuple[int, ...]]) -> bool:
    """Say whether one row is the beginning of another, longer one."""
    ordered = sorted(set(rows))
    return any(later[: len(row)] == row for row, later in itertools.pairwise(ordered))


def _seam(tokenizer: Any, text: str) -> str:
    """Return the text from its last special token on, or "" where it has none."""
    at = max((text.rfind(token) for token in tokenizer.all_special_tokens), default=-1)
    return text[at:] if at >= 0 else ""


def buckets(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Group indices by falling length so that rows x longest row stays within `budget` (a single row may exceed it).

    Longest first: the first batch needs the most memory, so a machine too small for it says so at once.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    batch: list[int] = []
    for index in order:
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
