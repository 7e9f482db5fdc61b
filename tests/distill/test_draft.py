"""A taught draft is accepted more often, on prompts that it did not learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pilotfish.distill.draft import REPORT, acceptance, teach_draft
from pilotfish.errors import DataError
from pilotfish.infer.speculative import SpeculativeModel
from pilotfish.model import Request
from pilotfish.models.local import LocalModel
from pilotfish.train.settings import Fit
from tests.tiny import write_lm

pytest.importorskip("torch")
pytest.importorskip("accelerate")

FIT = Fit(steps=200, batch_tokens=1000, rate=1e-2, dtype="float32")
ROWS = [{"prompt": f"{word} {n}"} for n in range(20) for word in ("where is my card", "the cat sat", "a refund for")]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    base = tmp_path_factory.mktemp("models")
    return write_lm(base / "target", "llama", seed=2), write_lm(base / "draft", "llama", seed=1)


def teach(models: tuple[Path, Path], out: Path, **settings: Any) -> Any:
    given: dict[str, Any] = {"fit": FIT, "max_tokens": 12, "held_out": 0.4, "target_dtype": "float32", **settings}
    return teach_draft(*models, ROWS, out, device="cpu", progress=False, **given)


def test_a_taught_draft_is_accepted_more_often(models: tuple[Path, Path], tmp_path: Path) -> None:
    # Sampled: what a target of random weights likes best is nothing that a few prompts teach, its distribution is.
    report = teach(models, tmp_path / "out", temperature=1.0, max_tokens=24)
    # Drawn anew each time: the differences are four standard errors.
    assert report.rate_after.value > report.rate_before.value
    assert report.gain.value > 0
    assert (report.prompts, report.held_out, report.length) == (36, 24, 4)
    assert "accepted length" in str(report)
    # What is reported is what speculative decoding does, with the very answers of the target.
    target = LocalModel(models[0], dtype="float32", device="cpu")
    draft = LocalModel(report.folder, dtype="float32", device="cpu")
    request = Request.of("where is my card 3", max_tokens=12, temperature=0)
    spoken = SpeculativeModel(target, draft, length=4)
    from pilotfish._sync import ask

    assert ask(spoken, request).text == ask(target, request).text
    # A finished run is not repeated.
    written = (tmp_path / "out" / REPORT).stat().st_mtime_ns
    assert teach(models, tmp_path / "out", temperature=1.0, max_tokens=24) == report
    assert (tmp_path / "out" / REPORT).stat().st_mtime_ns == written
    with pytest.raises(DataError, match="another run"):
        teach(models, tmp_path / "out", temperature=1.0, max_tokens=25)


def test_the_target_is_asked_once(models: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pilotfish.distill.distiller import Distiller

    few = Fit(steps=3, batch_tokens=1000, rate=1e-2, dtype="float32")
    with monkeypatch.context() as broken:
        broken.setattr(Distiller, "fit", lambda self, rows: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            teach(models, tmp_path / "out", fit=few)
    asked: list[str] = []
    reply = LocalModel.reply

    async def counted(self: LocalModel, request: Request) -> Any:
        asked.append(self.name)
        return await reply(self, request)

    monkeypatch.setattr(LocalModel, "reply", counted)
    teach(models, tmp_path / "out", fit=few)
    assert not asked


def test_the_draft_that_is_its_target_is_always_taken(models: tuple[Path, Path]) -> None:
    target = LocalModel(models[0], dtype="float32", device="cpu")
    found = acceptance(target, target, [Request.of("the cat", temperature=0)], length=3, max_tokens=12)
    assert found.rate.value == 1
    assert found.length.value > 3


def test_too_few_prompts_are_told(models: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="different prompts"):
        teach_draft(*models, [{"prompt": "one"}, {"prompt": "one"}], tmp_path / "out", progress=False)


def test_cut_answers_have_no_end(models: tuple[Path, Path], tmp_path: Path) -> None:
    from pilotfish.distill.rows import examples_of

    tokenizer = LocalModel(models[0], device="cpu").tokenizer
    row = {"prompt": "the cat", "answer": "sat on the mat"}
    (whole,), _ = examples_of(tokenizer, [row], 100, name="x")
    (cut,), _ = examples_of(tokenizer, [{**row, "cut": True}], 100, name="x")
    assert whole.ids == (*cut.ids, tokenizer.eos_token_id)
