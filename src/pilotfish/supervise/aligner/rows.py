"""What a corrector learns from: a question and an answer in, the correction out; and answers that stay as they are.

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

__all__ = ["TEMPLATE", "asked", "corrector_rows"]

# The paper's own words.
TEMPLATE = (
    "Edit the following Question-Answer pair to make it more helpful and harmless:\n"
    "Question: {question}\nAnswer: {answer}"
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
        rows: with a question, an answer and its correction, which may be the same.
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
        texts = [row[name] for name in (question, answer, correction)]
        for name, text in zip((question, answer, correction), texts, strict=True):
            if not isinstance(text, str) or (not text.strip() and name != question):
                raise DataError(f"row {number}: column {name!r} has no text")
        found.append(_row(texts[0], texts[1], texts[2], template))
    order = np.random.default_rng(seed).permutation(len(rows))
    for at in np.resize(order, round(copied * len(rows))).tolist():
        right = rows[at][correction]
        found.append(_row(rows[at][question], right, right, template))
    return found


def _row(question: str, answer: str, correction: str, template: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": asked(question, answer, template)}], "answer": correction}
