"""`pilotfish rows dedupe`, `decontaminate` and `diversity` on files, as users call them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.help import error_of, pilotfish, read_rows, write_rows

LONG = "the quick brown fox jumps over the lazy dog while seven small birds look on from a tree"
ROWS: list[dict[str, Any]] = [
    {"text": "Where is my parcel, please?", "tone": "warm", "topic": "mail"},
    {"text": "where is my parcel please", "tone": "warm", "topic": "mail"},
    {"text": "Please cancel the order that I made on Monday", "tone": "cold", "topic": "orders"},
    {"text": "Please cancel the order that I made on Monday!!!", "tone": "cold", "topic": "orders"},
    {"text": f"He said: {LONG}", "tone": "cold", "topic": "birds"},
]


@pytest.mark.parametrize("method", ["exact", "minhash"])
def test_dedupe_keeps_what_it_removed_with_its_reason(tmp_path: Path, method: str) -> None:
    write_rows(tmp_path / "a.jsonl", ROWS)
    done = pilotfish(
        "rows", "dedupe", "a.jsonl", "b.jsonl", "--text", "text", "--method", method, "--json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert read_rows(tmp_path / "b.jsonl") == [ROWS[0], ROWS[2], ROWS[4]]
    found = json.loads(done.stdout)
    assert (found["texts"], found["kept"], found["removed"]) == (5, 3, 2)
    removed = read_rows(tmp_path / "b.jsonl.removed.jsonl")
    assert [(row["row"], row["reason"]) for row in removed] == [
        (2, "duplicate: of row 1, similarity 1.000"),
        (4, "duplicate: of row 3, similarity 1.000"),
    ]
    assert json.loads(removed[0]["raw"]) == ROWS[1]
    assert "see" not in done.stderr
    assert "removed rows with their reasons in b.jsonl.removed.jsonl" in done.stderr
    by_words = ["--unit", "word", "--ngram", "2", "--threshold", "1"]
    assert pilotfish("rows", "dedupe", "a.jsonl", "c.csv", "--text", "text", *by_words, cwd=tmp_path).returncode == 0


def test_dedupe_against_what_came_before(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", ROWS[:1] + ROWS[2:3])
    write_rows(tmp_path / "b.jsonl", [ROWS[4], ROWS[1], ROWS[3], {"text": "a new one"}, {"text": "A new one."}])
    one = pilotfish("rows", "dedupe", "a.jsonl", "x.jsonl", "--text", "text", "--index", "i.npz", cwd=tmp_path)
    assert "0 of 2 rows removed" in one.stderr
    two = pilotfish(
        "rows", "dedupe", "b.jsonl", "y.jsonl", "--text", "text", "--index", "i.npz", "--json", cwd=tmp_path
    )
    assert two.returncode == 0, two.stderr
    assert [row["text"] for row in read_rows(tmp_path / "y.jsonl")] == [ROWS[4]["text"], "a new one"]
    assert [row["reason"] for row in read_rows(tmp_path / "y.jsonl.removed.jsonl")] == [
        "duplicate: of earlier row 1, similarity 1.000",
        "duplicate: of earlier row 2, similarity 1.000",
        "duplicate: of row 4, similarity 1.000",
    ]
    found = json.loads(two.stdout)
    assert (found["texts"], found["removed"], found["earlier"]) == (5, 3, 2)
    other = ["dedupe", "b.jsonl", "z.jsonl", "--text", "text", "--index", "i.npz"]
    assert "was made with --ngram 3, not 5" in error_of(pilotfish("rows", *other, "--ngram", "5", cwd=tmp_path))
    assert "--encoder does not go with --index" in error_of(pilotfish("rows", *other, "--encoder", "x", cwd=tmp_path))
    (tmp_path / "bad.npz").write_bytes(b"PK")
    wrong = pilotfish("rows", *other[:-1], "bad.npz", cwd=tmp_path)
    assert "not an index of sketches" in error_of(wrong)
    assert not (tmp_path / "z.jsonl").exists()


def test_dedupe_and_decontaminate_by_meaning(tmp_path: Path, tiny_encoder_folder: Path) -> None:
    write_rows(tmp_path / "a.jsonl", ROWS)
    meaning = ["--encoder", str(tiny_encoder_folder)]
    done = pilotfish(
        "rows", "dedupe", "a.jsonl", "b.jsonl", "--text", "text", *meaning, "--threshold", ".999", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert 1 <= len(read_rows(tmp_path / "b.jsonl")) < 5
    write_rows(tmp_path / "t.jsonl", ROWS[:1])
    options = ["--text", "text", "--test", "t.jsonl", "--ngram", "0", "--threshold", "0", "--cosine", ".9999", *meaning]
    done = pilotfish("rows", "decontaminate", "a.jsonl", "c.jsonl", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "by vectors" in done.stderr
    assert ROWS[0] not in read_rows(tmp_path / "c.jsonl")
    shown = pilotfish("rows", "diversity", "a.jsonl", "--text", "text", *meaning, "--json", cwd=tmp_path)
    assert 1 <= json.loads(shown.stdout)["vendi"] <= 5


def test_decontaminate_names_each_row(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", ROWS)
    write_rows(tmp_path / "one.jsonl", [{"q": "nothing"}, {"q": LONG}])
    write_rows(tmp_path / "two.jsonl", [{"q": "please, cancel the order that I made on Monday"}])
    options = ["--text", "text", "--test", "one.jsonl", "--test", "two.jsonl", "--test-text", "q"]
    done = pilotfish("rows", "decontaminate", "a.jsonl", "b.jsonl", *options, "--report", "r.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert read_rows(tmp_path / "b.jsonl") == ROWS[:2]
    assert "one.jsonl: 1 rows removed (1 by n-grams" in done.stderr
    assert "two.jsonl: 2 rows removed (2 by n-grams, 2 near); 1 of its 1 rows touched" in done.stderr
    removed = read_rows(tmp_path / "b.jsonl.removed.jsonl")
    assert [row["row"] for row in removed] == [3, 4, 5]
    assert removed[2]["reason"].startswith("contaminated: shares 'the quick brown fox")
    assert "with row 2 of one.jsonl" in removed[2]["reason"]
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["tests"]["two.jsonl"]["touched"] == 1


def test_diversity_prints_and_reports(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", ROWS)
    options = ["--text", "text", "--attribute", "tone", "--attribute", "topic"]
    done = pilotfish("rows", "diversity", "a.jsonl", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "cells covered     50.0% of 6" in done.stdout
    assert "no rows: warm, orders" in done.stdout
    data = json.loads(pilotfish("rows", "diversity", "a.jsonl", *options, "--json", cwd=tmp_path).stdout)
    assert data["coverage"]["covered"] == 0.5
    assert 0 < data["self_bleu"]["value"] < 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dedupe", "a.jsonl", "-", "--text", "text", "--json"], "both go to standard output"),
        (["dedupe", "a.jsonl", "b.jsonl", "--text", "text", "--clusters", "3"], "--clusters does not go with n-grams"),
        (["dedupe", "a.jsonl", "b.jsonl", "--text", "text", "--encoder", "x", "--unit", "word"], "--unit does not go"),
        (
            ["decontaminate", "a.jsonl", "b.jsonl", "--text", "text", "--test", "a.jsonl"],
            "both the rows and a test set",
        ),
        (["decontaminate", "a.jsonl", "b.jsonl", "--text", "text", "--test", "no.jsonl"], "no.jsonl"),
        (
            [
                "decontaminate",
                "a.jsonl",
                "b.jsonl",
                "--text",
                "text",
                "--test",
                "t.jsonl",
                "--threshold",
                "0",
                "--ngram",
                "0",
            ],
            "nothing to look for",
        ),
        (["decontaminate", "a.jsonl", "b.jsonl", "--text", "text", "--test", "t.jsonl", "--cosine", ".9"], "--encoder"),
        (["diversity", "a.jsonl", "--text", "text", "--attribute", "tine"], "did you mean 'tone'"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    write_rows(tmp_path / "a.jsonl", ROWS)
    write_rows(tmp_path / "t.jsonl", ROWS[:1])
    assert message in error_of(pilotfish("rows", *arguments, cwd=tmp_path))
    assert not (tmp_path / "b.jsonl").exists()
