"""Gradient influence: how much a step by a row brings the loss on what is wanted down.

Source: Xia et al. 2024 (LESS), equation 5: Inf(z, z') = Σ over checkpoints of η · cos(∇ℓ(z'), Γ(z)), with a mean over
the wanted rows of each task, and the largest over tasks. The checkpoints are those of a short warm-up of adapters on
some of the rows, one after each epoch, and η its mean rate there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.curate.barrier import Barrier, Decide
from pilotfish.curate.sift import Dropped, Judged
from pilotfish.errors import ConfigError, DataError
from pilotfish.models._weights import identity_of
from pilotfish.rows._atomic import atomic
from pilotfish.rows._progress import Progress
from pilotfish.rows._row import Row

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog
    from pilotfish.train.examples import Example
    from pilotfish.train.settings import Fit

__all__ = ["Influence", "influences"]

_PIECE = 64  # rows whose gradients are written together


class Influence(Barrier):
    """Notes how much each row teaches what some rows show, and keeps those with enough of it.

    Args:
        student: weights of a small model; a small one's choice serves a larger one, too.
        wanted: rows of what is to be learnt, with the same columns.
        answer: the column that is learnt.
        prompt: the column of what is asked; None where the text as a whole is learnt.
        task: a column of the wanted rows that tells their tasks apart; None for one.
        into: the column for it.
        least: rows go whose influence is below; None keeps all.
        warm_up: the share of the rows that the warm-up learns from.
        fit: how: its epochs are the checkpoints; None for 4 epochs of adapters of rank 16.
        size: of a sketch.
        length: tokens of an example at most.
        seed: of the warm-up's rows, the adapters and the sketch.
        device, catalog: of the student.

    Raises:
        ConfigError: a setting is out of range.
    """

    def __init__(
        self,
        student: str | Path,
        wanted: Sequence[Row],
        *,
        answer: str = "output",
        prompt: str | None = "instruction",
        task: str | None = None,
        into: str = "influence",
        least: float | None = None,
        warm_up: float = 0.05,
        fit: Fit | None = None,
        size: int = 4096,
        length: int = 512,
        seed: int = 0,
        device: str = "auto",
        catalog: Catalog | None = None,
    ) -> None:
        from pilotfish.train.settings import Fit as Settings

        if not 0 < warm_up <= 1:
            raise ConfigError(f"the warm-up's share lies above 0 and at most at 1, not {warm_up}")
        if fit is not None and (fit.steps is not None or not fit.rank):
            raise ConfigError("the warm-up is by epochs, and of adapters: set `epochs` and `rank`, not `steps`")
        self.student, self.answer, self.prompt, self.task = str(student), answer, prompt, task
        self.into, self.least, self.warm_up, self.size, self.length = into, least, warm_up, size, length
        self.fit = replace(fit or Settings(epochs=4, rank=16), seed=seed)
        self._wanted, self._device, self._catalog = [dict(row) for row in wanted], device, catalog

    def look(self, rows: Iterator[Row], folder: Path) -> Decide:
        """Warm up, and compare gradients; what is done is kept until the step is."""
        columns = [self.answer] if self.prompt is None else [self.prompt, self.answer]
        held = [{name: row.get(name) for name in columns} for row in rows]
        settings = {"warm_up": self.warm_up, "size": self.size, "length": self.length, "device": self._device}
        found = influences(
            self.student,
            held,
            self._wanted,
            folder,
            answer=self.answer,
            prompt=self.prompt,
            task=self.task,
            fit=self.fit,
            catalog=self._catalog,
            **settings,  # type: ignore[arg-type]
        )

        def decide(at: int, row: Row) -> Judged:
            value = float(found[at])
            if np.isnan(value):
                return Dropped("influence.none: nothing to learn in it, or its prompt is too long")
            if self.least is not None and value < self.least:
                return Dropped(f"influence: {value:.4g} against at least {self.least:g}", columns={self.into: value})
            return {self.into: value}

        return decide

    def config(self) -> dict[str, Any]:
        """Return what decides the outcome."""
        from pilotfish.train.folder import digest

        wanted = digest(None, [json.dumps(row, sort_keys=True, default=str) for row in self._wanted])
        own = {**super().config(), "student": identity_of(self.student), "wanted": wanted}
        return {name: value for name, value in own.items() if value is not None}


def influences(
    student: str | Path,
    rows: Sequence[Mapping[str, Any]],
    wanted: Sequence[Mapping[str, Any]],
    folder: Path,
    *,
    answer: str = "output",
    prompt: str | None = "instruction",
    task: str | None = None,
    fit: Fit,
    warm_up: float = 0.05,
    size: int = 4096,
    length: int = 512,
    device: str = "auto",
    catalog: Catalog | None = None,
    progress: bool = True,
) -> NDArray[np.float64]:
    """Return each row's influence, the largest over the tasks: (rows,); NaN where a row has nothing to learn from.

    Gradients are kept in the folder, so a stopped run goes on. See `Influence` for the arguments.

    Raises:
        DataError: no wanted row, or none to warm up on, has anything to learn in it.
        ModelError: the student is no causal LM.
    """
    from pilotfish.models.local import LocalModel
    from pilotfish.train.causal import Causal
    from pilotfish.train.folder import digest, settled
    from pilotfish.train.lora import adapted

    local = LocalModel(student, dtype="float32", device=device, catalog=catalog).load()
    length = min(length, local.max_length)
    learnt, asked = (_examples(local, some, answer, prompt, length) for some in (rows, wanted))
    if not learnt or not asked:
        raise DataError(f"no {'row' if not learnt else 'wanted row'} has an answer in {answer!r} to learn")
    module = Causal(adapted(local.model, fit), name=local.name)
    told = [settled(fit), warm_up, size, length, answer, prompt, identity_of(student)]
    identity = digest(told, (json.dumps([one.ids, one.start]) for one in [*learnt, *asked]))
    folder = folder / identity[:16]  # with other settings, or rows, nothing of it is of use
    marks, rates = _warm_up(module, learnt, folder, fit, warm_up, identity)
    tasks = [str(wanted[one.row].get(task)) if task is not None else "" for one in asked]
    total = np.zeros(len(learnt))
    best: NDArray[np.float64] = np.zeros((len(set(tasks)), len(learnt)))
    for mark, rate in zip(marks, rates, strict=True):
        mine, theirs = _at(module, mark, learnt, asked, folder, fit, size, progress=progress)
        for number, name in enumerate(sorted(set(tasks))):
            own = [i for i, one in enumerate(tasks) if one == name]
            best[number] += rate * (mine @ theirs[own].mean(axis=0))
    total = best.max(axis=0)
    found = np.full(len(rows), np.nan)
    found[[one.row for one in learnt]] = total
    return found


def _examples(
    local: Any, rows: Sequence[Mapping[str, Any]], answer: str, prompt: str | None, length: int
) -> list[Example]:
    from pilotfish.model import Request
    from pilotfish.train.examples import answered, pieces

    found = []
    for i, row in enumerate(rows):
        said, told = row.get(answer), row.get(prompt) if prompt is not None else None
        if not isinstance(said, str) or not said.strip():
            continue
        if prompt is None:
            found += [replace(one, row=i) for one in pieces(local.tokenizer, [said], length)[:1]]
            continue
        if not isinstance(told, str):
            continue
        try:
            found.append(answered(local.tokenizer, Request.of(told), said, length, name=local.name, row=i))
        except DataError:
            continue  # its prompt alone is too long
    return [one for one in found if one.count]


def _warm_up(
    module: Any, learnt: Sequence[Example], folder: Path, fit: Fit, share: float, identity: str
) -> tuple[list[Path], list[float]]:
    """Teach the adapters some of the rows; return the state after each epoch, and the mean rate of the epoch."""
    from pilotfish.train.loop import fit as train
    from pilotfish.train.plan import planned, rate_at

    random = np.random.default_rng(fit.seed)
    some = [learnt[int(i)] for i in random.permutation(len(learnt))[: max(1, round(share * len(learnt)))]]
    steps = len(planned(some, fit))
    ends = sorted({max(1, round(steps * (epoch + 1) / fit.epochs)) for epoch in range(fit.epochs)})
    train(module, some, [], fit, folder / "warm-up", identity, marks=ends)
    starts = [0, *ends[:-1]]
    rates = [float(np.mean([rate_at(i, steps, fit) for i in range(a, b)])) for a, b in zip(starts, ends, strict=True)]
    return [folder / "warm-up" / "checkpoints" / f"mark-{end}.safetensors" for end in ends], rates


def _at(
    module: Any,
    mark: Path,
    learnt: Sequence[Example],
    asked: Sequence[Example],
    folder: Path,
    fit: Fit,
    size: int,
    *,
    progress: bool,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the sketches of both, (rows, size) each, at one checkpoint."""
    from pilotfish._extras import need
    from pilotfish.curate.influence.gradients import Moments
    from pilotfish.curate.influence.sketch import Sketch

    torch = need("torch", "train")
    weights = {name: value for name, value in module.named_parameters() if value.requires_grad}
    tensors = need("safetensors.torch", "local").load_file(mark)
    with torch.no_grad():
        for name, value in weights.items():
            value.copy_(tensors[f"weight/{name}"])
    moments = Moments.read(mark, list(weights), fit.betas)
    sketch = Sketch(sum(value.numel() for value in weights.values()), size, seed=fit.seed)
    mine = _kept(folder / f"{mark.stem}-rows", module, learnt, weights, sketch, moments, progress=progress)
    theirs = _kept(folder / f"{mark.stem}-wanted", module, asked, weights, sketch, None, progress=progress)
    return mine, theirs


def _kept(
    path: Path,
    module: Any,
    examples: Sequence[Example],
    weights: Mapping[str, Any],
    sketch: Any,
    moments: Any,
    *,
    progress: bool,
) -> NDArray[np.float32]:
    """Return the sketches of examples, from files of those that were made before and those that are made now."""
    from pilotfish.curate.influence.gradients import sketched

    path.mkdir(parents=True, exist_ok=True)
    parts = []
    with Progress(len(examples), 0, shown=progress, unit="gradients") as bar:
        for start in range(0, len(examples), _PIECE):
            some = examples[start : start + _PIECE]
            file = path / f"{start}.npy"
            if not file.exists():
                with atomic(file) as opened:
                    np.save(opened, np.stack(list(sketched(module, some, weights, sketch, moments))))
            parts.append(np.load(file, allow_pickle=False))
            bar.add(len(some))
    return np.concatenate(parts)
