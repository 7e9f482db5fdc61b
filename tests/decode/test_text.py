"""Tokens to text: piece by piece it is the tokenizer's own decoding; stop strings are never shown."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.decode.text import Detokenizer, Stops, first_stop, held_back
from tests.tiny import CORPUS, tokenizer

tokenizers = pytest.importorskip("tokenizers")
transformers = pytest.importorskip("transformers")


def sentencepiece_like() -> Any:
    """Words begun by "▁", bytes for what the vocabulary lacks, and the space before the first word taken away."""
    d = tokenizers.decoders
    raw = tokenizers.Tokenizer(tokenizers.models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    raw.normalizer = tokenizers.normalizers.Replace(" ", "▁")
    raw.pre_tokenizer = tokenizers.pre_tokenizers.Split("▁", "merged_with_next")
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=420, special_tokens=special[:3], show_progress=False)
    raw.train_from_iterator([text.encode("ascii", "ignore").decode() for text in CORPUS], trainer)
    raw.add_tokens(special[3:])
    raw.decoder = d.Sequence([d.Replace("▁", " "), d.ByteFallback(), d.Fuse(), d.Strip(" ", 1, 0)])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>")


def word_pieces() -> Any:
    raw = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    raw.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=300, special_tokens=["[UNK]", "[SEP]"], show_progress=False
    )
    raw.train_from_iterator(CORPUS, trainer)
    raw.decoder = tokenizers.decoders.WordPiece(cleanup=True)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="[UNK]", eos_token="[SEP]")


KINDS = {
    "plain": lambda: tokenizer("plain"),
    "melting": lambda: tokenizer("melting"),
    "bare": lambda: tokenizer("bare"),
    "sentencepiece": sentencepiece_like,
    "wordpiece": word_pieces,
}


@functools.cache
def cutter(kind: str) -> Any:
    return KINDS[kind]()


def pieces(kind: str, ids: Sequence[int]) -> list[str]:
    detokenizer = Detokenizer(cutter(kind))
    return [*(detokenizer.push(token) for token in ids), detokenizer.finish()]


def whole(kind: str, ids: Sequence[int]) -> str:
    return str(cutter(kind).decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_the_pieces_are_the_whole_decoding(kind: str, data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.integers(0, len(cutter(kind)) - 1), max_size=30))
    assert "".join(pieces(kind, ids)) == whole(kind, ids)


@pytest.mark.parametrize("kind", KINDS)
def test_texts_come_back_word_by_word(kind: str) -> None:
    for text in CORPUS[:7]:
        ids = cutter(kind)(text, add_special_tokens=False)["input_ids"]
        got = pieces(kind, ids)
        assert "".join(got) == whole(kind, ids)
        # Not all at the end: whoever waits for the last token streams nothing.
        if text.isascii():
            assert all(got[:-1])


def test_half_characters_wait_for_the_other_half() -> None:
    ids = cutter("plain")("x 🙂 y", add_special_tokens=False)["input_ids"]
    got = pieces("plain", ids)
    assert not any("\ufffd" in piece for piece in got)
    assert any("🙂" in piece for piece in got)
    assert "" in got[1:-2]


def test_a_step_decodes_a_few_tokens_and_not_the_whole_text(monkeypatch: pytest.MonkeyPatch) -> None:
    made = tokenizer("plain")
    ids = made(" the cat sat" * 100, add_special_tokens=False)["input_ids"]
    longest = 0
    original = type(made).decode

    def counted(self: Any, tokens: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal longest
        longest = max(longest, len(tokens))
        return original(self, tokens, *args, **kwargs)

    monkeypatch.setattr(type(made), "decode", counted)
    detokenizer = Detokenizer(made)
    for token in ids:
        detokenizer.push(token)
    assert longest <= 4


@given(st.text(alphabet="ab", max_size=12), st.lists(st.text(alphabet="ab", max_size=4), max_size=3))
def test_what_is_held_back_is_the_longest_beginning_of_a_stop(text: str, stops: list[str]) -> None:
    beginnings = {stop[:n] for stop in stops for n in range(1, len(stop))}
    expected = max((len(one) for one in beginnings if text.endswith(one)), default=0)
    assert held_back(text, stops) == expected
    places = [text.find(stop) for stop in stops if stop and stop in text]
    assert first_stop(text, stops) == min(places, default=-1)


@given(
    st.lists(st.text(alphabet="abc", max_size=4), max_size=12),
    st.lists(st.text(alphabet="abc", max_size=5), max_size=3),
)
@settings(max_examples=400)
def test_stops_are_found_across_pieces_and_no_part_of_one_is_shown(parts: list[str], stops: list[str]) -> None:
    finder = Stops(stops)
    shown: list[str] = []
    for n, part in enumerate(parts, start=1):
        shown.append(finder.push(part))
        so_far = "".join(parts[:n])
        at = first_stop(so_far, stops)
        if at >= 0:
            assert finder.found
            assert "".join(shown) == so_far[:at]
            assert finder.push("more") == finder.finish() == ""
            return
        # Nothing is shown that the next piece could turn into a stop, and nothing else is kept.
        assert not finder.found
        assert "".join(shown) == so_far[: len(so_far) - held_back(so_far, stops)]
    assert "".join(shown) + finder.finish() == "".join(parts)


def test_every_beginning_of_a_stream_begins_the_answer() -> None:
    finder = Stops(["on the mat"])
    shown = [finder.push(part) for part in ["the cat ", "sat o", "n the ", "m", "at, purring"]]
    assert list(itertools.accumulate(shown))[-1] == "the cat sat "
    assert finder.found
