"""`pilotfish entities`: from rows to links, and mistakes on one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.help import error_of, pilotfish, write_rows
from tests.compete.entities.made import ENTITIES, mentions

pytest.importorskip("rapidfuzz")
pytest.importorskip("bm25s")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_rows(tmp_path / "kb.jsonl", [one.to_json() for one in ENTITIES])
    rows = [
        {"text": one.text, "start": one.start, "end": one.end, "entity": gold}
        for one, gold in [*mentions(), *mentions()]
    ]
    write_rows(tmp_path / "asked.jsonl", rows)
    done = pilotfish("entities", "build", "kb.jsonl", "--out", "kb", "--ways", "bm25", cwd=tmp_path)
    assert done.returncode == 0 and "8 entities new" in done.stderr, done.stderr
    return tmp_path


def test_built_changed_and_searched(files: Path) -> None:
    write_rows(files / "more.jsonl", [{"id": "oslo", "name": "Oslo"}, {"id": "bad"}])
    done = pilotfish("entities", "add", "kb", "more.jsonl", cwd=files)
    assert done.returncode == 0 and "1 entities new" in done.stderr and "1 row" in done.stderr, done.stderr
    assert (
        error_of(pilotfish("entities", "add", "kb", "more.jsonl", "--strict", cwd=files)).count("'name' is None") == 1
    )
    found = pilotfish("entities", "search", "kb", "Osloo", "Marie Curry", "-k", "1", "--json", cwd=files)
    told = [json.loads(line) for line in found.stdout.splitlines()]
    assert [one["entities"][0]["id"] for one in told] == ["oslo", "curie"], found.stderr
    assert pilotfish("entities", "remove", "kb", "oslo", cwd=files).stderr.startswith("1 entities removed; 8 left")
    assert "no document 'oslo'" in error_of(pilotfish("entities", "remove", "kb", "oslo", cwd=files))
    shown = pilotfish("entities", "search", "kb", "radium", "--ways", "bm25", cwd=files)
    assert shown.stdout.startswith("1. curie")


def test_learnt_scored_and_linked(files: Path) -> None:
    done = pilotfish("entities", "learn", "kb", "asked.jsonl", "--out", "linker", "--json", cwd=files)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["accuracy"]["value"] > 0.5 and (files / "linker" / "linker.json").is_file()
    scored = pilotfish("entities", "score", "kb", "asked.jsonl", "--linker", "linker", cwd=files)
    assert scored.stdout.startswith("60 mentions, 48 of an entity of the base") and "nil recall" in scored.stdout
    text = "liquid [[Mercury]] is poison in fish"
    linked = pilotfish("entities", "link", "kb", text, "--text", "--linker", "linker", "-n", "1", cwd=files)
    (one,) = [json.loads(line) for line in linked.stdout.splitlines()]
    assert (one["id"], one["mention"], one["start"], len(one["candidates"])) == ("metal", "Mercury", 7, 1)
    rows = pilotfish("entities", "link", "kb", "asked.jsonl", "--linker", "linker", cwd=files)
    assert len(rows.stdout.splitlines()) == 60


def test_a_split_by_a_file(files: Path) -> None:
    (files / "m.toml").write_text(
        '[models.linked]\nuse = "linked"\nentities = "kb"\n[models.other]\nuse = "recorded"\npath = "kb.jsonl"\n'
    )
    given = ["m.toml", "asked.jsonl", "--accuracy", "0.9"]
    assert "and a large one" in error_of(pilotfish("entities", "split", *given, "--model", "linked", cwd=files))


def test_mistakes(files: Path) -> None:
    assert "no knowledge base" in error_of(pilotfish("entities", "search", "nowhere", "x", cwd=files))
    assert "no column 'entity'" in error_of(pilotfish("entities", "score", "kb", "kb.jsonl", cwd=files))
