"""Sampled answers have the target's own distribution: to the last bits, over every way the dice can fall."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from pilotfish.decode.sampler import Sampler, Sampling
from pilotfish.decode.speculative import Auto, Fixed, LookupDraft, ModelDraft, Speculative, Tree
from pilotfish.decode.speculative import verify as rule
from pilotfish.decode.strategy import Plain
from tests.decode.speculative.enumerated import Dice, dealt, distribution
from tests.decode.speculative.exact import FIRST, answers, draws, exact, p_value
from tests.decode.speculative.markov import Markov

SIZE = 3
PROMPT = [1, 2, 1, 2, 0, 1]
TARGET = Markov.random(SIZE, seed=1)
SMALL = Markov.random(SIZE, seed=2, near=TARGET, noise=0.8)

WAYS: dict[str, Callable[[], Speculative]] = {
    "chain": lambda: Speculative(TARGET, ModelDraft(SMALL, SIZE), Fixed(2)),
    "look-up": lambda: Speculative(TARGET, LookupDraft(), Fixed(2)),
    "tree": lambda: Speculative(TARGET, ModelDraft(SMALL, SIZE), Fixed(tree=Tree((2, 1)))),
    "siblings": lambda: Speculative(TARGET, ModelDraft(SMALL, SIZE), Fixed(tree=Tree((2,)))),
    "all branches": lambda: Speculative(TARGET, ModelDraft(SMALL, SIZE), Fixed(tree=Tree((3,)))),
    "likeliest nodes": lambda: Speculative(TARGET, ModelDraft(SMALL, SIZE), Fixed(tree=Tree(nodes=5, depth=3, beam=2))),
}
SAMPLINGS = {
    "as is": Sampling(temperature=1.0),
    "cold": Sampling(temperature=0.6, top_p=0.85),
    "top-k": Sampling(temperature=1.3, top_k=2),
    "penalties": Sampling(
        temperature=0.9, min_p=0.05, repetition_penalty=1.4, presence_penalty=0.5, logit_bias={2: 0.7}
    ),
    "seeded": Sampling(temperature=1.0, seed=5),
}


def enumerated(make: Callable[[], Speculative], sampling: Sampling, batch: int = 1) -> torch.Tensor:
    """The distribution of the first job's tokens; the other rows of the batch have luck of their own."""

    def run(dice: Dice) -> Any:
        samplers = [dealt(Sampler(sampling, SIZE, PROMPT), dice)]
        samplers += [Sampler(Sampling(temperature=1.0, seed=row), SIZE, PROMPT) for row in range(1, batch)]
        return answers(make(), [[PROMPT]] * batch, samplers, limit=FIRST + 2)[0]

    out = torch.zeros((SIZE,) * FIRST, dtype=torch.float64)
    for path, chance in distribution(run).items():
        out[path] = chance
    return out


SLOW = {("tree", "as is"), ("tree", "penalties")}
CASES = [
    # A tree over the whole vocabulary has a hundred thousand ways to fall, or nearly as many.
    pytest.param(way, sampling, marks=[pytest.mark.slow] if (way, sampling) in SLOW else [])
    for way in WAYS
    for sampling in SAMPLINGS
]


@pytest.mark.parametrize(("way", "sampling"), CASES)
def test_the_distribution_is_the_targets(way: str, sampling: str) -> None:
    found = enumerated(WAYS[way], SAMPLINGS[sampling])
    assert float((found - exact(TARGET, PROMPT, SAMPLINGS[sampling])).abs().max()) < 1e-6
    assert float(found.sum()) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("way", ["chain", "tree", "look-up"])
def test_rows_of_a_batch_do_not_touch_one_another(way: str) -> None:
    sampling = SAMPLINGS["cold"]
    found = enumerated(WAYS[way], sampling, batch=4)
    assert float((found - exact(TARGET, PROMPT, sampling)).abs().max()) < 1e-6


def wrong_residual(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """The commonest mistake: after a rejection, draw from p itself."""
    del q
    return p


@pytest.mark.parametrize("way", ["chain", "siblings"])
def test_a_wrong_rule_is_found_out(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule, "residual", wrong_residual)
    sampling = SAMPLINGS["as is"]
    assert (
        float((enumerated(WAYS[way], sampling) - exact(TARGET, PROMPT, sampling)).abs().max()) > 1e-3
    )  # the right rule is at 1e-7


def test_a_draft_that_drops_what_it_drew_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why stopping may not depend on the token that is to be judged: unlikely tokens would be judged too seldom."""
    propose = ModelDraft.propose

    def picky(self: ModelDraft, *args: Any) -> Any:
        drafted = propose(self, *args)
        for proposal in drafted.proposals:
            if proposal.q and float(proposal.q[0][proposal.tokens[0]].exp()) < 0.4:
                proposal.tokens, proposal.q, proposal.signs = [], None, []
        return drafted

    monkeypatch.setattr(ModelDraft, "propose", picky)
    sampling = SAMPLINGS["as is"]
    assert (
        float((enumerated(WAYS["chain"], sampling) - exact(TARGET, PROMPT, sampling)).abs().max()) > 1e-3
    )  # the right rule is at 1e-7


class Choosy(Fixed):
    """Goes on only where the draft was sure of what it drafted before: allowed, and exact."""

    def goes_on(self, survival: float, *, paid: bool) -> bool:
        del paid
        return survival > 0.4

    def chance(self, sign: int, prior: float = 0.7) -> float:
        del prior
        return sign / 15


def test_stopping_on_what_is_already_drafted_is_exact() -> None:
    sampling = SAMPLINGS["as is"]
    found = enumerated(lambda: Speculative(TARGET, ModelDraft(SMALL, SIZE), Choosy(2)), sampling)
    assert float((found - exact(TARGET, PROMPT, sampling)).abs().max()) < 1e-6


@pytest.mark.parametrize("way", WAYS)
def test_a_seed_gives_what_plain_decoding_gives(way: str) -> None:
    for seed in range(20):
        sampling = Sampling(temperature=1.1, top_p=0.9, seed=seed)
        plain = answers(Plain(TARGET), [[PROMPT]], [Sampler(sampling, SIZE, PROMPT)], count=12)
        assert answers(WAYS[way](), [[PROMPT]], [Sampler(sampling, SIZE, PROMPT)], count=12) == plain


# The same with the real generator. `TOTAL` draws a case take a second or so each; `python -m pytest -m slow` draws
# 200,000.
LARGER, NEARBY = Markov.random(6, seed=3), Markov.random(6, seed=4)
NEARBY.table = LARGER.table + NEARBY.table
DRAWN: dict[str, Callable[[], Speculative]] = {
    "chain": lambda: Speculative(LARGER, ModelDraft(NEARBY, 6), Fixed(3)),
    "auto": lambda: Speculative(LARGER, ModelDraft(NEARBY, 6), Auto(4)),
    "look-up": lambda: Speculative(LARGER, LookupDraft(), Fixed(3)),
    "tree": lambda: Speculative(LARGER, ModelDraft(NEARBY, 6), Fixed(tree=Tree((2, 2)))),
    "likeliest nodes": lambda: Speculative(LARGER, ModelDraft(NEARBY, 6), Fixed(tree=Tree(nodes=4, depth=3, beam=2))),
}


def chi_square(way: str, sampling: str, batch: int, total: int) -> float:
    counts = draws(DRAWN[way](), [PROMPT], SAMPLINGS[sampling], total, batch, 6)
    return p_value(counts, exact(LARGER, PROMPT, SAMPLINGS[sampling]))


@pytest.mark.parametrize(("sampling", "batch"), [("as is", 4), ("cold", 1)])
@pytest.mark.parametrize("way", DRAWN)
def test_drawn_answers_pass_a_chi_square_test(way: str, sampling: str, batch: int) -> None:
    assert chi_square(way, sampling, batch, 1000) > 1e-4


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("sampling", ["as is", "cold"])
@pytest.mark.parametrize("way", DRAWN)
def test_200_000_drawn_answers_pass_a_chi_square_test(way: str, sampling: str, batch: int) -> None:
    assert chi_square(way, sampling, batch, 200_000) > 1e-4


def test_drawn_answers_of_a_wrong_rule_fail_the_chi_square_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule, "residual", wrong_residual)
    assert chi_square("chain", "as is", 4, 3000) < 1e-4


@pytest.mark.parametrize("tree", [None, Tree((2,)), Tree(nodes=3, depth=2, beam=2)])
def test_a_real_model_drafted_by_its_first_layer(tiny_lm: Any, tree: Tree | None) -> None:
    """Both decoders keep their keys and values, and roll them back; the sum is over every way the dice can fall."""
    target, small = tiny_lm.decoder(), tiny_lm.decoder(layers=1)
    sampling = Sampling(temperature=1.5, top_k=2)
    prompt = tiny_lm.tokenizer("the cat sat on the mat")["input_ids"]

    def of(make: Callable[[], Any]) -> dict[Any, float]:
        def run(dice: Dice) -> Any:
            sampler = dealt(Sampler(sampling, target.vocabulary, prompt), dice)
            return answers(make(), [[prompt]], [sampler], limit=FIRST + 2)[0]

        return distribution(run)

    plain = of(lambda: Plain(target))
    drafted = of(lambda: Speculative(target, ModelDraft(small, target.vocabulary), Fixed(2, tree)))
    assert len(plain) == 8
    for path in plain.keys() | drafted.keys():
        assert drafted.get(path, 0.0) == pytest.approx(plain.get(path, 0.0), abs=1e-5)
