"""Pairs that a large model writes: other words for a phrase, each call paid for once.

Sources: pairs by a model that paraphrases phrases: Wang et al. 2021 (Phrase-BERT), section 3; whole phrases as
augmentation: Chen et al. 2024 (PEARL), section 3.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pilotfish.compete.phrases.pair import Pair, distinct, normal
from pilotfish.errors import ConfigError
from pilotfish.measure.judging import filled_in
from pilotfish.model import Message, Model, Request, Trace
from pilotfish.models.calls import Budget, Calls, Failure, answered
from pilotfish.rows.asking import Bill

__all__ = ["PROMPT", "Written", "phrases_in_answer", "written"]

PROMPT = """Write {count} other ways to say "{phrase}": words or short phrases that mean the same. One on a line, \
nothing else."""
_MARK = re.compile(r"^\s*(?:[-*•–]|\(?\d+[.):])\s*")
_QUOTES = "\"'“”‘’«»`*"


@dataclass(frozen=True)
class Written:
    """What a model wrote.

    Attributes:
        pairs: each once, of the kind "written".
        traces: one a phrase that was answered, as it was asked for now: a stored answer has a call that says so.
        bill: of all answers, those of earlier sessions included.
        unanswered: why -> phrases.
        empty: phrases whose answer held no other phrase.
    """

    pairs: list[Pair]
    traces: list[Trace]
    bill: Bill
    unanswered: Counter[str]
    empty: int


def written(
    model: Model,
    phrases: Sequence[str],
    path: str | Path,
    *,
    count: int = 4,
    prompt: str = PROMPT,
    longest: int = 6,
    without: Sequence[tuple[str, str]] = (),
    max_tokens: int = 64,
    temperature: float = 0.0,
    budget: Budget | None = None,
    concurrency: int | None = None,
    progress: bool = True,
) -> Written:
    """Ask a model for other words for phrases.

    Args:
        model: any.
        phrases: each asked about once.
        path: the file in which answers are kept: what stands there is not asked again.
        count: how many are asked for; more are not taken.
        prompt: with the places {phrase} and {count}.
        longest: words of a phrase that is taken.
        without: pairs that are to be measured on: none of them is given.
        max_tokens: of an answer.
        temperature: of an answer.
        budget: of all calls, those of earlier sessions included.
        concurrency: calls under way at once; None is as many as the model takes.
        progress: show a bar.

    Raises:
        ConfigError: a prompt without its places, or a number below 1.
        UpstreamError: the endpoint fails for phrase after phrase; what was answered stays.
        ModelError: the model could answer none of the first phrases.
    """
    if "{phrase}" not in prompt or count < 1 or longest < 1:
        raise ConfigError("the prompt needs the place {phrase}, and count and longest are 1 or more")
    asked = list(dict.fromkeys(" ".join(phrase.split()) for phrase in phrases))
    requests = [
        Request(
            (Message("user", filled_in(prompt, phrase=phrase, count=str(count))),),
            max_tokens=max_tokens,
            temperature=temperature,
        )
        for phrase in asked
    ]
    replies, bill = answered(Calls(model, path, budget=budget, concurrency=concurrency), requests, progress=progress)
    pairs: list[Pair] = []
    traces: list[Trace] = []
    unanswered: Counter[str] = Counter()
    empty = 0
    for phrase, reply in zip(asked, replies, strict=True):
        if isinstance(reply, Failure):
            unanswered[reply.reason.partition(":")[0]] += 1
            continue
        traces.append(reply.trace)
        others = phrases_in_answer(reply.text, phrase, longest=longest, cut=reply.finish_reason == "length")[:count]
        empty += not others
        pairs += [Pair(phrase, other, "written") for other in others]
    return Written(distinct(pairs, without), traces, bill, unanswered, empty)


def phrases_in_answer(text: str, phrase: str, *, longest: int = 6, cut: bool = False) -> list[str]:
    """Return the phrases that an answer lists, each once, without marks, quotes and the phrase itself.

    A single line with commas is a list too. A line with a colon at its end is a heading; one with more words than
    `longest` is no phrase. Of an answer that was `cut` the last line is left out.
    """
    lines = text.strip().splitlines()
    if cut:
        lines = lines[:-1]
    if len(lines) == 1 and "," in lines[0]:
        lines = lines[0].split(",")
    found: dict[str, str] = {}
    for line in lines:
        one = _MARK.sub("", line).strip().strip(_QUOTES).rstrip(".;,").strip(_QUOTES).strip()
        if one and not one.endswith(":") and len(one.split()) <= longest and normal(one) != normal(phrase):
            found.setdefault(normal(one), one)
    return list(found.values())
