"""A model as a judge: what it is asked about an answer, and the grade that its reply holds.

Source: Zheng et al. 2023 (Judging LLM-as-a-Judge), section 3.1, single answer grading.
"""

from __future__ import annotations

import re

from pilotfish.model import Request

__all__ = ["GRADE", "filled_in", "grade_in", "task_of"]

GRADE = """You grade answers. Read the task and the answer. Say in a sentence or two what is right and what is wrong \
with it, then end with a line of the form "Grade: N", where N is a number from {low} (useless) to {high} (perfect).

Task: {task}

Answer: {answer}"""

_GRADE = re.compile(r"grade\W*?(-?\d+(?:\.\d+)?)", re.IGNORECASE)
_ALONE = re.compile(r"\s*(-?\d+(?:\.\d+)?)(?:\s*/\s*\d+)?\s*\.?\s*")


def grade_in(text: str, low: float, high: float) -> float | None:
    """Return the grade that a judge's reply ends with ("Grade: 7", or a number alone); None for none on the scale."""
    found = _GRADE.findall(text)
    alone = _ALONE.fullmatch(text)
    said = found[-1] if found else alone.group(1) if alone else None
    return None if said is None or not low <= float(said) <= high else float(said)


def task_of(request: Request) -> str:
    """Return a conversation as one text; a single turn as it is."""
    if len(request.messages) == 1:
        return request.messages[0].text
    return "\n".join(f"{message.role}: {message.text}" for message in request.messages)


def filled_in(prompt: str, **values: str) -> str:
    """Return a prompt with its places filled in one pass, so that braces in a value are never a place."""
    places = re.compile("|".join(re.escape("{" + name + "}") for name in values))
    return places.sub(lambda found: values[found.group()[1:-1]], prompt)
