"""Tables: samplers, constraints, and words that fit."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.errors import ConfigError
from pilotfish.model import Request
from pilotfish.synthesize.make import synthesize
from pilotfish.synthesize.scratch.tabular import Tabular
from tests.fakes import ScriptedModel

COLUMNS: dict[str, dict[str, Any]] = {
    "plan": {"use": "category", "values": ["free", "pro"], "weights": [3, 1]},
    "age": {"use": "integer", "low": 16, "high": 80},
    "spent": {
        "use": "given",
        "column": "plan",
        "by": {
            "free": {"use": "uniform", "low": 0, "high": 0},
            "pro": {"use": "lognormal", "mean": 3.0, "deviation": 0.5, "high": 100, "digits": 2},
        },
    },
    "since": {"use": "date", "first": "2024-01-01", "last": "2024-12-31"},
    "score": {"use": "normal", "mean": 5, "deviation": 2, "low": 0, "high": 10, "digits": 0},
    "monthly": {"use": "formula", "formula": "spent / 12", "digits": 3},
}
RULES = ["plan == 'free' or age >= 18"]


def table(**settings: Any) -> Tabular:
    return Tabular("Customers.", COLUMNS, **{"constraints": RULES, "fields": {"note": "a note"}, **settings})


def test_draws_follow_their_samplers_and_the_constraints() -> None:
    random = np.random.default_rng(0)
    rows = [table().drawn(random) for _ in range(800)]
    shares = Counter(row["plan"] for row in rows)
    assert shares["free"] / 800 == pytest.approx(0.75, abs=0.06)
    for row in rows:
        assert 16 <= row["age"] <= 80 and (row["plan"] == "free" or row["age"] >= 18)
        assert (row["spent"] == 0) == (row["plan"] == "free") and row["spent"] <= 100
        assert "2024-01-01" <= row["since"] <= "2024-12-31"
        assert isinstance(row["score"], int) and 0 <= row["score"] <= 10
        assert row["monthly"] == round(row["spent"] / 12, 3)
    assert np.mean([row["score"] for row in rows]) == pytest.approx(5, abs=0.3)


def test_the_model_writes_what_is_left(tmp_path: Path) -> None:
    def said(request: Request) -> str:
        return json.dumps({"note": request.prompt.partition("- plan: ")[2].partition("\n")[0]})

    report = synthesize(table(), ScriptedModel(said), tmp_path, rows=30, progress=False)
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert report.whole and all(row["note"] == row["plan"] for row in rows)
    assert list(rows[0])[:6] == list(COLUMNS)


@pytest.mark.parametrize(
    ("columns", "settings", "said"),
    [
        ({"a": {"use": "dice"}}, {}, "`use` is one of"),
        ({"a": {"use": "integer", "low": 1}}, {}, "needs high"),
        ({"a": {"use": "integer", "low": 2, "high": 1}}, {}, "low is above high"),
        ({"a": {"use": "category", "values": [1], "weights": [1, 2]}}, {}, "a weight"),
        ({"a": {"use": "given", "column": "b", "by": {}}}, {}, "not an earlier column"),
        ({"a": {"use": "formula", "formula": "1 +"}}, {}, "the expression"),
        ({"a": {"use": "integer", "low": 1, "high": 1}}, {"fields": {"a": "x"}}, "is a column with a sampler"),
        ({}, {}, "columns with samplers"),
    ],
)
def test_wrong_tables_are_told(columns: dict[str, Any], settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Tabular("x", columns, **{"fields": {"note": "n"}, **settings})


def test_expressions_compute_and_do_nothing_else() -> None:
    random = np.random.default_rng(0)
    one = {"a": {"use": "integer", "low": 1, "high": 9}}
    for rule, said in (
        ("a > 10", "meets the constraints"),
        ("b > 1", "b"),
        ("a.__class__.__mro__[1].__subclasses__()", "expression"),
    ):
        with pytest.raises(ConfigError, match=said):
            Tabular("x", one, constraints=[rule], fields={"note": "n"}).drawn(random)
