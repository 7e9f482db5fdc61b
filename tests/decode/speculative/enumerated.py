"""Every way an algorithm's dice can fall, with its probability: the exact distribution of what it returns."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import torch

from pilotfish.decode.sampler import Sampler


class _Uniform:
    """A number drawn from [0, 1) that is only ever compared: each comparison is a fork in the road."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice

    def __lt__(self, bound: float) -> bool:
        chance = min(1.0, max(0.0, float(bound)))
        return self.dice.pick([1 - chance, chance]) == 1


class Dice:
    """Replays a beginning of choices, then takes the first possible one each time, noting the others."""

    def __init__(self) -> None:
        self.script: list[tuple[int, list[float]]] = []
        self.at = 0
        self.chance = 1.0

    def pick(self, chances: list[float]) -> int:
        if self.at == len(self.script):
            self.script.append((next(i for i, chance in enumerate(chances) if chance > 0), chances))
        choice, seen = self.script[self.at]
        assert max(abs(a - b) for a, b in zip(seen, chances, strict=True)) < 1e-9, "a replay went another way"
        self.at += 1
        self.chance *= chances[choice] / sum(chances)
        return choice

    def advance(self) -> bool:
        """Turn to the next way; False where all have been gone."""
        while self.script:
            choice, chances = self.script.pop()
            following = next((i for i in range(choice + 1, len(chances)) if chances[i] > 0), None)
            if following is not None:
                self.script.append((following, chances))
                self.at, self.chance = 0, 1.0
                return True
        return False


def dealt(sampler: Sampler, dice: Dice) -> Sampler:
    """Make a sampler's random numbers come from the dice; all else is its own."""

    def draw(logprobs: torch.Tensor) -> int:
        return dice.pick([float(x) for x in logprobs.double().exp()])

    def choose(logits: torch.Tensor, ahead: Any = ()) -> list[int]:
        return [draw(row) for row in sampler.logprobs(logits, ahead)]

    sampler.draw, sampler.choose = draw, choose  # type: ignore[method-assign]
    sampler.uniform = lambda: _Uniform(dice)  # type: ignore[method-assign, assignment, return-value]
    return sampler


def distribution(run: Callable[[Dice], Hashable]) -> dict[Any, float]:
    """Return what `run` gives and how often, exactly."""
    found: dict[Any, float] = {}
    dice = Dice()
    while True:
        what = run(dice)
        found[what] = found.get(what, 0.0) + dice.chance
        if not dice.advance():
            return found
