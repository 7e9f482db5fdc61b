"""From the checked `[synthesize.keep]` table to the checks of rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_keep import KeepSpec
    from pilotfish.synthesize.recipe import Check

__all__ = ["build_keep"]


def build_keep(spec: KeepSpec, models: Collaboration, out: Path) -> list[Check]:
    """Return the checks, in the order in which they sift; what models are asked is kept in `out`.

    Raises:
        ConfigError: a check is wrong.
        DataError: a file of rows cannot be read, or lacks a column.
    """
    from pilotfish.assemble._build_check import build_check
    from pilotfish.models.calls import Budget
    from pilotfish.rows import need_columns, read
    from pilotfish.synthesize.keep import Agrees, Clean, Graded, Unlike, Verified

    found: list[Check] = []
    for one in spec.verify:
        check = build_check(one.by, dict(one.settings()), models.folder, models.catalog, models.model)
        found.append(Verified(check, one.column))
    if spec.clean is not None:
        tests: dict[str, list[str]] = {}
        for name, file in spec.clean.tests.items():
            rows = list(read(models.folder / file))
            for row in rows[:1]:
                need_columns(row, spec.clean.text, source=str(models.folder / file))
            tests[name] = [str(row.get(spec.clean.text) or "") for row in rows]
        found.append(Clean(tests, spec.clean.columns, ngram=spec.clean.ngram, threshold=spec.clean.threshold))
    if spec.unlike is not None:
        given: dict[str, Any] = spec.unlike.model_dump(exclude={"others"})
        others = [] if spec.unlike.others is None else list(read(models.folder / spec.unlike.others))
        found.append(Unlike(others=others, **given))
    if spec.agree is not None:
        agree = spec.agree.model_dump(exclude={"model"})
        found.append(Agrees(models.model(spec.agree.model), out / "agree.sqlite", **agree))
    if spec.grade is not None:
        graded = spec.grade.model_dump(exclude={"judge", "dollars"}, exclude_none=True)
        budget = None if spec.grade.dollars is None else Budget(dollars=spec.grade.dollars)
        found.append(Graded(models.model(spec.grade.judge), out / "grade.sqlite", budget=budget, **graded))
    return found
