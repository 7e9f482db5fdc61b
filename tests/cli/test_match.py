"""`pilotfish match`: taught, scored and applied."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pilotfish.compete.entities.match import serialised
from tests.cli.help import error_of, pilotfish, write_rows
from tests.compete.entities.match.test_matcher import made

pytest.importorskip("rapidfuzz")


def test_learnt_scored_and_applied(tmp_path: Path) -> None:
    rows = [{"left": dict(one.left), "right": dict(one.right), "label": int(bool(one.same))} for one in made(200)]
    write_rows(tmp_path / "pairs.jsonl", rows)
    test = made(60, 1)
    lines = [f"{serialised(one.left)}\t{serialised(one.right)}\t{int(bool(one.same))}\n" for one in test]
    (tmp_path / "test.txt").write_text("".join(lines))
    given = ["pairs.jsonl", "--test", "test.txt", "--out", "m", "--kinds", "linear", "--json"]
    done = pilotfish("match", "learn", *given, cwd=tmp_path)
    assert done.returncode == 0 and json.loads(done.stdout)["f1"]["value"] > 0.9, done.stderr
    scored = pilotfish("match", "score", "m", "test.txt", cwd=tmp_path)
    assert scored.stdout.startswith("60 pairs, 20 of the same thing")

    write_rows(tmp_path / "left.jsonl", [{"id": f"l{n}", **one.left} for n, one in enumerate(test)])
    write_rows(tmp_path / "right.jsonl", [{"id": f"r{n}", **one.right} for n, one in enumerate(test)])
    applied = pilotfish("match", "apply", "m", "left.jsonl", "right.jsonl", "--by", "trigrams", cwd=tmp_path)
    found = {(one["left"], one["right"]) for one in map(json.loads, applied.stdout.splitlines())}
    wanted = {(f"l{n}", f"r{n}") for n, one in enumerate(test) if one.same}
    assert len(found & wanted) >= 18 and len(found - wanted) <= 4, applied.stderr
    assert "likely pairs" in applied.stderr
    every = pilotfish(
        "match", "apply", "m", "left.jsonl", "right.jsonl", "-k", "2", "--all", "--out", "o.jsonl", cwd=tmp_path
    )
    assert every.stdout == "" and len((tmp_path / "o.jsonl").read_text().splitlines()) > len(wanted)


def test_mistakes(tmp_path: Path) -> None:
    write_rows(tmp_path / "pairs.jsonl", [{"left": {"a": 1}, "right": {"a": 1}, "label": 2}])
    said = error_of(pilotfish("match", "learn", "pairs.jsonl", "--out", "m", cwd=tmp_path))
    assert "pairs.jsonl, row 1: 'label' is 2" in said
    assert "not a saved matcher" in error_of(pilotfish("match", "score", "nowhere", "pairs.jsonl", cwd=tmp_path))
