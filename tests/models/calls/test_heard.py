"""Questions that change between runs: what was answered is not asked again, and what failed is told."""

from __future__ import annotations

from pathlib import Path

from pilotfish.errors import DataError, UpstreamError
from pilotfish.model import Reply, Request
from pilotfish.models.calls import heard
from tests.fakes import ScriptedModel


def numbered(*numbers: int, samples: int = 1) -> list[tuple[Request, int]]:
    return [(Request.of(f"question {number}"), sample) for number in numbers for sample in range(samples)]


def test_other_questions_pay_for_the_new_ones_alone(tmp_path: Path) -> None:
    model = ScriptedModel(lambda request: f" {request.prompt}! ")
    heard(model, numbered(1, 2, 3, samples=2), tmp_path / "said", progress=False)
    told = heard(model, numbered(3, 4, 2, 3), tmp_path / "said", progress=False)
    assert [said and said.text for said in told.said] == [f"question {number}!" for number in (3, 4, 2, 3)]
    assert model.calls == 7 and told.bill.calls == 3 and told.again == 0
    assert heard(model, [], tmp_path / "none").said == [] and not (tmp_path / "none").exists()


def test_what_fails_is_told_and_asked_again(tmp_path: Path) -> None:
    down = True

    def says(request: Request) -> str | Reply:
        if down and request.prompt.endswith("2"):
            raise UpstreamError("down: for a while", status=500)
        if request.prompt.endswith("3"):
            raise DataError("too long: 9 of 8 tokens")
        return "yes"

    model = ScriptedModel(says)
    told = heard(model, numbered(1, 2, 3, 2), tmp_path / "said", progress=False)
    assert [said is None for said in told.said] == [False, True, True, True]
    assert told.unanswered == {"down": 2, "too long": 1} and told.again == 1
    failed = {at: (one.reason, one.again) for at, one in told.failures.items()}
    assert failed == {
        1: ("down: for a while", True),
        2: ("too long: 9 of 8 tokens", False),
        3: ("down: for a while", True),
    }
    down = False
    told = heard(model, numbered(1, 2), tmp_path / "said", progress=False)
    assert [said and said.text for said in told.said] == ["yes", "yes"] and told.again == 0
    assert model.calls == 4
