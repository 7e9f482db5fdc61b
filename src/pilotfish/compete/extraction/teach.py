"""Teach a tagger from texts and the values of their fields: cross-entropy of each word's tag, all weights learn."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish.compete.extraction.spans import found_in, labelled
from pilotfish.compete.extraction.tagger import FieldTagger, words_in
from pilotfish.errors import DataError
from pilotfish.models._weights import identity_of
from pilotfish.prompt.compress.tokens import Window, states, windows
from pilotfish.train.encoding import ScaledHead, freeze_unused
from pilotfish.train.examples import Example
from pilotfish.train.folder import digest
from pilotfish.train.loop import fit
from pilotfish.train.settings import Fit

if TYPE_CHECKING:
    from pilotfish.models.encoder import Encoder

__all__ = ["FIT", "Learnt", "teach"]

FIT = Fit(epochs=6, batch_tokens=1024, rate=1e-4, decay=0.01, dtype="float32")
_FEW = 8
_IGNORED = -100  # the tag of a token that is no word's first


@dataclass(frozen=True)
class Learnt:
    """What a tagger learnt from.

    Attributes:
        rows: texts.
        values: of fields that stand in them.
        missing: values that their texts do not have as they are written: nothing can be learnt of those.
        steps: of the training.
    """

    rows: int
    values: int
    missing: int
    steps: int


def teach(
    encoder: Encoder,
    rows: Sequence[tuple[str, Mapping[str, Any]]],
    fields: Sequence[str],
    how: Fit = FIT,
    *,
    before: str = "",
    head_rate: float = 20.0,
    folder: str | Path | None = None,
    progress: bool = False,
) -> FieldTagger:
    """Return a tagger.

    Args:
        encoder: where it begins; it stays as it is.
        rows: (text, field -> value): a text, a list, or nothing.
        fields: to read.
        how: sizes and rates.
        before: see `FieldTagger`.
        head_rate: how many times the encoder's learning rate the layer's is.
        folder: of checkpoints, so that a killed training of the same data goes on; None keeps none.
        progress: show a bar.

    Raises:
        DataError: too few texts, or no value stands in any.
        ModelError: the loss is not finite.
    """
    names = list(fields)
    if len(rows) < _FEW:
        raise DataError(f"{len(rows)} texts; a tagger needs {_FEW} at least")
    learner = encoder.load().copied()
    cut: list[Window] = []
    tags: list[list[int]] = []
    examples: list[Example] = []
    values = missing = 0
    for text, truth in rows:
        found = found_in(text, {name: truth.get(name) for name in names})
        values, missing = values + len(found.places), missing + found.missing
        units = words_in(text)
        told = labelled(units, found, names)
        for one in windows(learner, text, units, "", learner.max_length, overlap=0.0):
            if one.at:
                cut.append(one)
                tags.append(_tags(one, [end for _, end in units], told))
                examples.append(Example((0,) * len(one.ids), len(one.ids) - len(one.at), 1.0, len(cut) - 1))
    if not values:
        raise DataError("no value of any field stands in its text as it is written: there is nothing to mark")
    counts = np.bincount([tag for one in tags for tag in one if tag >= 0], minlength=1 + 2 * len(names))
    prior = np.log((counts + 1.0) / (counts.sum() + len(counts)))
    width = int(learner.model[0].auto_model.config.hidden_size)
    head = ScaledHead(width, len(counts), head_rate, how.seed, prior)
    identity = digest(
        [asdict(how), names, before, head_rate, identity_of(encoder.weights)],
        [f"{text}\0{sorted((name, str(truth.get(name))) for name in names)}" for text, truth in rows],
    )
    task = _task(learner.model, head.module, cut, tags)
    freeze_unused(task, examples[:2])
    if folder is not None:
        fitted = fit(task, examples, [], how, Path(folder) / identity[:16], identity, progress=progress)
    else:
        with tempfile.TemporaryDirectory(prefix="pilotfish-") as own:
            fitted = fit(task, examples, [], replace(how, every=2**31), Path(own), identity, progress=progress)
    learner.model.eval()
    coef, bias = head.weights()
    report = asdict(Learnt(len(rows), values, missing, fitted.steps))
    return FieldTagger(learner, coef, bias, names, before=before, report=report)


def _tags(window: Window, ends: Sequence[int], told: Sequence[int]) -> list[int]:
    """Return the tag of each token of a window: its word's, of the word's first token only."""
    owners = np.searchsorted(ends, [start for start, _ in window.places], side="right")
    found, before = [], -1
    for owner in np.minimum(owners, len(ends) - 1).tolist():
        found.append(told[owner] if owner != before else _IGNORED)
        before = owner
    return found


@dataclass(frozen=True)
class _Batch:
    windows: list[Window]
    row: Any
    at: Any
    tags: Any
    count: float


def _task(module: Any, head: Any, cut: Sequence[Window], tags: Sequence[Sequence[int]]) -> Any:
    torch = need("torch", "train")

    class TagTask(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.module, self.head = module, head

        def prepare(self, examples: Sequence[Example], step: int) -> _Batch:
            some = [cut[one.row] for one in examples]
            own = [one.at if example.count else [] for one, example in zip(some, examples, strict=True)]
            told = [tag for one, at in zip(examples, own, strict=True) for tag in tags[one.row][: len(at)]]
            device = module.device
            return _Batch(
                some,
                torch.tensor([i for i, at in enumerate(own) for _ in at], dtype=torch.long, device=device),
                torch.tensor([place for at in own for place in at], dtype=torch.long, device=device),
                torch.tensor(told, dtype=torch.long, device=device),
                float(sum(tag >= 0 for tag in told)),
            )

        def forward(self, batch: _Batch) -> tuple[Any, dict[str, Any]]:
            last = states(self.module[0].auto_model, batch.windows, module.device)[batch.row, batch.at].float()
            loss = torch.nn.functional.cross_entropy(
                self.head(last), batch.tags, ignore_index=_IGNORED, reduction="sum"
            )
            return loss, {}

        def looked(self, examples: Sequence[Example]) -> dict[str, float]:
            batches = [self.prepare(examples[i : i + 16], 0) for i in range(0, len(examples), 16)]
            total = sum(float(self(batch)[0]) for batch in batches)
            return {"loss": total / max(sum(batch.count for batch in batches), 1.0)}

    return TagTask()
