"""`pilotfish tune`, run for real on a tiny model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cli.help import error_of, pilotfish, write_rows


def _rows(path: Path) -> Path:
    return write_rows(path, [{"body": f"the cat sat on the mat number {n}"} for n in range(30)])


def test_tune_writes_an_expert_and_tells_what_it_gained(tiny_folder: Any, tmp_path: Path) -> None:
    rows = _rows(tmp_path / "rows.jsonl")
    command = ["tune", str(rows), "--model", str(tiny_folder("llama", "plain")), "--text", "body"]
    command += ["--out", str(tmp_path / "expert"), "--rate", "0.005", "--batch-tokens", "128", "--device", "cpu"]
    told = json.loads(pilotfish(*command, "--json", "--quiet", cwd=tmp_path).stdout)
    assert told["after"] < told["before"]
    assert (tmp_path / "expert" / "model.safetensors").exists()
    # A second run repeats nothing and tells the same.
    again = pilotfish(*command, cwd=tmp_path)
    assert "perplexity" in again.stderr and "tokens:" not in again.stderr


def test_rows_without_a_text_are_told_and_not_learnt(tiny_folder: Any, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", [{"text": f"the cat sat number {n}"} for n in range(20)])
    with rows.open("a") as file:
        file.write('{"text": null}\n{"text": \n')
    model = str(tiny_folder("llama", "plain"))
    settings = ("--max-tokens", "64", "--device", "cpu", "--json", "--quiet")
    done = pilotfish("tune", rows, "--model", model, "--out", tmp_path / "expert", *settings, cwd=tmp_path)
    assert "2 rows rejected" in done.stderr
    told = json.loads(done.stdout)
    assert told["texts"] + told["held_out"] == 20


def test_a_missing_column_is_one_line(tiny_folder: Any, tmp_path: Path) -> None:
    rows = _rows(tmp_path / "rows.jsonl")
    model = str(tiny_folder("llama", "plain"))
    line = error_of(pilotfish("tune", rows, "--model", model, "--out", tmp_path / "expert", cwd=tmp_path))
    assert "text" in line and "body" in line
    assert not (tmp_path / "expert").exists()


def test_prompts_are_learnt_to_be_answered(tiny_folder: Any, tmp_path: Path) -> None:
    told = [{"question": f"what is {n}", "text": f"the cat sat on {n}"} for n in range(20)]
    rows = write_rows(tmp_path / "rows.jsonl", [*told, {"question": None, "text": "alone"}])
    command = ["tune", str(rows), "--model", str(tiny_folder("llama", "plain")), "--prompt", "question"]
    command += ["--out", str(tmp_path / "card"), "--rate", "0.005", "--device", "cpu", "--json"]
    done = pilotfish(*command, cwd=tmp_path)
    assert "no prompt in 'question': row 21" in done.stderr
    told_back = json.loads(done.stdout)
    assert told_back["texts"] + told_back["held_out"] == 20
