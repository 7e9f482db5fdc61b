"""`pilotfish classify`: learn, apply and score, by flags and by a file; and what is asked of the folder afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.distilling import Command, command_here
from tests.cli.help import error_of, read_rows, write_rows, write_toml

pytest.importorskip("sklearn")

WORDS = {"card": ["card", "arrived", "yet"], "money": ["refund", "top", "failed"]}


@pytest.fixture
def here(capfd: pytest.CaptureFixture[str]) -> Command:
    return command_here(capfd)


def texts(count: int, seed: int = 3) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        label = ("card", "money")[i % 2]
        noise = ["".join(random.choice(list("bcdfghjk"), 5)) for _ in range(3)]
        words = [*random.choice(WORDS[label], 2), *noise]
        random.shuffle(words)
        rows.append({"id": i, "text": " ".join(words), "label": label})
    return rows


def test_a_bag_is_learnt_applied_scored_and_asked(tmp_path: Path, here: Command) -> None:
    write_rows(tmp_path / "rows.jsonl", texts(200))
    write_rows(tmp_path / "new.jsonl", [*texts(40, 4), {"id": 99, "text": None, "label": "card"}])
    learnt = here("classify", "learn", "rows.jsonl", "--out", "made", "--json", cwd=tmp_path)
    assert learnt.returncode == 0, learnt.stderr
    told = json.loads(learnt.stdout)
    assert told["kind"] == "bag" and told["accuracy"]["value"] > 0.9 and told["accuracy"]["n"] == 50
    assert json.loads((tmp_path / "made" / "learnt.json").read_text()) == told
    assert not (tmp_path / "made" / "work").exists()
    applied = here("classify", "apply", "made", "new.jsonl", "--into", "said", "--out", "out.jsonl", cwd=tmp_path)
    assert applied.returncode == 0 and "40 rows in out.jsonl" in applied.stderr and "1" in applied.stderr
    rows = read_rows(tmp_path / "out.jsonl")
    assert [row["id"] for row in rows] == list(range(40))
    assert np.mean([row["said"] == row["label"] for row in rows]) > 0.9
    assert all(0.5 <= row["said_probability"] <= 1 for row in rows)
    assert read_rows(tmp_path / "out.jsonl.rejects.jsonl")[0]["reason"].startswith("no text in 'text'")
    scored = here("classify", "score", "made", "new.jsonl", "--json", cwd=tmp_path)
    right = json.loads(scored.stdout)["accuracy"]
    assert right["n"] == 40
    assert right["value"] == pytest.approx(np.mean([row["said"] == row["label"] for row in rows]))
    assert here("ask", "made", "refund failed", cwd=tmp_path).stdout.strip() == "money"
    # The same command, the same classifier.
    again = here("classify", "learn", "rows.jsonl", "--out", "made", "--json", cwd=tmp_path)
    assert json.loads(again.stdout) == told


def test_a_scope_is_learnt_by_a_file_and_served(tmp_path: Path, here: Command, tiny_encoder_folder: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", texts(200))
    write_rows(tmp_path / "other.jsonl", [{"text": f"the bird sang a song of the sea {i}"} for i in range(30)])
    write_toml(
        tmp_path / "team.toml",
        f'[models.mini]\nuse = "encoder"\nweights = "{tiny_encoder_folder}"\n',
        '[classify]\nrows = "rows.jsonl"\nkind = "encoder"\nencoder = "mini"\nout = "made"\n'
        'out_of_scope = "neighbours"\nrecall = 0.9\noutside = "other.jsonl"\n',
        '[models.small]\nuse = "classifier"\npath = "made"\nout_of_scope = "something else"\n',
    )
    learnt = here("classify", "learn", "team.toml", "--json", cwd=tmp_path)
    assert learnt.returncode == 0, learnt.stderr
    told = json.loads(learnt.stdout)
    assert told["scope"]["auroc"]["value"] > 0.9 and told["scope"]["kept"]["value"] > 0.7
    said = here("ask", "team.toml", "the bird sang a song of the sea", "-m", "small", "--trace", cwd=tmp_path)
    assert said.stdout.startswith("something else") and "out of scope" in said.stdout + said.stderr
    here("classify", "apply", "made", "other.jsonl", "--out", "out.jsonl", cwd=tmp_path)
    rows = read_rows(tmp_path / "out.jsonl")
    caught = np.mean([not row["label_in_scope"] for row in rows])
    assert caught == pytest.approx(told["scope"]["caught"]["value"])
    scored = here("classify", "score", "made", "rows.jsonl", "--outside", "other.jsonl", cwd=tmp_path)
    assert "AUROC" in scored.stdout and "accuracy" in scored.stdout
    other = here("classify", "learn", "team.toml", "--out", "wide", "--recall", "0.95", "--json", cwd=tmp_path)
    assert json.loads(other.stdout)["scope"]["auroc"] == told["scope"]["auroc"]  # flags win: another threshold only
    assert json.loads(other.stdout)["scope"]["kept"] != told["scope"]["kept"]


def test_several_labels(tmp_path: Path, here: Command) -> None:
    random = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for row in texts(200):
        both = random.random() < 0.3
        rows.append({"text": row["text"] + (" bird sang" if both else ""), "tags": row["label"] + "|song" * both})
    write_rows(tmp_path / "rows.jsonl", rows)
    flags = ["--kind", "tfidf", "--label", "tags", "--several", "--separator", "|", "--out", "made"]
    learnt = here("classify", "learn", "rows.jsonl", *flags, "--json", cwd=tmp_path)
    assert learnt.returncode == 0, learnt.stderr
    told = json.loads(learnt.stdout)
    assert told["micro"]["value"] > 0.9 and set(told["labels"]) == {"card", "money", "song"}
    here("classify", "apply", "made", "rows.jsonl", "--into", "said", "--out", "out.jsonl", cwd=tmp_path)
    out = read_rows(tmp_path / "out.jsonl")
    assert np.mean([row["said"] == sorted(row["tags"].split("|")) for row in out]) > 0.8
    assert set(out[0]["said_probability"]) == {"card", "money", "song"}
    scored = here("classify", "score", "made", "rows.jsonl", "--label", "tags", "--separator", "|", cwd=tmp_path)
    assert scored.stdout.startswith("micro F1")
    refused = here(
        "classify", "score", "made", "rows.jsonl", "--label", "tags", "--outside", "rows.jsonl", cwd=tmp_path
    )
    assert "several labels does not have" in error_of(refused)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--kind", "static"], "needs an `encoder`"),
        (["--separator", "|"], "set `several = true`"),
        (["--several", "--out-of-scope", "energy"], "no `out_of_scope`"),
        (["--several"], "gives one label"),
        (["--outside", "rows.jsonl"], "measures `out_of_scope`"),
        (["--text", "body"], "body"),
        (["--kind", "tfidf", "--out-of-scope", "neighbours"], "dense features"),
        (["--out-of-scope", "energy", "--recall", "0.999"], "rows kept back or more"),
    ],
)
def test_what_does_not_go_together_is_one_line(tmp_path: Path, here: Command, flags: list[str], said: str) -> None:
    write_rows(tmp_path / "rows.jsonl", texts(60))
    done = here("classify", "learn", "rows.jsonl", *flags, cwd=tmp_path)
    assert said in error_of(done)


def test_a_file_without_the_table_and_settings_of_another_kind(tmp_path: Path, here: Command) -> None:
    write_rows(tmp_path / "rows.jsonl", texts(60))
    write_toml(tmp_path / "a.toml", '[models.a]\nuse = "classifier"\npath = "a"\n')
    assert "no [classify] table" in error_of(here("classify", "learn", "a.toml", cwd=tmp_path))
    write_toml(tmp_path / "b.toml", '[classify]\nrows = "rows.jsonl"\n[classify.fit]\nepochs = 1\n')
    assert "[classify.fit] is of the kinds" in error_of(here("classify", "learn", "b.toml", cwd=tmp_path))
    write_toml(
        tmp_path / "c.toml", '[classify]\nrows = "rows.jsonl"\n[classify.bag]\ncharacters = [0, 0]\nepochs = 3\n'
    )
    assert here("classify", "learn", "c.toml", cwd=tmp_path).returncode == 0
    assert json.loads((tmp_path / "classifier" / "bag.json").read_text())["characters"] == [0, 0]
    assert "not a saved classifier" in error_of(here("classify", "score", ".", "rows.jsonl", cwd=tmp_path))
