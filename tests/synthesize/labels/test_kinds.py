"""Each kind on its own: schemas, values by people, joined answers, measures."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, DataError
from pilotfish.synthesize.labels import Choice, Kind, Preference, Score, Several, Spans
from pilotfish.synthesize.labels._find import Span, flat, located, overlapping
from pilotfish.synthesize.labels.kind import Opinion

ROW = {"text": "Ada met Bob, and Bob met Ada Bell.", "first": "a", "second": "b"}
KINDS: list[tuple[Kind, Any]] = [
    (Choice(["a", "b"]), "a"),
    (Several(["a", "b", "c"]), ["a", "c"]),
    (Several(["a", "b", "c"], ask="each"), ["b"]),
    (Preference(), "second"),
    (Score(0, 10), 7),
    (Spans(["p"]), [{"start": 0, "end": 3, "label": "p"}, {"start": 25, "end": 33, "label": "p"}]),
]


@pytest.mark.parametrize(("kind", "given"), KINDS)
def test_what_an_example_shows_reads_as_what_it_says(kind: Kind, given: Any) -> None:
    value = kind.value(given, ROW)
    opinions: dict[str, list[Opinion | None]] = {}
    for variant in kind.variants:
        (answer,) = kind.fields.read(json.dumps(kind.told(value, variant)))
        assert isinstance(answer, dict)
        opinions[variant] = [Opinion({kind.read(answer, ROW, variant): 1.0})]
    joined = kind.join(opinions)
    if not isinstance(kind, Spans):  # the words "Ada" stand in two places, and an example lists one
        assert joined.value == value and joined.confidence == pytest.approx(1.0)
    assert kind.value(kind.plain(joined.value), ROW) == joined.value
    told = kind.figures([value] * 6, [value] * 6)
    best = next(iter(told.values()))
    assert best["value"] == 1.0 and json.dumps(told)


def test_labels_of_people_are_held_to_the_kind() -> None:
    for kind, wrong in (
        (Choice(["a", "b"]), "c"),
        (Several(["a", "b"]), "a"),
        (Several(["a", "b"]), ["c"]),
        (Preference(), "A"),
        (Score(1, 5), 6),
        (Score(1, 5), "much"),
        (Spans(["p"]), [{"start": 0, "end": 99, "label": "p"}]),
        (Spans(["p"]), [{"start": 0, "end": 3, "label": "p", "text": "Bob"}]),
        (Spans(["p"]), [{"start": 0, "end": 3, "label": "q"}]),
        (Spans(["p"]), [{"start": 0}]),
    ):
        with pytest.raises(DataError):
            kind.value(wrong, ROW)


def test_settings_that_cannot_be_are_refused() -> None:
    for make in (
        lambda: Choice(["a"]),
        lambda: Choice(["a", " "]),
        lambda: Several(["a", "b"], share=0),
        lambda: Several(["a", "b"], ask="all"),  # type: ignore[arg-type]
        lambda: Score(5, 1),
        lambda: Score(0.5, 2),
        lambda: Score(take="median"),  # type: ignore[arg-type]
        lambda: Spans(["a"], ["x", "y"]),  # type: ignore[arg-type]
        lambda: Spans(["a"], overlaps="all"),  # type: ignore[arg-type]
        lambda: Choice(["a", "b"], []),
    ):
        with pytest.raises(ConfigError):
            make()


def test_a_pair_turned_round_is_a_copy() -> None:
    kind = Preference(text="question")
    one = {"question": "q", "first": "a", "second": "b"}
    assert kind.key(one) == kind.key({"question": "q", "first": "b", "second": "a"}) != kind.key({**one, "first": "c"})
    assert kind.turn(one, "second") == "question: q\n\nA: b\n\nB: a"


def test_orders_that_half_agree_are_a_tie_by_half() -> None:
    kind = Preference()
    sure = [Opinion({"first": 0.9, "second": 0.1}, soft=True)]
    unsure = [Opinion({"first": 0.5, "second": 0.5}, soft=True)]
    joined = kind.join({"first": sure, "second": unsure})
    assert dict(joined.shares) == pytest.approx({"first": 0.45, "second": 0.05, "tie": 0.5})
    assert joined.value == "tie"


def test_a_score_is_expected_or_the_commonest() -> None:
    opinions: dict[str, list[Opinion | None]] = {"": [Opinion({2.0: 1.0}), Opinion({5.0: 1.0}), Opinion({5.0: 1.0})]}
    assert Score(1, 5).join(opinions).value == pytest.approx(4.0)
    most = Score(1, 5, take="mode").join(opinions)
    assert most.value == 5.0 and most.confidence == pytest.approx(2 / 3)
    assert Score(1, 5).right(4.4, 4) and not Score(1, 5).right(4.6, 4)


def test_spans_are_joined_one_by_one() -> None:
    a, b, c = Span(0, 3, "p", "Ada"), Span(8, 11, "p", "Bob"), Span(0, 11, "p", "Ada met Bob")
    kind = Spans(["p"])
    joined = kind.join({"": [Opinion({(a, b): 1.0}), Opinion({(a,): 1.0}), Opinion({(a, b): 1.0})]})
    assert joined.value == (a, b) and joined.confidence == pytest.approx(2 / 3)
    assert kind.join({"": [Opinion({(a, b, c): 1.0})]}).value == (c,)
    kept = Spans(["p"], overlaps="keep")
    both = kept.join({"": [Opinion({(a, c): 1.0})]}).value
    assert [span.get("overlaps") for span in kept.plain(both)] == [True, True]
    with pytest.raises(DataError, match="overlapping"):
        Spans(["p"], overlaps="reject").read(
            {"spans": [{"text": "Ada", "label": "p"}, {"text": "Ada met", "label": "p"}]}, ROW, ""
        )


def test_mentions_one_by_one_or_all() -> None:
    text = "Ann saw Anna. ann saw Ann."
    assert [span.start for span in located(text, [("Ann", "p")], every=False)[0]] == [0]
    assert [span.start for span in located(text, [("Ann", "p")], every=True)[0]] == [0, 22]
    assert [span.start for span in located(text, [("Ann", "p")] * 3, every=False)[0]] == [0, 22]
    assert [span.text for span in located(text, [("ANNA", "p")], every=False)[0]] == ["Anna"]
    assert located("a  b", [("a b", "p"), ("c", "p")], every=False) == ([Span(0, 4, "p", "a  b")], ["c"])
    assert located("concatenate", [("cat", "p")], every=False)[0] == [Span(3, 6, "p", "cat")]


@given(
    st.text(alphabet="ab \n.é😀", min_size=1, max_size=30),
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 8)), max_size=6),
    st.booleans(),
)
def test_what_is_found_stands_there(text: str, cuts: list[tuple[int, int]], every: bool) -> None:
    listed = [(text[at : at + size], "p") for at, size in cuts]
    found, missing = located(text, listed, every=every)
    assert all(text[span.start : span.end] == span.text for span in found)
    assert all(not words.strip() for words in missing)  # what was cut out of the text is found in it
    assert not overlapping(flat(found)) and set(flat(found)) <= set(found)
