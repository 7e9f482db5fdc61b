"""Chat templates and joint tokenisation, on real byte-level tokenizers."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ModelError
from pilotfish.model import Message, Request
from pilotfish.models._chat import render_chat
from pilotfish.models._tokens import buckets, encode, encode_pair, joint_choices, start_token
from tests.tiny import TEXTS, Cut, tokenizer

CUTS: tuple[Cut, ...] = ("plain", "bos", "melting")
cutter = functools.cache(tokenizer)
# Pieces of real text, so that merges are at work, and any characters at all.
PIECES = st.lists(st.sampled_from(" ".join(TEXTS).split(" ")) | st.sampled_from([" ", "\n", "a", "🙂", "<|im_end|>"]))
TEXT = PIECES.map(" ".join) | PIECES.map("".join) | st.text(max_size=8)


def plain_ids(cut: Cut, text: str) -> list[int]:
    return list(cutter(cut)(text, add_special_tokens=False)["input_ids"])


def test_a_chat_is_rendered_by_the_template() -> None:
    request = Request((Message("system", "Be brief."), Message("user", ({"type": "text", "text": "Hi"},))))
    assert render_chat(cutter("plain"), request, "m") == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_last_word_of_the_assistant_is_to_be_continued() -> None:
    request = Request((Message("user", "Hi"), Message("assistant", "Well, I")))
    assert render_chat(cutter("plain"), request, "m").endswith("<|im_start|>assistant\nWell, I")


def test_without_a_template_the_texts_stand_alone() -> None:
    request = Request((Message("system", "Be brief."), Message("user", "Hi")))
    assert render_chat(cutter("bare"), request, "m") == "Be brief.\n\nHi\n"


@pytest.mark.parametrize(
    ("cut", "messages", "said"),
    [
        ("plain", (), "without messages"),
        ("bare", (Message("assistant", "x"), Message("user", "y")), "takes no assistant turns"),
        ("plain", (Message("wizard", "x"),), "refuses this conversation: unknown role wizard"),
        ("plain", (Message("user", ({"type": "image_url", "image_url": {}},)),), "part of type 'image_url'"),
        ("bare", (Message("tool", "x"),), "takes no tool turns"),
    ],
)
def test_what_cannot_be_rendered_is_one_line(cut: Cut, messages: tuple[Message, ...], said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        render_chat(cutter(cut), Request(messages), "m")
    assert "\n" not in str(caught.value)


def test_the_first_token_is_added_once_and_only_where_the_tokenizer_wants_it() -> None:
    bos = cutter("bos").bos_token_id
    assert encode(cutter("bos"), "the cat") == [bos, *plain_ids("bos", "the cat")]
    assert encode(cutter("bos"), "<|endoftext|>the cat").count(bos) == 1
    assert encode(cutter("bos"), "") == [bos]
    assert encode(cutter("plain"), "the cat") == plain_ids("plain", "the cat")
    assert encode(cutter("bare"), "") == []


@pytest.mark.parametrize("cut", CUTS)
@given(context=TEXT, continuation=TEXT)
def test_a_pair_is_the_tokens_of_the_whole_text_and_no_part_of_the_continuation_is_lost(
    cut: Cut, context: str, continuation: str
) -> None:
    ids, split = encode_pair(cutter(cut), context, continuation)
    start = start_token(cutter(cut))
    whole = encode(cutter(cut), context + continuation)
    assert ids in (whole, [start, *whole])
    assert split >= 1
    assert continuation == "" or len(ids) > split
    # The context's part is tokens of the context alone: nothing of the continuation counts as given.
    alone = encode(cutter(cut), context.rstrip(" \t"))
    assert ids[:split] in ([start], alone[:split])
    if whole[: len(alone)] == alone and alone:
        assert split == len(alone)


def test_a_space_at_the_end_moves_to_the_continuation() -> None:
    assert encode_pair(cutter("plain"), "the cat ", "sat") == encode_pair(cutter("plain"), "the cat", " sat")
    assert encode_pair(cutter("plain"), "the cat \t", "sat")[1] == len(plain_ids("plain", "the cat"))
    ids, split = encode_pair(cutter("plain"), "the cat\n", "sat")
    assert split == len(plain_ids("plain", "the cat\n"))
    assert ids[split:] == plain_ids("plain", "sat")


def test_an_empty_context_is_the_start_token() -> None:
    for cut in CUTS:
        assert encode_pair(cutter(cut), "", "the cat") == ([0, *plain_ids(cut, "the cat")], 1)
        assert encode_pair(cutter(cut), "  ", "the cat")[1] == 1
    with pytest.raises(ModelError, match="no start token"):
        encode_pair(cutter("bare"), "", "the cat")


def test_a_seam_that_melts_is_scored_from_before_the_joined_token() -> None:
    melting = cutter("melting")
    ids, split = encode_pair(melting, "the c", "at sat")
    assert ids == plain_ids("melting", "the cat sat")
    assert plain_ids("melting", "the c")[:split] == ids[:split]
    assert melting.decode(ids[split:]).endswith("at sat")
    # Melted from the first token on: the start token is the context.
    ids, split = encode_pair(melting, "t", "he")
    assert plain_ids("melting", "the") == ids[1:]
    assert (ids[0], split) == (0, 1)


@pytest.mark.parametrize("cut", CUTS)
@given(contexts=st.lists(TEXT, min_size=1, max_size=3), choices=st.lists(TEXT.filter(bool), min_size=1, max_size=4))
def test_choices_are_tokenised_with_their_context(cut: Cut, contexts: list[str], choices: list[str]) -> None:
    ids, tails = joint_choices(cutter(cut), contexts, choices)
    for context, row, row_tails in zip(contexts, ids, tails, strict=True):
        pairs = [encode_pair(cutter(cut), context, choice) for choice in choices]
        for (whole, split), tail in zip(pairs, row_tails, strict=True):
            assert [*row, *tail] in (whole, [start_token(cutter(cut)), *whole])
            assert tail
            assert len(row) <= split


def test_chats_share_one_set_of_choice_tokens() -> None:
    contexts = [render_chat(cutter("plain"), Request.of(text), "m") for text in TEXTS]
    _, tails = joint_choices(cutter("plain"), contexts, ["refund", "card arrival"])
    assert len(set(tails)) == 1


def test_a_seam_that_differs_is_not_taken_for_the_first_ones() -> None:
    # "the" + " cat" is cut otherwise than "xq" + " cat" where merges run across words.
    contexts = ["the", "xq"]
    _, tails = joint_choices(cutter("melting"), contexts, [" cat", " sat"])
    assert len(set(tails)) == 2


class Claims:
    """A tokenizer that says it cuts texts at "c", and does not."""

    all_special_tokens = ("c",)

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __call__(self, text: str, **settings: Any) -> Any:
        return self._real(text, **settings)


def test_a_tokenizer_that_does_not_cut_at_special_tokens_is_found_out() -> None:
    contexts = ["the c", "Sort the c"]
    expected = joint_choices(cutter("melting"), contexts, ["at sat", "zebra"])
    assert joint_choices(Claims(cutter("melting")), contexts, ["at sat", "zebra"]) == expected


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 200))
def test_buckets_hold_every_index_once_longest_first_within_the_budget(lengths: list[int], budget: int) -> None:
    batches: list[list[int]] = list(buckets(lengths, budget))
    order: list[Any] = [i for batch in batches for i in batch]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[i] for i in order] == sorted(lengths, reverse=True)
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= budget
