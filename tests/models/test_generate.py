"""Plain generation: greedy as transformers', sampling as the exact distribution, stops and half characters."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.model import Request
from pilotfish.models import _generate
from pilotfish.models._generate import first_stop, generate, held_back, pick, token_logprob
from pilotfish.models._tokens import encode
from pilotfish.models.local import LocalModel
from tests.models.brute import forward
from tests.tiny import TEXTS, Cut, Family, tokenizer

torch = pytest.importorskip("torch")
stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize(("family", "cut"), [("llama", "plain"), ("qwen2", "bos"), ("gpt2", "melting")])
def test_greedy_is_token_for_token_what_transformers_generates(
    tiny_folder: Callable[[Family, Cut], Path], family: Family, cut: Cut
) -> None:
    lm = LocalModel(tiny_folder(family, cut), dtype="float32", device="cpu")
    for text in TEXTS:
        ids = encode(lm.tokenizer, lm.render(Request.of(text)))
        request = Request.of(text, logprobs=True, top_logprobs=2)
        pieces = list(generate(lm.model, lm.tokenizer, ids, request, max_tokens=24))
        theirs = lm.model.generate(
            torch.tensor([ids]), max_new_tokens=24, do_sample=False, pad_token_id=lm.tokenizer.eos_token_id
        )[0, len(ids) :].tolist()
        made = [token for token in theirs if token != lm.tokenizer.eos_token_id]
        logprobs = [one for piece in pieces for one in piece.logprobs]
        assert [one.token for one in logprobs] == [lm.tokenizer.decode([token]) for token in made]
        assert "".join(piece.text for piece in pieces) == lm.tokenizer.decode(made, skip_special_tokens=True)
        assert sum(piece.tokens for piece in pieces) == len(theirs)
        assert pieces[-1].finish == ("stop" if len(made) < len(theirs) else "length")
        assert all(piece.finish is None for piece in pieces[:-1])
        # The log-probabilities are the raw model's, and the likeliest rival is the greedy token itself.
        exact = forward(lm.model, ids + made)
        for at, (token, one) in enumerate(zip(made, logprobs, strict=True), start=len(ids) - 1):
            assert abs(one.logprob - exact[at, token]) < 2e-4
            assert len(one.top) == 2
            assert one.top[0][0] == one.token
            assert one.top[0][1] == pytest.approx(one.logprob)
            assert one.top[1][1] == pytest.approx(np.sort(exact[at])[-2], abs=2e-4)


class Script:
    """A language model that says the given tokens one after another, whatever it is asked."""

    def __init__(self, ids: Sequence[int], vocabulary: int, layers: Any) -> None:
        self.ids, self.vocabulary, self.at = list(ids), vocabulary, 0
        self.config, self.device = layers.config, torch.device("cpu")
        self.generation_config = SimpleNamespace(eos_token_id=None)

    def get_output_embeddings(self) -> Any:
        return SimpleNamespace(weight=torch.zeros((self.vocabulary, 1)))

    def __call__(self, **_: Any) -> Any:
        logits = torch.zeros((1, 1, self.vocabulary))
        logits[0, 0, self.ids[self.at]] = 9.0
        self.at += 1
        return SimpleNamespace(logits=logits)


def said(lm: LocalModel, text: str, *, cut: int | None = None, **settings: Any) -> list[_generate.Piece]:
    """What is streamed where the model writes `text` and the end token (or the first `cut` tokens of it)."""
    ids = lm.tokenizer(text, add_special_tokens=False)["input_ids"][:cut]
    script = Script([*ids, lm.tokenizer.eos_token_id], len(lm.tokenizer), lm.model)
    limit = settings.pop("max_tokens", len(ids) + 1)
    return list(generate(script, lm.tokenizer, [5], Request.of("", **settings), max_tokens=limit))


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
def test_a_stop_string_may_lie_across_tokens_and_is_never_shown(
    tiny_lm: LocalModel, stop: tuple[str, ...], expected: str
) -> None:
    text = "the cat sat on the mat, it's 2024"
    pieces = said(tiny_lm, text, stop=stop)
    shown = "".join(piece.text for piece in pieces)
    assert shown == expected
    assert pieces[-1].finish == "stop"
    # Nothing was shown that had to be taken back: every beginning of the stream begins the answer.
    for streamed in itertools.accumulate(piece.text for piece in pieces):
        assert expected.startswith(streamed)


@given(st.text(alphabet="ab", max_size=12), st.lists(st.text(alphabet="ab", max_size=4), max_size=3))
def test_what_is_held_back_is_the_longest_beginning_of_a_stop(text: str, stops: list[str]) -> None:
    beginnings = {stop[:n] for stop in stops for n in range(1, len(stop))}
    expected = max((len(one) for one in beginnings if text.endswith(one)), default=0)
    assert held_back(text, stops) == expected
    places = [text.find(stop) for stop in stops if stop and stop in text]
    assert first_stop(text, stops) == min(places, default=-1)


@pytest.mark.parametrize("text", ["piñata für 5 €", "日本語の文 🙂🙂 x", "🤖"])
def test_half_a_character_is_held_back(tiny_lm: LocalModel, text: str) -> None:
    pieces = said(tiny_lm, text)
    assert "".join(piece.text for piece in pieces) == text
    assert not any("\ufffd" in piece.text for piece in pieces)
    assert any(piece.text == "" for piece in pieces[:-1])


def test_half_a_character_at_the_end_is_shown_as_what_it_is(tiny_lm: LocalModel) -> None:
    ids = tiny_lm.tokenizer("x 🙂", add_special_tokens=False)["input_ids"]
    pieces = said(tiny_lm, "x 🙂", cut=len(ids) - 1)
    assert "".join(piece.text for piece in pieces) == "x \ufffd"
    assert pieces[-1].finish == "stop"


def test_max_tokens_ends_with_length(tiny_lm: LocalModel) -> None:
    pieces = said(tiny_lm, "the cat sat on the mat", max_tokens=3)
    assert (sum(p.tokens for p in pieces), pieces[-1].finish) == (3, "length")
    assert "".join(p.text for p in pieces) == "the cat sat"


def test_every_end_token_of_the_generation_config_ends(tiny_lm: LocalModel) -> None:
    ids = tiny_lm.tokenizer("the cat sat", add_special_tokens=False)["input_ids"]
    script = Script([*ids, 9, 9], len(tiny_lm.tokenizer), tiny_lm.model)
    script.generation_config = SimpleNamespace(eos_token_id=[ids[2], 300])
    pieces = list(generate(script, tiny_lm.tokenizer, [5], Request.of(""), max_tokens=9))
    assert ("".join(p.text for p in pieces), pieces[-1].finish) == ("the cat", "stop")


def exact(logits: Any, request: Request, counts: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The sampling distribution, written down plainly in numpy."""
    z = logits.double().numpy() - (request.presence_penalty or 0) * (counts.numpy() > 0)
    z = (z - (request.frequency_penalty or 0) * counts.numpy()) / (request.temperature or 1)
    p = np.exp(z - z.max())
    p /= p.sum()
    if request.top_p is not None:
        order = np.argsort(-p)
        keep = order[: int(np.searchsorted(p[order].cumsum(), request.top_p) + 1)]
        cut = np.zeros_like(p)
        cut[keep] = p[keep]
        p = cut / cut.sum()
    return np.asarray(p)


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 1.0},
        {"temperature": 0.6},
        {"temperature": 1.7, "top_p": 0.75},
        {"temperature": 1.0, "top_p": 0.05},
        {"temperature": 1.0, "presence_penalty": 1.5},
        {"temperature": 0.8, "frequency_penalty": 0.7, "top_p": 0.9},
        {"temperature": 1.0, "presence_penalty": -1.0, "frequency_penalty": 0.4},
    ],
    ids=str,
)
def test_draws_follow_the_exact_distribution(settings: dict[str, float]) -> None:
    logits = torch.tensor([2.0, 1.5, 1.0, 0.2, 0.0, -0.5, -1.0, -3.0])
    counts = torch.tensor([3.0, 0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 1.0])
    request = Request.of("", **settings)
    generator = torch.Generator().manual_seed(11)
    draws = 8000
    seen = np.bincount([pick(logits, request, counts, generator) for _ in range(draws)], minlength=8)
    p = exact(logits, request, counts)
    assert (seen[p == 0] == 0).all()
    possible = p > 0
    if possible.sum() > 1:
        assert stats.chisquare(seen[possible], p[possible] * draws).pvalue > 0.001


def test_temperature_zero_and_nearly_zero_are_greedy_and_feel_the_penalties() -> None:
    logits = torch.tensor([1.0, 3.0, 2.5])
    none, once = torch.zeros(3), torch.tensor([0.0, 1.0, 0.0])
    for temperature in (None, 0.0, 1e-30, 1e-5):
        assert pick(logits, Request.of("", temperature=temperature), none, None) == 1
        assert pick(logits, Request.of("", temperature=temperature, presence_penalty=1.0), once, None) == 2
        assert pick(logits, Request.of("", temperature=temperature, frequency_penalty=0.2), once, None) == 1


def test_penalties_count_what_was_generated_and_not_the_prompt(
    tiny_lm: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    picked: list[int] = []

    def recorded(*args: Any) -> int:
        picked.append(pick(*args))
        return picked[-1]

    monkeypatch.setattr(_generate, "pick", recorded)
    ids = encode(tiny_lm.tokenizer, "the cat sat on the mat")
    first = int(forward(tiny_lm.model, ids)[-1].argmax())
    # With the greedy token in the prompt too, since the prompt's tokens bear no penalty.
    ids = [first, *ids]
    first = int(forward(tiny_lm.model, ids)[-1].argmax())
    list(generate(tiny_lm.model, tiny_lm.tokenizer, ids, Request.of("", frequency_penalty=1000.0), max_tokens=30))
    assert picked[0] == first
    assert len(set(picked)) == len(picked)


def test_top_logprobs_are_sorted_and_no_more_than_there_are() -> None:
    cutter = tokenizer()
    logits = torch.tensor([0.0, 2.0, 1.0])
    one = token_logprob(logits, 0, cutter, 9)
    assert [name for name, _ in one.top] == [cutter.decode([i]) for i in (1, 2, 0)]
    assert sum(np.exp(value) for _, value in one.top) == pytest.approx(1.0)
    assert one.logprob == pytest.approx(one.top[2][1])
    assert token_logprob(logits, 0, cutter, 0).top == ()
