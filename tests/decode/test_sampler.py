"""The sampler: each rule against plain float64 arithmetic, draws against the exact distribution, seeds, positions."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, ModelError

torch = pytest.importorskip("torch")
stats = pytest.importorskip("scipy.stats")

from pilotfish.decode._penalties import Counts  # noqa: E402 torch first
from pilotfish.decode.sampler import Sampler, Sampling, choose_each  # noqa: E402

LOGITS = torch.tensor([2.0, 1.5, 1.0, 0.2, 0.0, -0.5, -1.0, -3.0])
PROMPT = [0, 6, 6]
SAID = [0, 0, 0, 2, 4, 4, 7]


def exact(logits: Any, s: Sampling, prompt: list[int], said: list[int]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The distribution, written down plainly in numpy, token by token."""
    z = logits.double().numpy().copy()
    for token in {*prompt, *said}:
        z[token] = z[token] / s.repetition_penalty if z[token] > 0 else z[token] * s.repetition_penalty
    for token in set(said):
        z[token] -= s.presence_penalty + s.frequency_penalty * said.count(token)
    for token, bias in s.logit_bias.items():
        z[token] += bias
    p = np.exp((z - z.max()) / s.temperature)
    p /= p.sum()
    if s.top_k:
        p[p < np.sort(p)[-s.top_k]] = 0
        p /= p.sum()
    if s.top_p < 1:
        total = 0.0
        kept: set[int] = set()
        for token in sorted(range(len(p)), key=lambda i: (-p[i], i)):
            if total >= s.top_p and kept:
                break
            kept.add(token)
            total += p[token]
        p[[i for i in range(len(p)) if i not in kept]] = 0
        p /= p.sum()
    if s.min_p:
        p[p < s.min_p * p.max()] = 0
        p /= p.sum()
    return np.asarray(p)


CASES: list[dict[str, Any]] = [
    {"temperature": 1.0},
    {"temperature": 0.6},
    {"temperature": 1.7, "top_p": 0.75},
    {"temperature": 1.0, "top_p": 0.05},
    {"temperature": 1.0, "top_k": 3},
    {"temperature": 1.0, "top_k": 1},
    {"temperature": 1.3, "min_p": 0.2},
    {"temperature": 1.5, "top_k": 5, "top_p": 0.8, "min_p": 0.3},
    {"temperature": 1.0, "presence_penalty": 1.5},
    {"temperature": 0.8, "frequency_penalty": 0.7, "top_p": 0.9},
    {"temperature": 1.0, "presence_penalty": -1.0, "frequency_penalty": 0.4},
    {"temperature": 1.0, "repetition_penalty": 1.8},
    {"temperature": 1.0, "repetition_penalty": 0.5, "presence_penalty": 0.3, "logit_bias": {7: 4.0, 0: -100.0}},
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_draws_follow_the_exact_distribution(case: dict[str, Any]) -> None:
    sampler = Sampler(Sampling(seed=11, **case), 8, PROMPT)
    sampler.accept(SAID)
    p = exact(LOGITS, sampler.sampling, PROMPT, SAID)
    assert np.abs(sampler.logprobs(LOGITS[None])[0].double().exp().numpy() - p).max() < 1e-6
    draws = 8000
    seen = np.bincount([sampler.choose(LOGITS[None])[0] for _ in range(draws)], minlength=8)
    logprobs = sampler.logprobs(LOGITS[None])[0]
    drawn = np.bincount([sampler.draw(logprobs) for _ in range(draws)], minlength=8)
    possible = p > 0
    for counts in (seen, drawn):
        assert (counts[~possible] == 0).all()
        if possible.sum() > 1:
            assert stats.chisquare(counts[possible], p[possible] * draws).pvalue > 0.001


@pytest.mark.parametrize("temperature", [0.0, 1e-30, 1e-5, 1.1])
@pytest.mark.parametrize("case", [{}, *(dict(list(case.items())[1:]) for case in CASES)], ids=str)
def test_rows_ahead_stand_after_the_history_and_what_is_ahead(case: dict[str, Any], temperature: float) -> None:
    sampling = Sampling(temperature=temperature, seed=1, **case)
    sampler = Sampler(sampling, 8, PROMPT)
    sampler.accept(SAID)
    ahead = [1, 7, 1, 5]
    for n in range(1, 6):
        logits = torch.randn(n, 8, generator=torch.Generator().manual_seed(n))
        got = sampler.logprobs(logits, ahead)
        for i in range(n):
            before = SAID + ahead[: len(ahead) - n + 1 + i]
            if sampler.greedy:
                warm = dataclasses.replace(sampling, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0)
                best = int(exact(logits[i], warm, PROMPT, before).argmax())
                assert got[i].tolist() == [0.0 if j == best else -math.inf for j in range(8)]
                assert sampler.choose(logits, ahead)[i] == best
            else:
                assert np.abs(got[i].double().exp().numpy() - exact(logits[i], sampling, PROMPT, before)).max() < 1e-6
    # Looking ahead has changed nothing.
    again = Sampler(sampling, 8, PROMPT)
    again.accept(SAID)
    assert torch.equal(sampler.logprobs(LOGITS[None]), again.logprobs(LOGITS[None]))


def test_greedy_takes_the_lowest_id_among_equals_and_feels_penalties() -> None:
    assert Sampler(Sampling(), 4).choose(torch.tensor([[1.0, 3.0, 3.0, 3.0], [5.0, 5.0, 0.0, 5.0]]), [1]) == [1, 0]
    for temperature in (0.0, 1e-30, 1e-5):
        cases: list[tuple[dict[str, Any], int]] = [({"presence_penalty": 1.0}, 2), ({"frequency_penalty": 0.2}, 1)]
        for penalty, chosen in cases:
            sampler = Sampler(Sampling(temperature=temperature, **penalty), 3)
            assert sampler.choose(torch.tensor([[1.0, 3.0, 2.5]])) == [1]
            sampler.accept([1])
            assert sampler.choose(torch.tensor([[1.0, 3.0, 2.5]])) == [chosen]


def test_presence_and_frequency_count_the_answer_only_and_repetition_the_prompt_too() -> None:
    logits = torch.tensor([[3.0, 2.9, -1.0]])
    assert Sampler(Sampling(presence_penalty=9.0, frequency_penalty=9.0), 3, [0, 0]).choose(logits) == [0]
    assert Sampler(Sampling(repetition_penalty=2.0), 3, [0]).choose(logits) == [1]
    # A negative logit is multiplied: it must not rise.
    assert Sampler(Sampling(repetition_penalty=2.0), 3, [0, 1, 2]).choose(torch.tensor([[-1.0, -1.5, -3.0]])) == [0]


@given(
    st.lists(st.floats(-20, 20, width=32), min_size=2, max_size=40),
    st.floats(0.05, 3),
    st.floats(0.01, 1),
    st.integers(0, 12),
    st.floats(0, 1),
)
@example([18.0, -20.0], 0.05078125, 1.0, 0, 0.0)  # the second is at e^-748, below the least float64
@settings(max_examples=300, deadline=None)
def test_what_is_left_is_a_distribution_that_holds_the_likeliest(
    values: list[float], temperature: float, top_p: float, top_k: int, min_p: float
) -> None:
    logits = torch.tensor([values])
    whole = torch.log_softmax(logits[0] / temperature, -1).double().exp()

    def left(**cut: Any) -> Any:
        logprobs = Sampler(Sampling(temperature=temperature, **cut), len(values)).logprobs(logits)[0].double()
        p = logprobs.exp()
        assert float(p.sum()) == pytest.approx(1.0, abs=1e-5)
        # What is cut is at minus infinity; a token that is kept may be too unlikely for a float64 all the same.
        kept = logprobs > -math.inf
        assert whole[kept].max() == whole.max()
        # What is kept keeps its proportions, and nothing that is kept is less likely than what was cut.
        assert torch.allclose(p[kept], whole[kept] / whole[kept].sum(), atol=1e-5)
        if not kept.all():
            assert whole[kept].min() >= whole[~kept].max() - 1e-12
        return kept

    nucleus = left(top_p=top_p)
    assert float(whole[nucleus].sum()) >= top_p - 1e-6
    if int(nucleus.sum()) > 1:
        # The smallest such set: without its least likely member it does not reach p.
        assert float(whole[nucleus].sum() - whole[nucleus].min()) < top_p + 1e-6
    assert int(left(top_k=top_k).sum()) >= min(top_k or len(values), len(values))
    held = left(min_p=min_p)
    assert float(whole[held].min()) >= min_p * float(whole.max()) * (1 - 1e-5)
    left(top_p=top_p, top_k=top_k, min_p=min_p)


@pytest.mark.parametrize("scale", [0.01, 0.3, 1.0, 3.0, 9.0])
def test_a_large_vocabulary_has_the_same_nucleus_as_a_full_sort(scale: float) -> None:
    logits = torch.randn(1, 50_000, generator=torch.Generator().manual_seed(2)) * scale
    for top_p in (0.1, 0.5, 0.9, 0.99, 0.9999):
        p = Sampler(Sampling(temperature=1.0, top_p=top_p), 50_000).logprobs(logits)[0]
        ordered = torch.softmax(logits[0].double(), -1).sort(descending=True).values
        size = int((ordered.cumsum(-1) - ordered < top_p).sum())
        # Where the tail is flat, the last bits of float32 tell which of its tokens reaches p.
        assert abs(int((p > -math.inf).sum()) - size) <= max(2, 0.002 * size)


def test_a_nucleus_of_equals_is_the_lowest_ids() -> None:
    for top_p in (0.25, 0.5, 0.99):
        p = Sampler(Sampling(temperature=1.0, top_p=top_p), 50_000).logprobs(torch.zeros(1, 50_000))[0] > -math.inf
        size = int(p.sum())
        assert size == pytest.approx(top_p * 50_000, rel=1e-3)
        assert bool(p[:size].all())


def test_a_seed_gives_the_same_draws_whatever_else_is_drawn() -> None:
    sampling = Sampling(temperature=1.0, seed=5)
    logits = torch.randn(60, 100, generator=torch.Generator().manual_seed(0))
    mine, other = Sampler(sampling, 100), Sampler(Sampling(temperature=1.0, seed=6), 100)
    together = [choose_each([mine, other], [row, row]) for row in logits]
    again = Sampler(sampling, 100)
    assert [pair[0] for pair in together] == [again.choose(row[None])[0] for row in logits]
    assert [pair[0] for pair in together] != [pair[1] for pair in together]
    # The sample's index moves the seed on.
    assert Sampler(Sampling(temperature=1.0, seed=4), 100, sample=1).uniform() == Sampler(sampling, 100).uniform()
    assert Sampler(Sampling(), 9).uniform() != Sampler(Sampling(), 9).uniform()


def test_choosing_is_drawing_from_the_logprobs() -> None:
    one, other = (Sampler(Sampling(temperature=0.9, top_p=0.8, top_k=40, seed=3), 500) for _ in range(2))
    logits = torch.randn(50, 500, generator=torch.Generator().manual_seed(1)) * 3
    assert [one.choose(row[None])[0] for row in logits] == [other.draw(other.logprobs(row[None])[0]) for row in logits]


def test_uniform_numbers_are_uniform() -> None:
    sampler = Sampler(Sampling(seed=8), 4)
    assert stats.kstest([sampler.uniform() for _ in range(5000)], "uniform").pvalue > 0.001


def test_a_fork_goes_on_as_its_origin_would_and_another_sample_otherwise() -> None:
    origin = Sampler(Sampling(temperature=1.0, seed=1, presence_penalty=1.0, repetition_penalty=1.3), 50, [3])
    origin.accept([4, 5])
    origin.uniform()
    same, others = origin.fork(), [origin.fork(sample).uniform() for sample in range(20)]
    logits = torch.zeros(1, 50)
    assert torch.equal(same.logprobs(logits), origin.logprobs(logits))
    assert same.uniform() == origin.uniform()
    assert len(set(others)) == 20
    same.accept([9])
    assert origin.tokens == [4, 5]
    assert float(origin.logprobs(logits)[0, 9]) > float(same.logprobs(logits)[0, 9])


def test_a_rule_of_the_row_comes_first_and_sees_the_answer_so_far() -> None:
    sampler = Sampler(Sampling(presence_penalty=2.0), 4, [0])
    seen: list[list[int]] = []

    def rule(tokens: list[int], logits: Any) -> Any:
        seen.append(list(tokens))
        return logits + torch.tensor([0.0, 0.0, 0.0, 3.0 * len(tokens)])

    sampler.extra = rule
    sampler.accept([3])
    raw = torch.tensor([[1.5, 0.0, 0.0, 0.0], [0.0, 0.0, 0.1, 0.0]])
    kept = raw.clone()
    assert sampler.choose(raw, [2]) == [0, 3]
    assert seen == [[3], [3, 2]]
    assert torch.equal(raw, kept)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_that_are_none_are_an_error(temperature: float) -> None:
    sampler = Sampler(Sampling(temperature=temperature), 3)
    with pytest.raises(ModelError, match="not a number"):
        sampler.choose(torch.tensor([[1.0, math.nan, 2.0]]))
    with pytest.raises(ModelError, match="infinite"):
        sampler.choose(torch.tensor([[1.0, math.inf, 2.0]]))
    with pytest.raises(ModelError, match="all are forbidden"):
        sampler.logprobs(torch.full((1, 3), -math.inf))
    with pytest.raises(ModelError, match="none has a probability"):
        sampler.draw(torch.full((3,), -math.inf))
    good = Sampler(Sampling(temperature=temperature), 3)
    one, other = choose_each([sampler, good], [torch.tensor([math.nan] * 3), torch.tensor([-99.0, -99.0, 5.0])])
    assert isinstance(one, ModelError)
    assert other == 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"temperature": -0.1}, "temperature must be at least 0, not -0.1"),
        ({"temperature": math.nan}, "temperature must be at least 0"),
        ({"top_p": 1.2}, "top_p must be at least 0 and at most 1, not 1.2"),
        ({"min_p": -1.0}, "min_p must be at least 0 and at most 1"),
        ({"top_k": -2}, "top_k must be at least 0"),
        ({"repetition_penalty": 0.0}, "repetition_penalty must be above 0"),
        ({"presence_penalty": math.inf}, "presence_penalty must be a number"),
    ],
)
def test_settings_out_of_range_are_an_error(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Sampling(**wrong)
    with pytest.raises(ConfigError, match="no token 9; this model has tokens 0 to 3"):
        Sampler(Sampling(logit_bias={9: 1.0}), 4)


@given(st.lists(st.integers(0, 200), max_size=300), st.lists(st.integers(0, 200), max_size=50))
@settings(deadline=None)
def test_counts_are_those_of_a_list_and_can_be_taken_back(tokens: list[int], more: list[int]) -> None:
    def table(counts: Counts) -> dict[int, float]:
        return dict(zip(counts.ids.tolist(), counts.counts.tolist(), strict=True))

    whole = {token: float(tokens.count(token)) for token in tokens}
    counts = Counts(tokens)
    one_by_one = Counts()
    for token in tokens:
        one_by_one.add(token)
    assert table(counts) == table(one_by_one) == whole
    copy = counts.copy()
    for token in more:
        counts.add(token)
    assert table(counts) == {t: float((tokens + more).count(t)) for t in tokens + more}
    for token in reversed(more):
        counts.pop(token)
    assert table(counts) == table(copy) == whole
