"""`pilotfish adapt`: a small model learns which of a frozen model's answers are right."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import Stopped, rows_of, say

if TYPE_CHECKING:
    from pilotfish.adapt.adapted import Online
    from pilotfish.adapt.energy import Energy, Ranked
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_adapt import AdaptSpec

__all__ = ["command"]


@click.command("adapt")
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(file: str, as_json: bool) -> None:
    """Teach a small energy which of a frozen model's answers are right, as [adapt] of FILE says.

    With a `model` its answers are drawn, graded and learnt from, round by round, each paid for once; without one the
    rows have a right answer and wrong ones. The folder is a model of use = "energy", by which use = "best-of-n" and
    "adapted" go. The same command goes on where a stopped run was.
    """
    from dataclasses import replace

    from pilotfish.adapt.energy import Energy
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._build_encoder import tunable
    from pilotfish.errors import ConfigError
    from pilotfish.rows._lock import locked
    from pilotfish.train.scorer import FIT

    models = Collaboration.load(file)
    spec = models.adapt
    if spec is None:
        raise ConfigError(f"{file}: no [adapt] table: it says what is learnt from")
    out = models.folder / spec.out
    how = FIT if spec.fit is None else replace(FIT, **spec.fit.model_dump(exclude_unset=True))
    encoder = tunable(spec.encoder, models, out, pooling=spec.pooling, usual="mean", max_length=spec.max_length)
    more = {name: getattr(spec, name) for name in ("square", "head_rate", "held_out")}
    rounds: list[Online] = []

    def made(number: int) -> Energy:
        return Energy(encoder, how, folder=out / "run" / f"round-{number}", **more)

    try:
        with locked(out):
            if spec.model is None:
                energy = made(0).fit(_ranked(models, spec))
            else:
                energy, rounds = _online(models, spec, made)
            energy.save(out)
            shutil.rmtree(out / "run", ignore_errors=True)
    except KeyboardInterrupt:
        raise Stopped(f"stopped; the same command goes on where it was, in {out}") from None
    if as_json:
        told = [vars(one) for one in rounds]
        click.echo(json.dumps(energy.report_.to_json() | ({"rounds": told} if told else {})))
        return
    for one in rounds:
        shares = f"{one.right:.3f} of the answers right, {one.rows:,} rows, picked right {one.picked:.3f}"
        say(f"round {one.number}: {shares}")
    say(f"{energy.report_}; the energy is in {out}")


def _ranked(models: Collaboration, spec: AdaptSpec) -> list[Ranked]:
    from pilotfish.adapt.energy import Ranked
    from pilotfish.errors import DataError

    right, wrong = spec.right or "right", spec.wrong or "wrong"
    found = []
    for number, row in enumerate(rows_of(models, spec.rows, [spec.prompt, right]), 1):
        given = row.get(wrong)
        if not isinstance(given, list) or not given or not all(isinstance(one, str) for one in given):
            raise DataError(f"{spec.rows}: row {number}: column {wrong!r} is no list of wrong answers")
        found.append(Ranked(row[spec.prompt], row[right], tuple(given)))
    return found


def _online(models: Collaboration, spec: AdaptSpec, made: Any) -> tuple[Energy, list[Online]]:
    from pilotfish.adapt.adapted import online
    from pilotfish.measure.grade import grader

    gold = spec.gold or "answer"
    rows = rows_of(models, spec.rows, [spec.prompt, gold])
    grade = grader(spec.grade or "text", gold)
    return online(
        models.model(spec.model),
        [row[spec.prompt] for row in rows],
        lambda at, said: grade(said, rows[at]) > 0.5,
        made,
        models.folder / spec.out / "answers",
        given=[row[gold] for row in rows] if spec.given else None,
        rounds=spec.rounds,
        draws=spec.draws,
        temperature=spec.temperature,
        max_tokens=spec.max_tokens,
        concurrency=spec.concurrency,
    )
