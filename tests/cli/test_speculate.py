"""`pilotfish speculate`: a pair on a user's own prompts, and the same pair's flags for other servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pilotfish.cli.speculate import lengths_of, widths_of
from pilotfish.errors import ConfigError
from tests.cli.help import error_of, pilotfish, write_rows

if TYPE_CHECKING:
    from tests.conftest import TinyFolder


@pytest.fixture
def folder(tmp_path: Path, tiny_folder: TinyFolder) -> Path:
    """A folder with a pair and prompts in Spec-Bench's format."""
    tables = [
        f'[models.{name}]\nuse = "local"\nweights = "{tiny_folder(family)}"\ndtype = "float32"\n'
        for name, family in (("large", "llama"), ("small", "qwen2"))
    ]
    tables.append('[models.pair]\nuse = "speculative"\ntarget = "large"\ndraft = "small"\n')
    (tmp_path / "pair.toml").write_text('default = "pair"\n' + "\n".join(tables))
    questions = [
        {"question_id": 81, "category": "writing", "turns": ["the cat sat on the mat", "again"]},
        {"question_id": 82, "category": "writing", "turns": ["a song of the sea"]},
        {"question_id": 90, "category": "rag", "turns": ["wrong, wrong, wrong"]},
    ]
    write_rows(tmp_path / "question.jsonl", questions)
    return tmp_path


def test_a_pair_is_measured_on_prompts(folder: Path) -> None:
    arguments = ["speculate", "pair.toml", "--prompts", "question.jsonl", "--lengths", "2,auto", "--tree", "2,1"]
    done = pilotfish(*arguments, "--max-tokens", "12", "--answers", "out", "--json", "--quiet", cwd=folder)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [way["way"] for way in report["ways"]] == ["plain", "2", "auto", "tree 2x1", "prompt-lookup"]
    assert (report["target"], report["draft"], report["greedy"]) == ("large", "small", True)
    for way in report["ways"][1:]:
        assert way["identical"] == 3
        assert way["speedup"]["value"] > 0
        assert way["speedup: rag"]["n"] == 1
        assert way["report"]["tokens"] > 12
    assert report["verdict"]
    rows = [json.loads(line) for line in (folder / "out" / "large-2.jsonl").read_text().splitlines()]
    assert [(row["question_id"], row["category"], row["model_id"]) for row in rows] == [
        (81, "writing", "large-2"),
        (82, "writing", "large-2"),
        (90, "rag", "large-2"),
    ]
    (choice,) = rows[0]["choices"]
    assert len(choice["turns"]) == len(choice["wall_time"]) == len(choice["new_tokens"]) == 2
    assert sum(choice["decoding_steps"]) == len(choice["accept_lengths"])
    assert sum(choice["accept_lengths"]) == sum(choice["new_tokens"])
    plain = [json.loads(line) for line in (folder / "out" / "large-plain.jsonl").read_text().splitlines()]
    assert plain[0]["choices"][0]["turns"] == choice["turns"]
    assert set(plain[0]["choices"][0]["accept_lengths"]) == {1}


def test_the_tables_and_the_verdict(folder: Path) -> None:
    (folder / "prompts.txt").write_text("the cat sat on the mat\na song of the sea\n")
    arguments = ["speculate", "pair.toml", "--model", "large", "--draft", "layers:1", "--prompts", "prompts.txt"]
    done = pilotfish(*arguments, "--lengths", "3", "--max-tokens", "10", cwd=folder)
    assert done.returncode == 0, done.stderr
    for told in ("large, drafted by 1 layers", "speed-up", "prompt-lookup", "2 of 2"):
        assert told in done.stdout
    assert "se it" in done.stdout.splitlines()[-1]
    assert "4 answers" not in done.stdout


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ("vllm", ["vllm serve", '"method": "draft_model"', '"num_speculative_tokens": 5']),
        ("llama.cpp", ["llama-server -m", "--model-draft", "--spec-draft-n-max 5"]),
        ("sglang", ["--speculative-algorithm STANDALONE", "--speculative-num-draft-tokens 6"]),
    ],
)
def test_the_flags_of_other_servers(folder: Path, tiny_folder: TinyFolder, server: str, words: list[str]) -> None:
    done = pilotfish("speculate", "pair.toml", "--export", server, "--length", "5", cwd=folder)
    assert done.returncode == 0, done.stderr
    for word in [*words, str(tiny_folder()), str(tiny_folder("qwen2"))]:
        assert word in done.stdout
    looked = pilotfish("speculate", "pair.toml", "--model", "large", "--export", server, cwd=folder)
    assert "ngram" in looked.stdout.lower()
    assert str(tiny_folder("qwen2")) not in looked.stdout


def test_lengths_and_widths() -> None:
    assert lengths_of("2, 8,auto") == [2, 8, "auto"]
    assert widths_of("3,2, 1") == [3, 2, 1]
    with pytest.raises(ConfigError, match="--lengths: 'x'"):
        lengths_of("2,x")
    with pytest.raises(ConfigError, match="--tree: 'auto' is not a number"):
        widths_of("3,auto")


def test_what_is_wrong_is_told(folder: Path) -> None:
    (folder / "bad.jsonl").write_text('{"prompt": "x"}\n{"nothing": 1}\n')
    for arguments, told in (
        (["pair.toml"], "--prompts must be given"),
        (["pair.toml", "--prompts", "bad.jsonl"], "row 2: needs turns"),
        (["pair.toml", "--prompts", "bad.jsonl", "--lengths", "0"], "row 2"),
        (["pair.toml", "--prompts", "question.jsonl", "--lengths", "0"], 'neither "auto" nor a number'),
        (["pair.toml", "--draft", "small", "--prompts", "question.jsonl"], "a draft of its own"),
        (["pair.toml", "--export", "vlm"], "vllm"),
        (["pair.toml", "--model", "large", "--draft", "layers:x", "--prompts", "question.jsonl"], "layers:8"),
    ):
        done = pilotfish("speculate", *arguments, cwd=folder)
        assert done.returncode == 2
        assert told in error_of(done)
