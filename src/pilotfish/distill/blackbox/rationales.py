"""Distilling step by step: the teacher gives a label and why, and the student learns the two as two tasks.

Source: Hsieh et al. 2023, section 3.2, equations 3 to 5: L = L_label + lambda L_rationale, here weighed alpha and
1 - alpha, so that lambda = (1 - alpha) / alpha. The tasks are told apart by a prefix, and at inference only the label
is asked for, so that the rationale costs nothing then.

For example::

    taught = rationales(rows, teacher, "taught", labels=["spam", "ham"], prompt=PROMPT, question="{text}")
    model = LabelPrefixed(student)   # asks for the label only
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotfish.distill.blackbox.answers import gather, requests_of, weight_of, written
from pilotfish.distill.blackbox.report import Gathered, Taught
from pilotfish.errors import ConfigError, DataError
from pilotfish.model import Delta, Message, Model, Reply, Request
from pilotfish.models.classify._parse import parse_label
from pilotfish.rows._row import Row
from pilotfish.rows.asking import Said

__all__ = ["LABEL", "RATIONALE", "LabelPrefixed", "rationales", "read_rationale"]

LABEL, RATIONALE = "[label]", "[rationale]"

PROMPT = """Answer the question. First say in one to three sentences why, on a line that begins with "Rationale:", \
then the answer on a line that begins with "Label:".

Question: Is the number 21 prime?
Rationale: A prime has no divisor but 1 and itself, and 21 is 3 times 7.
Label: no

Question: Which is heavier, a kilogram of iron or a kilogram of feathers?
Rationale: Both are said to be a kilogram, and things of the same mass are equally heavy.
Label: neither

Question: {question}{choices}
Rationale:"""

_PARSE = re.compile(
    r"\A\W*(?:rationale\b\W*)?(?P<rationale>\S.*?)\s*^\W*(?:label|answer)\b[\s*]*:[\s*]*(?P<label>\S[^\n]*)",
    re.IGNORECASE | re.DOTALL | re.MULTILINE,
)


def rationales(
    rows: Sequence[Row] | str | Path,
    teacher: Model,
    out: str | Path,
    *,
    question: str,
    labels: Sequence[str] | Mapping[str, str] | None = None,
    prompt: str = PROMPT,
    parse: str | None = None,
    alpha: float = 0.5,
    gold: str | None = None,
    length: Callable[[str], int] | None = None,
    concurrency: int | None = None,
    progress: bool = True,
    **settings: Any,
) -> Taught:
    """Ask the teacher for a label and a rationale of every row; two training rows come of each.

    A training row's weight counts each token of its answer, so by default a rationale outweighs a label as often as it
    is longer. With `length` the weights are divided by it: then the trainer's loss is the equation's, alpha times the
    mean of the labels' losses and 1 - alpha times that of the rationales', whatever their lengths.

    Args:
        rows: as in `answers`.
        teacher: any model.
        out: the folder for what the teacher said.
        question: a template over the columns; the student sees it after its task's prefix.
        labels: the labels, or label -> the name that the teacher may give it; None takes any label as it is written.
        prompt: what the teacher is asked: `{question}` is the question and `{choices}` the labels, if there are any.
        parse: a pattern with the groups `rationale` and `label`; by default lines that begin so.
        alpha: the label's share, between 0 and 1; a task without a share gets no row.
        gold: a column of right labels. Where a row has one, the label task learns that, and the rationale is learnt
            only where the teacher's own label is right.
        length: the number of tokens that an answer has for the student, its end token included.
        concurrency: calls under way at once; None is as many as the model takes.
        progress: show a bar.
        settings: fields of the request.

    Raises:
        ConfigError: a setting is wrong, or `out` holds another run's answers.
        DataError: no row gives a question.
        UpstreamError: the endpoint fails for row after row; what was answered stays.
    """
    if not 0 <= alpha <= 1:
        raise ConfigError(f"alpha is a share between 0 and 1, not {alpha}")
    if "{question}" not in prompt:
        raise ConfigError("the teacher's prompt needs the place {question}")
    pattern = _pattern(parse)
    names = None if labels is None else dict(labels) if isinstance(labels, Mapping) else {name: name for name in labels}
    report, out = Gathered(), Path(out)
    groups = requests_of(rows, out, report, prompt=question, **settings)
    asked = [group.request.prompt for group in groups]
    choices = "" if names is None else f"\nThe label is one of: {', '.join(names.values())}."
    for group, text in zip(groups, asked, strict=True):
        filled = prompt.replace("{choices}", choices).replace("{question}", text)
        group.request = group.request.with_(messages=(Message("user", filled),))
    gather(groups, teacher, out / "asked", report, samples=1, concurrency=concurrency, progress=progress)
    made: list[Row] = []
    for group, text in zip(groups, asked, strict=True):
        for said in group.said:
            try:
                why, label = read_rationale(said, pattern, names)
            except DataError as error:
                report.dropped[str(error)] += 1
                continue
            right = group.row.get(gold) if gold is not None else None
            tasks = [(LABEL, label if right is None else str(right), alpha)]
            if right is not None and str(right) != label:
                report.dropped["rationale of a wrong label"] += 1
            else:
                tasks.append((RATIONALE, why, 1 - alpha))
            report.kept += 1
            report.kept_rows += 1
            for prefix, answer, share in tasks:
                weight = weight_of(group.row) * share / (1 if length is None else max(1, length(answer)))
                if share:
                    messages = [{"role": "user", "content": f"{prefix} {text}"}]
                    task = prefix.strip("[]")
                    made.append(
                        {"messages": messages, "answer": answer, "weight": weight, "task": task, "source": group.row}
                    )
    return written(out, made, report)


def read_rationale(said: Said, pattern: re.Pattern[str], names: Mapping[str, str] | None) -> tuple[str, str]:
    """Return the rationale and the label of a teacher's reply.

    Raises:
        DataError: it has not both, or its label is none of the labels.
    """
    found = pattern.search(said.text)
    if found is None:
        raise DataError("no rationale and label in the answer")
    why, label = (found.group(name) or "" for name in ("rationale", "label"))
    why, label = " ".join(why.split()), label.strip().strip("*`\"'").rstrip(".").strip()
    if not why or not label:
        raise DataError("no rationale and label in the answer")
    if names is None:
        return why, label
    known = parse_label(label, names)
    if known is None:
        raise DataError("the label is none of the labels")
    return why, known


def _pattern(parse: str | None) -> re.Pattern[str]:
    if parse is None:
        return _PARSE
    try:
        pattern = re.compile(parse)
    except re.error as error:
        raise ConfigError(f"parse = {parse!r} is not a pattern: {error}") from None
    if not {"rationale", "label"} <= set(pattern.groupindex):
        raise ConfigError(f"parse = {parse!r} needs the groups (?P<rationale>…) and (?P<label>…)")
    return pattern


@dataclass(frozen=True)
class LabelPrefixed:
    """A student of two tasks as a model that is asked for one: the last user turn gets the task's prefix."""

    model: Model
    prefix: str = LABEL
    name: str = "label-prefixed"

    async def reply(self, request: Request) -> Reply:
        """Ask the student for its task."""
        return await self.model.reply(self._prefixed(request))

    def stream(self, request: Request) -> AsyncIterator[Delta]:
        """Ask the student for its task, piece by piece."""
        return self.model.stream(self._prefixed(request))

    def _prefixed(self, request: Request) -> Request:
        turns = list(request.messages)
        for i in reversed(range(len(turns))):
            if turns[i].role == "user":
                # Only the role and the text: a turn with images is no question of a text task.
                turns[i] = Message("user", f"{self.prefix} {turns[i].text}")
                break
        return request.with_(messages=tuple(turns))
