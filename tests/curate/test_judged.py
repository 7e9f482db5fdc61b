"""What models say of rows: no answer is paid for twice, none without a grade counts as one, scores by the formula."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.curate import curate
from pilotfish.curate.judged import Expected, LearningPercentage, Necessity, Rated
from pilotfish.curate.judged._asking import Question
from pilotfish.errors import ConfigError, UpstreamError
from pilotfish.model import Request
from pilotfish.models.local import LocalModel
from pilotfish.models.reader import Reader
from tests.fakes import ScriptedModel
from tests.tiny import write_lm

Lines = list[dict[str, Any]]
ROWS: Lines = [
    {"instruction": "Add 2 and 3.", "input": "", "output": "5"},
    {"instruction": "Add 2 and 2.", "output": "22 {not} 4"},
    {"instruction": "Sing.", "output": "la la"},
    {"instruction": "Sum up.", "input": "{{braces}} and {output}", "output": "ok"},
]


def sifted(step: Any, rows: Lines, folder: Path, text: str = "output") -> tuple[Lines, Lines]:
    curate(rows, [step], folder, text=text, progress=False)
    names = ("kept", "dropped")
    kept, dropped = ([json.loads(x) for x in (folder / f"{name}.jsonl").read_text().splitlines()] for name in names)
    return kept, dropped


def rating(request: Request) -> str:
    if "Sing" in request.prompt:
        return "I like songs, 5 of them."
    return "Fine.\nGrade: 4.5" if "Add 2 and 3" in request.prompt else "Wrong.\nGrade: 1"


def test_rows_are_rated_and_those_without_a_rating_are_told(tmp_path: Path) -> None:
    model = ScriptedModel(rating)
    rows = [*ROWS, {"output": " "}]
    kept, dropped = sifted(Rated(model, least=4.5), rows, tmp_path / "out")
    assert [row["instruction"] for row in kept] == ["Add 2 and 3."] and kept[0]["rating"] == 4.5
    assert [(one["reason"], one["row"].get("rating")) for one in dropped] == [
        ("rated: 1 against at least 4.5", 1),
        ("rated.none: no grade from 0 to 5 in the answer", None),
        ("rated: 1 against at least 4.5", 1),
        ("rated.none: nothing to rate", None),
    ]
    assert model.calls == 4 and all(request.temperature == 0 for request in model.requests)
    assert "{{braces}} and {output}" in model.requests[3].prompt and "22 {not} 4" in model.requests[1].prompt


def test_no_answer_is_asked_for_twice_when_the_endpoint_fails(tmp_path: Path) -> None:
    said = {"down": True}

    def script(request: Request) -> str | Exception:
        failing = said["down"] and "Sing" in request.prompt
        return UpstreamError("busy", status=503) if failing else "Grade: 3"

    model = ScriptedModel(script)
    with pytest.raises(UpstreamError, match="failed for 1 rows: run again"):
        sifted(Rated(model), ROWS, tmp_path / "out")
    said["down"] = False
    kept, _ = sifted(Rated(model), ROWS, tmp_path / "out")
    assert len(kept) == 4 and model.calls == 5  # three once, one twice: it failed


@pytest.mark.parametrize("judged", [True, False])
def test_what_a_model_answers_badly_is_needed(tmp_path: Path, judged: bool) -> None:
    model = ScriptedModel(lambda request: "the answer is 5" if "Add" in request.prompt else "no idea")
    judge = ScriptedModel(lambda request: f"Grade: {10 if 'answer is 5' in request.prompt else 1}")
    how: dict[str, Any] = {"judge": judge} if judged else {"grade": "last-number", "gold": "output"}
    rows = [*ROWS[:3], {"instruction": " "}]
    kept, dropped = sifted(Necessity(model, "{instruction}", least=0.5, **how), rows, tmp_path / "out", "instruction")
    wrong = ["Sing."] if judged else ["Add 2 and 2.", "Sing."]
    assert [row["instruction"] for row in kept] == wrong and all(row["necessity"] == 1 for row in kept)
    assert dropped[0]["row"]["necessity"] == 0 and dropped[-1]["reason"] == "necessity.none: nothing to ask"
    assert model.calls == 3 and judge.calls == (3 if judged else 0)


def test_an_expected_score_is_the_mean_of_the_scale(tmp_path: Path, tiny_lm: LocalModel) -> None:
    kept, dropped = sifted(Expected(tiny_lm, "rate {output}: "), [*ROWS, {"output": ""}], tmp_path / "out")
    for row in kept:
        context = f"rate {row['output']}: "
        logprobs = np.array([s.total for s in tiny_lm.score([(context, str(n)) for n in range(1, 7)])])
        shares = np.exp(logprobs) / np.exp(logprobs).sum()
        assert row["score"] == pytest.approx(float(shares @ np.arange(1, 7)), abs=1e-4)
    assert dropped[0]["reason"] == "score.none: nothing to score"
    cut = sorted(row["score"] for row in kept)[2]
    best, rest = sifted(Expected(tiny_lm, "rate {output}: ", least=cut), ROWS, tmp_path / "cut")
    assert len(best) == 2 and rest[0]["reason"].startswith("score: ")
    assert Expected(tiny_lm, "rate {output}: ").config()["model"] == tiny_lm.identity


def test_what_was_learnt_at_once(tmp_path: Path, tiny_folder: Callable[..., Path]) -> None:
    folders = [tiny_folder("llama", "plain")] + [write_lm(tmp_path / f"{n}", "llama", "plain", seed=n) for n in (5, 6)]
    readers = [Reader(folder, dtype="float32", device="cpu") for folder in folders]
    kept, dropped = sifted(LearningPercentage(*readers), [*ROWS, {"instruction": "x", "output": ""}], tmp_path / "out")
    assert len(kept) + len(dropped) == 5 and kept and any("learned.empty" in one["reason"] for one in dropped)
    tokenizer = readers[0].tokenizer
    for row in [*kept, *(one["row"] for one in dropped)]:
        if not row["output"]:
            continue
        told = row["instruction"] + "\n" + (row["input"] + "\n" if row.get("input") else "")
        question, answer = tokenizer(told)["input_ids"], tokenizer(row["output"])["input_ids"]
        losses = [-float(r.logprobs([(question + answer, len(question))])[0].mean()) for r in readers]
        base, early, final = (math.exp(loss) for loss in losses)
        assert ("learned" in row) == (final < base)
        if "learned" in row:
            assert row["learned"] == pytest.approx((base - early) / (base - final), rel=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Rated(ScriptedModel(), "no column"),
        lambda: Rated(ScriptedModel(), "{a"),
        lambda: Rated(ScriptedModel(), least=9),
        lambda: Rated(ScriptedModel(), low=3, high=1),
        lambda: Necessity(ScriptedModel(), "{a}"),
        lambda: Necessity(ScriptedModel(), "{a}", judge=ScriptedModel(), grade="text"),
        lambda: Necessity(ScriptedModel(), "{a}", grade="last-number"),
        lambda: Necessity(ScriptedModel(), "{a}", judge=ScriptedModel(), least=2),
        lambda: Expected("none", "{a}", low=3, high=3),
        lambda: Question("{a}", ("task",)),
    ],
)
def test_settings_that_cannot_be(wrong: Any) -> None:
    with pytest.raises(ConfigError):
        wrong()
