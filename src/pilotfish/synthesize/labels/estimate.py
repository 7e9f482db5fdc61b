"""What a run will take, before it is asked for: prompts counted, or a seeded sample of them asked and multiplied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish._sync import wait
from pilotfish.errors import ConfigError
from pilotfish.measure.intervals import Interval, bootstrap
from pilotfish.model import Model, Price, Reply, Request
from pilotfish.models.calls import Calls, keys_of
from pilotfish.models.choosing import CHOICES
from pilotfish.rows._describe import known_as
from pilotfish.rows._lock import locked
from pilotfish.synthesize.make import CALLS
from pilotfish.synthesize.recipe import Made, Recipe

__all__ = ["Estimate", "counted", "sampled"]

SAMPLE, COUNTED = 20, 200  # calls that are asked; prompts whose tokens are counted
_CHARACTERS = 4.0  # a token, of a text in a language that tokenizers know


@dataclass(frozen=True)
class Estimate:
    """What the calls that are still to be made will take.

    Attributes:
        calls: how many; equal requests are one, and those of earlier runs are none.
        tokens_in: of all prompts.
        tokens_out: of all answers; where nothing is known of them, at most.
        dollars: None where the price is not known.
        by: what it goes by, in words.
    """

    calls: int
    tokens_in: Interval
    tokens_out: Interval
    dollars: Interval | None
    by: str

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        dollars = None if self.dollars is None else self.dollars.to_json()
        tokens = {"tokens_in": self.tokens_in.to_json(), "tokens_out": self.tokens_out.to_json()}
        return {"calls": self.calls, **tokens, "dollars": dollars, "by": self.by}

    def __str__(self) -> str:
        if not self.calls:
            return "nothing is left to ask: all calls are stored"
        cost = "cost unknown" if self.dollars is None else f"${_span(self.dollars, '.4f')}"
        tokens = f"{_span(self.tokens_in, ',.0f')} tokens in, {_span(self.tokens_out, ',.0f')} out"
        return f"{self.calls:,} calls to make: {tokens}; {cost} (by {self.by})"


def counted(recipe: Recipe, model: Model, folder: str | Path, *, rows: int | None = None, seed: int = 0) -> Estimate:
    """Return an estimate for which nothing is asked.

    Prompts are counted by the model's own tokenizer where it is here, else by characters; of many prompts a seeded
    sample is. Answers are as long as those that are stored, else up to their limit.
    """
    store = Path(folder) / CALLS
    calls = Calls(model, store) if store.exists() else None
    left, _, more = _left(recipe, model, rows, seed, calls)
    drawn = _drawn(left, COUNTED, seed)
    count, by = _counter(model)
    tokens_in = _total([count(left[i]) for i in drawn], more)
    listed = bool(left) and CHOICES in left[0].extra
    limit = 0 if listed else max((left[i].max_tokens or 0 for i in drawn), default=0) * more
    tokens_out = Interval(limit, 0, limit, 0.95, "at most", len(drawn))
    if calls is not None:
        if calls.bill.calls and not listed:
            mean = calls.bill.tokens_out / calls.bill.calls * more
            tokens_out, by = Interval.exact(mean), f"{by}, and the answers stored"
        calls.close()
    price = getattr(model, "price", None)
    if price is None and count is not _by_characters:
        price = Price()  # a model on this machine
    dollars = None if price is None else _priced(price, tokens_in, tokens_out)
    return Estimate(more, tokens_in, tokens_out, dollars, by)


def sampled(
    recipe: Recipe,
    calls: Calls,
    folder: str | Path,
    *,
    rows: int | None = None,
    seed: int = 0,
    sample: int = SAMPLE,
) -> Estimate:
    """Ask a seeded sample of the prompts, and return what all of them will take by it.

    What was answered is stored, so that the run itself does not ask it again.

    Args:
        recipe: whose first round is asked.
        calls: whom to ask, with the run's own budget and store.
        folder: the run's.
        rows: as the run has it.
        seed: of the run, and of the sample.
        sample: calls to make.

    Raises:
        ConfigError: another process works in the folder.
        UpstreamError: the endpoint fails for all of the sample.
    """
    with locked(Path(folder)):
        left, new, more = _left(recipe, calls.model, rows, seed, calls)
        drawn = _drawn(left, sample, seed)
        replies = wait(calls.replies([left[i] for i in drawn], progress=False))
    heard = [reply for reply in replies if isinstance(reply, Reply)]
    if drawn and not heard:
        raise ConfigError(f"no answer to {len(drawn)} calls, the last of them: {getattr(replies[-1], 'reason', '')}")
    more -= min(new, len(drawn))
    costs = [reply.cost for reply in heard]
    dollars = None if None in costs else _total([cost or 0.0 for cost in costs], more)
    return Estimate(
        more,
        _total([reply.usage.tokens_in for reply in heard], more),
        _total([reply.usage.tokens_out for reply in heard], more),
        dollars,
        f"a sample of {len(heard)} calls",
    )


def _left(
    recipe: Recipe, model: Model, rows: int | None, seed: int, calls: Calls | None
) -> tuple[list[Request], int, int]:
    """Return requests to go by, how many of them are still to be asked, and how many calls are left in all.

    They are those of the first round that no store answers, each once.

    Where a row takes several calls, those behind the first are made of its answer: they are as long as the first, as
    far as one can tell. Where all first calls are stored, those stand for the others.
    """
    asked: dict[bytes, Request] = {}
    known = known_as(model)
    for prompt in recipe.prompts(Made(rows, seed)):
        asked.setdefault(keys_of(known, prompt.request)[0], prompt.request)
    left = [request for key, request in asked.items() if calls is None or calls.store.get(key) is None]
    stored = len(calls.store) if calls is not None else 0
    behind = len(asked) * (recipe.calls - 1)
    behind = max(0, behind - max(0, stored - (len(asked) - len(left)))) if recipe.calls > 1 else 0
    return left or (list(asked.values()) if behind else []), len(left), len(left) + behind


def _drawn(left: Sequence[Request], count: int, seed: int) -> list[int]:
    return [int(i) for i in np.random.default_rng(seed).permutation(len(left))[:count]]


def _counter(model: Model) -> tuple[Callable[[Request], float], str]:
    inner = getattr(model, "model", model)
    for one in (model, inner):
        if callable(getattr(one, "count", None)) and callable(getattr(one, "render", None)):
            return partial(_by_tokenizer, one), "its tokenizer"
    return _by_characters, f"{_CHARACTERS:g} characters a token"


def _by_tokenizer(model: Any, request: Request) -> float:
    return float(model.count(model.render(request)))


def _by_characters(request: Request) -> float:
    return sum(len(message.text) for message in request.messages) / _CHARACTERS


def _total(each: Sequence[float], calls: int) -> Interval:
    """Return the total over calls of what a sample of them took each."""
    if not each or not calls:
        return Interval.exact(0.0)
    if len(each) == calls:
        return Interval.exact(float(sum(each)))
    mean = bootstrap(each, resamples=2000)
    return Interval(mean.value * calls, mean.low * calls, mean.high * calls, mean.level, mean.method, mean.n)


def _priced(price: Price, tokens_in: Interval, tokens_out: Interval) -> Interval:
    value, low, high = (
        price.input * getattr(tokens_in, end) / 1e6 + price.output * getattr(tokens_out, end) / 1e6
        for end in ("value", "low", "high")
    )
    return Interval(value, low, high, tokens_in.level, "priced", tokens_in.n)


def _span(interval: Interval, form: str) -> str:
    if interval.low == interval.high:
        return f"{interval.value:{form}}"
    return f"{interval.value:{form}} [{interval.low:{form}}, {interval.high:{form}}]"
