"""A model as a judge: what it is asked about an answer, or two, and the grade or the verdict that its reply holds.

Sources: Zheng et al. 2023 (Judging LLM-as-a-Judge), section 3.1, single answer grading and pairwise comparison; Liu et
al. 2023 (G-Eval), section 2, equation 1: the sum of the scores, each times its probability.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish.model import Request

__all__ = ["GRADE", "PAIR", "filled_in", "grade_in", "shares_of", "task_of", "verdict_in"]

GRADE = """You grade answers. Read the task and the answer. Say in a sentence or two what is right and what is wrong \
with it, then end with a line of the form "Grade: N", where N is a number from {low} (useless) to {high} (perfect).

Task: {task}

Answer: {answer}"""

PAIR = """You compare two answers to a task. Say in a sentence or two what is better about which, then end with a line \
"Better: A", "Better: B" or "Better: tie". The order of the answers and their length mean nothing.

Task: {task}

Answer A: {a}

Answer B: {b}"""

_GRADE = re.compile(r"grade\W*?(-?\d+(?:\.\d+)?)", re.IGNORECASE)
_GRADE_ALONE = re.compile(r"\s*(-?\d+(?:\.\d+)?)(?:\s*/\s*\d+)?\s*\.?\s*")
_BETTER = re.compile(r"better\W*?(a|b|tie)\b", re.IGNORECASE)
_BETTER_ALONE = re.compile(r"\W*(a|b|tie)\W*", re.IGNORECASE)


def grade_in(text: str, low: float, high: float) -> float | None:
    """Return the grade that a judge's reply ends with ("Grade: 7", or a number alone); None for none on the scale."""
    found = _GRADE.findall(text)
    alone = _GRADE_ALONE.fullmatch(text)
    said = found[-1] if found else alone.group(1) if alone else None
    return None if said is None or not low <= float(said) <= high else float(said)


def verdict_in(text: str) -> int | None:
    """Return 1 for A, -1 for B and 0 for a tie, as a judge's reply ends; None where it says none of them."""
    found = _BETTER.findall(text)
    alone = _BETTER_ALONE.fullmatch(text)
    said = found[-1] if found else alone.group(1) if alone else None
    return None if said is None else {"a": 1, "b": -1, "tie": 0}[said.casefold()]


def shares_of(logprobs: ArrayLike) -> NDArray[np.float64]:
    """Return the probabilities of a scale's numbers among themselves, of log-probabilities: both (rows, numbers).

    Their product with the numbers is the expected score.
    """
    given = np.asarray(logprobs, np.float64)
    shares = np.exp(given - given.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def task_of(request: Request) -> str:
    """Return a conversation as one text; a single turn as it is."""
    if len(request.messages) == 1:
        return request.messages[0].text
    return "\n".join(f"{message.role}: {message.text}" for message in request.messages)


def filled_in(prompt: str, **values: str) -> str:
    """Return a prompt with its places filled in one pass, so that braces in a value are never a place."""
    places = re.compile("|".join(re.escape("{" + name + "}") for name in values))
    return places.sub(lambda found: values[found.group()[1:-1]], prompt)
