"""`pilotfish verify`: a small model learns which answers are right."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import Stopped, rows_of, say

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_verify import VerifySpec
    from pilotfish.prompt.verify import Judgement

__all__ = ["command"]


@click.command("verify")
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def command(file: str, as_json: bool, quiet: bool) -> None:
    """Teach a small verifier which answers are right, as [verify] of FILE says.

    A small model reads each answer once; what it makes of them, how likely it holds them and whether their sums are
    right is weighed. A share of the prompts is kept back: the report says how often right answers are above wrong ones
    there, beside log-probability alone, and how right the best scored answers are. The folder is a check by =
    "verifier" of use = "verified", of cascades and of distillations.
    """
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._weights import weights_from
    from pilotfish.errors import ConfigError
    from pilotfish.models._weights import located
    from pilotfish.models.encoder import Encoder
    from pilotfish.models.reader import Reader
    from pilotfish.prompt.verify import AnswerVerifier
    from pilotfish.rows._lock import locked
    from pilotfish.rows._progress import Progress

    models = Collaboration.load(file)
    spec = models.verify
    if spec is None:
        raise ConfigError(f"{file}: no [verify] table: it says which answers are learnt from")
    rows = _judged(models, spec)
    weights = weights_from(spec.weights, models.folder)
    folder, resolved = located(weights, models.catalog)
    encoder = resolved.kind == "encoder" or (folder / "modules.json").is_file()
    how: dict[str, Any] = {"dtype": spec.dtype, "device": spec.device, "catalog": models.catalog}
    reads = Encoder(weights, **how) if encoder else Reader(weights, **how)
    out = models.folder / spec.out
    try:
        with locked(out), Progress(len(rows), shown=not quiet, unit="answers") as bar:
            made = AnswerVerifier(reads, held_out=spec.held_out, seed=spec.seed).fit(rows, progress=bar.add)
            made.save(out)
    except KeyboardInterrupt:
        raise Stopped("stopped; nothing was kept, for reading is all the work there is") from None
    if as_json:
        click.echo(json.dumps(made.report_.to_json()))
        return
    say(f"{made.report_}; the verifier is in {out}")
    for one in made.report_.curve:
        say(f"  the best {one.share:.0%} (above {one.above:.3f}): {one.accuracy:.3f} right")


def _judged(models: Collaboration, spec: VerifySpec) -> list[Judgement]:
    from pilotfish.errors import DataError
    from pilotfish.measure.grade import grader
    from pilotfish.prompt.verify import Judgement

    rows = rows_of(models, spec.rows, [spec.prompt, spec.answer])
    if spec.gold is not None or spec.grade is not None:
        grade = grader(spec.grade or "text", spec.gold)
        return [Judgement(row[spec.prompt], row[spec.answer], grade(row[spec.answer], row) > 0.5) for row in rows]
    column = spec.right or "right"
    found = []
    for number, row in enumerate(rows, 1):
        right = row.get(column)
        if not isinstance(right, bool) and right not in (0, 1):
            raise DataError(f"{spec.rows}: row {number}: column {column!r}: {right!r} is neither true nor false")
        found.append(Judgement(row[spec.prompt], row[spec.answer], bool(right)))
    return found
