"""A lockstep of tiny models against the rule applied to whole forward passes of each."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import torch

from pilotfish.decode.decoder import Decoder
from pilotfish.decode.lockstep import Lockstep
from pilotfish.decode.rules import proxy_tuning
from pilotfish.errors import ConfigError, ModelError
from tests.decode.reference import ReferenceDecoder
from tests.decode.tinies import Counting, cutter, local, logits_of, random_prompts, tiny

RULE = partial(proxy_tuning, alphas=(0.5,))


def three() -> Lockstep:
    return Lockstep([ReferenceDecoder(tiny(seed)) for seed in (1, 2, 3)], RULE, roles=["base", "expert", "anti-expert"])


def expected(prompt: Sequence[Sequence[int]], tokens: Sequence[int], seeds: Sequence[int] = (1, 2, 3)) -> torch.Tensor:
    """What the rule gives after each token, the prompt's last one first."""
    given = [logits_of(tiny(seed), [*ids, *tokens])[len(ids) - 1 :] for seed, ids in zip(seeds, prompt, strict=True)]
    return given[0] + 0.5 * (given[1] - given[2])


def close(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, atol=2e-4, rtol=1e-4)


def test_rows_of_several_lengths_each_with_a_prompt_a_member() -> None:
    lockstep: Decoder = three()
    prompts = random_prompts(3)
    rows, logits = lockstep.start(prompts)
    tokens = [[5, 9], [17], [30, 31, 32]]
    after = lockstep.feed(rows, tokens)
    for prompt, first, more, then in zip(prompts, logits, tokens, after, strict=True):
        close(torch.cat([first[None], then]), expected(prompt, more))
    assert [row.tokens for row in rows] == tokens


def test_rollback_fork_and_room_hold_for_every_member() -> None:
    lockstep = three()
    prompts = random_prompts(3, 1)
    (row,), _ = lockstep.start(prompts)
    lockstep.feed([row], [[5, 9, 11]])
    other = lockstep.fork(row)
    lockstep.rollback(row, 1)
    close(lockstep.feed([row], [[8]])[0], expected(prompts[0], [5, 8])[-1:])
    close(lockstep.feed([other], [[12]])[0], expected(prompts[0], [5, 9, 11, 12])[-1:])
    assert (row.tokens, other.tokens) == ([5, 8], [5, 9, 11, 12])
    assert lockstep.room(row) == 512 - max(len(ids) for ids in prompts[0]) - 2


def test_a_row_without_room_in_one_member_moves_none() -> None:
    lockstep = three()
    small = lockstep.decoders[2]
    assert isinstance(small, ReferenceDecoder)
    prompt = [[4, 5], [6], [7, 8]]
    (row,), _ = lockstep.start([prompt])
    small.length = 3
    with pytest.raises(ModelError, match="2 more tokens, and room for 1"):
        lockstep.feed([row], [[1, 2]])
    close(lockstep.feed([row], [[9]])[0], expected(prompt, [9])[-1:])


def test_trees_go_to_every_member() -> None:
    lockstep = three()
    prompts = random_prompts(3, 2)
    rows, _ = lockstep.start(prompts)
    lockstep.feed(rows, [[5], [6]])
    # 9 and 10 after the last token; 11 after 9.
    tree = lockstep.feed(rows, [[9, 10, 11]] * 2, [[-1, -1, 0]] * 2)
    for prompt, first, then in zip(prompts, ([5], [6]), tree, strict=True):
        for node, path in enumerate(([9], [10], [9, 11])):
            close(then[node], expected(prompt, [*first, *path])[-1])
    lockstep.keep(rows[0], [0, 2])
    lockstep.keep(rows[1], [1])
    after = lockstep.feed(rows, [[3], [3]])
    assert [row.tokens for row in rows] == [[5, 9, 11, 3], [6, 10, 3]]
    for prompt, row, then in zip(prompts, rows, after, strict=True):
        close(then, expected(prompt, row.tokens)[-1:])


def test_no_trees_where_a_member_takes_none() -> None:
    lockstep = three()
    lockstep.decoders[1].trees = False  # type: ignore[misc]
    lockstep = Lockstep(lockstep.decoders, RULE)
    (row,), _ = lockstep.start(random_prompts(3, 1))
    assert not lockstep.trees
    with pytest.raises(ModelError, match="trees"):
        lockstep.feed([row], [[1]], [[-1]])


def test_one_decoder_given_twice_runs_one_pass_a_step() -> None:
    decoder = Counting(tiny(1))
    lockstep = Lockstep([decoder, decoder], lambda logits: 1.5 * logits[0] - 0.5 * logits[1])
    prompts = random_prompts(2)
    rows, logits = lockstep.start(prompts)
    after = lockstep.feed(rows, [[5], [6, 7], [8]])
    assert decoder.passes == 2
    for prompt, row, first, then in zip(prompts, rows, logits, after, strict=True):
        with_context, without = (logits_of(tiny(1), [*ids, *row.tokens])[len(ids) - 1 :] for ids in prompt)
        close(torch.cat([first[None], then]), 1.5 * with_context - 0.5 * without)


def test_a_lockstep_in_a_lockstep_takes_its_part_of_the_prompt() -> None:
    outer = Lockstep([ReferenceDecoder(tiny(4)), three()], lambda logits: logits[0] + logits[1], roles=["a", "b"])
    prompts = random_prompts(4, 2)
    rows, logits = outer.start(prompts)
    after = outer.feed(rows, [[5], [6]])
    for prompt, row, first, then in zip(prompts, rows, logits, after, strict=True):
        whole = torch.cat([first[None], then])
        single = logits_of(tiny(4), [*prompt[0], *row.tokens])[len(prompt[0]) - 1 :]
        close(whole, single + expected(prompt[1:], row.tokens))
    assert outer.members == 4
    assert [call.role for call in outer.calls(rows[0])] == ["a", "b base", "b expert", "b anti-expert"]


def test_what_a_nested_lockstep_rules_out_is_no_nan() -> None:
    def masked(logits: Sequence[torch.Tensor]) -> torch.Tensor:
        return logits[0].masked_fill(logits[0] < logits[0].amax(-1, keepdim=True) - 1, -torch.inf)

    inner = Lockstep([ReferenceDecoder(tiny(1))], masked)
    outer = Lockstep([inner, inner], lambda logits: logits[0] - logits[1])
    _, logits = outer.start([[[4, 5], [4, 5]]])
    assert (logits == 0).all()


def test_a_decoder_with_exits_gives_its_exits_to_the_rule() -> None:
    seen: list[list[torch.Tensor]] = []

    def last(logits: Sequence[torch.Tensor]) -> torch.Tensor:
        seen.append(list(logits))
        return logits[-1]

    lockstep = Lockstep([ReferenceDecoder(tiny(1), exits=(1, 0)), ReferenceDecoder(tiny(2))], last)
    prompts = random_prompts(2, 2)
    rows, _ = lockstep.start(prompts)
    lockstep.feed(rows, [[5, 6], [7]])
    assert [[tuple(one.shape) for one in given] for given in seen] == [[(2, 400)] * 4, [(3, 400)] * 4]
    model = tiny(1)
    with torch.inference_mode():
        states = model(input_ids=torch.tensor([[*prompts[0][0], 5, 6]]), output_hidden_states=True).hidden_states
        for exit, layer in ((1, 1), (2, 0)):
            wanted = model.lm_head(model.model.norm(states[layer][0, -2:]))
            close(seen[1][exit][:2], wanted)


def test_calls_count_what_each_member_was_fed() -> None:
    lockstep = three()
    prompts = random_prompts(3, 2)
    rows, _ = lockstep.start(prompts)
    lockstep.feed(rows, [[5, 6], [7]])
    lockstep.rollback(rows[0], 0)
    calls = lockstep.calls(rows[0])
    assert [(call.role, call.tokens_in, call.tokens_out) for call in calls] == [
        ("base", len(prompts[0][0]), 2),
        ("expert", len(prompts[0][1]), 2),
        ("anti-expert", len(prompts[0][2]), 2),
    ]
    assert all(call.seconds > 0 for call in calls)


class Words:
    """A tokenizer, as far as its vocabulary goes."""

    def __init__(self, words: dict[str, int]) -> None:
        self.words = words

    def get_vocab(self) -> dict[str, int]:
        return self.words


class Wide(ReferenceDecoder):
    """A model with some padding rows more than it has tokens."""

    def __init__(self, model: Any, more: int) -> None:
        super().__init__(model)
        self.vocabulary += more
        self.more = more

    def _all(self, ids: list[int]) -> torch.Tensor:
        return torch.nn.functional.pad(super()._all(ids), (0, self.more), value=100.0)


def test_padding_rows_are_cut() -> None:
    decoders = [Wide(tiny(1), 7), ReferenceDecoder(tiny(2)), Wide(tiny(3), 2)]
    lockstep = Lockstep(decoders, RULE, tokenizers=[cutter()] * 3)
    prompts = random_prompts(3, 1)
    (row,), logits = lockstep.start(prompts)
    assert lockstep.vocabulary == logits.shape[-1] == lockstep.feed([row], [[5]])[0].shape[-1] == 400
    close(logits, expected(prompts[0], []))


def test_other_vocabularies_are_refused_by_their_first_token() -> None:
    vocabulary = dict(cutter().get_vocab())
    (text,) = (text for text, token in vocabulary.items() if token == 44)
    other = {("other" if token == 44 else text): token for text, token in vocabulary.items() if token != 50}
    decoders = [ReferenceDecoder(tiny(seed)) for seed in (1, 2)]
    with pytest.raises(
        ConfigError, match=rf"big and small .* token 44 is {text!r} in the one and 'other' in the other"
    ):
        Lockstep(decoders, RULE, tokenizers=[cutter(), Words(other)], names=["big", "small"])


def test_a_token_more_is_another_vocabulary() -> None:
    more = {**cutter().get_vocab(), "<tool>": 400}
    with pytest.raises(ConfigError, match="token 400 is none in the one and '<tool>' in the other"):
        Lockstep([Wide(tiny(1), 7)] * 2, RULE, tokenizers=[cutter(), Words(more)])


def test_fewer_logits_than_tokens_are_refused() -> None:
    more = Words({**cutter().get_vocab(), "<tool>": 400})
    with pytest.raises(ConfigError, match="400 logits for the 401 tokens"):
        Lockstep([Wide(tiny(1), 7), ReferenceDecoder(tiny(2))], RULE, tokenizers=[more, more])


def test_widths_that_differ_need_tokenizers() -> None:
    with pytest.raises(ConfigError, match=r"\[407, 400\] logits: give their tokenizers"):
        Lockstep([Wide(tiny(1), 7), ReferenceDecoder(tiny(2))], RULE)


def test_a_prompt_needs_a_part_for_each_member() -> None:
    with pytest.raises(ModelError, match="2 lists of tokens for 3 models"):
        three().start([[[4], [5]]])


def test_exits_are_those_of_this_threads_own_feed() -> None:
    decoder = local(1).decoder(exits=(0, 1))
    (row,), _ = decoder.start([[[4, 5, 6]]])
    decoder.feed([row], [[7, 8]])
    mine = decoder.early[0]

    def other() -> None:
        decoder.start([[[9, 10]], [[11]]])

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert len(decoder.early) == 1 and torch.equal(decoder.early[0], mine)
