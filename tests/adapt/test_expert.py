"""Training an expert: it learns, resumes where it was killed, and writes weights that load."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch

from pilotfish.adapt.expert import REPORT, TuneReport, Tuning, tune
from pilotfish.errors import ConfigError, DataError
from pilotfish.models.local import LocalModel
from tests.forks import forked

TEXTS = [f"the cat sat on the mat number {n}, it was wrong and the dog did not" for n in range(40)]
QUICK = Tuning(rank=4, rate=5e-3, epochs=2, batch_tokens=256, length=64, held_out=0.2, every=2)


@pytest.mark.parametrize("rank", [0, 4])
def test_an_expert_is_better_on_its_domain_and_loads(tiny_folder: Any, tmp_path: Path, rank: int) -> None:
    tuning = Tuning(**{**QUICK.__dict__, "rank": rank})
    report = tune(tiny_folder("llama", "plain"), TEXTS, tmp_path / "out", tuning, device="cpu", progress=False)
    assert report.after < report.before * 0.8
    assert report.gain.low > 0
    assert report.texts == 32 and report.held_out == 8
    # The saved weights are those the report speaks of.
    held = LocalModel(tmp_path / "out", dtype="float32", device="cpu")
    assert (
        held.score([("the cat", " sat")])[0].total
        > LocalModel(tiny_folder("llama", "plain"), dtype="float32", device="cpu").score([("the cat", " sat")])[0].total
    )
    assert not (tmp_path / "out" / "run" / "checkpoints").exists()
    assert "perplexity" in str(report)


def test_gpt2s_transposed_linears_are_tuned_too(tiny_folder: Any, tmp_path: Path) -> None:
    report = tune(tiny_folder("gpt2", "plain"), TEXTS, tmp_path / "out", QUICK, device="cpu", progress=False)
    assert report.gain.low > 0


def test_a_finished_run_is_not_repeated_and_another_is_refused(tiny_folder: Any, tmp_path: Path) -> None:
    folder = tiny_folder("llama", "plain")
    first = tune(folder, TEXTS, tmp_path / "out", QUICK, device="cpu", progress=False)
    written = (tmp_path / "out" / REPORT).stat().st_mtime_ns
    assert tune(folder, TEXTS, tmp_path / "out", QUICK, device="cpu", progress=False) == first
    assert (tmp_path / "out" / REPORT).stat().st_mtime_ns == written
    with pytest.raises(DataError, match="another run"):
        tune(folder, TEXTS[:-1], tmp_path / "out", QUICK, device="cpu", progress=False)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not touch")
    with pytest.raises(DataError, match="thesis"):
        tune(folder, TEXTS, tmp_path / "mine", QUICK, device="cpu", progress=False)


SCRIPT = """
import sys, time
from pathlib import Path
from pilotfish.adapt.expert import tune
from pilotfish.train.checkpoint import Checkpoint
from tests.adapt.test_expert import QUICK, TEXTS
ended = Checkpoint.write
def slow(self, weights, optimizer, told):
    ended(self, weights, optimizer, told)
    print(told["step"], flush=True)
    time.sleep(0.3)
Checkpoint.write = slow
tune(sys.argv[1], TEXTS, Path(sys.argv[2]), QUICK, device="cpu", progress=False)
"""


def test_a_killed_run_goes_on_and_ends_with_the_same_weights(tiny_folder: Any, tmp_path: Path) -> None:
    folder = str(tiny_folder("llama", "plain"))
    tune(folder, TEXTS, tmp_path / "whole", QUICK, device="cpu", progress=False)
    with forked(SCRIPT, folder, tmp_path / "killed") as run:
        assert run.stdout.readline().strip() == b"2"
        assert run.stdout.readline().strip() == b"4"
        run.kill()
    assert not (tmp_path / "killed" / REPORT).exists()
    started = time.monotonic()
    report = tune(folder, TEXTS, tmp_path / "killed", QUICK, device="cpu", progress=False)
    assert report.steps > 4 and time.monotonic() - started < 60
    one = LocalModel(tmp_path / "whole", dtype="float32", device="cpu").model.state_dict()
    two = LocalModel(tmp_path / "killed", dtype="float32", device="cpu").model.state_dict()
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)


def test_bad_settings_have_one_line(tiny_folder: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="held_out"):
        Tuning(held_out=1.0)
    with pytest.raises(ConfigError, match="rank"):
        Tuning(rank=-1)
    with pytest.raises(DataError, match="two different texts"):
        tune(tiny_folder("llama", "plain"), ["same", "same"], tmp_path / "out", QUICK, progress=False)


def test_a_report_survives_its_json() -> None:
    from pilotfish.measure.intervals import Interval

    report = TuneReport("w", "f", 1, 1, 1, 1, 2.0, 1.5, Interval(0.1, 0.05, 0.2), 1.0)
    told = report.to_json()
    assert TuneReport(**{**told, "gain": Interval(**told["gain"])}) == report


def test_with_prompts_only_the_answers_are_learnt_and_in_the_models_own_template(
    tiny_folder: Any, tmp_path: Path
) -> None:
    folder = tiny_folder("llama", "plain")
    prompts = [f"what did the {animal} do {n}" for n in range(20) for animal in ("cat", "dog")]
    texts = [f"it sat on the {'mat' if 'cat' in prompt else 'log'}" for prompt in prompts]
    tuning = Tuning(rank=0, rate=5e-3, epochs=8, batch_tokens=512, length=96, held_out=0.2)
    report = tune(folder, texts, tmp_path / "out", tuning, prompts=prompts, device="cpu", progress=False)
    assert report.texts + report.held_out == 40
    assert report.after < report.before
    # the tokens in the loss are the answers' alone, each seen `epochs` times
    answers = LocalModel(folder, device="cpu").load().tokenizer
    longest = max(len(answers(text, add_special_tokens=False)["input_ids"]) for text in texts) + 1
    assert report.tokens <= report.texts * longest * tuning.epochs
    with pytest.raises(DataError, match="1 prompts for 2 texts"):
        tune(folder, ["a", "b"], tmp_path / "two", tuning, prompts=["x"], device="cpu", progress=False)
    with pytest.raises(DataError, match="all there is room for"):
        short = Tuning(length=4, held_out=0.5)
        tune(folder, ["a", "b"], tmp_path / "short", short, prompts=["the cat sat on the mat"] * 2, device="cpu")
