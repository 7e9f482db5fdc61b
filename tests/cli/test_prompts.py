"""`pilotfish prompts`, run for real on tiny models and a scripted endpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pilotfish.assemble import Collaboration
from pilotfish.cli._prompts.instruct import searched
from pilotfish.prompt.demonstrate import Pool, taught_finder
from tests.cli.help import error_of, pilotfish, read_rows, remote, write_rows, write_toml
from tests.fakes_answers import Answer
from tests.fakes_http import ScriptedUpstream, Seen

TEXTS = [f"{chr(97 + at % 26) * 5} {at * 7919 % 1000} {chr(97 + at * 5 % 26) * 3}" for at in range(48)]
GOOD = "Answer yes or no."
SEARCH = """
[prompts.instruction]
rows = "rows.jsonl"
prompt = "{text}"
gold = "label"
model = "cloud"
present = "Answer."
out = "search"
first = 8
"""


def says(seen: Seen) -> Answer:
    """Right under an instruction that says how, and on every second row without it."""
    told: str = seen.body["messages"][0]["content"]
    if "variation" in seen.prompt or "friend" in seen.prompt:
        return Answer(f"<instruction>{GOOD}</instruction>")
    return Answer("yes" if "yes or no" in told or int(seen.prompt.split()[1]) % 2 == 0 else "perhaps")


def test_an_instruction_is_found_proved_and_taken(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", [{"text": text, "label": "yes"} for text in TEXTS])
    (tmp_path / "more.txt").write_text("Say it.\n\nSay it loud.\n")
    with ScriptedUpstream(says) as upstream:
        cloud = remote("cloud", upstream.url, "price = { input = 1.0, output = 1.0 }")
        more = 'candidates = "more.txt"\nproposer = "cloud"\nproposals = 2\nmax_calls = 120\n'
        write_toml(tmp_path / "c.toml", cloud, SEARCH + more)
        done = pilotfish("prompts", "c.toml", "--json", "--quiet", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["chosen"] == GOOD and told["better"] and told["after"]["value"] == 1.0
        assert told["bills"]["cloud"]["calls"] == upstream.calls <= 120
        calls = upstream.calls
        again = pilotfish("prompts", "run", "c.toml", "--quiet", cwd=tmp_path)
        assert again.returncode == 0 and upstream.calls == calls
        assert "better" in again.stderr and "prompt.toml" in again.stderr
        assert (tmp_path / "search" / "prompt.txt").read_text() == GOOD
        table = (tmp_path / "search" / "prompt.toml").read_text()
        write_toml(tmp_path / "d.toml", cloud, table)
        asked = pilotfish("ask", "d.toml", "a 919 b", "-m", "instructed", cwd=tmp_path)
        assert asked.stdout.strip() == "yes", asked.stderr


def test_a_small_local_model_sifts_by_likelihood(
    tmp_path: Path, tiny_folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", "secret")
    write_rows(tmp_path / "rows.jsonl", [{"text": text, "label": "yes"} for text in TEXTS])
    local = f'[models.small]\nuse = "local"\nweights = "{tiny_folder()}"\ndtype = "float32"\n'
    more = f'candidates = ["Say it.", "Loud.", "{GOOD}"]\nproxy = "small"\nproxy_by = "likelihood"\nproxy_rows = 4\n'
    with ScriptedUpstream(says) as upstream:
        likely = 'labels = ["yes", "no"]\nfinalists = 1\n'
        file = write_toml(tmp_path / "c.toml", remote("cloud", upstream.url), local, SEARCH + more + likely)
        report, folder = searched(Collaboration.load(file), str(file), None, progress=False)
    assert sum(one.proxy is not None for one in report.tried) == 3
    assert sum(one.mean is not None for one in report.tried) == 2
    assert len(read_rows(folder / "read-small.jsonl")) == 12


def test_a_retriever_learns_what_helped(tmp_path: Path, tiny_folder: Any, tiny_encoder_folder: Path) -> None:
    words = ["cat", "dog", "bird", "sea", "song", "mat", "rate", "text"]
    rows = [
        {"input": f"{one} {other}", "output": ("refund", "card arrival")[at % 2]}
        for at, one in enumerate(words)
        for other in words[:4]
    ]
    write_rows(tmp_path / "pool.jsonl", rows)
    table = f"""
[prompts.retriever]
rows = "pool.jsonl"
encoder = "{tiny_encoder_folder}"
reader = "{tiny_folder()}"
labels = ["refund", "card arrival"]
dtype = "float32"
questions = 16
near = 3
chance = 3
out = "taught"
fit = {{ steps = 3, batch_tokens = 512 }}
"""
    write_toml(tmp_path / "c.toml", table)
    done = pilotfish("prompts", "retriever", "c.toml", "--json", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["steps"] == 3 and told["questions"] + told["held_out"] == 16
    assert taught_finder(tmp_path / "taught", Pool.of(rows)).scores(["a cat"]).shape == (1, 32)
    log = [{"prompt": "x", "reply": "y"}]
    write_rows(tmp_path / "log.jsonl", log)
    use = '[models.x]\nuse = "recorded"\npath = "log.jsonl"\n'
    shown = '[models.z]\nuse = "demonstrated"\nmodel = "x"\nrows = "pool.jsonl"\nfind = "taught"\n'
    write_toml(tmp_path / "d.toml", use, shown, 'retriever = "taught"\nk = 0\n')
    asked = pilotfish("ask", "d.toml", "x", "-m", "z", cwd=tmp_path)
    assert asked.stdout.strip() == "y", asked.stderr


def test_soft_demonstrations_and_their_classifier(tmp_path: Path) -> None:
    rows = [{"text": f"{kind} film {at}", "label": kind} for at in range(10) for kind in ("good", "bad")]
    write_rows(tmp_path / "rows.jsonl", rows)
    write_toml(tmp_path / "c.toml", '[prompts.soft]\nrows = "rows.jsonl"\nout = "soft"\n')
    done = pilotfish("prompts", "soft", "c.toml", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["rows"] == 20 and told["right"]["value"] == 1.0
    made = read_rows(tmp_path / "soft" / "soft.jsonl")
    assert [one["text"] for one in made] == [row["text"] for row in rows]
    assert all(one["predicted"] == one["label"] and 0.5 < one["confidence"] <= 1 for one in made)
    small = '[models.small]\nuse = "classifier"\npath = "soft/classifier"\n'
    with ScriptedUpstream(lambda seen: Answer("bad" if "prediction: bad" in seen.prompt else "good")) as upstream:
        both = '[models.z]\nuse = "super-icl"\nmodel = "cloud"\nplug_in = "small"\nlabels = ["good", "bad"]\n'
        write_toml(tmp_path / "d.toml", small, remote("cloud", upstream.url), both, 'rows = "soft/soft.jsonl"\n')
        asked = pilotfish("ask", "d.toml", "a bad day", "-m", "z", cwd=tmp_path)
        assert asked.stdout.strip() == "bad", asked.stderr


def test_rows_that_teach_a_decomposer(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", [{"question": "whole?", "sub_questions": ["a?", "b?"]}])
    write_toml(tmp_path / "c.toml", '[prompts.decomposer]\nrows = "rows.jsonl"\nout = "learn.jsonl"\n')
    done = pilotfish("prompts", "decomposer", "c.toml", cwd=tmp_path)
    assert done.returncode == 0 and "pilotfish tune" in done.stderr
    (row,) = read_rows(tmp_path / "learn.jsonl")
    assert row["text"] == "1. a?\n2. b?" and "Question: whole?" in row["prompt"]


def test_what_does_not_fit_is_one_line(tmp_path: Path) -> None:
    write_toml(tmp_path / "n.toml", "default = 'x'\n")
    for name in ("run", "retriever", "soft", "decomposer"):
        table = "instruction" if name == "run" else name
        assert f"no [prompts.{table}] table" in error_of(pilotfish("prompts", name, "n.toml", cwd=tmp_path))
    write_rows(tmp_path / "rows.jsonl", [{"text": text, "label": "yes"} for text in TEXTS])
    with ScriptedUpstream(says) as upstream:
        cloud = remote("cloud", upstream.url)
        few = 'candidates = ["x"]\nproposer = "cloud"\nproposals = 8\nmax_calls = 10\n'
        for more, told in (
            (few, "8 proposals leave 2"),
            ('candidates = ["x"]\nproxy = "cloud"\n', "the small model is the large one"),
            ('candidates = ["x"]\nby = "likelihood"\n', "has no weights here"),
            ('candidates = "none.txt"\n', "cannot be read"),
            ("", "no other instruction"),
        ):
            write_toml(tmp_path / "c.toml", cloud, SEARCH + more)
            assert told in error_of(pilotfish("prompts", "c.toml", "--quiet", cwd=tmp_path)), more
        write_rows(tmp_path / "rows.jsonl", [{"text": "x", "label": ""}])
        write_toml(tmp_path / "c.toml", cloud, SEARCH + 'candidates = ["x"]\n')
        assert "row 1: no right answer" in error_of(pilotfish("prompts", "c.toml", cwd=tmp_path))
        assert upstream.calls == 0
