"""Answers: greedy as transformers', text and stops as they come, log-probabilities, samples, what is refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pilotfish._sync import ask
from pilotfish.errors import ModelError
from pilotfish.model import Delta, Reply, Request
from pilotfish.models._tokens import encode
from pilotfish.models.local import LocalModel
from tests.asking import streamed, together
from tests.models.brute import forward
from tests.tiny import TEXTS, Cut, Family, tokenizer

torch = pytest.importorskip("torch")

from pilotfish.decode._answer import token_logprob  # noqa: E402 torch first
from tests.decode.script import ScriptDecoder, scripted  # noqa: E402


@pytest.mark.parametrize("backend", ["auto", "transformers"])
@pytest.mark.parametrize(("family", "cut"), [("llama", "plain"), ("qwen2", "bos"), ("gpt2", "melting")])
def test_greedy_is_token_for_token_what_transformers_generates(
    tiny_folder: Callable[[Family, Cut], Path], family: Family, cut: Cut, backend: Any
) -> None:
    lm = LocalModel(tiny_folder(family, cut), dtype="float32", device="cpu", backend=backend)
    asked = [Request.of(text, max_tokens=24, logprobs=True, top_logprobs=2) for text in TEXTS]
    for text, reply in zip(TEXTS, together(lm, asked), strict=True):
        ids = encode(lm.tokenizer, lm.render(Request.of(text)))
        theirs = lm.model.generate(
            torch.tensor([ids]), max_new_tokens=24, do_sample=False, pad_token_id=lm.tokenizer.eos_token_id
        )[0, len(ids) :].tolist()
        made = [token for token in theirs if token != lm.tokenizer.eos_token_id]
        logprobs = reply.logprobs
        assert logprobs is not None
        assert [one.token for one in logprobs] == [lm.tokenizer.decode([token]) for token in made]
        assert reply.text == lm.tokenizer.decode(made, skip_special_tokens=True)
        assert reply.usage.tokens_out == len(theirs)
        assert reply.usage.tokens_in == len(ids)
        assert reply.finish_reason == ("stop" if len(made) < len(theirs) else "length")
        # The log-probabilities are the raw model's, and the likeliest rival is the greedy token itself.
        exact = forward(lm.model, ids + made)
        for at, (token, one) in enumerate(zip(made, logprobs, strict=True), start=len(ids) - 1):
            assert abs(one.logprob - exact[at, token]) < 2e-4
            assert len(one.top) == 2
            assert one.top[0][0] == one.token
            assert one.top[0][1] == pytest.approx(one.logprob)
            assert one.top[1][1] == pytest.approx(np.sort(exact[at])[-2], abs=2e-4)


def said(text: str, *, cut: int | None = None, **settings: Any) -> list[Delta]:
    """What is streamed where the model writes `text` and the end token (or the first `cut` tokens of it)."""
    cutter = tokenizer()
    ids = cutter(text, add_special_tokens=False)["input_ids"][:cut]
    script = ScriptDecoder([*ids, cutter.eos_token_id], len(cutter))
    model = scripted(script, cutter, [cutter.eos_token_id])
    found = streamed(model, Request.of("0", **{"max_tokens": len(ids) + 1, **settings}))
    assert script.open == 0
    assert found[-1].reply is not None
    assert "".join(delta.text for delta in found) == found[-1].reply.text
    return found


def last(found: list[Delta]) -> Reply:
    assert found[-1].reply is not None
    return found[-1].reply


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        (("mat",), "the cat sat on the "),
        (("at on", "never"), "the cat s"),
        (("on the mat, it's", "sat on"), "the cat "),
        (("the",), ""),
        (("2024 and the dog!",), "the cat sat on the mat, it's 2024"),
        (("", "cat"), "the "),
    ],
)
def test_a_stop_string_may_lie_across_tokens_and_is_never_shown(stop: tuple[str, ...], expected: str) -> None:
    found = said("the cat sat on the mat, it's 2024", stop=stop)
    assert last(found).text == expected
    assert last(found).finish_reason == "stop"
    # Nothing was shown that had to be taken back: every beginning of the stream begins the answer.
    for so_far in itertools.accumulate(delta.text for delta in found):
        assert expected.startswith(so_far)


@pytest.mark.parametrize("text", ["piñata für 5 €", "日本語の文 🙂🙂 x", "🤖"])
def test_half_a_character_is_held_back(text: str) -> None:
    found = said(text, logprobs=True)
    assert last(found).text == text
    assert not any("\ufffd" in delta.text for delta in found)
    logprobs = last(found).logprobs
    assert logprobs is not None
    assert len(found) - 1 < len(logprobs)


def test_half_a_character_at_the_end_is_shown_as_what_it_is() -> None:
    ids = tokenizer()("x 🙂", add_special_tokens=False)["input_ids"]
    reply = last(said("x 🙂", cut=len(ids) - 1))
    assert (reply.text, reply.finish_reason) == ("x \ufffd", "stop")


def test_max_tokens_ends_with_length() -> None:
    reply = last(said("the cat sat on the mat", max_tokens=3))
    assert (reply.usage.tokens_out, reply.finish_reason, reply.text) == (3, "length", "the cat sat")
    # An end token that comes as the last one allowed is an end, not a cut.
    assert last(said("the cat sat", max_tokens=4)).finish_reason == "stop"


def test_an_answer_ends_where_the_row_is_full() -> None:
    cutter = tokenizer()
    model = scripted(ScriptDecoder([5, 6, 7], len(cutter), length=9), cutter)
    reply = ask(model, "0", max_tokens=100)
    assert (reply.usage.tokens_out, reply.finish_reason) == (8, "length")


def test_every_end_token_ends(tiny_folder: Callable[..., Path]) -> None:
    lm = LocalModel(tiny_folder(), dtype="float32", device="cpu").load()
    assert lm.ends == {lm.tokenizer.eos_token_id}
    lm.model.generation_config = SimpleNamespace(eos_token_id=[7, 300])
    assert lm.ends == {7, 300, lm.tokenizer.eos_token_id}
    cutter = tokenizer()
    ids = cutter("the cat sat", add_special_tokens=False)["input_ids"]
    model = scripted(ScriptDecoder([*ids, 9, 9], len(cutter)), cutter, [ids[2], 300])
    reply = ask(model, "0")
    assert (reply.text, reply.finish_reason) == ("the cat", "stop")


def test_penalties_count_what_was_generated_and_not_the_prompt(tiny_lm: LocalModel) -> None:
    request = Request.of("the cat sat on the mat", max_tokens=30, logprobs=True)
    ids = tiny_lm.prompt_ids(request)
    first = tiny_lm.tokenizer.decode([int(forward(tiny_lm.model, ids)[-1].argmax())])
    plain = ask(tiny_lm, request).logprobs
    once = ask(tiny_lm, request, frequency_penalty=1000.0).logprobs
    assert plain is not None
    assert once is not None
    assert once[0].token == plain[0].token == first
    # Bytes that are half a character look alike.
    whole = [one.token for one in once if "\ufffd" not in one.token]
    assert len(set(whole)) == len(whole) > 10
    usual = [one.token for one in plain if "\ufffd" not in one.token]
    assert len(set(usual)) < len(usual)


def test_settings_of_the_sampler_reach_it(tiny_lm: LocalModel) -> None:
    def texts(**extra: Any) -> set[str]:
        request = Request.of("the cat", max_tokens=6, temperature=3.0, n=6, seed=1, extra=extra)
        reply = ask(tiny_lm, request)
        return {reply.text, *(choice.text for choice in reply.choices)}

    greedy = ask(tiny_lm, "the cat", max_tokens=6).text
    assert len(texts()) > 1
    assert texts(top_k=1) == texts(min_p=1.0) == {greedy}
    banned = ask(tiny_lm, "the cat", max_tokens=1, logprobs=True).logprobs
    assert banned is not None
    token = tiny_lm.prompt_ids(Request.of("the cat"))
    first = int(forward(tiny_lm.model, token)[-1].argmax())
    other = ask(tiny_lm, "the cat", max_tokens=1, logprobs=True, extra={"logit_bias": {str(first): -100}}).logprobs
    assert other is not None
    assert other[0].token != banned[0].token
    assert (
        ask(tiny_lm, "the cat", max_tokens=30, extra={"repetition_penalty": 5.0}).text
        != ask(tiny_lm, "the cat", max_tokens=30).text
    )


@pytest.mark.parametrize(
    ("extra", "said_"),
    [
        ({"min_p": "much"}, "min_p must be a number, not 'much'"),
        ({"top_k": 2.5}, "top_k must be a number"),
        ({"repetition_penalty": True}, "repetition_penalty must be a number"),
        ({"logit_bias": [1]}, "logit_bias must map token ids to numbers"),
        ({"logit_bias": {"a": 1}}, "logit_bias must map token ids to numbers"),
        ({"min_p": 2}, "min_p must be at least 0 and at most 1"),
    ],
)
def test_settings_of_the_wrong_kind_are_one_line(tiny_lm: LocalModel, extra: dict[str, Any], said_: str) -> None:
    with pytest.raises(ModelError, match=f"tiny: {said_}"):
        ask(tiny_lm, "x", extra=extra)


def test_the_prompt_of_several_samples_runs_once() -> None:
    cutter = tokenizer()
    script = ScriptDecoder(range(5, 90), len(cutter))
    reply = ask(scripted(script, cutter), "0", n=4, max_tokens=3)
    assert script.starts == [4]
    assert [call.tokens_in for call in reply.trace.calls] == [1, 0, 0, 0]
    assert [call.tokens_out for call in reply.trace.calls] == [3] * 4


def test_a_step_that_gives_several_tokens_is_cut_where_the_answer_ends() -> None:
    from pilotfish.decode._answer import Answer
    from pilotfish.decode.strategy import Step

    cutter = tokenizer()
    ids = cutter("the cat sat on the mat", add_special_tokens=False)["input_ids"]
    ended = Answer(cutter, frozenset([ids[2]]), limit=9)
    assert ended.take(Step(ids)) == "the cat"
    assert (ended.finish, ended.tokens, ended.ids) == ("stop", 3, ids[:2])
    cut = Answer(cutter, frozenset(), limit=4)
    assert cut.take(Step(ids)) == "the cat sat on"
    assert (cut.finish, cut.tokens) == ("length", 4)
    assert cut.take(Step(ids)) == ""
    stopped = Answer(cutter, frozenset(), stops=["at sat"], limit=9)
    assert stopped.take(Step(ids)) == "the c"


def test_top_logprobs_are_sorted_and_no_more_than_there_are() -> None:
    cutter = tokenizer()
    logits = torch.tensor([0.0, 2.0, 1.0])
    one = token_logprob(logits, 0, cutter, 9)
    assert [name for name, _ in one.top] == [cutter.decode([i]) for i in (1, 2, 0)]
    assert sum(np.exp(value) for _, value in one.top) == pytest.approx(1.0)
    assert one.logprob == pytest.approx(one.top[2][1])
    assert token_logprob(logits, 0, cutter, 0).top == ()
