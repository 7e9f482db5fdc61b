"""Greedy answers are the target's own to the token, for every draft, in batches, with penalties and constraints."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest
import torch

from pilotfish.decode.lockstep import Lockstep
from pilotfish.decode.rules import proxy_tuning
from pilotfish.decode.sampler import Sampler, Sampling
from pilotfish.decode.speculative import Auto, Fixed, LookupDraft, ModelDraft, Policy, Speculative, Tree
from pilotfish.decode.strategy import Job, Plain
from tests.decode.reference import ReferenceDecoder
from tests.decode.speculative.exact import answers

if TYPE_CHECKING:
    from pilotfish.models.local import LocalModel
    from tests.conftest import TinyFolder

TEXTS = [
    "the cat sat on the mat, the cat sat on",
    "refund for the top up",
    "wrong, wrong, wrong, wrong",
    "Where is it? I want",
]
POLICIES: dict[str, Callable[[], Policy]] = {
    "4": lambda: Fixed(4),
    "auto": lambda: Auto(6, Tree((2, 1)), trial=2, rest=2),
    "tree": lambda: Fixed(tree=Tree((3, 2, 1))),
    "nodes": lambda: Fixed(tree=Tree(nodes=6, depth=4, beam=3)),
}


def noisy(model: Any) -> Any:
    """The target's own weights, disturbed: a draft that is right often, but not always."""
    model = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    return model


@pytest.fixture(scope="module")
def pair(tiny_lm: LocalModel) -> tuple[ReferenceDecoder, ReferenceDecoder, list[list[list[int]]]]:
    prompts = [[tiny_lm.tokenizer(text)["input_ids"]] for text in TEXTS]
    return ReferenceDecoder(tiny_lm.model), ReferenceDecoder(noisy(tiny_lm.model)), prompts


def samplers(target: Any, prompts: Sequence[Any], **settings: Any) -> list[Sampler]:
    return [Sampler(Sampling(**settings), target.vocabulary, prompt[0]) for prompt in prompts]


SETTINGS: dict[str, dict[str, Any]] = {
    "greedy": {},
    "penalties": {"repetition_penalty": 1.5, "presence_penalty": 2.0, "frequency_penalty": 1.0},
    "seeded": {"temperature": 0.8, "top_p": 0.9, "seed": 3},
}


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("policy", POLICIES)
def test_a_models_draft(pair: Any, policy: str, settings: str, batch: int) -> None:
    target, small, prompts = pair
    prompts = prompts[:batch]
    strategy = Speculative(target, ModelDraft(small, target.vocabulary), POLICIES[policy]())
    plain = answers(Plain(target), prompts, samplers(target, prompts, **SETTINGS[settings]), 16, 16)
    assert answers(strategy, prompts, samplers(target, prompts, **SETTINGS[settings]), 16, 16) == plain
    if policy != "auto" and settings == "greedy":
        assert strategy.report.accepted > 0
        assert strategy.report.acceptance < 1


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("settings", SETTINGS)
def test_look_up(pair: Any, settings: str, batch: int) -> None:
    target, _, prompts = pair
    prompts = prompts[:batch]
    strategy = Speculative(target, LookupDraft(), Fixed(5))
    plain = answers(Plain(target), prompts, samplers(target, prompts, **SETTINGS[settings]), 16, 16)
    assert answers(strategy, prompts, samplers(target, prompts, **SETTINGS[settings]), 16, 16) == plain
    assert settings == "penalties" or strategy.report.drafts > 0


def test_a_target_of_three_models(pair: Any) -> None:
    base, small, prompts = pair
    target = Lockstep([base, small, base], proxy_tuning)
    prompts = [[*prompt * 3, *prompt] for prompt in prompts]  # the draft's own prompt stands last
    strategy = Speculative(target, ModelDraft(small, target.vocabulary), Fixed(3))
    plain = answers(Plain(target), [prompt[:3] for prompt in prompts], samplers(target, prompts), 12, 12)
    assert answers(strategy, prompts, samplers(target, prompts), 12, 12) == plain
    assert strategy.report.accepted > 0


def test_a_perfect_draft_is_accepted_whole(pair: Any) -> None:
    target, _, prompts = pair
    strategy = Speculative(target, ModelDraft(target, target.vocabulary), Fixed(4))
    answers(strategy, prompts[:1], samplers(target, prompts[:1]), 16, 16)
    report = strategy.report
    assert report.acceptance == 1.0
    assert report.alpha == 1.0
    assert report.mean_length == 1 + report.drafted / report.drafts
    assert set(report.lengths) == {4}  # 1 + 3 x 5 tokens


def test_nothing_is_drafted_that_cannot_be_said(pair: Any) -> None:
    target, _, prompts = pair
    strategy = Speculative(target, ModelDraft(target, target.vocabulary), Fixed(8))
    assert len(answers(strategy, prompts[:1], samplers(target, prompts[:1]), 3, 3)[0]) == 3
    assert strategy.report.drafted == 1  # the first comes with the prompt, the last with the second
    strategy = Speculative(target, ModelDraft(target, target.vocabulary), Fixed(8))
    answers(strategy, prompts[:1], samplers(target, prompts[:1]), 1, 1)
    assert strategy.report.rounds == 0


def test_an_answer_to_the_very_end_of_the_context(pair: Any, tiny_folder: TinyFolder) -> None:
    target, small, prompts = pair
    near = [[(prompts[0][0] * 60)[:500]]]
    job = Job(near[0], samplers(target, near)[0], 100)
    strategy = Speculative(target, ModelDraft(small, target.vocabulary), Fixed(4))
    strategy.begin([job])
    assert job.limit == 12
    said: list[int] = []
    while len(said) < job.limit:
        said += strategy.step([job])[0].tokens
    strategy.end(job)
    assert tuple(said) == answers(Plain(target), near, samplers(target, near), 12, 12)[0]


def test_a_draft_that_takes_less_than_the_target(pair: Any) -> None:
    target, small, prompts = pair
    short = ReferenceDecoder(small.model)
    short.length = len(prompts[0][0]) + 6
    strategy = Speculative(target, ModelDraft(short, target.vocabulary), Fixed(3))
    plain = answers(Plain(target), prompts[:1], samplers(target, prompts[:1]), 16, 16)
    assert answers(strategy, prompts[:1], samplers(target, prompts[:1]), 16, 16) == plain
    assert 0 < strategy.report.drafts < strategy.report.rounds


def test_nothing_is_said_after_an_end(pair: Any) -> None:
    target, _, prompts = pair
    plain = answers(Plain(target), prompts[:1], samplers(target, prompts[:1]), 16, 16)[0]
    end = plain[7]
    strategy = Speculative(
        target, ModelDraft(target, target.vocabulary, frozenset({end})), Fixed(16), ends=frozenset({end})
    )
    job = Job(prompts[0], samplers(target, prompts[:1])[0], 50)
    strategy.begin([job])
    said: list[int] = []
    while end not in said:
        said += strategy.step([job])[0].tokens
    strategy.end(job)
    assert tuple(said) == plain[: plain.index(end) + 1]


def test_jobs_join_and_leave(pair: Any) -> None:
    target, small, prompts = pair
    wanted = [answers(Plain(target), [p], samplers(target, [p]), 12, 12)[0] for p in prompts]
    strategy = Speculative(target, ModelDraft(small, target.vocabulary), Fixed(3))
    jobs = [Job(prompt, sampler, 12) for prompt, sampler in zip(prompts, samplers(target, prompts), strict=True)]
    said: dict[Job, list[int]] = {job: [] for job in jobs}
    waiting = list(jobs)
    going: list[Job] = []
    while waiting or going:
        if waiting:
            strategy.begin(waiting[:1])
            going.append(waiting.pop(0))
        for job, step in zip(going, strategy.step(going), strict=True):
            said[job] += step.tokens
        for job in [job for job in going if len(said[job]) >= 12]:
            going.remove(job)
            tally = strategy.end(job)
            assert [call.role for call in tally.calls] == ["target", "draft"]
            assert "drafted tokens" in tally.decisions[0].verdict
    assert [tuple(said[job]) for job in jobs] == wanted


def test_logits_are_those_the_tokens_were_chosen_from(pair: Any) -> None:
    target, small, prompts = pair
    strategy = Speculative(target, ModelDraft(small, target.vocabulary), Fixed(tree=Tree((2, 2))))
    job = Job(prompts[0], samplers(target, prompts[:1])[0], 12, wants_logits=True)
    strategy.begin([job])
    said: list[int] = []
    while len(said) < 12:
        step = strategy.step([job])[0]
        assert step.logits is not None
        for token, logits in zip(step.tokens, step.logits, strict=True):
            _, own = target.start([[[*prompts[0][0], *said]]])
            assert torch.allclose(logits, own[0], atol=1e-4)
            said.append(token)
    strategy.end(job)
