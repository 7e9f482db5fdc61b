"""Natural language inference: does a text entail another, contradict it, or neither. Any classifier of pairs will do.

What is entailed by a long text is looked for in pieces of it, and the pieces are asked for evidence, not for votes: one
that says nothing of the matter, which is most of them, counts nothing (Laban et al. 2022, SummaC, section 3, take the
largest entailment of any sentence; for contradictions they have no rule).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import ConfigError, ModelError
from pilotfish.models import _weights
from pilotfish.models._tokens import buckets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.catalog import Catalog

__all__ = ["ENTAILMENT", "Infers", "Nli", "over_pieces"]

ENTAILMENT, NEUTRAL, CONTRADICTION = 0, 1, 2
# From (premise, hypothesis) pairs to (pairs, 3) probabilities: entailment, neutral, contradiction.
Infers = Callable[[Sequence[tuple[str, str]]], "NDArray[np.float64]"]


class Nli:
    """A fine-tuned classifier of pairs, as transformers loads it. Loads on first use, once.

    Args:
        weights: a catalog name, `hf:org/name`, or a folder of a sequence classification model.
        name: the name in reports.
        labels: which of its labels are entailment, neutral and contradiction, where their names do not tell; one that
            it has not may be left out.
        dtype: "float32", "bfloat16", "float16" or "auto".
        device: "auto", "cpu", "cuda", "mps".
        batch_tokens: the most tokens, padding included, in one pass.
        catalog: where names are looked up.
    """

    def __init__(
        self,
        weights: str | Path,
        *,
        name: str | None = None,
        labels: dict[str, int] | None = None,
        dtype: str = "float32",
        device: str = "auto",
        batch_tokens: int = 4096,
        catalog: Catalog | None = None,
    ) -> None:
        _weights.check_dtype(dtype)
        self.weights, self.name = str(weights), name or Path(str(weights)).name
        self.labels, self.dtype, self.device, self.batch_tokens = labels, dtype, device, batch_tokens
        self._catalog = catalog
        self._loaded: tuple[Any, Any, list[int | None]] | None = None

    def load(self) -> tuple[Any, Any, list[int | None]]:
        """Return the model, its tokenizer and where its three classes stand.

        Raises:
            ModelError: no such model, or none that classifies.
            ConfigError: its labels do not tell which is which.
            MissingExtra: torch or transformers are not installed.
        """
        if self._loaded is None:
            torch, transformers = need("torch", "local"), need("transformers", "local")
            _weights.quiet(transformers)
            folder, _ = _weights.located(self.weights, self._catalog)
            device = _weights.pick_device(self.device)
            dtype = _weights.pick_dtype(self.dtype, device)
            try:
                model = transformers.AutoModelForSequenceClassification.from_pretrained(
                    str(folder), dtype=dtype, use_safetensors=True
                )
                tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
            except Exception as error:  # each library on the way raises its own kinds
                raise ModelError(f"{self.weights}: no classifier that loads: {_weights.first_line(error)}") from error
            places = _places(self.labels or {str(v): int(k) for k, v in model.config.id2label.items()}, self.name)
            model = model.to(device).eval()
            if dtype == torch.float32 and device == "cpu":
                from pilotfish.models._fast_linear import fast_linears

                model = fast_linears(model)
            self._loaded = model, tokenizer, places
        return self._loaded

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """Return (pairs, 3) probabilities: entailment, neutral, contradiction; equal pairs are read once.

        A premise too long for the model is cut at its end; see `over_pieces`.
        """
        torch = need("torch", "local")
        model, tokenizer, places = self.load()
        most = min(int(getattr(model.config, "max_position_embeddings", None) or 2**31), tokenizer.model_max_length)
        distinct = list(dict.fromkeys(pairs))
        if not distinct:
            return np.zeros((0, 3))
        told = tokenizer(
            [one for one, _ in distinct],
            [other for _, other in distinct],
            truncation="only_first" if most < 2**31 else False,
            max_length=int(most) if most < 2**31 else None,
            return_attention_mask=False,
            verbose=False,
        )
        found = np.zeros((len(distinct), 3))
        with torch.inference_mode():
            for batch in buckets([len(ids) for ids in told["input_ids"]], self.batch_tokens):
                longest = max(len(told["input_ids"][i]) for i in batch)
                given = {name: torch.zeros((len(batch), longest), dtype=torch.long) for name in told}
                given["attention_mask"] = torch.zeros((len(batch), longest), dtype=torch.long)
                for row, place in enumerate(batch):
                    length = len(told["input_ids"][place])
                    given["attention_mask"][row, :length] = 1
                    for name in told:
                        given[name][row, :length] = torch.tensor(told[name][place])
                logits = model(**{name: one.to(model.device) for name, one in given.items()}).logits
                shares = logits.double().softmax(-1).cpu().numpy()
                for kind, at in enumerate(places):
                    if at is not None:
                        found[batch, kind] = shares[:, at]
        numbers = {pair: number for number, pair in enumerate(distinct)}
        return found[[numbers[pair] for pair in pairs]]


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
