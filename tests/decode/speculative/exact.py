"""The target's own distribution of an answer's first tokens, and answers of strategies to compare with it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch

from pilotfish.decode.decoder import Decoder
from pilotfish.decode.sampler import Sampler, Sampling
from pilotfish.decode.strategy import Job, Strategy

FIRST = 3


def exact(target: Decoder, prompt: Sequence[int], sampling: Sampling, count: int = FIRST) -> torch.Tensor:
    """Return p of the first tokens, (vocabulary,) * count, by the chain rule: one path after the other."""
    size = target.vocabulary
    out = torch.zeros((size,) * count, dtype=torch.float64)
    for path in itertools.product(range(size), repeat=count):
        chance = 1.0
        for i in range(count):
            sampler = Sampler(sampling, size, prompt)
            sampler.accept(path[:i])
            _, logits = target.start([[[*prompt, *path[:i]]]])
            chance *= float(sampler.logprobs(logits)[0, path[i]].double().exp())
            if chance == 0:
                break
        out[path] = chance
    return out


def answers(
    strategy: Strategy,
    prompts: Sequence[Sequence[Sequence[int]]],
    samplers: Sequence[Sampler],
    count: int = FIRST,
    limit: int = 50,
) -> list[tuple[int, ...]]:
    """Run jobs together to the end of the first tokens, and return those."""
    jobs = [Job(prompt, sampler, limit) for prompt, sampler in zip(prompts, samplers, strict=True)]
    strategy.begin(jobs)
    said: dict[Job, list[int]] = {job: [] for job in jobs}
    going = list(jobs)
    while going:
        for job, step in zip(going, strategy.step(going), strict=True):
            assert step.error is None, step.error
            said[job] += step.tokens
        going = [job for job in going if len(said[job]) < min(count, limit)]
    for job in jobs:
        strategy.end(job)
    return [tuple(said[job][:count]) for job in jobs]


def draws(
    strategy: Strategy, prompt: Sequence[Sequence[int]], sampling: Sampling, total: int, batch: int, vocabulary: int
) -> torch.Tensor:
    """Return counts of the first tokens over `total` answers, `batch` at a time."""
    counts = torch.zeros((vocabulary,) * FIRST, dtype=torch.float64)
    for _ in range(total // batch):
        samplers = [Sampler(sampling, vocabulary, prompt[0]) for _ in range(batch)]
        for path in answers(strategy, [prompt] * batch, samplers, limit=FIRST + 2):
            counts[path] += 1
    return counts


def p_value(counts: torch.Tensor, chances: torch.Tensor, least: float = 5.0) -> float:
    """Pearson's chi-square test; cells that expect fewer than `least` draws are pooled. 0 where p = 0 was drawn."""
    counts, expected = counts.flatten(), chances.flatten() * counts.sum()
    if bool((counts[chances.flatten() == 0] > 0).any()):
        return 0.0
    big = expected >= least
    observed = torch.cat([counts[big], counts[~big].sum()[None]])
    wanted = torch.cat([expected[big], expected[~big].sum()[None]])
    held = wanted > 0
    statistic = ((observed - wanted)[held] ** 2 / wanted[held]).sum()
    freedom = torch.tensor((int(held.sum()) - 1) / 2.0, dtype=torch.float64)
    return float(torch.special.gammaincc(freedom, statistic / 2))
