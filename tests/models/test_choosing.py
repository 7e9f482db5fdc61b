"""A model with its weights here: probabilities of the choices, in batches, and what is too long."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from pilotfish import ask
from pilotfish.errors import ConfigError, ModelError
from pilotfish.model import Request
from pilotfish.models.choosing import CHOICES
from pilotfish.models.local import LocalModel
from pilotfish.synthesize.labels import Choice, Choosing, Labelling, Preference, Score, Several, Spans, chooses
from pilotfish.synthesize.labels.calibrating import debiased
from pilotfish.synthesize.labels.kind import Opinion
from pilotfish.synthesize.make import synthesize
from tests.asking import together
from tests.fakes import ScriptedModel
from tests.synthesize.labels.test_labelling import lines


def request(text: str, *choices: str) -> Request:
    return Request.of(text, extra={CHOICES: list(choices)})


def test_it_answers_with_the_likeliest_and_tells_them_all(tiny_lm: LocalModel) -> None:
    model = Choosing(tiny_lm)
    asked = [request(f"Is it number {i}?", *(("yes", "no") if i % 3 else ("a", "b", "c"))) for i in range(9)]
    for one, reply in zip(asked, together(model, asked), strict=True):
        assert reply.logprobs is not None
        top = dict(reply.logprobs[0].top)
        raw = tiny_lm.choices([tiny_lm.render(one)], list(one.extra[CHOICES]))[0]
        assert list(top) == sorted(top, key=lambda text: -top[text]) and reply.text == next(iter(top))
        assert sum(math.exp(value) for value in top.values()) == pytest.approx(1.0)
        assert top["no" if "no" in top else "b"] - top[next(iter(top))] == pytest.approx(
            raw[list(one.extra[CHOICES]).index("no" if "no" in top else "b")] - raw.max(), abs=1e-3
        )
        assert reply.usage.tokens_in == tiny_lm.count(tiny_lm.render(one))


def test_what_is_too_long_is_told_and_the_rest_answered(tiny_lm: LocalModel) -> None:
    model = Choosing(tiny_lm)
    with pytest.raises(ModelError, match="too long"):
        ask(model, request("word " * 5000, "yes", "no"))
    assert ask(model, request("short", "yes", "no")).text in ("yes", "no")
    with pytest.raises(ConfigError, match="lists its choices"):
        ask(model, "no choices")


def test_an_endpoint_has_no_probabilities_of_choices() -> None:
    assert not chooses(ScriptedModel())
    with pytest.raises(ConfigError, match="does not tell"):
        Choosing(ScriptedModel())


def test_kinds_by_probability(tiny_lm: LocalModel, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"text": f"text number {i}", "first": f"a{i}", "second": f"b{i}"} for i in range(4)]
    for kind in (Choice(["good", "bad"]), Several(["x", "y"], ask="each"), Preference(), Score(1, 3)):
        out = tmp_path / f"{kind.name}"
        recipe = Labelling(kind, rows, task="Say.", by="probability")
        report = synthesize(recipe, Choosing(tiny_lm), out, progress=False)
        assert (report.kept, report.asked) == (4, 4 * len(kind.variants))
        found = lines(out / "rows.jsonl")
        assert all(0 < row["label_confidence"] <= 1 for row in found)
        if kind.name == "score":
            assert all(1 < row["label"] < 3 and len(row["label_votes"]) == 3 for row in found)
        again = synthesize(recipe, Choosing(tiny_lm), out, progress=False)
        assert again.asked == 0 and lines(out / "rows.jsonl") == found


def test_a_bias_is_divided_out(tiny_lm: LocalModel, tmp_path: Path) -> None:
    given = [Opinion({"a": 0.9, "b": 0.1}, soft=True), Opinion({"a": 0.7, "b": 0.3}, soft=True)]
    first, second = debiased(given)
    assert first.shares["a"] > 0.5 > second.shares["a"] and sum(first.shares.values()) == pytest.approx(1.0)
    rows = [{"text": f"text number {i}"} for i in range(8)]
    recipe = Labelling(Choice(["good", "bad"]), rows, task="Say.", by="probability", unbias=True)
    synthesize(recipe, Choosing(tiny_lm), tmp_path, progress=False)
    assert {row["label"] for row in lines(tmp_path / "rows.jsonl")} == {"good", "bad"}


def test_kinds_by_answers_under_a_schema(tiny_lm: LocalModel, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"text": f"text {i}", "first": f"a{i}", "second": f"b{i}"} for i in range(3)]
    kinds = (Choice(["good", "bad"]), Several(["x", "y"]), Preference(), Score(1, 5), Spans(["p", "q"], most=2))
    for kind in kinds:
        out = tmp_path / kind.name
        recipe = Labelling(kind, rows, task="Say.", samples=2, temperature=1.0, max_tokens=120)
        report = synthesize(recipe, tiny_lm, out, progress=False)
        assert report.kept + sum(report.rejected.values()) == 3
        if kind.name == "spans":  # a model with random weights names words that stand nowhere, or is cut
            assert set(report.rejected) <= {"not in the text", "no whole JSON in the answer", "no JSON in the answer"}
        else:
            assert report.kept == 3, report.rejected
        for row in lines(out / "rows.jsonl"):
            assert kind.plain(kind.value(row["label"], row)) == row["label"] and 0 <= row["label_confidence"] <= 1
