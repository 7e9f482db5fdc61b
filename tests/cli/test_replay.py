"""`pilotfish replay`: a cascade and a route over recorded columns, judged without a model."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")

from pilotfish.infer.routing import LinearRouter
from pilotfish.models.classify.features import TfidfFeatures
from tests.cli.help import error_of, pilotfish, write_rows, write_toml
from tests.infer.routing.help import made

# No such endpoint is ever asked.
FILE = """
[models.poet]
use = "openai"
model = "poet-1"
base_url = "http://127.0.0.1:9"
[models.sage]
use = "openai"
model = "sage-1"
base_url = "http://127.0.0.1:9"
[models.assistant]
use = "cascade"
small = "poet"
large = "sage"
accept = { score = "mean-logprob", above = -0.5 }
[models.routed]
use = "route"
models = ["poet", "sage"]
router = "router"
choose = { price = 100.0 }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("replay")
    outcomes = made(400)
    LinearRouter(TfidfFeatures()).fit(made(seed=1)).save(where / "router")
    rng = random.Random(0)
    rows = [
        {
            "prompt": text,
            "quality:poet": quality[0],
            "sage_ok": bool(quality[2]),
            "cost:poet": cost[0],
            "cost:sage": cost[2],
            "sure": -0.2 + rng.gauss(0, 0.2) if quality[0] else -0.8 + rng.gauss(0, 0.2),
            "subject": i % 40,
        }
        for i, (text, quality, cost) in enumerate(zip(outcomes.texts, outcomes.quality, outcomes.cost, strict=True))
    ]
    write_rows(where / "rows.jsonl", [*rows, {"prompt": "asked of one only", "quality:poet": 1}])
    write_toml(where / "c.toml", FILE)
    return where


def figures(folder: Path, *flags: str) -> dict[str, Any]:
    given = ("--quality", "sage=sage_ok", *flags, "--report", "f.json")
    done = pilotfish("replay", "c.toml", "rows.jsonl", *given, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "1 rows lack a model's quality" in done.stderr
    found: dict[str, Any] = json.loads((folder / "f.json").read_text())
    return found


def test_a_cascade_s_threshold_is_replayed(folder: Path) -> None:
    found = figures(folder, "--score", "poet=sure")
    assert found["n"] == 400
    assert found["saved"] > 0.3
    sent_on = figures(folder, "--score", "poet=sure", "--above", "99")
    assert sent_on["whole"]["quality"] == sent_on["models"][1]["quality"]


def test_a_route_s_router_is_replayed(folder: Path) -> None:
    found = figures(folder, "--model", "routed", "--group-by", "subject")
    names = [one["name"] for one in found["scores"]]
    assert "its router" in names
    assert found["whole"]["quality"]["n"] == 40
    assert found["saved"] > 0.3


def test_what_is_wrong_is_said_in_one_line(folder: Path) -> None:
    ask = ("replay", "c.toml", "rows.jsonl")
    assert "write MODEL=COLUMN" in error_of(pilotfish(*ask, "--quality", "sage", cwd=folder))
    assert "no row has a quality of every model" in error_of(pilotfish(*ask, cwd=folder))
    assert "neither a cascade nor a route" in error_of(pilotfish(*ask, "--model", "poet", cwd=folder))
    told = error_of(pilotfish(*ask, "--quality", "sage=sage_ok", cwd=folder))
    assert "row 1: no score in 'score:poet'" in told
