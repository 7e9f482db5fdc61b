"""`pilotfish explain`, run for real: a table's model, a table of n-grams, and what does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pilotfish.compete.tables.model import TableModel
from pilotfish.models.classify import TextClassifier
from tests.cli.help import error_of, pilotfish, write_rows, write_toml
from tests.compete.explain.test_explain import fitted, task_of
from tests.compete.explain.text.help import LABELS, TEXTS, table

for library in ("interpret", "lightgbm"):
    pytest.importorskip(library)


def test_trees_are_explained_beside_transparent_models(tmp_path: Path) -> None:
    task = task_of()
    fitted(task, "histogram").save(tmp_path / "trees")
    write_rows(tmp_path / "test.jsonl", task.test)
    write_rows(tmp_path / "train.jsonl", task.train)
    done = pilotfish(
        *("explain", "trees", "--rows", "test.jsonl", "--target", "t", "--train", "train.jsonl", "--keep", "clear"),
        *("--rival", "linear", "--rival", "rules", "--redraws", "1", "--fixed", "plan", "--shown", "2"),
        *("--out", "out/why.html", "--json", "--quiet"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["explained"]["residual"] < 1e-6 and told["faithful"]["deletion_gain"]["low"] > 0
    assert {one["name"] for one in told["prices"]} == {"linear", "rules"}
    assert "trees goes by a" in done.stderr.replace("Trees", "trees") and "What transparency costs:" in done.stderr
    assert (tmp_path / "out" / "why.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert TableModel.load(tmp_path / "clear" / "rules").predict(task.test).shape == (len(task.test), 2)
    # A transparent model is explained as any other, and answers as a model of a file with its rule.
    write_toml(tmp_path / "c.toml", '[models.rules]\nuse = "classifier"\npath = "clear/rules"\nexplain = 1\n')
    again = pilotfish("explain", "c.toml", "-m", "rules", "--rows", "test.jsonl", "--quiet", cwd=tmp_path)
    assert again.returncode == 0 and (tmp_path / "explain.html").is_file(), again.stderr


def test_a_classifier_of_texts_is_explained(tmp_path: Path) -> None:
    table().save(tmp_path / "model")
    TextClassifier.load(tmp_path / "model").save(tmp_path / "twin")
    write_rows(tmp_path / "rows.jsonl", [{"said": a, "label": b} for a, b in zip(TEXTS, LABELS, strict=True)])
    done = pilotfish(
        *("explain", "model", "--rows", "rows.jsonl", "--text", "said", "--target", "label", "--again", "twin"),
        *("--train", "rows.jsonl", "--json", "--quiet"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["way"] == "exact" and told["residual"] < 1e-6
    assert told["stability"]["correlation"] == pytest.approx(1)
    assert told["prices"] == []  # both can be read through: there is no opaque one


def test_what_does_not_fit_is_one_line(tmp_path: Path) -> None:
    table().save(tmp_path / "model")
    write_rows(tmp_path / "rows.jsonl", [{"text": "my card"}])
    args = ("explain", "model", "--rows", "rows.jsonl")
    assert "--train needs --target" in error_of(pilotfish(*args, "--train", "rows.jsonl", cwd=tmp_path))
    assert "--keep needs --train" in error_of(pilotfish(*args, "--keep", "x", cwd=tmp_path))
    assert "no column 'label'" in error_of(pilotfish(*args, "--target", "label", cwd=tmp_path))
    assert "no column 'said'" in error_of(pilotfish(*args, "--text", "said", cwd=tmp_path))
    assert "has gradients and attention" in error_of(pilotfish(*args, "--way", "gradients", cwd=tmp_path))
    assert "not a saved classifier" in error_of(pilotfish("explain", "nothing", "--rows", "rows.jsonl", cwd=tmp_path))
    assert "needs an encoder" in error_of(
        pilotfish(*args, "--target", "text", "--train", "rows.jsonl", "--rival", "aug", cwd=tmp_path)
    )
    assert "-m names a model of a TOML file" in error_of(pilotfish(*args, "-m", "x", cwd=tmp_path))
