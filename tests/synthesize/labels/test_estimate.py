"""What a run will take, told before: counted, asked of a sample, and held against what it took."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotfish.errors import ConfigError
from pilotfish.model import Price, Request
from pilotfish.models.calls import Calls
from pilotfish.models.local import LocalModel
from pilotfish.synthesize.labels import Choice, Choosing, Labelling
from pilotfish.synthesize.labels.estimate import counted, sampled
from pilotfish.synthesize.make import CALLS, synthesize
from tests.fakes import ScriptedModel
from tests.synthesize.labels.test_labelling import said

ROWS = [{"text": "word " * (1 + i % 40)} for i in range(300)]


def recipe() -> Labelling:
    return Labelling(Choice(["a", "b"]), ROWS, task="t", samples=2)


def test_a_sample_foretells_the_bill_and_is_not_asked_again(tmp_path: Path) -> None:
    def answer(request: Request) -> str:
        return said(label="a") + " " * (len(request.prompt) % 3)

    model = ScriptedModel(answer, price=Price(3.0, 15.0))
    first = counted(recipe(), model, tmp_path)
    assert first.calls == 80 and model.calls == 0 and first.dollars is None  # 40 texts, twice each
    calls = Calls(model, tmp_path / CALLS)
    told = sampled(recipe(), calls, tmp_path)
    calls.close()
    assert (model.calls, told.calls) == (20, 60) and told.dollars is not None
    before = calls.bill
    report = synthesize(recipe(), model, tmp_path, progress=False)
    assert (model.calls, report.asked) == (80, 60)
    spent = report.bill.tokens_in - before.tokens_in
    assert told.tokens_in.low <= spent <= told.tokens_in.high
    assert told.tokens_in.value == pytest.approx(spent, rel=0.35) and "a sample of 20 calls" in str(told)
    assert "nothing is left" in str(counted(recipe(), model, tmp_path))


def test_a_local_model_counts_its_tokens(tiny_lm: LocalModel, tmp_path: Path) -> None:
    own = Labelling(Choice(["a", "b"]), ROWS[:10], task="t", by="probability")
    told = counted(own, Choosing(tiny_lm), tmp_path)
    report = synthesize(own, Choosing(tiny_lm), tmp_path, progress=False)
    assert told.tokens_in.value == report.bill.tokens_in and told.tokens_out.value == 0
    assert told.dollars is not None and told.dollars.value == 0 and "its tokenizer" in str(told)


def test_an_endpoint_that_answers_nothing_is_told(tmp_path: Path) -> None:
    calls = Calls(ScriptedModel(fail_first=1000), tmp_path / CALLS)
    with pytest.raises(ConfigError, match="no answer to 5 calls"):
        sampled(recipe(), calls, tmp_path, sample=5)
    calls.close()
