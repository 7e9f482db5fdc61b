"""Natural language inference: does a text entail another, contradict it, or neither. Any classifier of pairs will do.

What is entailed by a long text is looked for in pieces of it, and the pieces are asked for evidence, not for votes: one
that says nothing of the matter, which is most of them, counts nothing (Laban et al. 2022, SummaC, section 3, take the
largest entailment of any sentence; for contradictions they have no rule).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import ConfigError
from pilotfish.evaluate._weights import Loaded, padded
from pilotfish.models._tokens import buckets

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ENTAILMENT", "Infers", "Nli", "cut_of", "over_pieces"]

ENTAILMENT, NEUTRAL, CONTRADICTION = 0, 1, 2
# From (premise, hypothesis) pairs to (pairs, 3) probabilities: entailment, neutral, contradiction.
Infers = Callable[[Sequence[tuple[str, str]]], "NDArray[np.float64]"]


class Nli(Loaded):
    """A fine-tuned classifier of pairs, as transformers loads it.

    Args:
        weights: of a sequence classification model; see `Loaded`, as for the further arguments.
        labels: which of its labels are entailment, neutral and contradiction, where their names do not tell; one that
            it has not may be left out.
        how: further arguments.
    """

    kind, what = "AutoModelForSequenceClassification", "classifier"

    def __init__(self, weights: str | Path, *, labels: dict[str, int] | None = None, **how: Any) -> None:
        # Measured with DeBERTa on two cores: 1,000 tokens a pass take 2.5 s where 4,000 take 3.3 and single pairs 3.9,
        # for what a layer holds then stays in the processor's cache.
        super().__init__(weights, **({"batch_tokens": 1024} | how))
        self.labels = labels

    @cached_property
    def places(self) -> list[int | None]:
        """Where entailment, neutral and contradiction stand among its classes.

        Raises:
            ConfigError: its labels do not tell which is which.
        """
        model, _ = self.load()
        return _places(self.labels or {str(v): int(k) for k, v in model.config.id2label.items()}, self.name)

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """Return (pairs, 3) probabilities: entailment, neutral, contradiction; equal pairs are read once.

        Of a pair too long for the model the longer text is cut at its end, until it is as short as the other one, then
        both; see `left_out`, and `over_pieces` for a way around it.
        """
        torch = need("torch", "local")
        model, tokenizer = self.load()
        most = self.most
        distinct = list(dict.fromkeys(pairs))
        if not distinct:
            return np.zeros((0, 3))
        # A text of thousands of tokens may stand in thousands of pairs: what the model cannot take is cut off it once.
        short = self._beginnings([text for pair in distinct for text in pair if len(text) > most])
        told = tokenizer(
            [short.get(one, one) for one, _ in distinct],
            [short.get(other, other) for _, other in distinct],
            truncation="longest_first" if most < 2**31 else False,
            max_length=most if most < 2**31 else None,
            return_attention_mask=False,
            verbose=False,
        )
        found = np.zeros((len(distinct), 3))
        with torch.inference_mode():
            for batch in buckets([len(ids) for ids in told["input_ids"]], self.batch_tokens):
                given = {name: padded([told[name][place] for place in batch])[0] for name in told}
                given["attention_mask"] = padded([told["input_ids"][place] for place in batch])[1]
                logits = model(**{name: one.to(model.device) for name, one in given.items()}).logits
                shares = logits.double().softmax(-1).cpu().numpy()
                for kind, at in enumerate(self.places):
                    if at is not None:
                        found[batch, kind] = shares[:, at]
        numbers = {pair: number for number, pair in enumerate(distinct)}
        return found[[numbers[pair] for pair in pairs]]

    def left_out(self, pairs: Sequence[tuple[str, str]]) -> list[int]:
        """Return how many tokens of each pair the model does not take."""
        if not pairs:
            return []
        _, tokenizer = self.load()
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        told = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        sizes = dict(zip(texts, map(len, told), strict=True))
        room = self.most - tokenizer.num_special_tokens_to_add(pair=True)
        return [max(0, sizes[one] + sizes[other] - room) for one, other in pairs]

    def _beginnings(self, texts: Sequence[str]) -> dict[str, str]:
        """Return of each text as much as the model can take of it at most, and a little more."""
        _, tokenizer = self.load()
        distinct = list(dict.fromkeys(texts))
        if not distinct or not tokenizer.is_fast:
            return {}
        told = tokenizer(distinct, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        # The last tokens of what is left may be other ones than before, where a word is cut: they are cut off again.
        last = self.most + 16
        spans = zip(distinct, told["offset_mapping"], strict=True)
        return {text: text[: span[last][0]] for text, span in spans if len(span) > last}


def _places(labels: dict[str, int], name: str) -> list[int | None]:
    """Return where entailment, neutral and contradiction stand among a model's classes."""

    def of(*begins: str) -> int | None:
        plain = {label.casefold().replace("-", "_").replace(" ", "_"): at for label, at in labels.items()}
        return next((at for begin in begins for label, at in plain.items() if label.startswith(begin)), None)

    found = [of("entail"), of("neutral"), of("contradict", "not_entail")]
    if found[ENTAILMENT] is None:
        raise ConfigError(f"{name}: no label of {', '.join(labels)} is entailment; say which by `labels`")
    return found


def over_pieces(infers: Infers, rows: Sequence[tuple[Sequence[str], str]]) -> NDArray[np.float64]:
    """Return (rows, 3) what the pieces of a premise say together of a hypothesis.

    Entailment is the largest of any piece. The contradiction is that of the piece that says most of the matter (the
    least neutral one), but never above what the largest entailment leaves: a piece that is about something else cannot
    outvote one that holds the evidence.

    Args:
        infers: the model.
        rows: the pieces of a premise, one or more, and the hypothesis.
    """
    asked = [(piece, hypothesis) for pieces, hypothesis in rows for piece in pieces]
    told = infers(asked)
    found = np.zeros((len(rows), 3))
    at = 0
    for number, (pieces, _) in enumerate(rows):
        some = told[at : at + len(pieces)]
        at += len(pieces)
        best = float(some[:, ENTAILMENT].max())
        nearest = some[int(some[:, NEUTRAL].argmin())]
        against = min(float(nearest[CONTRADICTION]), 1 - best)
        found[number] = best, 1 - best - against, against
    return found


def cut_of(infers: Infers, rows: Sequence[tuple[Sequence[str], str]]) -> list[int]:
    """Return how many tokens of each row's pairs are not read, where the model tells; 0 where it does not.

    Args:
        infers: the model.
        rows: the pieces of a premise and the hypothesis, as in `over_pieces`.
    """
    left_out = getattr(infers, "left_out", None)
    if left_out is None:
        return [0] * len(rows)
    told = iter(left_out([(piece, hypothesis) for pieces, hypothesis in rows for piece in pieces]))
    return [sum(next(told) for _ in pieces) for pieces, _ in rows]
