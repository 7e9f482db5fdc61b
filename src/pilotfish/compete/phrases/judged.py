"""A large model is asked how near two phrases are, as a number from 0 to 10.

Source: the sum of the numbers, each times its probability, where the weights are here: Liu et al. 2023 (G-Eval),
section 2, equation 1; any other model writes a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError
from pilotfish.measure.judging import filled_in, grade_in, shares_of
from pilotfish.model import Call, Message, Model, Request, Trace
from pilotfish.models.calls import Calls, Failure, answered
from pilotfish.rows.asking import Bill

__all__ = ["LITERAL", "SIMILAR", "Judged", "judged"]

SIMILAR = """How similar in meaning are the two phrases? 0 is nothing in common, 10 is the same meaning. Answer with \
a whole number from 0 to 10 and nothing else.

First: {a}
Second: {b}"""
# Of a compound and its parts: 0 where no part keeps its meaning.
LITERAL = """How much of the meaning of the compound "{a}" comes from the usual meanings of its words? 0 is not at \
all, as in "hot dog", 10 is all of it, as in "wooden table". Answer with a whole number from 0 to 10 and nothing \
else."""


@dataclass(frozen=True)
class Judged:
    """What a model said.

    Attributes:
        scores: (pairs,) 0 to 10; NaN where it gave none.
        traces: one a pair that was asked about.
        bill: of all of them.
        failed: pairs without a number.
    """

    scores: NDArray[np.float64]
    traces: list[Trace]
    bill: Bill
    failed: int = 0


def judged(
    model: Model,
    pairs: Sequence[tuple[str, str]],
    path: str | Path,
    *,
    prompt: str = SIMILAR,
    settings: Mapping[str, Any] | None = None,
    concurrency: int | None = None,
    progress: bool = False,
) -> Judged:
    """Return a model's numbers for pairs of phrases.

    Args:
        model: any; of one whose weights are here the expected number is read off its probabilities.
        pairs: of phrases.
        path: the file in which the answers of any other model are kept: what stands there is not asked again.
        prompt: with the places {a} and {b}; of one phrase {a} alone.
        settings: further fields of the request; a temperature of 0 and 8 tokens where there are none.
        concurrency: calls under way at once; None is as many as the model takes.
        progress: show a bar.

    Raises:
        ConfigError: a prompt without the place {a}.
        UpstreamError: the endpoint fails for pair after pair; what was answered stays.
        ModelError: the model could answer none of the first pairs.
    """
    if "{a}" not in prompt:
        raise ConfigError("the prompt needs the place {a}")
    given = {"temperature": 0.0, "max_tokens": 8} | dict(settings or {})
    requests = [Request((Message("user", filled_in(prompt, a=a, b=b)),), **given) for a, b in pairs]
    local: Any = model
    if all(callable(getattr(model, name, None)) for name in ("choices", "render", "count")):
        return _expected(local, requests)
    replies, bill = answered(Calls(model, path, concurrency=concurrency), requests, progress=progress)
    said = [None if isinstance(one, Failure) else grade_in(one.text, 0, 10) for one in replies]
    scores = np.array([np.nan if one is None else one for one in said], np.float64)
    traces = [one.trace for one in replies if not isinstance(one, Failure)]
    return Judged(scores, traces, bill, int(np.isnan(scores).sum()))


def _expected(model: Any, requests: Sequence[Request]) -> Judged:
    """Return the expected numbers: of each number its probability among all of the scale."""
    import time

    if not requests:
        return Judged(np.zeros(0), [], Bill())
    contexts = [model.render(request) for request in requests]
    numbers = [str(number) for number in range(11)]
    began = time.perf_counter()
    scores = shares_of(model.choices(contexts, numbers)) @ np.arange(11.0)
    # The pairs were read together: each has an equal part of the time, and the numbers are no tokens that were written.
    each = (time.perf_counter() - began) / len(requests)
    traces = [
        Trace((Call(model.name, "judge", model.count(context), 0, each, why="a number by probability"),))
        for context in contexts
    ]
    read = sum(trace.calls[0].tokens_in for trace in traces)
    return Judged(scores, traces, Bill(len(traces), read, 0, each * len(traces), 0.0))
