"""`pilotfish repair`, run for real on a tiny encoder."""

from __future__ import annotations

import json
from pathlib import Path

from pilotfish.rows import read_output
from tests.cli.help import error_of, pilotfish, write_rows, write_toml
from tests.repair.tokens.test_detector import made

MODEL = """
[models.x]
use = "recorded"
path = "log.jsonl"
[models.safe]
use = "repaired"
model = "x"
plugins = [{ use = "calculation" }, { use = "unsupported", path = "detector", way = "mark", after = " [?]" }]
"""


def test_a_detector_is_taught_and_mends_stored_answers(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    labelled = [
        {"question": "q", "context": row.context, "answer": row.answer}
        | {"labels": [{"start": a, "end": b, "label": "made up"} for a, b in row.spans or ()]}
        for row in made(80, 0)
    ]
    write_rows(tmp_path / "labelled.jsonl", labelled)
    table = f"""
[repair]
rows = "labelled.jsonl"
encoder = "{tiny_encoder_folder}"
out = "detector"
length = 32
made = 1
fit = {{ epochs = 6, rate = 1e-3, batch_tokens = 160 }}
"""
    write_toml(tmp_path / "c.toml", table, MODEL)
    done = pilotfish("repair", "train", "c.toml", "--json", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["learnt"] + told["tuned"] + told["tested"] == 80
    assert told["reports"][0]["name"] == "detector"
    assert told["reports"][0]["word_area"]["low"] > 0.8
    assert json.loads((tmp_path / "detector" / "report.json").read_text()) == told
    assert not (tmp_path / "detector" / "run").exists()

    write_rows(tmp_path / "log.jsonl", [{"prompt": "a", "reply": "b"}])
    known = ["the cat and the dog", "and the sea"]
    answers = [("the cat dog. The bird sea.", known), ("2 + 2 = 5.", ""), (3, "")]
    write_rows(tmp_path / "answers.jsonl", [{"answer": answer, "known": told} for answer, told in answers])
    flags = ("--model", "safe", "--context", "known", "--out", "mended", "--quiet")
    done = pilotfish("repair", "c.toml", "answers.jsonl", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = list(read_output(tmp_path / "mended"))
    assert [row["repaired"] for row in rows] == ["the cat dog. The bird [?] sea.", "2 + 2 = 4."]
    assert "edits by calculation 1" in done.stderr
    assert "not text" in (tmp_path / "mended" / "rejects.jsonl").read_text()
    assert "has no plug-ins" in error_of(
        pilotfish("repair", "c.toml", "answers.jsonl", "-m", "x", "--out", "o", cwd=tmp_path)
    )


def test_a_classifier_of_sentences_is_taught(tmp_path: Path) -> None:
    nouns = ("cat", "dog", "bird", "card", "song", "sea", "mat", "refund", "rate", "top")
    rows = [{"text": f"the {a} and the {b} are {end}", "label": label}
            for a in nouns for b in nouns for end, label in (("vile", "toxic"), ("fine", "fine"))]  # fmt: skip
    write_rows(tmp_path / "rows.jsonl", rows)
    table = '[repair]\nkind = "sentences"\nrows = "rows.jsonl"\nencoder = "tf-idf"\nout = "classifier"\n'
    safe = '[models.safe]\nuse = "repaired"\nmodel = "x"\nplugins = [{ use = "toxic", classifier = "classifier" }]\n'
    write_toml(tmp_path / "c.toml", table, '[models.x]\nuse = "recorded"\npath = "log.jsonl"\n', safe)
    write_rows(
        tmp_path / "log.jsonl",
        [{"prompt": "a", "reply": "the cat and the dog are fine.\nthe sea and the top are vile."}],
    )
    done = pilotfish("repair", "train", "c.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "toxic: area" in done.stdout
    assert pilotfish("ask", "c.toml", "a", "-m", "safe", cwd=tmp_path).stdout == "the cat and the dog are fine.\n"


def test_what_does_not_fit_is_one_line(tmp_path: Path) -> None:
    write_toml(tmp_path / "n.toml", "default = 'x'\n")
    assert "no [repair] table" in error_of(pilotfish("repair", "train", "n.toml", cwd=tmp_path))
    write_rows(tmp_path / "r.jsonl", [{"answer": "x", "context": "y"}])
    write_toml(tmp_path / "r.toml", "[repair]\nrows = 'r.jsonl'\nencoder = 'all-minilm-l6-v2'\nout = 'o'\n")
    assert "row 1: neither 'labels'" in error_of(pilotfish("repair", "train", "r.toml", cwd=tmp_path))
    write_toml(tmp_path / "k.toml", "[repair]\nrows = 'r'\nencoder = 'tf-idf'\nout = 'o'\n")
    assert "an encoder" in error_of(pilotfish("repair", "train", "k.toml", cwd=tmp_path))
