"""Bytes of tokens: together they are the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.distill.cross import END, Pieces
from tests.distill.cross.tokenizers import ids, sentencepiece
from tests.tiny import TEXTS, tokenizer

LEVEL, PIECE = tokenizer(), sentencepiece()
TEXT = st.one_of(st.sampled_from(TEXTS), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁")))


@given(TEXT)
def test_byte_level_pieces_are_the_text(text: str) -> None:
    assert b"".join(Pieces(LEVEL)(ids(LEVEL, text))) == text.encode()


@given(TEXT.filter(lambda text: "<" not in text))
def test_sentencepieces_are_the_text_behind_a_space(text: str) -> None:
    if text:
        assert b"".join(Pieces(PIECE)(ids(PIECE, text))) == b" " + text.encode()


def test_bytes_of_half_characters() -> None:
    assert Pieces(PIECE)(ids(PIECE, "é"))[-2:] == [b"\xc3", b"\xa9"]


def test_end_tokens_have_one_name_and_other_special_ones_none() -> None:
    pieces = Pieces(LEVEL)
    end, start = (LEVEL.convert_tokens_to_ids(name) for name in ("<|im_end|>", "<|im_start|>"))
    assert pieces([end, start]) == [END, b""]
    assert Pieces(PIECE)([PIECE.eos_token_id, PIECE.bos_token_id]) == [END, b""]
    assert Pieces(LEVEL, ends=[start])([end, start]) == [b"", END]
    assert pieces.one(10_000) == b""
    with pytest.raises(UnicodeDecodeError):
        END.decode()
