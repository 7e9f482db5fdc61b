"""`pilotfish supervise reward` and `corrector`: small models that align a large one from behind."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import click

from pilotfish.cli._common import Stopped, rows_of, say

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_supervise import CorrectorSpec
    from pilotfish.rows import Row

__all__ = ["corrector_command", "reward_command"]


@click.command("reward")
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def reward_command(file: str, as_json: bool) -> None:
    """Teach a small reward model the preferences that [supervise.reward] of FILE names.

    A share of the prompts is kept back, with all their pairs; the report says how often the model prefers as people do
    there, beside taking the longer answer. The folder is a model of use = "reward", by which use = "best-of-n" and
    "reward-guided" go. The same command goes on where a stopped run was.
    """
    from dataclasses import replace

    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._build_encoder import tunable
    from pilotfish.errors import ConfigError, DataError
    from pilotfish.rows._lock import locked
    from pilotfish.train.reward import FIT, Pair, RewardModel

    models = Collaboration.load(file)
    spec = models.supervise.reward if models.supervise is not None else None
    if spec is None:
        raise ConfigError(f"{file}: no [supervise.reward] table: it says which preferences are learnt")
    out = models.folder / spec.out
    rows = rows_of(models, spec.rows, [spec.prompt, spec.chosen, spec.rejected])
    pairs = []
    for number, row in enumerate(rows, 1):
        margin = row.get(spec.margin) if spec.margin is not None else 0.0
        if isinstance(margin, bool) or not isinstance(margin, int | float):
            raise DataError(f"{spec.rows}: row {number}: column {spec.margin!r}: {margin!r} is no margin")
        pairs.append(Pair(row[spec.prompt], row[spec.chosen], row[spec.rejected], float(margin)))
    how = FIT if spec.fit is None else replace(FIT, **spec.fit.model_dump(exclude_unset=True))
    encoder = tunable(spec.weights, models, out, pooling=spec.pooling, usual="last", max_length=spec.max_length)
    more = {name: getattr(spec, name) for name in ("centre", "head_rate", "held_out")}
    try:
        with locked(out):
            made = RewardModel(encoder, how, folder=out / "run", **more).fit(pairs)
            made.save(out)
            shutil.rmtree(out / "run", ignore_errors=True)
    except KeyboardInterrupt:
        raise Stopped(f"stopped; the same command goes on from the last checkpoint in {out}") from None
    if as_json:
        click.echo(json.dumps(made.report_.to_json()))
    else:
        say(f"{made.report_}; the model is in {out}")


@click.command("corrector")
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def corrector_command(file: str, as_json: bool, quiet: bool) -> None:
    """Teach a small model the corrections that [supervise.corrector] of FILE names.

    It reads a question with an answer, or with several, and writes it mended; a share of the rows (`copied`) teaches
    it to leave what is right. With a `model` its answers are what is mended, each paid for once. The folder is weights
    of a local model, the `corrector` of use = "aligned". The same command goes on where a stopped run was.
    """
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._weights import weights_from
    from pilotfish.distill.distiller import Distiller
    from pilotfish.errors import ConfigError
    from pilotfish.supervise.aligner import SEVERAL, TEMPLATE, corrector_rows
    from pilotfish.train.settings import Fit

    models = Collaboration.load(file)
    spec = models.supervise.corrector if models.supervise is not None else None
    if spec is None:
        raise ConfigError(f"{file}: no [supervise.corrector] table: it says which corrections are learnt")
    names = {name: getattr(spec, name) for name in ("question", "answer", "correction")}
    given = rows_of(models, spec.rows, [spec.question, spec.correction])
    if spec.model is not None:
        given = _answered(models, spec, given, quiet=quiet)
    several = any(isinstance(row.get(spec.answer), list) for row in given)
    if spec.model is None and not several:
        given = rows_of(models, spec.rows, list(names.values()))
    template = spec.template if spec.template is not None else SEVERAL if several else TEMPLATE
    rows = corrector_rows(
        given,
        **names,
        copied=spec.copied,
        template=template,
        seed=spec.fit.seed,
    )
    student = Distiller(
        weights_from(spec.weights, models.folder),
        None,
        models.folder / spec.out,
        alpha=0.0,
        fit=Fit(**spec.fit.model_dump()),
        length=spec.length,
        held_out=spec.held_out,
        answers_of=f"the corrections of {spec.rows}",
        catalog=models.catalog,
        progress=not quiet,
    )
    try:
        report = student.fit(rows).report_
    except KeyboardInterrupt:
        raise Stopped(f"stopped; the same command goes on from the last checkpoint in {spec.out}") from None
    if as_json:
        click.echo(json.dumps(report.to_json()))
    else:
        say(str(report))


def _answered(models: Collaboration, spec: CorrectorSpec, rows: list[Row], *, quiet: bool) -> list[Row]:
    """Return the rows with a model's answers to their questions; those that got none are left out, and told."""
    from pilotfish.errors import DataError
    from pilotfish.model import Request
    from pilotfish.rows.asking import asked

    questions = []
    for row in rows:
        first = Request.of(row[spec.question], max_tokens=spec.max_tokens)
        questions += [(first if not k else first.with_(temperature=spec.temperature), k) for k in range(spec.draws)]
    folder = models.folder / f"{spec.out}-answers"
    told = asked(models.model(str(spec.model)), questions, folder, concurrency=spec.concurrency, progress=not quiet)
    found = []
    for number, row in enumerate(rows):
        said = told.said[number * spec.draws : (number + 1) * spec.draws]
        texts = [one.text for one in said if one is not None and one.fault is None]
        if texts:
            found.append({**row, spec.answer: texts[0] if spec.draws == 1 else texts})
    if len(found) < len(rows):
        say(f"{len(rows) - len(found):,} of {len(rows):,} questions got no whole answer, and are left out")
    if not found:
        raise DataError(f"{spec.rows}: not one question was answered; see {folder}")
    return found
