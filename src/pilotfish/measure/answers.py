"""Read the answer out of a reply: the whole text, its last line or number, a pattern's group, the code in a fence."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from typing import Any

from pilotfish.errors import ConfigError, did_you_mean
from pilotfish.measure._python_form import python_form

__all__ = ["ANSWERS", "answer_by", "code_of", "last_object", "unfenced"]

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_DECODER = json.JSONDecoder()
_FENCED = re.compile(r"\s*```[a-zA-Z]*\s*\n(.*?)\n?\s*```\s*", re.DOTALL)
_FENCE = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE)


def _text(said: str) -> str:
    """The whole reply, without case, accents' forms, runs of spaces and final punctuation."""
    return " ".join(unicodedata.normalize("NFKC", said).casefold().split()).rstrip(".!")


def _last_line(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    return _text(lines[-1]) if lines else ""


def _last_number(said: str) -> str:
    found = _NUMBER.findall(said)
    return f"{float(found[-1].replace(',', '')):.12g}" if found else ""


def _python(said: str) -> str:
    """The reply's code, but for layout, comments, docstrings and the names of variables."""
    return python_form(code_of(said))


ANSWERS: dict[str, Callable[[str], str]] = {
    "text": _text,
    "last-line": _last_line,
    "last-number": _last_number,
    "python": _python,
}


def answer_by(how: str) -> Callable[[str], str]:
    """Return what reads the answer out of a reply: a name of `ANSWERS`, or a pattern whose first group is the answer.

    An answer that is not there is "".

    Raises:
        ConfigError: no such name, or a pattern without a group.
    """
    if how in ANSWERS:
        return ANSWERS[how]
    try:
        pattern = re.compile(how)
    except re.error as error:
        raise ConfigError(f"answer = {how!r} is neither one of {', '.join(ANSWERS)} nor a pattern: {error}") from None
    if not pattern.groups:
        known = did_you_mean(how, ANSWERS) or f": one of {', '.join(ANSWERS)}, or a pattern with a group"
        raise ConfigError(f"answer = {how!r} is not known{known}")

    def read(said: str) -> str:
        found = list(pattern.finditer(said))
        return _text(found[-1].group(1) or "") if found else ""

    return read


def unfenced(said: str) -> str:
    """Return what stands in the Markdown fence that a reply is; a reply that is none as it is."""
    found = _FENCED.fullmatch(said)
    return found.group(1) if found else said


def code_of(said: str) -> str:
    """Return the code of a reply: its first fenced block, else the part after an open fence, else all of it."""
    found = _FENCE.search(said)
    if found:
        return found.group(1)
    before, fence, after = said.partition("```")
    return after.partition("\n")[2] if fence and not before.strip() else said


def last_object(said: str) -> dict[str, Any] | None:
    """Return the last whole JSON object of a reply, whatever stands around it; None where there is none.

    What a model quotes or thinks comes before what it concludes.
    """
    found, start = None, said.find("{")
    while start >= 0:
        try:
            value, end = _DECODER.raw_decode(said, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            found = value
        start = said.find("{", end)
    return found
