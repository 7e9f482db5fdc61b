"""A row that follows any tokens, against whole forward passes; and texts joined to tokens."""

from __future__ import annotations

import random

import pytest
import torch

from pilotfish.decode.retoken import Follower, advance, ids_after, ids_of, text_of
from tests.decode.reference import ReferenceDecoder
from tests.decode.tinies import logits_of, tiny
from tests.tiny import tokenizer

PROMPTS = [[4, 9, 30], [7, 8]]


def test_rows_follow_any_tokens() -> None:
    decoder = ReferenceDecoder(tiny(1))
    rows, first = decoder.start([[prompt] for prompt in PROMPTS])
    followers = [Follower(row, after, after) for row, after in zip(rows, first, strict=True)]
    chance = random.Random(3)
    for _ in range(25):
        wanted = []
        for follower in followers:
            kept = follower.row.tokens[: chance.randrange(len(follower.row.tokens) + 1)]
            wanted.append(kept + [chance.randrange(20, 40) for _ in range(chance.randrange(4))])
        before = [len(follower.row.tokens) for follower in followers]
        sizes = advance(decoder, followers, wanted)
        for follower, prompt, ids, size, had in zip(followers, PROMPTS, wanted, sizes, before, strict=True):
            after = logits_of(tiny(1), [*prompt, *ids])[len(prompt) - 1 :]
            assert follower.row.tokens == ids
            torch.testing.assert_close(follower.last, after[-1], atol=2e-4, rtol=1e-4)
            logps = after[:-1].log_softmax(-1)[torch.arange(len(ids)), torch.tensor(ids, dtype=torch.long)]
            assert follower.logps == pytest.approx(logps.tolist(), abs=1e-3)
            assert size <= len(ids) and (size > 0 or had >= len(ids))


def test_what_is_shared_is_not_run_again() -> None:
    decoder = ReferenceDecoder(tiny(1))
    (row,), first = decoder.start([[PROMPTS[0]]])
    follower = Follower(row, first[0], first[0])
    assert advance(decoder, [follower], [[20, 21, 22]]) == [3]
    assert advance(decoder, [follower], [[20, 21, 22]]) == [0]
    assert advance(decoder, [follower], [[20, 21, 22, 23]]) == [1]
    # Shorter by one: the last token that is left is run once more, for its logits.
    assert advance(decoder, [follower], [[20, 21, 22]]) == [1]
    other = follower.fork(decoder)
    assert advance(decoder, [other], [[9]]) == [1]
    assert follower.row.tokens == [20, 21, 22] and other.row.tokens == [9]


@pytest.mark.parametrize("cut", ["plain", "melting", "bare"])
def test_a_text_is_added_to_tokens(cut: str) -> None:
    cutter = tokenizer(cut)  # type: ignore[arg-type]
    for before, text in (("the cat", " sat"), ("", "the"), ("Où est l'", "été 🙂"), ("a ", " b"), ("x\n", "\n\nText")):
        ids = ids_of(cutter, before)
        assert text_of(cutter, [*ids, *ids_after(cutter, ids, text)]) == before + text
