"""From the `[judge]` table and rows to verdicts, what they are worth, and the files that hold both."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_judge import JudgeSpec
    from pilotfish.evaluate.judge import Compared, Judged
    from pilotfish.rows._row import Row

__all__ = ["judged", "people_of"]

PANEL = "panel"
ROWS, REPORT = "rows.jsonl", "report.json"
# What people may write for a verdict on two answers.
WORDS = {"a": 1, "b": -1, "tie": 0, "1": 1, "-1": -1, "0": 0}


def judged(
    spec: JudgeSpec,
    models: Collaboration,
    rows: Sequence[Row],
    out: Path,
    *,
    progress: bool,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Judge rows by every model of the table, and by all as a panel; write verdicts and figures, return these.

    Raises:
        ConfigError: settings that do not go together, or no such model.
        DataError: rows without the texts, or people's labels that are none.
        UpstreamError: an endpoint fails for question after question; what was answered stays.
    """
    from pilotfish.assemble._build_judges import build_judges
    from pilotfish.errors import ConfigError
    from pilotfish.evaluate.judge import TrainedJudge, panel_scores, panel_verdicts
    from pilotfish.rows._atomic import atomic
    from pilotfish.rows._json import encoded
    from pilotfish.rows._lock import locked

    texts = {key: _texts(rows, getattr(spec, key)) for key in ("task", "answer", "against", "reference")}
    people = people_of(rows, spec)
    groups = _groups(rows, spec.group_by)
    told: dict[str, Any] = {}
    with locked(out):
        found: dict[str, Judged | Compared] = {}
        judges = build_judges(spec, models, out, progress=progress)
        if PANEL in judges and len(judges) > 1:
            raise ConfigError(f"a model called {PANEL!r} cannot sit on a panel: give it another name")
        for name, judge in judges.items():
            found[name] = _asked(judge, spec, texts, people, groups)
        for name, judge in judges.items():
            if isinstance(judge, TrainedJudge) and spec.learn_ties:
                table: Any = models.spec(name)
                judge.save_zone(models.folder / table.path)
                tell(f"{name}: rewards up to {judge.tie:.4g} apart are a tie, from now on")
        if len(found) > 1:
            how: dict[str, Any] = {"groups": groups, "seed": spec.seed}
            every: Any = found
            if spec.against is not None:
                found[PANEL] = panel_verdicts(dict(every), spec.label_model or "majority", gold=people, **how)
            else:
                word = spec.label_model or "mean"
                gold = people if word != "mean" and _on_scale(people, spec) else None
                found[PANEL] = panel_scores(dict(every), word, gold=gold, **how)
        columns: list[Row] = [dict(row) for row in rows]
        for name, result in found.items():
            told[name] = _figures(name, result, spec, people, groups, out, tell)
            _put(columns, name, result)
        with atomic(out / ROWS) as file:
            for row in columns:
                file.write(encoded(row) + b"\n")
        with atomic(out / REPORT) as file:
            file.write(json.dumps(told, ensure_ascii=False, indent=1).encode() + b"\n")
    return told


def people_of(rows: Sequence[Row], spec: JudgeSpec) -> list[Any] | None:
    """Return people's labels of rows, None where there are none: verdicts as 1, 0 or -1, or scores as numbers.

    Raises:
        DataError: no row has a label, or one is neither.
    """
    from pilotfish.errors import DataError

    if spec.gold is None:
        return None
    found: list[Any] = []
    for number, row in enumerate(rows, 1):
        value = row.get(spec.gold)
        if value is None or value == "":
            found.append(None)
            continue
        try:
            found.append(_verdict(value) if spec.against is not None else _number(value))
        except (KeyError, ValueError, TypeError):
            wanted = "a, b or tie" if spec.against is not None else "a number"
            raise DataError(f"row {number}: column {spec.gold!r}: {value!r} is not {wanted}") from None
    if all(one is None for one in found):
        raise DataError(f"no row has a label of people in {spec.gold!r}")
    return found


def _verdict(value: Any) -> int:
    return WORDS[f"{value:g}" if isinstance(value, float) else str(value).strip().casefold()]


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _asked(judge: Any, spec: JudgeSpec, texts: Mapping[str, list[str] | None], people: Any, groups: Any) -> Any:
    """Return what a judge tells of the rows.

    A taught one learns its zone of ties where that is asked for; its verdict on a row that people judged is then by a
    zone that the row had no part in, so that what is made of the verdicts is honest.
    """
    from dataclasses import replace

    from pilotfish.errors import ConfigError
    from pilotfish.evaluate.judge import TrainedJudge

    task, answer, against, reference = (texts[key] for key in ("task", "answer", "against", "reference"))
    if isinstance(judge, TrainedJudge):
        if reference is not None:
            raise ConfigError(f"{judge.name}: a reward model reads no right answer: leave `reference` out")
        if against is None:
            return judge.judge(task or [], answer or [])
        result = judge(task or [], answer or [], against)
        if not spec.learn_ties:
            return result
        kept = [at for at, one in enumerate(people) if one is not None]
        columns = [[column[at] for at in kept] for column in (task or [], answer or [], against, people)]
        held = None if groups is None else [groups[at] for at in kept]
        verdicts = result.verdicts.copy()
        verdicts[kept] = judge.fit(*columns, groups=held, seed=spec.seed).crossed_
        return replace(result, verdicts=verdicts)
    return judge(task, answer, *([] if against is None else [against]), *([] if reference is None else [reference]))


def _figures(
    name: str,
    result: Judged | Compared,
    spec: JudgeSpec,
    people: list[Any] | None,
    groups: list[str] | None,
    out: Path,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    from pilotfish.evaluate.judge import Compared

    told: dict[str, Any] = {
        "rows": result.rows,
        "judged": len(result.places),
        "missing": dict(result.missing),
        "later": len(result.later),
        "calls": result.bill.calls,
        "cost": result.bill.cost,
    }
    if not len(result.places):
        tell(f"{name}: no verdict on any of {result.rows:,} rows: {_listed(result.missing)}")
        return told
    if isinstance(result, Compared):
        told |= _of_pairs(name, result, spec, groups, tell)
    else:
        mean = result.mean(groups=groups, seed=spec.seed)
        told |= {"judge": result.name, "mean": mean.to_json()}
        tell(f"{name}: mean {mean} of {len(result.places):,} rows")
    if result.why:
        tell(f"{name}: no verdict on {len(result.why):,} of {result.rows:,} rows: {_listed(result.missing)}")
    if result.later:
        tell(f"{name}: the endpoint failed on {len(result.later):,} rows; the same command asks about those again")
    return told | _against_people(name, result, spec, people, groups, out, tell)


def _of_pairs(
    name: str, result: Compared, spec: JudgeSpec, groups: list[str] | None, tell: Callable[[str], None]
) -> dict[str, Any]:
    wins = result.wins(groups=groups, seed=spec.seed)
    position, longer = result.position(groups=groups, seed=spec.seed), result.by_length()
    tell(
        f"{name}: {spec.answer} against {spec.against} wins {wins} of {len(result.places):,} rows, a tie a half; "
        f"ties: {result.ties:,}"
    )
    if position is not None:
        tell(f"{name}: {position}")
    if longer is not None:
        tell(f"{name}: the longer answer wins {longer} of {longer.n:,} rows without a tie")
    return {
        "judge": result.name,
        "wins": wins.to_json(),
        "ties": result.ties,
        "position": None if position is None else position.to_json(),
        "longer": None if longer is None else longer.to_json(),
    }


def _against_people(
    name: str,
    result: Judged | Compared,
    spec: JudgeSpec,
    people: list[Any] | None,
    groups: list[str] | None,
    out: Path,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Return agreement with people and, of scores, a calibration, which is written too."""
    from dataclasses import replace

    import numpy as np

    from pilotfish.evaluate.judge import Compared, agreement, calibrate

    if people is None:
        return {}
    at = [i for i, place in enumerate(result.places.tolist()) if people[place] is not None]
    truth = [people[result.places[i]] for i in at]
    held = None if groups is None else [groups[result.places[i]] for i in at]
    if not at:
        tell(f"{name}: no row has both a verdict and a label of people")
        return {}
    if isinstance(result, Compared):
        found = agreement(result.verdicts[at].tolist(), truth, groups=held, seed=spec.seed)
        tell(f"{name}: {found}")
        return {"agreement": found.to_json()}
    told: dict[str, Any] = {}
    scores = result.scores.values[at]
    if result.scale and all(one in result.scale for one in truth):
        nearest = np.rint(scores).tolist()
        told["agreement"] = (both := agreement(nearest, truth, pairs=False, groups=held, seed=spec.seed)).to_json()
        tell(f"{name}, to whole numbers: {both}")
    if spec.calibrate != "off" and len(set(held or at)) > 1:
        own = replace(result.scores, values=scores, parts={}, notes=())
        curve = calibrate(own, truth, spec.calibrate, groups=held, seed=spec.seed)
        path = out / f"{name.replace('/', '_')}.calibration.json"
        curve.save(path)
        told |= {"before": curve.before.to_json(), "after": curve.after.to_json(), "calibration": path.name}
        tell(f"{name}: {curve}; the curve is in {path}")
    return told


def _put(columns: list[Row], name: str, result: Judged | Compared) -> None:
    for row, told in zip(columns, result.columns(f"judge.{name}"), strict=True):
        row.update(told)


def _on_scale(people: list[Any] | None, spec: JudgeSpec) -> bool:
    """Whether people's scores are numbers of the one scale that judges go by, so that they can teach a label model."""
    if people is None or len(spec.criteria or ()) != 1:
        return False
    return all(one is None or (spec.low <= one <= spec.high and one == int(one)) for one in people)


def _texts(rows: Sequence[Row], column: str | None) -> list[str] | None:
    from pilotfish.errors import DataError
    from pilotfish.rows import need_columns

    if column is None:
        return None
    for number, row in enumerate(rows, 1):
        need_columns(row, column, source=f"row {number}")
        if not isinstance(row[column], str):
            raise DataError(f"row {number}: column {column!r} is {type(row[column]).__name__}, not text")
    return [row[column] for row in rows]


def _groups(rows: Sequence[Row], column: str | None) -> list[str] | None:
    from pilotfish.rows import need_columns

    if column is None:
        return None
    for number, row in enumerate(rows, 1):
        need_columns(row, column, source=f"row {number}")
    return [str(row[column]) for row in rows]


def _listed(missing: Mapping[str, int]) -> str:
    return ", ".join(f"{why}: {count:,}" for why, count in missing.items())
