"""Prove it: a small model taught on what was kept, on what was not, and on as much of both by chance.

Three sets, as large as one another by rows; the same weights, the same steps of the same size, some seeds; the loss on
rows that no step has seen. Li et al. 2024 (DataComp-LM) and Penedo et al. 2024 (FineWeb) judge every filter so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.curate._trials import Trials
from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.intervals import Interval, drawn_again
from pilotfish.rows._row import Row
from pilotfish.rows.read import read

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog
    from pilotfish.train.settings import Fit

__all__ = ["SETS", "Ablation", "ablate"]

SETS = ("kept", "random", "dropped")
REPORT = "ablation.json"


@dataclass(frozen=True)
class Ablation:
    """What models learnt from each set.

    Attributes:
        folder: where it is.
        student: the weights that all began with.
        rows: in each set.
        tested: rows that were measured on.
        seeds: how often each set was learnt.
        steps: of each training; tokens: that each set was seen in, mean over the seeds.
        loss: set -> loss on the tested rows, nats a token, with its interval; "untaught" is the student as it was.
        gain: "kept over random", "kept over dropped", "random over dropped" -> how much lower the former's loss is.
    """

    folder: str
    student: str
    rows: dict[str, int]
    tested: int
    seeds: int
    steps: int
    tokens: dict[str, float]
    loss: dict[str, Interval]
    gain: dict[str, Interval]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Ablation:
        """Read what `to_json` gave."""
        ends = {name: {key: Interval(**one) for key, one in told[name].items()} for name in ("loss", "gain")}
        return cls(**{**told, **ends})

    @property
    def better(self) -> bool | None:
        """Whether what was kept teaches more than chance; None where the interval does not say."""
        gain = self.gain["kept over random"]
        return True if gain.low > 0 else False if gain.high < 0 else None

    def __str__(self) -> str:
        said = {True: "teaches more than", False: "teaches less than", None: "cannot be told from"}[self.better]
        told = f"what was kept {said} as many rows by chance: {self.gain['kept over random']:+.4f} nats a token lower"
        told += f" ({self.tested:,} tested rows, {self.seeds} seeds, {self.steps:,} steps)"
        return told + "".join(f"; {name} {loss:.4f}" for name, loss in self.loss.items())


def ablate(
    kept: str | Path | Sequence[Row],
    dropped: str | Path | Sequence[Row],
    test: str | Path | Sequence[Row],
    student: str | Path,
    out: str | Path,
    *,
    text: str = "text",
    prompt: str | None = None,
    rows: int | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    fit: Fit | None = None,
    length: int = 512,
    device: str = "auto",
    catalog: Catalog | None = None,
    progress: bool = True,
) -> Ablation:
    """Teach a small model on each set, and compare them on rows that none of them has.

    What has been taught and measured is kept, so a stopped run goes on. Rows of the test that a set has, too, are an
    error: decontaminate first.

    Args:
        kept: the rows that curation kept; a file, or a list.
        dropped: those that it dropped; a `dropped.jsonl` as it stands.
        test: held-out rows of the same columns.
        student: the weights that each training begins with.
        out: the folder.
        text: the column that is learnt; with a prompt the answer.
        prompt: the column of what is asked; the answer alone is learnt then, in the model's chat template.
        rows: of each set, at most: none has more than the smaller of kept and dropped.
        seeds: of the draw of rows and of the training.
        fit: how to train; None for one epoch. Sets differ in tokens: give `steps` to have each learn from as many.
        length: tokens of an example at most.
        device: "auto", "cpu", "cuda", "mps".
        catalog: where names are looked up.
        progress: show bars.

    Raises:
        ConfigError: no seeds, or a column that is not there.
        DataError: an empty set, tested rows among those that are learnt, or `out` holds another ablation.
    """
    from pilotfish.models._weights import identity_of
    from pilotfish.train.folder import digest, finished, settled, write_report
    from pilotfish.train.settings import Fit as Settings

    how, folder = fit or Settings(), Path(out)
    if not seeds:
        raise ConfigError("an ablation needs one seed or more")
    held = {name: _rows(given, text, prompt) for name, given in (("kept", kept), ("dropped", dropped), ("test", test))}
    for name, some in held.items():
        if not some:
            raise DataError(f"no row of {name} has a text in {text!r}: nothing to compare")
    known = {_key(row, text, prompt) for row in held["test"]}
    for name in ("kept", "dropped"):
        shared = sum(_key(row, text, prompt) in known for row in held[name])
        if shared:
            raise DataError(f"{shared:,} rows of {name} are tested rows: decontaminate before you curate")
    size = min(len(held["kept"]), len(held["dropped"]))
    size = size if rows is None else min(size, rows)
    told = [settled(how), text, prompt, size, list(seeds), length, identity_of(student)]
    everything = (json.dumps([name, row], sort_keys=True, default=str) for name, some in held.items() for row in some)
    identity = digest(told, everything)
    done = finished(folder, REPORT, identity, ("runs",))
    if done is not None:
        return Ablation.from_json(done)
    runs = Trials(student, folder / "runs", identity, how, text, prompt, length, device, catalog, progress)
    tables: dict[str, list[NDArray[np.float64]]] = {name: [] for name in SETS}
    tokens: dict[str, list[float]] = {name: [] for name in SETS}
    steps = 0
    untaught = runs.untaught(held["test"])
    for seed in seeds:
        for name in SETS:
            chosen = _drawn(held, name, size, seed)
            table, learnt, steps = runs.taught(f"{name}-{seed}", chosen, held["test"], seed)
            tables[name].append(table)
            tokens[name].append(learnt)
    report = Ablation(
        folder=str(folder),
        student=str(student),
        rows=dict.fromkeys(SETS, size),
        tested=len(held["test"]),
        seeds=len(seeds),
        steps=steps,
        tokens={name: float(np.mean(found)) for name, found in tokens.items()},
        loss={"untaught": _mean([untaught])} | {name: _mean(found) for name, found in tables.items()},
        gain={
            f"{one} over {other}": _gain(tables[one], tables[other])
            for one, other in (("kept", "random"), ("kept", "dropped"), ("random", "dropped"))
        },
    )
    write_report(folder, REPORT, identity, report.to_json())
    return report


def _rows(given: str | Path | Sequence[Row], text: str, prompt: str | None) -> list[Row]:
    columns = [text] if prompt is None else [text, prompt]

    def there() -> Iterator[Row]:
        if isinstance(given, str | Path):
            if Path(given).is_file() and not Path(given).stat().st_size:
                return
            for row in read(given):
                yield row["row"] if set(row) >= {"step", "reason", "row"} else row  # of a dropped.jsonl
        else:
            yield from given

    return [
        {name: row[name] for name in columns}
        for row in there()
        if all(isinstance(row.get(name), str) and row[name].strip() for name in columns)
    ]


def _key(row: Row, text: str, prompt: str | None) -> tuple[str, str]:
    return row[text].strip(), row[prompt].strip() if prompt is not None else ""


def _pool(held: Mapping[str, list[Row]], name: str) -> list[Row]:
    return held["kept"] + held["dropped"] if name == "random" else held[name]


def _drawn(held: Mapping[str, list[Row]], name: str, size: int, seed: int) -> list[Row]:
    pool = _pool(held, name)
    order = np.random.default_rng([seed, SETS.index(name)]).permutation(len(pool))
    return [pool[int(i)] for i in order[:size]]


def _mean(tables: Sequence[NDArray[np.float64]]) -> Interval:
    """Return the loss a token; rows are drawn again with all their seeds, since those are of one set."""
    return drawn_again(np.stack(tables), lambda each: float(each[..., 0].sum() / each[..., 1].sum()))


def _gain(one: Sequence[NDArray[np.float64]], other: Sequence[NDArray[np.float64]]) -> Interval:
    both = np.stack([np.stack(one), np.stack(other)], axis=-1)  # (seeds, rows, 2, 2)
    return drawn_again(
        both, lambda each: float((each[..., 0, 1].sum() - each[..., 0, 0].sum()) / each[..., 1, 0].sum())
    )
