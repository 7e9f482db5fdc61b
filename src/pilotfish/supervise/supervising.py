"""From weak labels to a strong model, and what is proved of it: seeds, a ceiling, the gap recovered.

Source: Burns et al. 2023 (Weak-to-Strong Generalization), section 3. The strong model is taught weak labels, and,
apart, people's labels of the same rows: that is its ceiling. All are measured on rows that nothing learnt from.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.intervals import Interval, drawn_again
from pilotfish.measure.metrics import ece
from pilotfish.rows._atomic import atomic
from pilotfish.rows._progress import Progress
from pilotfish.supervise.recovered import Recovered, accuracy_of, auroc_of, recovered, when_they_differ
from pilotfish.supervise.strong.chain import Chain
from pilotfish.supervise.strong.model import StrongModel
from pilotfish.train.folder import digest, finished, write_report

__all__ = ["REPORT", "RUNS", "TUNING", "Rows", "Supervised", "supervise"]

REPORT, RUNS, STRONG, TUNING = "supervised.json", "runs", "strong", "tuning"
Floats = NDArray[np.float64]
Maker = Callable[[int], StrongModel | Chain]


@dataclass(frozen=True)
class Rows:
    """Rows with what is known of them.

    Attributes:
        texts: of the rows.
        weak: (rows, classes) the weak supervisor's probabilities; NaN where it has none.
        people: the labels that people gave, None where none; nothing but a ceiling learns from them.
    """

    texts: Sequence[str]
    weak: Floats
    people: Sequence[str | None]

    def __post_init__(self) -> None:
        if not len(self.texts) == len(self.weak) == len(self.people):
            raise DataError(f"{len(self.texts)} texts, {len(self.weak)} weak labels, {len(self.people)} of people")


@dataclass(frozen=True)
class Supervised:
    """What came of it.

    Attributes:
        folder: of the strong model, which any collaboration takes as a classifier.
        classes: the labels.
        rows: with a weak label, that were learnt from.
        tested: rows that were measured on; 0 for none.
        seeds: trainings.
        how: of the strong model: "probe", "adapters" or "all weights".
        weak: the supervisor's accuracy on the tested rows; where it says nothing it guesses the commonest class.
        strong: the taught model's.
        gaps: by metric, with a ceiling.
        differ: how often the strong model is right where it says something else than its supervisor.
        differing: how many tested rows, over all seeds, that were.
        calibration: the expected calibration error of the supervisor, the strong model and the ceiling.
    """

    folder: str
    classes: tuple[str, ...]
    rows: int
    tested: int
    seeds: int
    how: str
    weak: Interval | None
    strong: Interval | None
    gaps: tuple[Recovered, ...]
    differ: Interval | None
    differing: int
    calibration: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Supervised:
        """Read what `to_json` gave."""
        ends = {name: None if told[name] is None else Interval(**told[name]) for name in ("weak", "strong", "differ")}
        gaps = tuple(Recovered.from_json(one) for one in told["gaps"])
        return cls(**{**told, **ends, "gaps": gaps, "classes": tuple(told["classes"])})

    def __str__(self) -> str:
        lines = [f"{self.rows:,} rows with weak labels, {self.seeds} seeds, {self.how}; the model is in {self.folder}"]
        if self.weak is not None and self.strong is not None:
            lines.append(f"accuracy on {self.tested:,} rows: weak {self.weak:.3f}, strong {self.strong:.3f}")
        lines += [str(gap) for gap in self.gaps]
        if self.differ is not None and self.differing:
            lines.append(f"where they differ ({self.differing:,} times) the strong model is right {self.differ:.3f}")
        if self.calibration:
            lines.append("calibration error: " + ", ".join(f"{name} {x:.3f}" for name, x in self.calibration.items()))
        return "\n".join(lines)


def supervise(
    learn: Rows,
    test: Rows | None,
    classes: Sequence[str],
    strong: Maker,
    out: str | Path,
    *,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    ceiling: bool = True,
    settings: Any = None,
    progress: bool = True,
) -> Supervised:
    """Teach a strong model weak labels, once for each seed, and measure it; the first seed's model is kept.

    What has been taught is not taught again: the same call goes on where a killed one was.

    Args:
        learn: what it learns from.
        test: what it is measured on, with people's labels; None measures nothing, and takes the first seed alone.
        classes: the labels.
        strong: makes an untaught model of a seed, or a chain of them, whose ceiling is its last model's.
        out: the folder: `strong` is the model.
        seeds: of the trainings.
        ceiling: teach people's labels of the same rows too, where there are any.
        settings: what `strong` goes by, as plain data, so that a run is told from another.
        progress: show a bar.

    Raises:
        ConfigError: no seeds.
        DataError: nothing to learn from, tested rows without people's labels or among those that are learnt, or `out`
            holds another run.
    """
    folder = Path(out)
    if not seeds:
        raise ConfigError("supervision needs one seed or more")
    _check(learn, test, classes)
    told = [settings, list(classes), list(seeds), ceiling]
    parts = [json.dumps([one.texts, one.weak.tolist(), one.people], default=str) for one in (learn, test) if one]
    identity = digest(told, parts)
    done = finished(folder, REPORT, identity, (RUNS, STRONG, "labels.jsonl"))
    if done is not None:
        return Supervised.from_json(done)
    people = _one_hot(learn.people, classes)
    ways: dict[str, Floats] = {"strong": learn.weak}
    known = np.logical_not(np.isnan(people).any(axis=1))
    if test is not None and ceiling and known.any():
        # Of the very same rows, so that the ceiling has no more of them than the weak labels.
        ways["ceiling"] = np.where(np.isnan(learn.weak).any(axis=1, keepdims=True), np.nan, people)
    chosen = list(seeds) if test is not None else list(seeds[:1])
    found: dict[str, list[Floats]] = {name: [] for name in ways}
    how = ""
    with Progress(len(chosen) * len(ways), shown=progress, unit="trainings") as bar:
        for seed in chosen:
            for name, labels in ways.items():
                kept = folder / RUNS / f"{name}-{seed}.json"
                first = name == "strong" and seed == chosen[0]
                there = _read(kept, identity)
                if there is None or (first and not (folder / STRONG / "strong.json").is_file()):
                    made = strong(seed)
                    # People's labels are handed on by nobody: a chain's ceiling is its last model's own.
                    model = made.models[-1] if name == "ceiling" and isinstance(made, Chain) else made
                    model.fit(learn.texts, labels, classes)
                    if first:
                        model.save(folder / STRONG)
                    proba = model.predict_proba(test.texts) if test is not None else np.zeros((0, len(classes)))
                    there = {"identity": identity, "how": model.report_.how, "proba": proba.tolist()}
                    kept.parent.mkdir(parents=True, exist_ok=True)
                    with atomic(kept) as file:
                        file.write(json.dumps(there).encode())
                how = there["how"]
                found[name].append(np.array(there["proba"]).reshape(-1, len(classes)))
                bar.add(1)
    rows = int(np.logical_not(np.isnan(learn.weak).any(axis=1)).sum())
    report = _report(folder, tuple(classes), rows, test, {name: np.stack(some) for name, some in found.items()}, how)
    write_report(folder, REPORT, identity, report.to_json())
    # Checkpoints of what has been measured: weights and moments of each training.
    shutil.rmtree(folder / RUNS / TUNING, ignore_errors=True)
    return report


def _report(
    folder: Path, classes: tuple[str, ...], rows: int, test: Rows | None, found: Mapping[str, Floats], how: str
) -> Supervised:
    seeds = len(found["strong"])
    plain: dict[str, Any] = {
        "folder": str(folder / STRONG),
        "classes": classes,
        "rows": rows,
        "seeds": seeds,
        "how": how,
    }
    if test is None:
        none: dict[str, Any] = dict.fromkeys(("weak", "strong", "differ"))
        return Supervised(**plain, **none, tested=0, gaps=(), differing=0, calibration={})
    truth = np.array([classes.index(str(one)) for one in test.people])
    silent = np.isnan(test.weak).any(axis=1, keepdims=True)
    shares = np.nanmean(test.weak, axis=0) if not silent.all() else np.full(len(classes), 1 / len(classes))
    weak = np.where(silent, shares, test.weak)
    every = {"weak": np.repeat(weak[None], seeds, axis=0), **found}
    right = {name: (each.argmax(axis=-1) == truth).astype(np.float64)[..., None] for name, each in every.items()}
    gaps = []
    if "ceiling" in every:
        gaps.append(recovered("accuracy", accuracy_of, right["weak"], right["strong"], right["ceiling"]))
        if len(classes) == 2 and 0 < truth.sum() < len(truth):
            is_so = np.repeat(truth[None].astype(np.float64), seeds, axis=0)
            pairs = [np.stack([every[name][..., 1], is_so], axis=-1) for name in ("weak", "strong", "ceiling")]
            gaps.append(recovered("AUROC", auroc_of, *pairs))
    says = {name: each.argmax(axis=-1) for name, each in every.items()}
    differ, differing = when_they_differ(says["strong"], says["weak"], right["strong"][..., 0])
    return Supervised(
        **plain,
        tested=len(truth),
        weak=drawn_again(right["weak"], accuracy_of),
        strong=drawn_again(right["strong"], accuracy_of),
        gaps=tuple(gaps),
        differ=differ if differing else None,
        differing=differing,
        calibration={name: float(np.mean([ece(one, truth) for one in each])) for name, each in every.items()},
    )


def _check(learn: Rows, test: Rows | None, classes: Sequence[str]) -> None:
    if np.isnan(learn.weak).any(axis=1).all():
        raise DataError("no row has a weak label: nothing to learn from")
    for name, rows in (("learn from", learn), ("test", test)):
        for place, label in enumerate(rows.people if rows is not None else ()):
            if label is not None and str(label) not in classes:
                raise DataError(f"row {place + 1} of those to {name}: {label!r} is none of the classes")
    if test is None:
        return
    if missing := [place for place, label in enumerate(test.people) if label is None]:
        raise DataError(f"row {missing[0] + 1} of those to test has no label of people: it measures nothing")
    if not len(test.texts):
        raise DataError("there are no rows to test")
    if shared := set(learn.texts) & set(test.texts):
        raise DataError(f"{len(shared):,} tested texts are among those that are learnt: take them out")


def _one_hot(labels: Sequence[str | None], classes: Sequence[str]) -> Floats:
    found = np.full((len(labels), len(classes)), np.nan)
    code = {label: at for at, label in enumerate(classes)}
    for place, label in enumerate(labels):
        if label is not None:
            found[place] = 0.0
            found[place, code[str(label)]] = 1.0
    return found


def _read(path: Path, identity: str) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return told if told["identity"] == identity else None
