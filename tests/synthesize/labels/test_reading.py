"""Replies read: JSON, fences, words that name a choice, tokens that tell probabilities."""

from __future__ import annotations

import json
from math import log

import pytest

from pilotfish.errors import DataError
from pilotfish.model import Reply, TokenLogprob
from pilotfish.synthesize.labels import Choice, Kind, Preference, Score, Several, Spans
from pilotfish.synthesize.labels.reading import answered, chosen

ROW = {"text": "Ada met Bob.", "first": "x", "second": "y"}


def token(text: str, share: float, *others: tuple[str, float]) -> TokenLogprob:
    top = ((text, log(share)), *((other, log(one)) for other, one in others))
    return TokenLogprob(text, log(share), top)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Choice(["pos", "neg"]), '{"label": "neg"}', "neg"),
        (Choice(["pos", "neg"]), '```json\n{"label": "pos"}\n```', "pos"),
        (Choice(["pos", "neg"]), "I would say: neg.", "neg"),
        (Several(["a", "b"]), '{"labels": ["b", "b"]}', ("b",)),
        (Score(1, 5), '{"score": 3}', 3.0),
        (Score(1, 5), "3", 3.0),
        (Preference(), '{"better": "B"}', "second"),
    ],
)
def test_what_an_answer_says(kind: Kind, text: str, value: object) -> None:
    variant = kind.variants[0]
    assert answered(kind, ROW, variant, Reply(text)).shares == {value: 1.0}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Choice(["pos", "neg"]), "neither"),
        (Choice(["pos", "neg"]), '{"label": "pos or neg"}'),
        (Several(["a", "b"]), "a"),
        (Score(1, 5), '{"score": 9}'),
        (Spans(["p"]), '{"spans": [{"text": "Eve", "label": "p"}]}'),
        (Choice(["pos", "neg"]), ""),
    ],
)
def test_what_says_nothing_is_told(kind: Kind, text: str) -> None:
    with pytest.raises(DataError):
        answered(kind, ROW, "", Reply(text))


def test_the_tokens_of_the_label_weigh_and_no_others() -> None:
    text = '{"label": "neg"}'
    tokens = (token('{"', 0.1), token("label", 0.2), token('": "', 0.5), token("ne", 0.8), token('g"}', 0.5))
    found = answered(Choice(["pos", "neg"]), ROW, "", Reply(text, logprobs=tokens))
    assert found.weight == pytest.approx(0.4)
    whole = answered(Several(["a", "b"]), ROW, "", Reply('{"labels": []}', logprobs=(token('{"labels": []}', 0.3),)))
    assert whole.weight == pytest.approx(0.3)


def test_numbers_that_begin_each_other_are_not_told_apart() -> None:
    answer = (token('{"score": ', 1.0), token("1", 0.6, ("2", 0.3), ("x", 0.1)), token("}", 1.0))
    found = answered(Score(1, 5), ROW, "", Reply('{"score": 1}', logprobs=answer))
    assert found.soft and found.shares == pytest.approx({1.0: 2 / 3, 2.0: 1 / 3})
    wide = answered(Score(1, 10), ROW, "", Reply('{"score": 1}', logprobs=answer))
    assert not wide.soft and wide.shares == {1.0: 1.0} and wide.weight is not None


def test_probabilities_are_of_the_choices_or_none() -> None:
    kind = Preference()
    reply = Reply("A", logprobs=(token("A", 0.5, ("B", 0.3), ("tie", 0.2)),))
    assert chosen(kind, "second", reply).shares == pytest.approx({"second": 0.5, "first": 0.3, "tie": 0.2})
    for wrong in (Reply("A"), Reply("A", logprobs=(token("C", 0.5),))):
        with pytest.raises(DataError):
            chosen(kind, "first", wrong)
    with pytest.raises(DataError):
        chosen(Spans(["p"]), "", reply)


def test_an_example_of_each_answer_is_json() -> None:
    assert json.dumps(Preference().told("tie", "first")) == '{"better": "tie"}'
