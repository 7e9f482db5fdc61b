"""A compressor: what it keeps is the original's and within the budget, what is protected is whole, parts have rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, DataError
from pilotfish.prompt.compress import (
    WORDS,
    Asked,
    AtRandom,
    BySentences,
    Compressor,
    Passages,
    Prompt,
    Protect,
    RankByWords,
    Ranked,
    Scored,
    counted_by,
)
from pilotfish.prompt.compress.compressor import paragraphs_of
from tests.tiny import tokenizer

pytest.importorskip("transformers")
pytest.importorskip("sentencex")

TEXT = (
    "Payments take two days to arrive, in most cases. The fee is $1,250.50 for each transfer to New York. Ask for "
    '{"id": [17, 18]} by name. Nobody knows why the sea is salt. Birds sing in the morning; they rest at noon.\n\n'
    "A card that is lost has to be blocked at once. Call `block_card(17)` or write to the bank. It takes 30 minutes."
)
NONE, ALWAYS = Protect(()), Protect(kept="always")
TEXTS = st.lists(
    st.sampled_from([*TEXT.split(" "), "\n\n", "  ", "🙂", "日本語", "`x y`", '"a b"', "1 2", "Ann Lee"]), max_size=60
).map(" ".join)


class ByLength:
    """Long words are worth more; what it is asked is kept, to look at."""

    name = "length"

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def __call__(self, asked: Asked) -> Scored:
        self.asked.append(asked)
        return Scored(np.array([float(end - start) for start, end in asked.units]), None, len(asked.units))


@settings(max_examples=100)
@given(TEXTS, st.floats(0.05, 1.0), st.sampled_from(["with-sentence", "always", "whole"]), st.booleans())
def test_what_is_kept_is_the_originals_and_within_the_budget(text: str, rate: float, kept: Any, rough: bool) -> None:
    count = counted_by(tokenizer("plain"))
    way = Compressor(AtRandom(), count, protect=Protect(kept=kept), rank=RankByWords() if rough else None)
    found = way.text(text, rate=rate, question="payments")
    assert found.after == count(found.text) <= found.budget
    assert found.before == count(text)
    assert "".join(text[start:end] for start, end in found.spans) == found.text
    if found.before > found.budget and text.strip():
        assert found.short <= 3 if any(letter > "\u2000" for letter in text) else found.short <= 1
    stretches = sorted([*found.spans, *found.dropped])
    assert "".join(text[start:end] for start, end in stretches) == text


def test_a_text_that_fits_stays_as_it_is() -> None:
    found = Compressor(AtRandom(), WORDS).text("  any text\n", budget=2)
    assert found.text == "  any text\n" and found.rate == 1.0 and found.short == found.saved == 0
    assert Compressor(AtRandom(), WORDS).text("", budget=1).text == ""
    assert Compressor(AtRandom(), counted_by("characters")).text(" \n \n ", budget=2).after <= 2


def test_protected_stretches_are_whole_and_come_first() -> None:
    found = Compressor(AtRandom(1), WORDS, protect=ALWAYS).text(TEXT, budget=22)
    for one in ("$1,250.50", "New York", '{"id": [17, 18]}', "`block_card(17)`", "30"):
        assert one in found.text
    assert found.lost == () and found.after == 22
    # A budget that they do not fit in drops the least telling whole.
    small = Compressor(ByLength(), WORDS, protect=ALWAYS).text(TEXT, budget=4)
    assert '{"id": [17, 18]}' in small.text and small.after == 4
    assert TEXT[slice(*small.lost[0])] in ("$1,250.50", "New York")


def test_a_protected_stretch_is_kept_with_its_sentence() -> None:
    text = "The fee is 250 crowns for members. Nobody was born in 1999 or in Kiel. Extraordinarily long winters."
    # The longest words are of the last and of the first sentence, and the fee comes before that word.
    assert Compressor(ByLength(), WORDS).text(text, budget=2).text == "250 Extraordinarily"
    # Its own length is all that counts where it is only not cut.
    whole = Compressor(ByLength(), WORDS, protect=Protect(kept="whole"))
    assert whole.text(text, budget=2).text == "members Extraordinarily"


def test_what_is_longer_than_the_budget_is_not_protected() -> None:
    found = Compressor(AtRandom(), WORDS).text('{"a": [1, 2, 3, 4, 5, 6, 7, 8, 9]} and more words', budget=3)
    assert found.after == 3


def test_the_best_units_are_kept_and_only_what_was_chosen_is_read() -> None:
    way = ByLength()
    compressor = Compressor(way, WORDS, protect=NONE, rank=RankByWords(), factor=1.5)
    found = compressor.text(TEXT, budget=8, question="How long do payments take to arrive?")
    [asked] = way.asked
    assert "Payments take two days" in asked.text and "Birds" not in asked.text
    assert found.text.split()[0] == "Payments"
    assert found.read == len(asked.units)


def test_what_was_not_chosen_fills_what_is_left() -> None:
    class Nothing:
        def __call__(self, question: str, texts: Sequence[str]) -> Ranked:
            return Ranked(np.arange(len(texts), 0.0, -1.0))

    compressor = Compressor(ByLength(), WORDS, protect=NONE, rank=Nothing(), factor=1.0)
    found = compressor.text(TEXT, budget=len(TEXT.split()) - 1)
    assert found.after == len(TEXT.split()) - 1


def test_the_question_is_kept_and_documents_keep_their_shares() -> None:
    documents = tuple(" ".join(f"{letter}{i}" for i in range(60)) for letter in "abcd")

    class ByLetter:
        def __call__(self, question: str, texts: Sequence[str]) -> Ranked:
            assert question == "which one?"
            return Ranked(np.array([{"a": 1.0, "b": 4.0, "c": 3.0, "d": 2.0}[text[0]] for text in texts]))

    compressor = Compressor(AtRandom(), WORDS, protect=NONE, rank=ByLetter(), factor=4.0, spread=0.3, reorder=True)
    prompt = Prompt(documents, "Read these.", "which one?")
    found = compressor.prompt(prompt, budget=124)
    assert found.after == 124
    assert found.text.startswith("Read these.\n\nb") and found.text.endswith("\n\nwhich one?")
    counts = [sum(word[0] == letter for word in found.text.split()[2:-2]) for letter in "bcda"]
    # 120 words in proportion to (1 − 2 I / 4) · .3 + .5
    assert counts == pytest.approx(120 * np.array([0.8, 0.65, 0.5, 0.35]) / 2.3, abs=2)
    assert sum(counts) == 120
    order = [found.original.index(text) for text in (documents[1], documents[2], documents[3], documents[0])]
    assert order == sorted(order)


def test_an_instruction_has_a_rate_of_its_own() -> None:
    documents = (" ".join(f"d{i}" for i in range(100)),)
    instruction = " ".join(f"i{i}" for i in range(20))
    compressor = Compressor(AtRandom(), WORDS, protect=NONE, instruction_rate=0.8)
    found = compressor.prompt(Prompt(documents, instruction, "what now?"), budget=58)
    words = found.text.split()
    assert words[-2:] == ["what", "now?"]
    assert sum(word[0] == "i" for word in words) == pytest.approx(16, abs=2)
    assert found.after == 58


def test_what_is_kept_word_by_word() -> None:
    at = TEXT.index("Birds sing in the morning")
    keep = [(at, at + 25)]
    found = Compressor(AtRandom(), WORDS, protect=NONE).text(TEXT, budget=9, keep=keep)
    assert "Birds sing in the morning" in found.text and found.after == 9
    with pytest.raises(DataError, match="word by word is 5 long, of a budget of 3"):
        Compressor(AtRandom(), WORDS).text(TEXT, budget=3, keep=keep)


def test_the_way_back() -> None:
    text = "The fee, as we all know, is small for members and none for you."
    way = ByLength()
    found = Compressor(way, WORDS, protect=NONE).text(text, budget=5)
    assert found.restored("fee") is None  # dropped
    first, second = found.text.split()[:2]
    said = f"{first} {second}"
    whole = found.restored(said)
    assert whole is not None and whole.startswith(first) and whole.endswith(second) and whole in text
    assert found.restored("") is None
    start, end = found.original_span(0, len(found.text))
    assert (start, end) == (found.spans[0][0], found.spans[-1][1])
    with pytest.raises(IndexError):
        found.original_span(0, len(found.text) + 1)
    told = found.to_json()
    assert told["before"] == 14 and told["after"] == 5 and told["rate"] == pytest.approx(5 / 14, abs=1e-6)


def test_passages_keep_their_numbers() -> None:
    passages = ["Payments take two days.", "The sea is salt and cold and wide.", "", "Cards are blocked at once."]
    short = Passages(Compressor(BySentences(RankByWords()), WORDS, protect=NONE))
    texts, trace = short("When are cards blocked?", passages, 6)
    assert len(texts) == 4 and texts[3] == "Cards are blocked at once." and texts[2] == ""
    assert sum(len(text.split()) for text in texts) <= 6
    assert trace.calls[0].role == "compressor" and trace.calls[0].why == "17 to 6 words"


def test_paragraphs() -> None:
    assert [TEXT[a:b][:8] for a, b in paragraphs_of(TEXT)] == ["Payments", "A card t"]
    assert paragraphs_of("one\ntwo\n\n") == [(0, 3), (4, 7)]
    assert paragraphs_of(" one ") == [(0, 5)]
    assert paragraphs_of(" \n") == []


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"factor": 0.5}, "factor is 1 or more"),
        ({"spread": 0.3}, "give rank"),
        ({"reorder": True}, "give rank"),
        ({"question_rate": 0.0}, "above 0"),
        ({"areas": "pages"}, "sentences or paragraphs"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, object], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        Compressor(AtRandom(), WORDS, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [{}, {"budget": 3, "rate": 0.5}, {"budget": 0}, {"rate": 1.5}])
def test_a_budget_or_a_rate(given: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"budget|rate"):
        Compressor(AtRandom(), WORDS).text("some words", **given)  # type: ignore[arg-type]
