"""Tables: tuned trees, additive and linear models, against a language model that reads the rows.

adult, german, pima, wine (good from a quality of 6 on, and quality as a number), titanic and horse-colic (was the
lesion surgical; the columns that describe the lesion left out). A fifth of the rows is held out, stratified; copies of
a row, which wine has many of, stand on one side. Each kind is tuned in four folds of the training rows for 60 seconds
(adult 150), in one thread. AUC and accuracy have bootstrap and Wilson intervals; differences are paired. A single row
is timed from its columns to the answer, trees by our arrays and by the library. Qwen2.5-Coder-1.5B (int8) reads 60
drawn rows of each table of classes: no row shown, then 8; and with columns' names shuffled, which costs what goes by
their meaning. What was tuned and said is kept (`.bench/tables`). `--quick` takes pima, two kinds and no search.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._result import Cases, estimated
from pilotfish.compete.tables.kinds import KINDS
from pilotfish.compete.tables.large import Naming, read_by
from pilotfish.compete.tables.measured import MEASURES, above, one_row, worth
from pilotfish.compete.tables.task import TableTask, table_task
from pilotfish.compete.tables.tune import tuned
from pilotfish.measure.intervals import wilson
from pilotfish.measure.meters import measure_latency
from pilotfish.models.forest import Forest
from pilotfish.models.local import LocalModel

RUNS = Path(__file__).resolve().parents[1] / ".bench" / "tables"
LARGE, SHOTS, ASKED, SECONDS, SEED = "qwen2.5-coder-1.5b-instruct", 8, 60, 60.0, 5
ADULT = (
    "age,work class,final weight,education,years of education,marital status,occupation,relationship,race,sex,"
    "capital gain,capital loss,hours per week,native country,income"
)
GERMAN = (
    "checking account,months,credit history,purpose,credit amount,savings,employed since,instalment rate,"
    "personal status and sex,other debtors,resident since,property,age,other instalments,housing,existing credits,job,"
    "people to support,telephone,foreign worker,credit risk"
)
PIMA = "pregnancies,glucose,blood pressure,skin fold,insulin,body mass index,pedigree,age,diabetes"
WINE = (
    "fixed acidity,volatile acidity,citric acid,residual sugar,chlorides,free sulfur dioxide,total sulfur dioxide,"
    "density,pH,sulphates,alcohol,quality"
)
HORSE = (
    "surgery,age,hospital number,rectal temperature,pulse,respiratory rate,temperature of extremities,"
    "peripheral pulse,mucous membranes,capillary refill time,pain,peristalsis,abdominal distension,nasogastric tube,"
    "nasogastric reflux,reflux PH,rectal examination,abdomen,packed cell volume,total protein,"
    "abdominocentesis appearance,abdominocentesis total protein,outcome,surgical lesion,type 1,type 2,type 3,cp data"
)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Set:
    """A table.

    Attributes:
        name: of it.
        task: as it is to be foretold.
        question: what the large model is asked.
        names: what it is told that classes are called.
        seconds: of looking for settings.
    """

    name: str
    task: TableTask
    question: str = ""
    names: dict[str, str] | None = None
    seconds: float = SECONDS


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return what each kind of model is worth on each table."""
    if data is None:
        return {"name": "tables", "peer": "needs --data: the folder of data sets", "cases": []}
    cases = Cases("tables", quick=quick)
    kinds = ["linear", "histogram"] if quick else list(KINDS)
    large = None if quick else LocalModel(LARGE, quantize="int8")
    for one in sets(data, only="pima" if quick else None):
        cases.add(of_set(one, kinds, large, search=not quick))
    return {"name": "tables", "peer": f"{LARGE}, int8, which reads rows as text", "cases": cases.found}


def sets(data: Path, only: str | None = None) -> Iterator[Set]:
    """Yield the tables."""
    folder = data / "tabular_jb"
    makers: dict[str, Any] = {
        "adult": lambda: Set(
            "adult",
            _task(_rows(folder / "adult-train.csv", ADULT), "income"),
            "Does this person earn more than 50,000 dollars a year? Answer with the category's name and nothing else.",
            {"<=50K": "no", ">50K": "yes"},
            150.0,
        ),
        "german": lambda: Set(
            "german",
            _task(_rows(folder / "german.csv", GERMAN), "credit risk"),
            "Is this applicant a good or a bad credit risk? Answer with the category's name and nothing else.",
            {"1": "good", "2": "bad"},
        ),
        "pima": lambda: Set(
            "pima",
            _task(_rows(folder / "pima-indians-diabetes.csv", PIMA), "diabetes"),
            "Does this patient have diabetes? Answer with the category's name and nothing else.",
            {"0": "no", "1": "yes"},
        ),
        "wine": lambda: Set(
            "wine",
            _task(
                [{**row, "quality": "good" if float(row["quality"]) >= 6 else "poor"} for row in _wine(folder)],
                "quality",
            ),
            "Is this wine of good or of poor quality? Answer with the category's name and nothing else.",
        ),
        "wine, quality": lambda: Set("wine, quality", _task(_wine(folder), "quality", kind="number")),
        "titanic": lambda: Set(
            "titanic",
            _task(_titanic(data), "Survived"),
            "Did this passenger of the Titanic survive? Answer with the category's name and nothing else.",
            {"0": "no", "1": "yes"},
        ),
        "horse-colic": lambda: Set(
            "horse-colic",
            _task(_horses(folder), "surgical lesion"),
            "Was the lesion of this horse with colic surgical? Answer with the category's name and nothing else.",
            {"1": "yes", "2": "no"},
        ),
    }
    for name, make in makers.items():
        if only in (None, name):
            yield make()


def _task(rows: Sequence[dict[str, Any]], target: str, **how: Any) -> TableTask:
    # Copies of a row are one group, so that none is learnt from and measured on.
    marked = [
        {**row, "_row": json.dumps({k: v for k, v in row.items() if k != target}, sort_keys=True)} for row in rows
    ]
    copies = len({row["_row"] for row in marked}) < len(marked)
    if not copies:
        return table_task(rows, target, seed=SEED, **how)
    return table_task(marked, target, group="_row", seed=SEED, **how)


def _rows(path: Path, columns: str, *, delimiter: str = ",") -> list[dict[str, Any]]:
    names = columns.split(",")
    with path.open(encoding="utf-8", newline="") as file:
        found = []
        for cells in csv.reader(file, delimiter=delimiter, skipinitialspace=True):
            if cells:
                assert len(cells) == len(names), (path, cells)
                values = [cell.strip() for cell in cells]
                found.append(
                    {name: None if cell in ("?", "") else cell for name, cell in zip(names, values, strict=True)}
                )
    return found


def _wine(folder: Path) -> list[dict[str, Any]]:
    found = []
    for colour in ("red", "white"):
        found += [{**row, "colour": colour} for row in _rows(folder / f"winequality-{colour}.csv", WINE)]
    return found


def _titanic(data: Path) -> list[dict[str, Any]]:
    (path,) = sorted((data / "titanic").glob("*.csv"))
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    left = ("PassengerId", "Name", "Ticket")
    return [{name: value or None for name, value in row.items() if name not in left} for row in rows]


def _horses(folder: Path) -> list[dict[str, Any]]:
    left = ("hospital number", "outcome", "type 1", "type 2", "type 3", "cp data")
    return [
        {name: value for name, value in row.items() if name not in left}
        for row in _rows(folder / "horse-colic.csv", HORSE)
    ]


def of_set(one: Set, kinds: Sequence[str], large: LocalModel | None, *, search: bool) -> Iterator[dict[str, Any]]:
    """Yield the cases of a table."""
    task = one.task
    main_measure = MEASURES[task.kind][0]
    told: dict[str, Floats] = {}
    losses: dict[str, float] = {}
    for kind in kinds:
        found, losses[kind], cases = _small(one, kind, search=search)
        told[kind] = found
        yield from cases
        for measure, interval in worth(task, found, seed=SEED).measures.items():
            yield estimated(f"{one.name}, {kind}: {measure}", interval, measure)
    trees = [kind for kind in kinds if kind not in ("linear", "additive", "rules")]
    best = min(trees, key=losses.__getitem__)  # in folds of the training rows
    for kind in ("linear", "additive"):
        if kind in told:
            gap = above(told[best], told[kind], task.y_test, main_measure, seed=SEED)
            yield estimated(f"{one.name}: {best}, the best trees in folds, above {kind}", gap, main_measure)
    if large is not None and one.question:
        yield from _large(one, large, told[best], best)


def _small(one: Set, kind: str, *, search: bool) -> tuple[Floats, float, list[dict[str, Any]]]:
    """Return predictions of the held-out rows, the loss in folds, and what it took; all of it kept."""
    kept = RUNS / ("whole" if search else "quick") / f"{one.name}-{kind}.json"
    if not kept.exists():
        task = one.task
        made = tuned(KINDS[kind], task, seconds=one.seconds if search else 0, seed=SEED)
        predict = made.fitted.predict
        start = time.perf_counter()
        predicted = predict(task.x_test)
        rate = len(task.x_test) / (time.perf_counter() - start)
        facts = {
            "tuned in folds, loss": made.loss,
            "usual settings in folds, loss": made.usual,
            "trials": made.trials,
            "fit": made.fit_seconds,
            "rows a second": rate,
            "one row, p50": one_row(task, predict, task.test).p50 * 1e3,
            "one row, p95": one_row(task, predict, task.test).p95 * 1e3,
        }
        if isinstance(made.fitted.kept, Forest):
            own = getattr(made.fitted.model, "predict_proba", made.fitted.model.predict)
            alone = [row[None] for row in task.x_test[:200]]
            own_time = measure_latency(lambda some: own(some[0]), alone, max_seconds=2.0)
            facts["one row by the library, p95"] = own_time.p95 * 1e3
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps({"told": predicted.tolist(), "facts": facts}), encoding="utf-8")
    held = json.loads(kept.read_text(encoding="utf-8"))
    units = {"fit": "seconds", "rows a second": "rows a second", "trials": "trials"}
    cases = [
        {
            "case": f"{one.name}, {kind}: {name}",
            "value": value,
            "unit": units.get(name, "ms" if name.startswith("one row") else "loss"),
            "n": len(one.task.y),
        }
        for name, value in held["facts"].items()
    ]
    return np.array(held["told"]), float(held["facts"]["tuned in folds, loss"]), cases


def _large(one: Set, large: LocalModel, trees: Floats, best: str) -> Iterator[dict[str, Any]]:
    """Yield what the large model says of a sample of the held-out rows, beside the trees on the same rows."""
    task = one.task
    drawn = np.sort(np.random.default_rng(SEED).permutation(len(task.test))[:ASKED])
    truth = task.y_test[drawn]
    right = trees[drawn].argmax(axis=1) == truth
    yield estimated(
        f"{one.name}, {best}, the {len(drawn)} rows: accuracy", wilson(float(right.sum()), len(right)), "accuracy"
    )
    ways: list[tuple[str, int, Naming]] = [
        ("no row shown", 0, "own"),
        (f"{SHOTS} rows shown", SHOTS, "own"),
        (f"{SHOTS} rows shown, names shuffled", SHOTS, "shuffled"),
    ]
    for title, shots, naming in ways:
        kept = RUNS / "whole" / f"{one.name}-large-{shots}-{naming}.json"
        if not kept.exists():
            how: dict[str, Any] = {"shots": shots, "naming": naming, "question": one.question, "label_names": one.names}
            start = time.perf_counter()
            said = read_by(large, task, [task.test[i] for i in drawn], seed=SEED, **how)
            assert said.probabilities is not None
            seconds = (time.perf_counter() - start) / len(drawn)
            kept.write_text(json.dumps({"told": said.probabilities.tolist(), "seconds": seconds}), encoding="utf-8")
        held = json.loads(kept.read_text(encoding="utf-8"))
        told = np.array(held["told"])
        for measure, interval in worth(task, told, truth, seed=SEED).measures.items():
            if measure != "log-likelihood":
                yield estimated(f"{one.name}, {LARGE}, {title}: {measure}", interval, measure)
        gap = above(trees[drawn], told, truth, "auc", seed=SEED)
        yield estimated(f"{one.name}: {best} above {LARGE}, {title}", gap, "auc")
        yield {
            "case": f"{one.name}, {LARGE}, {title}: a row",
            "value": held["seconds"],
            "unit": "seconds",
            "n": len(drawn),
        }
