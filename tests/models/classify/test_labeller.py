"""A labeller over white-box and black-box models."""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest

from pilotfish._sync import ask
from pilotfish.errors import ConfigError, UpstreamError
from pilotfish.model import Model, Price, Reply, Request
from pilotfish.models.classify import Labeller
from pilotfish.models.local import LocalModel
from tests.fakes import ScriptedModel
from tests.tiny import TEXTS

LABELS = ["refund", "refund_status", "card_arrival"]
NAMES = ["refund", "refund status", "card arrival"]


def answers(request: Request) -> str:
    """A black box that knows some things: the answer stands in the text."""
    text = request.prompt.removeprefix("Text: ")
    return {"json": '{"label": "refund status"}', "prose": "It is about card arrival, I think."}.get(text, text)


def test_the_question_shows_names_and_examples() -> None:
    labeller = Labeller(ScriptedModel(), LABELS, examples=[("where?", "card_arrival")], instruction="Sort it.")
    request = labeller.request("my money")
    assert [(m.role, m.text) for m in request.messages] == [
        ("system", "Sort it.\n\nCategories:\n- refund\n- refund status\n- card arrival"),
        ("user", "Text: where?"),
        ("assistant", "card arrival"),
        ("user", "Text: my money"),
    ]
    assert (request.temperature, request.max_tokens) == (0.0, len("refund status") + 16)


def test_a_black_box_answers_are_parsed_and_failures_counted() -> None:
    model = ScriptedModel(answers, price=Price(1.0, 2.0))
    finished: list[int] = []
    texts = ["refund", "json", "prose", "no idea", "refund, or card arrival", "Refund Status"]
    labels = Labeller(model, LABELS).predict(texts, progress=finished.append)
    assert labels.labels == ["refund", "refund_status", "card_arrival", None, None, "refund_status"]
    assert (labels.failures, labels.failure_rate, labels.logprobs) == (2, 2 / 6, None)
    assert finished == [1] * 6
    assert model.calls == 6
    assert all(trace.cost and trace.usage.calls == 1 for trace in labels.traces)


def test_questions_go_out_side_by_side_within_the_limit_and_answers_keep_their_order() -> None:
    model = ScriptedModel(answers, delay=0.01)
    texts = ["refund", "card arrival"] * 6
    labels = Labeller(model, LABELS, concurrency=4).predict(texts)
    assert labels.labels == ["refund", "card_arrival"] * 6
    assert model.peak == 4


def test_as_many_questions_go_out_as_the_model_says_it_takes() -> None:
    class Wide(ScriptedModel):
        concurrency = 11

    model = Wide(answers, delay=0.01)
    Labeller(model, LABELS).predict(["refund"] * 30)
    assert model.peak == 11
    assert Labeller(Wide(), LABELS).concurrency == 11
    assert Labeller(ScriptedModel(), LABELS).concurrency == 8


def test_one_failure_among_many_surfaces_as_itself_and_stops_the_rest() -> None:
    def script(request: Request) -> str | Exception:
        return UpstreamError("the endpoint is down", status=503) if "bad" in request.prompt else "refund"

    model = ScriptedModel(script, delay=0.02)
    labeller = Labeller(model, LABELS, concurrency=2)
    with pytest.raises(UpstreamError, match="the endpoint is down") as caught:
        labeller.predict(["ok", "bad", *["ok"] * 50])
    assert caught.value.status == 503
    assert model.calls < 10
    assert model.active == 0
    with pytest.raises(UpstreamError, match="down"):
        ask(labeller, "bad")


def test_predict_works_within_a_running_loop() -> None:
    async def cell() -> list[str | None]:
        return Labeller(ScriptedModel(answers), LABELS).predict(["refund"]).labels

    assert asyncio.run(cell()) == ["refund"]


def test_a_white_box_gives_every_labels_probability(tiny_lm: LocalModel) -> None:
    labeller = Labeller(tiny_lm, LABELS)
    assert labeller.white_box
    finished: list[int] = []
    labels = labeller.predict(TEXTS, progress=finished.append)
    assert sum(finished) == len(TEXTS)
    raw = tiny_lm.choices([tiny_lm.render(labeller.request(text)) for text in TEXTS], NAMES)
    expected = raw - np.log(np.exp(raw).sum(axis=1, keepdims=True))
    assert labels.logprobs is not None
    np.testing.assert_allclose(labels.logprobs, expected, atol=1e-3)
    assert labels.labels == [LABELS[i] for i in expected.argmax(axis=1)]
    assert (labels.failures, labels.truncated) == (0, 0)
    for text, trace in zip(TEXTS, labels.traces, strict=True):
        assert trace.usage.tokens_in == tiny_lm.count(tiny_lm.render(labeller.request(text)))
        assert trace.usage.tokens_out == 0


def test_whether_a_model_is_a_white_box_is_known_without_loading_it() -> None:
    assert Labeller(LocalModel("no-such-weights-anywhere"), LABELS).white_box
    assert not Labeller(ScriptedModel(), LABELS).white_box


def test_batch_calibration_is_the_formula(tiny_lm: LocalModel) -> None:
    plain = Labeller(tiny_lm, LABELS).predict(TEXTS).logprobs
    assert plain is not None
    labeller = Labeller(tiny_lm, LABELS).calibrate(TEXTS[:4])
    got = labeller.predict(TEXTS).logprobs
    assert got is not None
    # Zhou et al. 2023, equation 3, one label at a time.
    expected = np.zeros_like(plain)
    for j in range(len(LABELS)):
        mean = sum(math.exp(plain[i, j]) for i in range(4)) / 4
        expected[:, j] = [plain[i, j] - math.log(mean) for i in range(len(TEXTS))]
    expected -= np.log(np.exp(expected).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(got, expected, atol=1e-3)
    assert np.abs(got - plain).max() > 0.01
    # Calibrating again starts from the model's own probabilities, not from corrected ones.
    first = labeller.prior_
    assert first is not None
    second = labeller.calibrate(TEXTS[:4]).prior_
    assert second is not None
    np.testing.assert_allclose(second, first, atol=1e-4)


def test_calibrating_a_black_box_changes_nothing_and_asks_nothing() -> None:
    model = ScriptedModel(answers)
    assert Labeller(model, LABELS).calibrate(["refund"]).prior_ is None
    assert model.calls == 0


@pytest.mark.parametrize("text", ["where is my card? " * 300, "z" * 5000, "日本語の文 " * 200])
def test_a_text_that_is_too_long_is_cut_as_little_as_can_be(tiny_lm: LocalModel, text: str) -> None:
    labeller = Labeller(tiny_lm, LABELS)
    labels = labeller.predict([text, "short"])
    assert labels.truncated_rows == [True, False]
    used = labels.traces[0].usage.tokens_in
    room = tiny_lm.max_length - max(tiny_lm.count(name) for name in NAMES) - 2
    assert room - 12 <= used <= room


def test_a_text_of_megabytes_is_not_read_to_its_end(tiny_lm: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    longest = 0
    original = tiny_lm.count

    def count(text: str) -> int:
        nonlocal longest
        longest = max(longest, len(text))
        return original(text)

    monkeypatch.setattr(tiny_lm, "count", count)
    assert Labeller(tiny_lm, LABELS).predict(["card " * 2_000_000]).truncated == 1
    assert longest < 50_000


def test_the_limit_in_characters_holds_for_both_kinds(tiny_lm: LocalModel) -> None:
    black = Labeller(ScriptedModel("refund"), LABELS, max_text=5)
    assert black.request("0123456789").prompt == "Text: 01234"
    assert black.predict(["0123456789", "01234"]).truncated_rows == [True, False]
    assert Labeller(tiny_lm, LABELS, max_text=5).predict(["0123456789", "01234"]).truncated_rows == [True, False]


def test_labels_that_do_not_fit_the_model_are_one_line(tiny_lm: LocalModel) -> None:
    many = Labeller(tiny_lm, [f"a label of many words, number {i}" for i in range(80)])
    with pytest.raises(ConfigError, match="tiny: its 512 tokens do not hold the labels and examples"):
        many.predict(["x"])


def test_as_a_model_over_a_white_box(tiny_lm: LocalModel) -> None:
    labeller = Labeller(tiny_lm, LABELS)
    assert isinstance(labeller, Model)
    reply = ask(labeller, TEXTS[0])
    labels = labeller.predict([TEXTS[0]])
    assert reply.text == labels.labels[0]
    (token,) = reply.logprobs or ()
    assert sum(math.exp(logprob) for _, logprob in token.top) == pytest.approx(1)
    assert token.top[0] == (token.token, token.logprob)
    assert reply.usage.calls == 1


def test_as_a_model_over_a_black_box() -> None:
    model = ScriptedModel(answers, logprob=-0.5)
    labeller = Labeller(model, LABELS)
    reply = ask(labeller, "prose", logprobs=True, top_logprobs=3)
    assert (reply.text, reply.finish_reason, reply.mean_logprob) == ("card_arrival", "stop", -0.5)
    assert model.requests[0].top_logprobs == 3
    failed = ask(labeller, "no idea")
    assert (failed.text, failed.finish_reason) == ("no idea", "parse_failure")
    assert failed.trace.decisions[0].verdict == "no label in the answer"
    assert failed.usage.calls == 1


def test_numbers_with_names() -> None:
    model = ScriptedModel({"Text: good": "Positive", "Text: bad": "0", "Text: both": "negative or positive"})
    labeller = Labeller(model, ["0", "1"], names={"0": "negative", "1": "positive"})
    assert "- negative\n- positive" in labeller.request("x").messages[0].text
    assert labeller.predict(["good", "bad", "both"]).labels == ["1", "0", None]


def test_names_stay_apart_and_on_one_line() -> None:
    assert Labeller(ScriptedModel(), ["a_b", "a b"]).shown == {"a_b": "a_b", "a b": "a b"}
    assert Labeller(ScriptedModel(), ["a\nb", "_"]).shown == {"a\nb": "a b", "_": "_"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"labels": ["a"]}, "two different labels"),
        ({"labels": ["a", "a"]}, "two different labels"),
        ({"labels": ["a", "b", "a"]}, "'a' stands there twice"),
        ({"labels": ["a", " "]}, "must not be empty"),
        ({"labels": ["a", "b"], "examples": [("x", "c")]}, "'c', which is not among the labels"),
        ({"labels": ["a", "b"], "concurrency": 0}, "concurrency must be at least 1"),
        ({"labels": ["a", "b"], "max_text": 0}, "max_text must be at least 1"),
    ],
)
def test_what_cannot_be_a_labeller_is_said_at_once(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Labeller(ScriptedModel(), **settings)  # type: ignore[arg-type]


def test_nothing_to_label(tiny_lm: LocalModel) -> None:
    for model in (tiny_lm, ScriptedModel()):
        labels = Labeller(model, LABELS).predict([])
        assert (labels.labels, labels.failure_rate, labels.truncated) == ([], 0.0, 0)
    assert Reply("x").finish_reason == "stop"


@pytest.mark.models
def test_smollm2_learns_from_examples(smollm2: LocalModel) -> None:
    shown = [("He ran the marathon.", "sports"), ("Fry an egg.", "cooking")]
    shown += [("They lost the final.", "sports"), ("Chop the onions.", "cooking")]
    texts = ["The team won the football match.", "Our striker scored a goal.", "Boil the pasta.", "Bake a cake."]
    labels = Labeller(smollm2, ["sports", "cooking"], examples=shown).predict(texts)
    assert labels.labels == ["sports", "sports", "cooking", "cooking"]
