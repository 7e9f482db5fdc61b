"""`pilotfish verify`, run for real on a tiny language model; and what it writes, used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.cli.help import error_of, pilotfish, remote, write_rows, write_toml
from tests.fakes_answers import Answer
from tests.fakes_http import ScriptedUpstream


def test_graded_answers_teach_a_verifier(tiny_folder: Callable[..., Path], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for number in range(60):
        right = bool(rng.random() < 0.5)
        rows.append({"prompt": f"q{number // 2}", "answer": "cat cat 7" if right else "dog dog 8", "gold": "7"})
    write_rows(tmp_path / "graded.jsonl", rows)
    table = f"""
[verify]
rows = "graded.jsonl"
weights = "{tiny_folder("llama", "plain")}"
out = "verifier"
grade = "last-number"
gold = "gold"
dtype = "float32"
"""
    use = '[models.checked]\nuse = "verified"\nmodel = "cloud"\nverify = [{ by = "verifier", path = "verifier" }]\n'
    with ScriptedUpstream(Answer("dog dog 8")) as upstream:
        write_toml(tmp_path / "c.toml", remote("cloud", upstream.url), use, table)
        done = pilotfish("verify", "c.toml", "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["rows"] + told["held_out"] == 60 and told["area"]["value"] > 0.9
        asked = pilotfish("ask", "c.toml", "q1", "-m", "checked", cwd=tmp_path)
        assert "no answer that I could verify" in asked.stdout, asked.stderr
        assert upstream.calls == 3


def test_what_does_not_fit_is_one_line(tiny_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = tiny_folder("llama", "plain")
    write_rows(tmp_path / "graded.jsonl", [{"prompt": "a", "answer": "b", "right": "yes"}] * 2)
    table = f'[verify]\nrows = "graded.jsonl"\nweights = "{folder}"\nout = "v"\n'
    write_toml(tmp_path / "c.toml", table)
    assert "row 1: column 'right': 'yes' is neither" in error_of(pilotfish("verify", "c.toml", cwd=tmp_path))
    write_toml(tmp_path / "d.toml", table + 'right = "x"\ngold = "y"\n')
    assert "either a column `right`" in error_of(pilotfish("verify", "d.toml", cwd=tmp_path))
    write_toml(tmp_path / "e.toml", '[models.a]\nuse = "recorded"\npath = "x"\n')
    assert "no [verify] table" in error_of(pilotfish("verify", "e.toml", cwd=tmp_path))
