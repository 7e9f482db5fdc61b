"""`pilotfish evaluate` and `calibrate`: from recorded models and rows to figures, and to a file of a promise."""

from __future__ import annotations

import json
import random
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("sklearn")

from tests.cli.help import error_of, pilotfish, write_rows, write_toml

FILE = """
[models.small]
use = "recorded"
path = "small.jsonl"
[models.large]
use = "recorded"
path = "large.jsonl"
[models.assistant]
use = "cascade"
small = "small"
large = "large"
accept = { score = "mean-logprob", above = -0.5 }
"""
ASK = ("--prompt", "{question}", "--gold", "gold", "--grade", "last-number", "--out", "out", "--quiet")


def world(folder: Path, rows: int = 600) -> None:
    """Sums: the small model is right six times in ten and mostly knows it; the large one nine times, for a dollar."""
    rng = random.Random(0)
    asked, small, large = [], [], []
    for i in range(rows):
        a, b = rng.randint(10, 99), rng.randint(10, 99)
        question = f"What is {a} + {b}? ({i})"
        right = rng.random() < 0.6
        sure = rng.gauss(-0.3 if right else -0.9, 0.25)
        asked.append({"question": question, "gold": a + b, "kind": i % 50})
        logprobs = [{"token": "x", "logprob": min(sure, 0.0)}]
        said = a + b if right else a - b
        small.append(
            {"prompt": question, "reply": f"It is {said}", "logprobs": logprobs, "cost": 0.001, "seconds": 0.1}
        )
        said = a + b if right or rng.random() < 0.75 else a * b
        large.append({"prompt": question, "reply": f"That makes {said}.", "cost": 0.02, "seconds": 0.9})
    write_rows(folder / "rows.jsonl", asked)
    write_rows(folder / "small.jsonl", small)
    write_rows(folder / "large.jsonl", large)
    write_toml(folder / "c.toml", FILE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("evaluate")
    world(where)
    return where


def test_a_cascade_is_judged_beside_its_models(folder: Path) -> None:
    done = pilotfish("evaluate", "c.toml", "rows.jsonl", *ASK, "--report", "figures.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "assistant, 600 rows" in done.stdout
    figures = json.loads((folder / "figures.json").read_text())
    small, large = (line["quality"]["value"] for line in figures["models"])
    assert small == pytest.approx(0.6, abs=0.06)
    assert large == pytest.approx(0.9, abs=0.04)
    assert figures["models"][1]["cost"] == pytest.approx(20.0)
    assert small < figures["whole"]["quality"]["value"] < large + 0.02
    assert 0.2 < figures["saved"] < 0.7
    sorted_by = {one["name"]: one["apgr"]["value"] for one in figures["scores"]}
    assert sorted_by["random"] == pytest.approx(0.5)
    assert sorted_by["its score"] > 0.7
    assert figures["aiq"]["thresholds"] > figures["aiq"]["single models"]


def test_a_promise_becomes_a_file_that_the_cascade_takes(folder: Path) -> None:
    ask = [*ASK[:-2], "calibrated", "--quiet"]
    done = pilotfish("calibrate", "c.toml", "rows.jsonl", *ask, "--quality", "0.9", cwd=folder)
    assert done.returncode == 0, done.stderr
    kept = json.loads((folder / "assistant.calibration.json").read_text())
    assert kept["rows"] == [120, 300, 180]
    assert kept["kept"]["value"] > 0.9
    assert kept["spent"]["value"] < 0.9
    line = done.stdout.strip().splitlines()[-1]
    assert line == 'accept = { score = "mean-logprob", calibration = "assistant.calibration.json" }'
    write_toml(folder / "d.toml", FILE.replace('accept = { score = "mean-logprob", above = -0.5 }', line))
    assert tomllib.loads((folder / "d.toml").read_text())["models"]["assistant"]["accept"]["calibration"]
    question = json.loads((folder / "rows.jsonl").read_text().splitlines()[0])["question"]
    assert pilotfish("ask", "d.toml", question, cwd=folder).returncode == 0
    # A stopped or repeated run takes the answers over: the recordings may go.
    (folder / "large.jsonl").rename(folder / "gone")
    try:
        again = pilotfish("calibrate", "c.toml", "rows.jsonl", *ask, "--cost", "0.5", "--method", "normal", cwd=folder)
    finally:
        (folder / "gone").rename(folder / "large.jsonl")
    assert again.returncode == 2  # the file's models are built first: a missing recording is told
    again = pilotfish("calibrate", "c.toml", "rows.jsonl", *ask, "--cost", "0.5", "--method", "normal", cwd=folder)
    assert again.returncode == 0, again.stderr
    assert json.loads((folder / "assistant.calibration.json").read_text())["spent"]["value"] < 0.56


def test_a_head_is_learned_on_the_first_part_and_named_in_the_line(folder: Path) -> None:
    ask = [*ASK[:-2], "learned", "--quiet"]
    flags = ("--quality", "0.9", "--learn", "head", "--save", "head.json", "--method", "normal")
    done = pilotfish("calibrate", "c.toml", "rows.jsonl", *ask, *flags, cwd=folder)
    assert done.returncode == 0, done.stderr
    line = done.stdout.strip().splitlines()[-1]
    assert line == 'accept = { by = "learned", head = "head", calibration = "head.json" }'
    write_toml(folder / "e.toml", FILE.replace('accept = { score = "mean-logprob", above = -0.5 }', line))
    question = json.loads((folder / "rows.jsonl").read_text().splitlines()[1])["question"]
    assert pilotfish("ask", "e.toml", question, cwd=folder).returncode == 0


def test_what_is_wrong_is_said_in_one_line(folder: Path) -> None:
    ask = [*ASK[:-2], "wrong", "--quiet"]
    for flags, told in (
        ((), "--quality or --cost"),
        (("--quality", "0.9", "--model", "small"), "small is no cascade"),
        (("--quality", "0.9", "--encoder", "x"), "--learn FOLDER"),
    ):
        assert told in error_of(pilotfish("calibrate", "c.toml", "rows.jsonl", *ask, *flags, cwd=folder))
    assert not (folder / "wrong").exists()  # nothing was asked
    wrong = ["--prompt", "{question}", "--out", "w2", "--grade", "last-numbr", "--gold", "gold"]
    assert "did you mean 'last-number'" in error_of(pilotfish("evaluate", "c.toml", "rows.jsonl", *wrong, cwd=folder))
    wrong = ["--prompt", "{question}", "--out", "w3", "--gold", "golden", "--quiet"]
    assert "the first 20 rows all failed; the first: no right answer: nothing in 'golden'" in error_of(
        pilotfish("evaluate", "c.toml", "rows.jsonl", *wrong, cwd=folder)
    )
