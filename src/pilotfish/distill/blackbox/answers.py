"""Black-box distillation at the level of sequences: the student learns what the teacher answers.

Source: Kim and Rush 2016 (Sequence-Level Knowledge Distillation), section 3.2: the teacher's distribution over
sequences is stood in for by its likeliest one; here also by samples, filtered.

For example::

    taught = answers(rows, teacher, "taught", prompt="Solve it: {question}", samples=8, temperature=0.7, seed=0,
                     keep=[Agreeing(0.5, "last-number"), Best("mean-logprob")])
    Distiller(...)  # or any trainer of ours takes taught.rows
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pilotfish.distill.blackbox.filters import Filter, Group
from pilotfish.distill.blackbox.report import Gathered, Taught
from pilotfish.errors import ConfigError, DataError
from pilotfish.model import Message, Model, Request
from pilotfish.rows._atomic import atomic
from pilotfish.rows._json import encoded
from pilotfish.rows._row import Row
from pilotfish.rows.asking import Asked, asked
from pilotfish.rows.model_stage import Template
from pilotfish.rows.read import read
from pilotfish.rows.rejects import Rejects

__all__ = ["answers", "gather", "requests_of", "weight_of", "written"]


def answers(
    rows: Sequence[Row] | str | Path,
    teacher: Model,
    out: str | Path,
    *,
    prompt: str | None = None,
    system: str | None = None,
    samples: int = 1,
    keep: Sequence[Filter] = (),
    balanced: bool = False,
    concurrency: int | None = None,
    progress: bool = True,
    **settings: Any,
) -> Taught:
    """Ask the teacher about every row, and return its answers as training rows: {messages, answer, weight, source}.

    The same call again goes on where a killed one stopped; a finished one asks nothing. Other filters over the same
    answers ask nothing either. An answer that is empty, or was cut at `max_tokens`, is dropped; equal answers to a row
    are one training row, which weighs as much as they do together. `out` also gets rows.jsonl and report.json.

    Args:
        rows: rows, or a file of them.
        teacher: any model, so any collaboration too.
        out: the folder for what the teacher said.
        prompt: a template over the columns, as in `ModelStage`; None takes each row's own `messages` or `prompt`.
        system: a template for the system turn, or None.
        samples: answers a row.
        keep: filters, one after another.
        balanced: make the weights of each row's answers sum to 1; else each answer weighs 1. A source row's own
            `weight` is a factor in either.
        concurrency: calls under way at once; None is as many as the model takes.
        progress: show a bar.
        settings: fields of the request, as `max_tokens=256, temperature=0.7, seed=0`; sample j has the seed + j.

    Raises:
        ConfigError: a setting is wrong, or `out` holds another run's answers.
        DataError: no row gives a question.
        UpstreamError: the endpoint fails for row after row; what was answered stays.
    """
    out = Path(out)
    if any(each.logprobs for each in keep):
        settings = {**settings, "logprobs": True}
    report = Gathered()
    given = requests_of(rows, out, report, prompt=prompt, system=system, **settings)
    groups = gather(given, teacher, out / "asked", report, samples=samples, concurrency=concurrency, progress=progress)
    for each in keep:
        sifted = each.sift(groups, out, progress=progress)
        report.bill += sifted.bill
        report.again += sifted.again
        for group, why in zip(groups, sifted.reasons, strict=True):
            report.dropped.update(reason for reason in why if reason is not None)
            group.said = [said for said, reason in zip(group.said, why, strict=True) if reason is None]
    report.kept = sum(len(group.said) for group in groups)
    report.kept_rows = sum(bool(group.said) for group in groups)
    return written(out, [row for group in groups for row in _learnt(group, balanced)], report)


def _learnt(group: Group, balanced: bool) -> list[Row]:
    """Return a row's answers as training rows; equal ones are one row that weighs as much as they do together.

    Whoever drops copies, as those who split rows must, then still learns how often the teacher said what.
    """
    counts = Counter(said.text for said in group.said)
    each = weight_of(group.row) / (max(1, len(group.said)) if balanced else 1)
    messages = [message.to_json() for message in group.request.messages]
    return [
        {"messages": messages, "answer": answer, "weight": each * count, "source": group.row}
        for answer, count in counts.items()
    ]


def requests_of(
    rows: Sequence[Row] | str | Path,
    out: Path,
    report: Gathered,
    *,
    prompt: str | None,
    system: str | None = None,
    **settings: Any,
) -> list[Group]:
    """Return the rows with what is asked about them; a row that gives no question goes to `refused.jsonl`.

    Raises:
        ConfigError: the template is malformed, or the request does not know a setting.
        DataError: no row gives a question.
    """
    fill = None if prompt is None else Template(prompt)
    turn = None if system is None else Template(system)
    try:
        Request.of("", **settings)
    except TypeError as error:
        raise ConfigError(f"the request has no such setting: {error}") from None
    found: list[Group] = []
    (out / "refused.jsonl").unlink(missing_ok=True)
    with Rejects(out / "refused.jsonl") as refused:
        for row in _read(rows, refused):
            report.rows += 1
            try:
                weight_of(row)
                messages = _asked(row) if fill is None else (Message("user", fill.fill(row)),)
                first = () if turn is None else (Message("system", turn.fill(row)),)
            except (DataError, ConfigError) as error:
                refused.add("rows", report.rows, str(error), encoded(row).decode())
                continue
            found.append(Group(row, Request(messages=(*first, *messages), **settings)))
        report.refused.update(refused.counts)
        if not found:
            raise DataError(f"no row gives a question ({refused.first or 'there are no rows'})")
    return found


def gather(
    groups: list[Group],
    model: Model,
    folder: Path,
    report: Gathered,
    *,
    samples: int,
    concurrency: int | None,
    progress: bool,
) -> list[Group]:
    """Ask the model about every row so often, and return the rows with the whole answers.

    Raises:
        ConfigError: several samples without a temperature, which would all be the same.
    """
    if samples < 1:
        raise ConfigError(f"samples must be 1 or more, not {samples}")
    if samples > 1 and not all(group.request.temperature for group in groups):
        raise ConfigError(f"{samples} samples need a temperature above 0, or they would all be the same")
    questions = [(_sampled(group.request, j), j) for group in groups for j in range(samples)]
    told: Asked = asked(model, questions, folder, concurrency=concurrency, progress=progress)
    report.questions += len(questions)
    report.unanswered.update(told.unanswered)
    report.again += told.again
    report.bill += told.bill
    for number, said in enumerate(told.said):
        if said is None:
            continue
        report.answers += 1
        if said.fault is not None:
            report.dropped[said.fault] += 1
        else:
            groups[number // samples].said.append(said)
    return groups


def written(out: Path, made: list[Row], report: Gathered) -> Taught:
    """Write training rows and report into the folder, and return them."""
    report.made = len(made)
    with atomic(out / "rows.jsonl") as file:
        file.writelines(encoded(row) + b"\n" for row in made)
    with atomic(out / "report.json") as file:
        file.write(encoded(report.to_json()))
    return Taught(made, report)


def weight_of(row: Mapping[str, Any]) -> float:
    """Return what a source row counts, 1 unless it says.

    Raises:
        DataError: it says something else than a number, 0 or more.
    """
    weight = row.get("weight")
    if weight is None:
        return 1.0
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight >= 0:
        raise DataError(f"wrong weight: it must be a number, 0 or more, not {weight!r}")
    return float(weight)


def _sampled(request: Request, sample: int) -> Request:
    # Other seeds, or a model that is given one would say the same each time.
    return request if request.seed is None else request.with_(seed=request.seed + sample)


def _asked(row: Row) -> tuple[Message, ...]:
    if "messages" in row:
        return Request.from_json({"messages": row["messages"]}).messages
    if isinstance(row.get("prompt"), str):
        return Request.of(row["prompt"]).messages
    raise DataError("no question: a row needs `messages` or `prompt`, or the call a template")


def _read(rows: Sequence[Row] | str | Path, rejects: Rejects) -> Sequence[Row]:
    return list(read(rows, rejects=rejects)) if isinstance(rows, str | Path) else rows
