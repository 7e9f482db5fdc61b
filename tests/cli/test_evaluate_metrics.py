"""`pilotfish evaluate --metrics`: answers once, scores, pairs, the page; the same here and on Ray."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.help import error_of, pilotfish, read_rows, remote, write_rows, write_toml
from tests.fakes import Answer, ScriptedUpstream
from tests.ray_up import ray_up

__all__ = ["ray_up"]
WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "my", "card", "is", "not", "here", "where", "is", "it"]
RECORDED = """
[models.small]
use = "recorded"
path = "small.jsonl"
[models.large]
use = "recorded"
path = "large.jsonl"
[metrics.near]
use = "bertscore"
model = "encoder"
idf = true
[models.encoder]
use = "encoder"
weights = "{encoder}"
"""


def world(folder: Path, rows: int = 30) -> list[dict[str, Any]]:
    """The large model says what is right, the small one half of it, and a column something else."""
    asked, small, large = [], [], []
    for n in range(rows):
        right = " ".join(WORDS[(n + k) % len(WORDS)] for k in range(4))
        asked.append({"question": f"q{n}", "reference": right, "other": "nothing" if n else "", "doc": n // 3})
        small.append({"prompt": f"Ask: q{n}", "reply": " ".join(right.split()[:2])})
        large.append({"prompt": f"Ask: q{n}", "reply": right})
    for name, some in (("rows", asked), ("small", small), ("large", large)):
        write_rows(folder / f"{name}.jsonl", some)
    return asked


@pytest.fixture
def folder(tmp_path: Path, tiny_encoder_folder: Path) -> Path:
    world(tmp_path)
    write_toml(tmp_path / "c.toml", RECORDED.format(encoder=tiny_encoder_folder))
    return tmp_path


ASK = ("evaluate", "c.toml", "rows.jsonl", "--prompt", "Ask: {question}", "--out", "out", "--quiet")
BOTH = ("-m", "large", "-m", "small", "--metrics", "near", "--metrics", "rougeL")


def test_models_and_a_column_are_compared_on_the_same_rows(folder: Path) -> None:
    done = pilotfish(*ASK, *BOTH, "--against", "other", "--report", "page.html", "--group-by", "doc", cwd=folder)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split("  ")[0] for line in lines[:3]] == ["near, large", "near, small", "near, other"]
    assert "rougeL: large - small: +0.333 [" in done.stdout and "n = 30" in lines[-1]
    assert "other: near: the candidate is empty: 1 of 30 rows" in done.stderr
    page = (folder / "page.html").read_text()
    assert "large, row 1" in page and 'dir="auto"' in page and "<mark" in page
    rows = read_rows(folder / "out" / "small" / "scored.jsonl")
    assert [row["question"] for row in rows] == [f"q{n}" for n in range(30)]
    assert all(row["rougeL"] == pytest.approx(2 / 3) and 0 < row["near"] < 1 for row in rows)
    told = pilotfish(*ASK, *BOTH, "--json", "--report", "figures.json", cwd=folder)
    figures = json.loads(told.stdout)
    assert figures == json.loads((folder / "figures.json").read_text())
    assert figures["systems"]["large"]["rougeL"]["value"] == pytest.approx(1)
    assert figures["systems"]["large"]["near"]["metric"] == "bertscore (encoder, idf)"
    assert [pair["metric"] for pair in figures["against"]] == ["near", "rougeL"]
    assert figures["against"][1]["value"] == pytest.approx(1 / 3)


def test_nothing_is_asked_again_for_another_metric_or_a_second_run(tmp_path: Path) -> None:
    world(tmp_path, 12)
    with ScriptedUpstream(lambda seen: Answer(seen.prompt.upper())) as upstream:
        write_toml(tmp_path / "c.toml", remote("m", upstream.url))
        for metrics in (["rouge1"], ["rouge1"], ["rouge1", "chrf"]):
            more = [word for name in metrics for word in ("--metrics", name)]
            done = pilotfish(*ASK, *more, "--json", cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            assert list(json.loads(done.stdout)["systems"]["m"]) == metrics
        assert sorted(upstream.prompts.values()) == [1] * 12
        # Another prompt is another run, which is not begun over what was paid for.
        other = ["evaluate", "c.toml", "rows.jsonl", "--prompt", "{question}", "--out", "out", "--metrics", "rouge1"]
        assert "--fresh" in error_of(pilotfish(*other, cwd=tmp_path))
        assert sorted(upstream.prompts.values()) == [1] * 12


def test_rows_that_are_not_answered_are_left_out_of_pairs(folder: Path) -> None:
    kept = read_rows(folder / "small.jsonl")[5:]
    write_rows(folder / "small.jsonl", kept)
    done = pilotfish(*ASK, *BOTH, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["systems"]["small"]["near"]["rows"] == 25 and figures["systems"]["large"]["near"]["rows"] == 30
    assert [pair["rows"] for pair in figures["against"]] == [25, 25]
    assert "small: 5 rows were not answered: see out/small/answers/rejects.jsonl" in done.stderr


def test_on_ray_it_is_the_same(folder: Path, ray_up: None) -> None:
    import ray

    one = ("-m", "small", "--metrics", "near")
    here = pilotfish(*ASK, *one, cwd=folder)
    assert here.returncode == 0, here.stderr
    address = ray.get_runtime_context().gcs_address
    engine = ["--engine", "ray", "--workers", "1", "--address", address]
    there = pilotfish(*ASK[:5], "--out", "ray", "--quiet", *one, *engine, cwd=folder)
    assert there.returncode == 0, there.stderr
    assert there.stdout == here.stdout
    both = [read_rows(folder / out / "small" / "scored.jsonl") for out in ("out", "ray")]
    for mine, theirs in zip(*both, strict=True):
        # A float's last digits go by what was read beside it.
        assert theirs == {key: pytest.approx(mine[key], abs=1e-6) if "near" in key else mine[key] for key in mine}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--metrics", "nea", "-m", "small"], "no metric is called 'nea'; did you mean 'near'?"),
        (["--metrics", "rougeL", "-m", "smal"], "no model 'smal'; did you mean 'small'?"),
        (["--metrics", "rougeL", "-m", "small", "--reference", "right"], "no column 'right'"),
        (["--metrics", "rougeL", "-m", "small", "--column", "other"], "already has a column 'other'"),
        (["--metrics", "rougeL", "-m", "small", "--against", "none"], "no column 'none'"),
        (["--metrics", "rougeL", "-m", "small", "--group-by", "none"], "no column 'none'"),
        (["--metrics", "rougeL", "-m", "small", "--gold", "reference"], "are of evaluate without --metrics"),
        (["--metrics", "rougeL", "-m", "small", "--workers", "2"], "`workers` is of engine"),
        (["--metrics", "fixed", "-m", "small"], "fixed reads 'said', 'reference', and the answers go into 'answer'"),
        (["--metrics", "doc", "-m", "small"], "already has a column 'doc': name the metric otherwise"),
        (["-m", "small", "--json"], "--json is of --metrics"),
        (["-m", "small", "-m", "large"], "several are compared by --metrics only"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_asked(folder: Path, more: list[str], message: str) -> None:
    with (folder / "c.toml").open("a") as file:
        file.write('[metrics.fixed]\nuse = "bleu"\ncandidate = "said"\n[metrics.doc]\nuse = "bleu"\n')
    assert message in error_of(pilotfish(*ASK, *more, cwd=folder))
    assert not (folder / "out").exists()


def test_standard_input_is_refused(folder: Path) -> None:
    given = [*ASK[:2], "-", *ASK[3:], "--metrics", "rougeL", "-m", "small"]
    assert "not standard input" in error_of(pilotfish(*given, cwd=folder))
