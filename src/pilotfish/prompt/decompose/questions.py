"""What a decomposer is asked and how its sub-questions are read; and the rows that teach one.

Source: Juneja et al. 2023 (Small Language Models Fine-tuned to Coordinate Larger Language Models Improve Complex
Reasoning; DaSLaM), section 3: the decomposer sees the question and the solver's first attempt, and asks for what that
lacks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pilotfish.errors import ConfigError, DataError
from pilotfish.rows._row import Row, need_columns
from pilotfish.rows._shingles import normalised
from pilotfish.rows.model_stage import Template

__all__ = ["TEMPLATE", "asked", "decomposer_rows", "questions_in"]

TEMPLATE = (
    "Break the question into the smaller questions that have to be answered first, one a line and numbered. "
    "If it needs none, write: none.\n\nQuestion: {question}{attempt}\n\nSmaller questions:"
)
ATTEMPT = "\n\nA first attempt, which may be wrong:\n"
_NONE = re.compile(r"\W*(none|no (smaller |sub-?)?questions?( (is|are) needed)?|n/a)\W*", re.IGNORECASE)
_MARKED = re.compile(r"^\s*(?:(?:sub-?question|question|step|q)\s*)?(?:\(?\d{1,2}[.):]|[-*•])\s*", re.IGNORECASE)
_NUMBERED = re.compile(r"(?:^|\s)\(?\d{1,2}[.)]\s+(?=\S)")


def asked(question: str, attempt: str = "", template: str = TEMPLATE) -> str:
    """Return what a decomposer is asked; {attempt} is empty where there is none.

    Raises:
        ConfigError: the template lacks {question}, or has another place than {question} and {attempt}.
    """
    form = Template(template)
    if "question" not in form.columns or not set(form.columns) <= {"question", "attempt"}:
        raise ConfigError("a decomposer's template has {question} and may have {attempt}, and nothing else in braces")
    return form.fill({"question": question, "attempt": f"{ATTEMPT}{attempt.strip()}" if attempt.strip() else ""})


def questions_in(text: str, question: str, most: int) -> list[str]:
    """Return the sub-questions of a decomposer's answer, each once, the first `most` of them.

    Lines that are numbered or marked count; where none is, lines that end in a question mark. Several numbers in one
    line are several questions. One that says what the question itself says is none.
    """
    if _NONE.fullmatch(text):
        return []
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    marked = [part for line in lines if _MARKED.match(line) for part in _apart(line)]
    found = marked or [line for line in lines if line.endswith(("?", "？", "؟"))]
    seen = {normalised(question)}
    kept: list[str] = []
    for one in found:
        key = normalised(one)
        if key and key not in seen and not _NONE.fullmatch(one) and len(kept) < most:
            kept.append(one)
            seen.add(key)
    return kept


def _apart(line: str) -> list[str]:
    """Return the questions of a marked line, without their marks."""
    rest = _MARKED.sub("", line, count=1).strip()
    parts, start = [], 0
    for mark in _NUMBERED.finditer(rest):
        # "in 1990. The" is no mark: what stands before a further number has to end as a sentence does.
        if rest[start : mark.start()].rstrip().endswith(("?", ";", "？")):
            parts.append(rest[start : mark.start()])
            start = mark.end()
    return [part.strip(" ;") for part in (*parts, rest[start:]) if part.strip(" ;")]


def decomposer_rows(
    rows: Sequence[Row],
    *,
    question: str = "question",
    sub_questions: str = "sub_questions",
    attempt: str | None = None,
    template: str = TEMPLATE,
) -> list[dict[str, Any]]:
    """Return rows of {prompt, text} that teach a decomposer: `pilotfish tune ROWS --prompt prompt` reads them.

    Args:
        rows: with a question and a list of its sub-questions, or a text of one a line; an empty list teaches that a
            question needs none.
        question: the column.
        sub_questions: the column.
        attempt: the column of the solver's first attempt; None where there is none.
        template: of what it is asked.

    Raises:
        ConfigError: a template that lacks the question.
        DataError: a row lacks a column, or its sub-questions are neither a list of texts nor a text.
    """
    made = []
    for number, row in enumerate(rows, 1):
        need_columns(row, question, sub_questions, *([attempt] if attempt else []), source=f"row {number}")
        whole, parts = row[question], row[sub_questions]
        first = (row[attempt] or "") if attempt else ""
        if not isinstance(whole, str) or not whole.strip():
            raise DataError(f"row {number}: column {question!r} has no text")
        if not isinstance(first, str):
            raise DataError(f"row {number}: column {attempt!r} is {type(first).__name__}, not text")
        if isinstance(parts, str):
            parts = [line for line in parts.splitlines() if line.strip()]
        if not isinstance(parts, list) or not all(isinstance(one, str) and one.strip() for one in parts):
            raise DataError(f"row {number}: column {sub_questions!r} is a list of questions, or a text of one a line")
        told = [_MARKED.sub("", " ".join(one.split()), count=1) for one in parts]
        text = "\n".join(f"{at}. {one}" for at, one in enumerate(told, 1)) or "none"
        made.append({"prompt": asked(whole, first, template), "text": text})
    return made
