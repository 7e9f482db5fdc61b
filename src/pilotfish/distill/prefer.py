"""A student taught by its teacher's preferences: pairs in, a folder of weights out."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish.distill._card import preferred_card
from pilotfish.distill.preferred import Preferred
from pilotfish.distill.rows import keyed, origin, request_of
from pilotfish.errors import DataError, ModelError
from pilotfish.measure.intervals import Interval, bootstrap
from pilotfish.models._weights import identity_of, stored_dtype
from pilotfish.models.local import LocalModel
from pilotfish.rows._atomic import atomic
from pilotfish.rows.split import split
from pilotfish.train.examples import answered
from pilotfish.train.folder import digest, finished, settled, write_report
from pilotfish.train.processes import is_main, join
from pilotfish.train.settings import Fit

if TYPE_CHECKING:
    from pilotfish.distill.preference import Pair
    from pilotfish.models.catalog import Catalog

__all__ = ["prefer"]

REPORT = "pilotfish-preferred.json"
RUN = "run"


def prefer(
    student: str | Path,
    rows: Sequence[Mapping[str, Any]],
    out: str | Path,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
    fit: Fit | None = None,
    length: int = 1024,
    held_out: float = 0.1,
    device: str = "auto",
    catalog: Catalog | None = None,
    progress: bool = True,
) -> Preferred:
    """Teach a student the preferences in rows, and measure it on pairs held out before anything learns.

    A run that was killed goes on from its last checkpoint; a finished one is not repeated.

    Args:
        student: weights: a catalog name, hub id, folder or GGUF file.
        rows: each has `messages` or `prompt`, `chosen`, `rejected`, and maybe `weight`, as
            `pilotfish.distill.blackbox.preferences` makes them.
        out: the folder to write, which `LocalModel(out)` loads.
        beta: how much a nat of margin counts (Rafailov et al. 2023).
        label_smoothing: the share of pairs thought to be the wrong way round.
        fit: how to train.
        length: the most tokens of a prompt with an answer; a longer answer loses its end.
        held_out: the share of questions to measure on.
        device: "auto", "cpu", "cuda", "mps".
        catalog: where names are looked up.
        progress: show a bar.

    Raises:
        DataError: too few pairs can be read, or `out` holds something else.
        ModelError: the weights are no causal LM.
    """
    from pilotfish.distill.preference import Preferring, referred
    from pilotfish.train.loop import fit as train
    from pilotfish.train.lora import adapted, merged

    out, how = Path(out), fit or Fit()
    identity = digest([identity_of(student), beta, label_smoothing, settled(how), length, held_out], keyed(rows))
    done = finished(out, REPORT, identity, (RUN,))
    if done is not None:
        return Preferred(**{**done, **{name: Interval(**done[name]) for name in ("preferred", "margin")}})
    join(device)
    local = LocalModel(student, dtype="auto" if how.rank else "float32", device=device, catalog=catalog).load()
    pairs, refused = _pairs(local, rows, min(length, local.max_length))
    learnt, held = _parted(rows, pairs, held_out, how.seed)
    model = adapted(local.model, how)
    task = Preferring(model, beta, label_smoothing, batch_tokens=how.batch_tokens, name=local.name)
    learnt, held = referred(task, learnt), referred(task, held)
    fitted = train(task, learnt, held, how, out / RUN, identity, progress=progress)
    stored = stored_dtype(local.weights, catalog)
    task.student = merged(model, how).to(getattr(need("torch", "train"), stored))
    now = referred(task, held)
    moved = np.array(
        [a.reference[0] - b.reference[0] - a.reference[1] + b.reference[1] for a, b in zip(now, held, strict=True)]
    )
    report = Preferred(
        student=str(student),
        folder=str(out),
        pairs=len(learnt),
        held_out=len(held),
        refused=len(refused),
        steps=fitted.steps,
        seconds=fitted.seconds,
        preferred=bootstrap((moved > 0) + 0.5 * (moved == 0), resamples=2000, seed=how.seed),
        margin=bootstrap(moved, resamples=2000, seed=how.seed),
    )
    if is_main():
        task.student.save_pretrained(out, safe_serialization=True)
        local.tokenizer.save_pretrained(out)
        with atomic(out / "README.md") as file:
            file.write(preferred_card(report, how, local.licence, beta).encode())
    write_report(out, REPORT, identity, report.to_json())
    if is_main():
        shutil.rmtree(out / RUN / "checkpoints", ignore_errors=True)
    return report


def _pairs(
    local: LocalModel, rows: Sequence[Mapping[str, Any]], length: int
) -> tuple[list[Pair], list[tuple[int, str]]]:
    """Return the rows' pairs, and which rows gave none, and why."""
    from pilotfish.distill.preference import Pair

    found, refused = [], []
    for number, row in enumerate(rows):
        try:
            request = request_of(row)
            both = [row.get("chosen"), row.get("rejected")]
            if not all(isinstance(one, str) for one in both) or both[0] == both[1]:
                raise DataError("a row needs `chosen` and `rejected`, two different texts")
            chosen, rejected = (
                answered(local.tokenizer, request, str(one), length, name=local.name, row=number) for one in both
            )
        except (DataError, ModelError) as error:
            refused.append((number, str(error)))
            continue
        weight = row.get("weight")
        found.append(Pair(chosen, rejected, weight=1.0 if weight is None else float(weight), row=number))
    if not found:
        raise DataError(f"no row gives a pair (row {refused[0][0] + 1}: {refused[0][1]})" if refused else "no rows")
    return found, refused


def _parted(
    rows: Sequence[Mapping[str, Any]], pairs: Sequence[Pair], share: float, seed: int
) -> tuple[list[Pair], list[Pair]]:
    """Return the pairs to learn from and those to measure on; all pairs of one question stay together."""
    groups = list(dict.fromkeys(origin(rows[pair.row]) for pair in pairs))
    parts = split(len(groups), {"train": 1 - share, "held_out": share}, seed)
    if not len(parts["train"]) or not len(parts["held_out"]):
        raise DataError(f"{len(groups)} questions leave none to hold out (or to train on) at held_out = {share}")
    apart = {groups[int(i)] for i in parts["held_out"]}
    held = [origin(rows[pair.row]) in apart for pair in pairs]
    return (
        [replace(pair) for pair, out in zip(pairs, held, strict=True) if not out],
        [replace(pair) for pair, out in zip(pairs, held, strict=True) if out],
    )
