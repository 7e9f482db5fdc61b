"""`pilotfish repair train`: a detector of spans, or a classifier of sentences, from rows."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import Stopped, rows_of, say

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_repair import RepairSpec

__all__ = ["train_command"]

REPORT = "report.json"


@click.command("train")
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def train_command(file: str, as_json: bool, quiet: bool) -> None:
    """Teach a plug-in from rows, as [repair] of FILE says.

    Of kind "spans" a small encoder learns which words of an answer its context does not bear out; the folder is the
    `path` of a plug-in of use = "unsupported". Of kind "sentences" a classifier learns their labels; the folder is the
    `classifier` of use = "toxic". Documents, and copies of them, are kept out before anything learns: the report is
    about those, each figure with its interval, beside what needs no training. The same command goes on where a stopped
    run was.
    """
    from pilotfish.assemble import Collaboration
    from pilotfish.errors import ConfigError
    from pilotfish.rows._lock import locked

    models = Collaboration.load(file)
    spec = models.repair
    if spec is None:
        raise ConfigError(f"{file}: no [repair] table: it says what is learnt from")
    out = models.folder / spec.out
    try:
        with locked(out):
            told, lines = (_spans if spec.kind == "spans" else _sentences)(models, spec, not quiet)
            (out / REPORT).write_text(json.dumps(told) + "\n", encoding="utf-8")
            shutil.rmtree(out / "run", ignore_errors=True)
    except KeyboardInterrupt:
        raise Stopped(f"stopped; the same command goes on from the last checkpoint in {out}") from None
    if as_json:
        click.echo(json.dumps(told))
        return
    for line in lines:
        click.echo(line)
    say(f"the plug-in is in {out}")


def _spans(models: Collaboration, spec: RepairSpec, progress: bool) -> tuple[dict[str, Any], list[str]]:
    from dataclasses import replace

    from pilotfish.assemble._build_encoder import tunable
    from pilotfish.repair.tokens import FIT, SpanDetector, answered_rows, taught
    from pilotfish.rows import read

    out = models.folder / spec.out
    columns = {name: getattr(spec, name) for name in ("answer", "question", "labels", "faulty", "document", "kinds")}
    rows = answered_rows(list(read(str(models.folder / spec.rows))), context=spec.context or None, **columns)
    how = FIT if spec.fit is None else replace(FIT, **spec.fit.model_dump(exclude_unset=True))
    detector = SpanDetector(
        tunable(spec.encoder, models, out),
        how,
        length=spec.length,
        windows=spec.windows,
        head_rate=spec.head_rate,
        folder=out / "run",
    )
    found = taught(detector, rows, tune=spec.tune, test=spec.test, made=spec.made, seed=spec.seed, progress=progress)
    found.detector.save(out)
    facts = (
        f"{found.learnt:,} answers learnt from, {found.made:,} made, {found.tuned:,} tuned by, {found.tested:,} tested"
    )
    return {"kind": "spans"} | found.to_json(), [facts, *map(str, found.reports)]


def _sentences(models: Collaboration, spec: RepairSpec, progress: bool) -> tuple[dict[str, Any], list[str]]:
    from pilotfish.assemble._build_encoder import tunable
    from pilotfish.models.classify import EncoderFeatures, TfidfFeatures
    from pilotfish.repair.sentences import taught_sentences

    out = models.folder / spec.out
    rows = rows_of(models, spec.rows, [spec.text, spec.label])
    features = TfidfFeatures() if spec.encoder == "tf-idf" else EncoderFeatures(tunable(spec.encoder, models, out))
    texts, labels = [row[spec.text] for row in rows], [row[spec.label] for row in rows]
    classifier, report = taught_sentences(texts, labels, features, test=spec.test, seed=spec.seed)
    classifier.save(out)
    return {"kind": "sentences"} | report.to_json(), str(report).splitlines()
