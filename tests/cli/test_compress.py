"""`pilotfish compress`, run for real: texts, rows, and a classifier that is taught and used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pilotfish.rows.run import read_output
from tests.cli.help import error_of, pilotfish, read_rows, write_rows, write_toml

TEXT = "Payments take two days. The sea is salt and wide. Birds sing in the morning at 7."
WORDS = ("--by", "sentences", "--count", "words")


def test_a_text_is_printed_in_fewer_tokens(tmp_path: Path) -> None:
    asked = ("--question", "How long do payments take?", "--protect", "none")
    done = pilotfish("compress", "--budget", "4", *WORDS, *asked, cwd=tmp_path, stdin=TEXT.encode())
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Payments take two days.\n"
    assert "17 to 4 words of 4" in done.stderr
    (tmp_path / "text.txt").write_text(TEXT)
    done = pilotfish("compress", "text.txt", "--rate", ".3", *WORDS, "--json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert told["text"].startswith("Payments take two days.") and told["after"] == told["budget"] == 6
    assert "".join(TEXT[a:b] for a, b in told["spans"]) == told["text"]


def test_by_a_small_language_model(tmp_path: Path, tiny_folder: Callable[..., Path]) -> None:
    lm = str(tiny_folder("llama", "plain"))
    more = ("--weights", lm, "--device", "cpu", "--dtype", "float32", "--json")
    for one in (("--one-pass",), ("--question", "the sea?", "--rank", "words")):
        done = pilotfish("compress", "--budget", "20", *more, *one, cwd=tmp_path, stdin=TEXT.encode())
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert 19 <= told["after"] <= 20 < told["before"] and told["read"] > 0
        assert "tokens are counted as" in done.stderr


def test_rows_keep_their_columns_and_bad_ones_are_rejected(tmp_path: Path) -> None:
    rows = [{"id": 1, "text": TEXT, "q": "payments"}, {"id": 2, "text": 5, "q": ""}, {"id": 3, "text": "ok", "q": "x"}]
    write_rows(tmp_path / "rows.jsonl", rows)
    arguments = ("compress", "rows.jsonl", "--budget", "4", *WORDS, "--question-column", "q", "--protect", "none")
    assert "give --out" in error_of(pilotfish(*arguments, cwd=tmp_path))
    done = pilotfish(*arguments, "--out", "out", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 rows in out, 1 rejected" in done.stderr
    first, second = read_output(tmp_path / "out")
    assert first["compressed"] == "Payments take two days." and first["id"] == 1
    assert (first["compressed_before"], first["compressed_after"]) == (17, 4)
    assert "".join(TEXT[a:b] for a, b in first["compressed_spans"]) == first["compressed"]
    assert second["compressed"] == "ok"
    [reject] = read_rows(tmp_path / "out" / "rejects.jsonl")
    assert "no text in 'text'" in json.dumps(reject)


def test_a_classifier_is_taught_and_used(tmp_path: Path, tiny_encoder_folder: Path) -> None:
    pytest.importorskip("accelerate")
    words = ["the", "cat", "sat", "on", "a", "mat", "refund", "card", "it", "and"]
    rows = []
    for i in range(40):
        some = [words[(i * 7 + j * 3) % 10] for j in range(8)] + ["cat"]
        rows.append({"text": " ".join(some), "compressed": " ".join(w for w in some if w in ("cat", "card", "refund"))})
    write_rows(tmp_path / "rows.jsonl", rows)
    table = f"""
[compress]
rows = "rows.jsonl"
encoder = "{tiny_encoder_folder}"
out = "keeps"
gap = 0.0
[compress.fit]
epochs = 8
rate = 5e-3
dtype = "float32"
"""
    write_toml(tmp_path / "c.toml", table)
    done = pilotfish("compress", "train", "c.toml", "--json", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["right"][0] > 0.8
    more = ("--by", "tokens", "--weights", "keeps", "--count", "words", "--protect", "none")
    done = pilotfish("compress", "--budget", "2", *more, cwd=tmp_path, stdin=b"the cat sat on it and the card")
    assert done.stdout == "cat card\n", done.stderr


def test_what_does_not_fit_is_one_line(tmp_path: Path) -> None:
    assert "give --budget or --rate" in error_of(pilotfish("compress", "-", cwd=tmp_path))
    both = ("--budget", "3", "--rate", ".5")
    assert "give --budget or --rate" in error_of(pilotfish("compress", *both, cwd=tmp_path))
    assert "needs `weights`" in error_of(pilotfish("compress", "--budget", "3", "--by", "tokens", cwd=tmp_path))
    write_toml(tmp_path / "c.toml", "")
    assert "no [compress] table" in error_of(pilotfish("compress", "train", "c.toml", cwd=tmp_path))
    done = pilotfish("compress", "x.txt", "--budget", "3", *WORDS, cwd=tmp_path)
    assert "x.txt" in error_of(done)
