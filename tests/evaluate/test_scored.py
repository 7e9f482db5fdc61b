"""Rows by several metrics: streamed, resumed, joined, the same on Ray."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pilotfish.assemble import Collaboration
from pilotfish.assemble._build_metrics import metric_named
from pilotfish.errors import DataError
from pilotfish.evaluate.metric import Scoring, over_columns
from pilotfish.evaluate.scored import plain_name, scored
from pilotfish.rows import Ray
from pilotfish.rows._row import Row
from pilotfish.rows.engine import Engine
from tests.cli.help import write_rows
from tests.evaluate.test_metric import Overlap
from tests.ray_up import ray_up

__all__ = ["ray_up"]

ROWS: list[Row] = [
    {"answer": "the cat sat", "reference": "the cat sat on the mat", "n": 0},
    {"answer": None, "reference": "a dog", "n": 1},
    {"answer": "where is it", "reference": ["where is my card", "it is"], "n": 2},
    {"answer": "", "reference": "a dog", "n": 3},
    {"answer": "where is it", "reference": ["where is my card", "it is"], "n": 2},
]


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "answers.jsonl", ROWS)


def test_each_metric_has_a_run_and_rows_join(answers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = over_columns(Overlap(), "answer", "reference", name="ov")
    other = over_columns(Overlap(), "answer", "answer", name="self: it")
    found = scored(answers, [metric, other], tmp_path / "out", progress=False)
    assert found.scores("ov").values.tolist() == pytest.approx([1, 1, 0, 1])
    assert found.scores("ov").metric == "overlap" and found.rejected == {"ov": 1, "self: it": 1}
    joined = list(found.joined())
    assert [{key: row[key] for key in ("answer", "reference", "n")} for row in joined] == ROWS
    assert joined[1] == ROWS[1] and [row.get("ov") for row in joined][2:] == pytest.approx([1, 0, 1])
    assert joined[3]["ov.note"] and joined[0]["self: it"] == 1
    folders = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert len(folders) == 2 and folders[0].startswith("ov-")
    # Another metric beside them: those that are done are not done again.
    monkeypatch.setattr(Scoring, "process", lambda self, rows: pytest.fail("scored again"))
    again = scored(answers, [metric], tmp_path / "out", progress=False)
    assert again.scores("ov").values.tolist() == found.scores("ov").values.tolist()


def test_where_nothing_can_be_scored_it_says_why(tmp_path: Path) -> None:
    bad = write_rows(tmp_path / "bad.jsonl", [{"answer": 3, "reference": "a"}])
    with pytest.raises(DataError, match=r"ov: no row could be scored \(row 1\): see"):
        scored(bad, [over_columns(Overlap(), "answer", "reference", name="ov")], tmp_path / "out", progress=False)


def test_names_of_folders_are_plain_and_each_its_own() -> None:
    assert plain_name("bert-score_1.0+x") == "bert-score_1.0+x"
    odd = ["hf:a/b", "hf:a_b", "..", "", "ä", "a" * 300, "a" * 301]
    names = [plain_name(name) for name in odd]
    assert len(set(names)) == len(odd) and all(set("/:") & set(name) == set() and len(name) < 80 for name in names)
    assert not any(name in ("", ".", "..") or name.startswith(".") for name in names)


def test_the_same_here_and_on_ray(answers: Path, tmp_path: Path, tiny_encoder_folder: Path, ray_up: None) -> None:
    models = Collaboration({}, where="here")
    settings = {"model": str(tiny_encoder_folder), "idf": True, "rescale": True, "dtype": "float32"}
    told = []
    engines: list[Engine] = ["local", Ray(workers=1, cpus=0.5)]
    for engine in engines:
        metric = metric_named("bertscore", models, settings)
        fitted = metric.fitted(ROWS)
        fitted(ROWS[:1])  # the model is loaded here, and still travels as its settings
        out = tmp_path / ("ray" if isinstance(engine, Ray) else "local")
        found = scored(answers, [fitted], out, engine=engine, progress=False)
        told.append([json.dumps(row) for row in found.joined()])
    assert told[0] == told[1] and '"bertscore.precision"' in told[0][0]
