"""Passages are slices of their document, no larger than the size, and leave no word out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ConfigError
from pilotfish.retrieve.chunk import Chunks, Unit
from pilotfish.retrieve.documents import Document

pytest.importorskip("sentencex")

TEXT = (
    "One fish. Two fish swim here. Red fish!\n\nBlue fish are blue. A very much longer sentence with ten words in it."
)


def counts(texts: list[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def test_whole_documents_keep_their_ids() -> None:
    (one,) = Chunks().of(Document("d", TEXT, "Fish", {"a": 1}))
    assert (one.id, one.document, one.title, one.start, one.end) == ("d", "d", "Fish", 0, len(TEXT))
    assert one.text == TEXT and one.fields == {"a": 1}


def test_sentences_overlap() -> None:
    found = Chunks("sentences", 2, 1).of(Document("d", TEXT))
    assert [one.text for one in found][:2] == ["One fish. Two fish swim here.", "Two fish swim here. Red fish!"]
    assert [one.id for one in found] == ["d#1", "d#2", "d#3", "d#4"]
    assert all(TEXT[one.start : one.end] == one.text for one in found)


@pytest.mark.parametrize(("unit", "size", "overlap"), [("words", 6, 0), ("words", 6, 3), ("characters", 30, 12)])
def test_sizes_hold(unit: Unit, size: int, overlap: int) -> None:
    how = Chunks(unit, size, overlap)
    texts = [TEXT[start:stop] for start, stop in how.spans(TEXT)]
    measure = (lambda text: len(text.split())) if unit == "words" else len
    assert all(measure(text) <= size for text in texts)
    assert set(re.findall(r"\w+", " ".join(texts))) == set(re.findall(r"\w+", TEXT))


words = st.text(st.characters(codec="utf-8", exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), max_size=120)


@given(
    words,
    st.sampled_from(["sentences", "words", "characters", "tokens"]),
    st.integers(1, 12),
    st.integers(0, 11),
)
def test_nothing_is_left_out(text: str, unit: Unit, size: int, overlap: int) -> None:
    how = Chunks(unit, size, min(overlap, size - 1))
    spans = how.spans(text, counts)  # type: ignore[arg-type]
    covered = set().union(*(range(start, stop) for start, stop in spans))
    assert all(place in covered for place, letter in enumerate(text) if not letter.isspace())
    assert [start for start, _ in spans] == sorted({start for start, _ in spans})  # each begins behind the one before
    assert all(start <= stop <= len(text) for start, stop in spans)
    if unit == "characters":
        assert all(stop - start <= size for start, stop in spans if text.strip())
    if unit in ("words", "tokens"):
        assert all(len(text[start:stop].split()) <= size for start, stop in spans if text.strip())


def test_tokens_need_who_counts_them() -> None:
    with pytest.raises(ConfigError, match="need an encoder"):
        Chunks("tokens", 5).spans(TEXT)


def test_wrong_settings() -> None:
    with pytest.raises(ConfigError, match="not 'pages'"):
        Chunks("pages", 5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="overlap less"):
        Chunks("words", 5, 5)
