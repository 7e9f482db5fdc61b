"""Take the pictures of the page that the docs show: `python -m tests.compete.explain.pictures docs/images`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from pilotfish.compete.explain.page import page
from pilotfish.compete.explain.rivals import table_rivals
from pilotfish.compete.explain.whole_table import explain_table
from pilotfish.compete.tables.kinds import kind_of
from pilotfish.compete.tables.model import TableModel
from pilotfish.compete.tables.task import TableTask, table_task
from pilotfish.measure.report import render_html
from tests.serve.browser import opened


def made() -> TableTask:
    """Return a made-up table of loans: debts and a short employment weigh, the postcode does not."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(1500):
        income, debts, years = rng.lognormal(10.5, 0.4), rng.gamma(2.0, 5000), rng.gamma(2.0, 3.0)
        home, area = rng.choice(["own", "rent", "parents"], p=[0.4, 0.5, 0.1]), rng.choice(["north", "south", "west"])
        score = 1.4 * np.log(income / 36000) - debts / 9000 + 0.3 * min(years, 8) + 0.6 * (home == "own") - 0.4
        late = rng.random() > 1 / (1 + np.exp(-1.6 * score))
        rows.append(
            {
                "income": round(float(income)),
                "debts": None if rng.random() < 0.05 else round(float(debts)),
                "years employed": round(float(years), 1),
                "housing": str(home),
                "area": str(area),
                "paid": "late" if late else "in time",
            }
        )
    return table_task(rows, "paid")


def main(folder: Path) -> None:
    """Write `explain-light.png` and `explain-dark.png` into a folder."""
    task = made()
    kind = kind_of("lightgbm")
    models = []
    for seed in (0, 1):
        fitted = kind.fit(task.x, task.y, task.categorical, task.kind, {**kind.usual, "rounds": 80}, seed)
        models.append(TableModel.of(task, fitted))
    rivals = table_rivals(models[0], task.train, "paid", again=0)
    found = explain_table(
        models[0],
        task.test,
        name="the loan model",
        target="paid",
        background=task.train,
        again=models[1:],
        against={one.name: one.model for one in rivals},
        shown=3,
    )
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        file = here / "explain.html"
        file.write_text(render_html(page(found)), encoding="utf-8")
        with opened(here) as tab:
            for scheme in ("light", "dark"):
                tab.prefer(scheme)
                tab.size(900, 1900)
                tab.go(file.as_uri())
                tab.picture(folder / f"explain-{scheme}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
