"""`pilotfish evaluate meta` and `teach`: what agrees with people is found, taught, and scores rows of another file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.help import error_of, pilotfish, read_rows, write_rows

pytest.importorskip("sklearn")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    dice = np.random.default_rng(0)
    found = []
    for number in range(240):
        liked = float(dice.integers(1, 6))
        seen = {"good": liked + dice.normal(), "bad": float(dice.normal()), "cost": -liked + dice.normal()}
        found.append(
            {"answer": f"answer {number}", "liked": liked, "right": "yes" if liked > 3 else "no", **seen}
            | {"article": number // 6, "writer": "abcdef"[number % 6]}
        )
    write_rows(tmp_path / "rows.jsonl", found)
    return tmp_path


def test_metrics_are_put_in_order_on_every_level(rows: Path) -> None:
    given = ["--metric", "bad", "--metric", "good", "--lower", "cost", "--item", "article", "--system", "writer"]
    done = pilotfish("evaluate", "meta", "rows.jsonl", "--people", "liked", *given, cwd=rows)
    assert done.returncode == 0, done.stderr
    assert [line.partition("(")[0].strip() for line in done.stdout.splitlines() if line.startswith("liked, by")] == [
        "liked, by segment",
        "liked, by item",
        "liked, by system",
    ]
    assert done.stdout.count("Spearman") == 3
    told = pilotfish(
        "evaluate", "meta", "rows.jsonl", "--people", "liked", "--people", "right", *given, "--json", cwd=rows
    )
    found = json.loads(told.stdout)
    first = found["liked"]["agreements"][:3]
    assert {one["metric"] for one in first[:2]} == {"good", "-cost"} and first[2]["metric"] == "bad"
    assert first[0]["pearson"]["low"] > 0.6 > 0.2 > first[2]["pearson"]["value"]
    assert found["right"]["agreements"][0]["pairwise"]["value"] > 0.8


def test_an_evaluator_is_taught_and_scores_another_file(rows: Path) -> None:
    numbers = ["--number", "good", "--number", "bad", "--positive"]
    given = ["--people", "liked", "--group-by", "article", "--out", "taught"]
    done = pilotfish("evaluate", "teach", "rows.jsonl", *numbers, *given, cwd=rows)
    assert done.returncode == 0, done.stderr
    assert "Pearson" in done.stdout
    (rows / "team.toml").write_text('[metrics.mine]\nuse = "estimator"\npath = "taught"\n')
    write_rows(rows / "new.jsonl", [{"answer": "x", "good": 5.0, "bad": 0.0}, {"answer": "y", "good": 1.0, "bad": 0.0}])
    done = pilotfish("score", "new.jsonl", "--file", "team.toml", "--metric", "mine", "--out", "scored.jsonl", cwd=rows)
    assert done.returncode == 0, done.stderr
    told = read_rows(rows / "scored.jsonl")
    assert told[0]["mine"] > told[1]["mine"] + 1


def test_texts_are_read_by_an_encoder(rows: Path, tiny_encoder_folder: Path) -> None:
    given = ["--people", "liked", "--text", "answer", "--encoder", str(tiny_encoder_folder), "--out", "taught"]
    done = pilotfish("evaluate", "teach", "rows.jsonl", *given, cwd=rows)
    assert done.returncode == 0, done.stderr
    assert (rows / "taught" / "encoder").is_dir()


def test_mistakes_are_one_line(rows: Path) -> None:
    for args, why in (
        (["meta", "rows.jsonl", "--people", "liked"], "name a column of a metric"),
        (["meta", "rows.jsonl", "--people", "liked", "--metric", "god"], "god"),
        (["meta", "rows.jsonl", "--people", "answer", "--metric", "good"], "column 'answer' must be a number"),
        (["meta", "rows.jsonl", "--people", "liked", "--metric", "good", "--item", "story"], "story"),
        (["teach", "rows.jsonl", "--people", "liked", "--out", "x"], "columns of texts"),
    ):
        assert why in error_of(pilotfish("evaluate", *args, cwd=rows))
