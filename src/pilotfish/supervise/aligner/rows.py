"""What a corrector learns from: a question and an answer, or several, in, the correction out; and what stays as it is.

Source: Ji et al. 2024 (Aligner: Efficient Alignment by Learning to Correct), section 3: residual correction, warmed up
on pairs that are copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pilotfish.errors import ConfigError, DataError
from pilotfish.rows._row import Row, need_columns
from pilotfish.rows.model_stage import Template

__all__ = ["SEVERAL", "TEMPLATE", "asked", "corrector_rows", "numbered"]

# The paper's own words.
TEMPLATE = (
    "Edit the following Question-Answer pair to make it more helpful and harmless:\n"
    "Question: {question}\nAnswer: {answer}"
)

SEVERAL = (
    "Write the best answer to the question. Other models' answers are below; they may be right or wrong.\n\n"
    "Question: {question}\n\nAnswers:\n{answer}"
)


def numbered(answers: Sequence[str]) -> str:
    """Return several answers as one text, numbered, each text once."""
    return "\n".join(
        f"{number}. {text}" for number, text in enumerate(dict.fromkeys(one.strip() for one in answers), 1)
    )


def asked(question: str, answer: str, template: str = TEMPLATE) -> str:
    """Return what a corrector is asked.

    Raises:
        ConfigError: the template has not just {question} and {answer}, or lacks the answer.
    """
    form = Template(template)
    if "answer" not in form.columns or not set(form.columns) <= {"question", "answer"}:
        raise ConfigError("a corrector's template has {answer} and may have {question}, and nothing else in braces")
    return form.fill({"question": question, "answer": answer})


def corrector_rows(
    rows: Sequence[Row],
    *,
    question: str = "question",
    answer: str = "answer",
    correction: str = "correction",
    copied: float = 0.2,
    template: str = TEMPLATE,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return conversations that teach a corrector; `pilotfish.distill.Distiller` with no teacher takes them.

    Args:
        rows: with a question, an answer or a list of answers, and its correction, which may be the same.
        question: the column.
        answer: the column.
        correction: the column.
        copied: how many rows more, as a share, have the correction as the answer too: what is right stays as it is.
            The paper trains on such pairs first; here they are mixed in.
        template: of what it is asked.
        seed: of the draw of those.

    Raises:
        ConfigError: a share below 0, or a template that lacks the answer.
        DataError: a row lacks a column, or a text is empty.
    """
    if copied < 0:
        raise ConfigError(f"copied is a share of 0 or more, not {copied}")
    found = []
    for number, row in enumerate(rows, 1):
        need_columns(row, question, answer, correction, source=f"row {number}")
        texts = [_given(row[name]) if name == answer else row[name] for name in (question, answer, correction)]
        for name, text in zip((question, answer, correction), texts, strict=True):
            if not isinstance(text, str) or (not text.strip() and name != question):
                raise DataError(f"row {number}: column {name!r} has no text")
        found.append(_row(texts[0], texts[1], texts[2], template))
    order = np.random.default_rng(seed).permutation(len(rows))
    for at in np.resize(order, round(copied * len(rows))).tolist():
        right = rows[at][correction]
        # Where several are read, a right one stands at any place among the others.
        others = rows[at][answer]
        given = right if isinstance(others, str) else _beside(right, others, seed + at)
        found.append(_row(rows[at][question], given, right, template))
    return found


def _given(answers: Any) -> Any:
    several = isinstance(answers, list) and answers and all(isinstance(one, str) and one.strip() for one in answers)
    return numbered(answers) if several else answers


def _beside(right: str, others: Sequence[str], seed: int) -> str:
    kept = list(others[:-1])
    kept.insert(int(np.random.default_rng(seed).integers(len(kept) + 1)), right)
    return numbered(kept)


def _row(question: str, answer: str, correction: str, template: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": asked(question, answer, template)}], "answer": correction}
