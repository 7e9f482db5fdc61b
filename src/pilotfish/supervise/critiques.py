"""Corrections and preferences made of critiques: a model says what is wrong with an answer, and mends it.

Sources: Bai et al. 2022 (Constitutional AI), section 3.1: critique, then revision, each by a principle that is drawn;
Saunders et al. 2022 (Self-critiquing models); Ji et al. 2024 (Aligner), section 3.1: what a corrector learns from.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.judging import filled_in
from pilotfish.model import Model, Request
from pilotfish.models.calls import heard
from pilotfish.models.judges import Grades
from pilotfish.rows._atomic import atomic
from pilotfish.rows._row import Row, need_columns
from pilotfish.rows.asking import Bill, Said

__all__ = ["CRITIQUE", "REVISE", "Critiqued", "Critiques", "critiqued"]

CRITIQUE = """Read a task and an answer to it. Say in one or two sentences what is wrong with the answer, the worst \
first. {principle} If nothing is wrong, say "Nothing." and no more.

Task: {question}

Answer: {answer}"""

REVISE = """Read a task, an answer to it, and a critique of the answer. Write the answer anew so that the critique no \
longer holds, and leave as it is what the critique does not touch. Give the new answer and nothing else.

Task: {question}

Answer: {answer}

Critique: {critique}"""

CORRECTIONS, PREFERENCES = "corrections.jsonl", "preferences.jsonl"
_NOTHING = re.compile(r"\W*nothing( is wrong)?\W*", re.IGNORECASE)


@dataclass
class Critiques:
    """What came of critiques.

    Attributes:
        rows: answers that were criticised.
        sound: of which the critic finds nothing wrong; they are corrections that change nothing.
        corrected: answers with a correction that is kept.
        dropped: kind of reason -> answers that give no row.
        again: calls that failed at the endpoint: the same call again makes them, and no other.
        bill: of all calls.
    """

    rows: int = 0
    sound: int = 0
    corrected: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    again: int = 0
    bill: Bill = field(default_factory=Bill)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        cost = "cost unknown" if self.bill.cost is None else f"${self.bill.cost:.4f}"
        told = f"{self.rows:,} answers, {self.sound:,} sound, {self.corrected:,} corrected ({cost}, {self.bill.calls:,}"
        dropped = ", ".join(f"{count:,} {reason}" for reason, count in self.dropped.most_common())
        again = f". Run again to ask the {self.again:,} that the endpoint failed on" if self.again else ""
        return f"{told} calls)" + (f"; dropped: {dropped}" if dropped else "") + again


@dataclass(frozen=True)
class Critiqued:
    """The rows, in the order of the answers.

    Attributes:
        corrections: question, answer, critique, correction; what a corrector learns from.
        preferences: prompt, chosen, rejected, where the correction is another text; what a reward model, or DPO, does.
        report: the counts.
    """

    corrections: list[Row]
    preferences: list[Row]
    report: Critiques


def critiqued(
    rows: Sequence[Row],
    critic: Model,
    out: str | Path,
    *,
    reviser: Model | None = None,
    question: str = "question",
    answer: str = "answer",
    principles: Sequence[str] = (),
    judge: Grades | None = None,
    margin: float = 0.0,
    critique: str = CRITIQUE,
    revise: str = REVISE,
    seed: int = 0,
    concurrency: int | None = None,
    progress: bool = True,
    **settings: Any,
) -> Critiqued:
    """Have a model criticise answers, and the same or another one correct them.

    All calls are stored, so the same call again goes on where a killed one stopped. Rows are written to
    `corrections.jsonl` and `preferences.jsonl` of the folder.

    Args:
        rows: with a question and an answer.
        critic: who says what is wrong.
        out: the folder.
        reviser: who corrects; None for the critic.
        question: the column.
        answer: the column.
        principles: sentences of which each answer is criticised by one, drawn by the seed; none for what is wrong.
        judge: a correction counts only where its grade is above the answer's; None takes every one.
        margin: by more than this.
        critique: what the critic is asked, with {question}, {answer} and {principle}.
        revise: what the reviser is asked, with {question}, {answer} and {critique}.
        seed: of the draw.
        concurrency: calls under way at once; None is as many as the model takes.
        progress: show bars.
        settings: further fields of both requests.

    Raises:
        ConfigError: a prompt without a place.
        DataError: no row, or one without a text.
        UpstreamError: the endpoint fails for row after row; what was answered stays.
    """
    _checked(rows, question, answer, principles, critique, revise)
    folder, report = Path(out), Critiques(len(rows))
    drawn = np.random.default_rng(seed).integers(len(principles), size=len(rows)) if principles else None
    given = {"temperature": 0.0, "max_tokens": 512, **settings}

    def put(model: Model, prompts: Sequence[str], name: str) -> list[Said | None]:
        asking = [(Request.of(prompt, **given), 0) for prompt in prompts]
        # What is asked next is made of these: should one be missing, the next run has other questions.
        told = heard(model, asking, folder / f"{name}.sqlite", concurrency=concurrency, progress=progress)
        report.bill += told.bill
        for reason, count in told.unanswered.items():
            report.dropped[f"{name}: {reason}"] += count
        report.again += told.again
        return told.said

    values = [{"question": row[question], "answer": row[answer]} for row in rows]
    asks = [
        filled_in(critique, **each, principle=principles[int(drawn[i])] if drawn is not None else "")
        for i, each in enumerate(values)
    ]
    said: dict[int, str] = {}
    for i, one in enumerate(put(critic, asks, "critiques")):
        if one is None or one.fault is not None:
            report.dropped["no critique"] += one is not None
        elif _NOTHING.fullmatch(one.text):
            report.sound += 1
            said[i] = ""
        else:
            said[i] = one.text
    wrong = [i for i, text in said.items() if text]
    revised = put(reviser or critic, [filled_in(revise, **values[i], critique=said[i]) for i in wrong], "revisions")
    mended: dict[int, str] = {}
    for i, one in zip(wrong, revised, strict=True):
        if one is None or one.fault is not None:
            report.dropped["no correction"] += one is not None
        elif one.text == rows[i][answer].strip():
            report.dropped["the correction changes nothing"] += 1
        else:
            mended[i] = one.text
    if judge is not None and mended:
        pairs = [(Request.of(rows[i][question]), rows[i][answer], new) for i, new in mended.items()]
        better = _better(pairs, judge, margin, folder / "judge", report, progress)
        mended = {i: new for (i, new), keeps in zip(mended.items(), better, strict=True) if keeps}
    report.corrected = len(mended)
    report.dropped = +report.dropped
    corrections: list[Row] = [
        {**values[i], "critique": said[i], "correction": mended.get(i, values[i]["answer"])}
        for i in range(len(rows))
        if i in mended or said.get(i) == ""
    ]
    preferences: list[Row] = [
        {"prompt": values[i]["question"], "chosen": text, "rejected": values[i]["answer"]} for i, text in mended.items()
    ]
    for name, made in ((CORRECTIONS, corrections), (PREFERENCES, preferences)):
        with atomic(folder / name) as file:
            file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made).encode())
    return Critiqued(corrections, preferences, report)


def _checked(
    rows: Sequence[Row], question: str, answer: str, principles: Sequence[str], critique: str, revise: str
) -> None:
    for prompt, places in ((critique, ("question", "answer")), (revise, ("question", "answer", "critique"))):
        for place in places:
            if "{" + place + "}" not in prompt:
                raise ConfigError(f"a prompt of critiques needs the place {{{place}}}")
    if principles and "{principle}" not in critique:
        raise ConfigError("principles need the place {principle} in the critic's prompt")
    if not rows:
        raise DataError("no answers to criticise")
    for number, row in enumerate(rows, 1):
        need_columns(row, question, answer, source=f"row {number}")
        for name in (question, answer):
            if not isinstance(row[name], str) or not row[name].strip():
                raise DataError(f"row {number}: column {name!r} has no text")


def _better(
    pairs: Sequence[tuple[Request, str, str]],
    judge: Grades,
    margin: float,
    folder: Path,
    report: Critiques,
    progress: bool,
) -> list[bool]:
    """Return of (question, answer, correction) whether the correction's grade is above the answer's."""
    both = [(request, text) for request, *texts in pairs for text in texts]
    told = judge.grades(both, folder, progress=progress)
    report.bill += told.bill
    report.again += told.again
    found = []
    for old, new in zip(told.grades[::2], told.grades[1::2], strict=True):
        known = old is not None and new is not None
        found.append(old is not None and new is not None and new - old > margin)
        if not found[-1]:
            report.dropped["no better by the judge" if known else "no grade"] += 1
    return found
