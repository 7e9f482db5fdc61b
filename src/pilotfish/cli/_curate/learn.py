"""`pilotfish curate learn`: fit the classifiers of a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import Stopped, say
from pilotfish.cli._curate.page import write_page

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_curate_learn import ClassifierSpec

__all__ = ["learn_command"]

LEARNED = "learned.json"


@click.command("learn")
@click.argument("file")
@click.option("--name", help="Only this one of [curate.classifiers].  [default: all]")
@click.option("--json", "as_json", is_flag=True, help="Print the reports as JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def learn_command(file: str, name: str | None, as_json: bool, quiet: bool) -> None:
    """Fit the [curate.classifiers] of FILE to files of good rows and others, or to ratings.

    Rows are held out before anything learns, copies of a row with it; the report is about those. Each folder holds the
    classifier, report.html, and what a model was asked for: the same command asks for nothing twice, and does not learn
    again what has been learnt from the same rows and settings.
    """
    from pilotfish.assemble import Collaboration
    from pilotfish.errors import ConfigError, did_you_mean

    models = Collaboration.load(file)
    known = models.curate.classifiers if models.curate is not None else {}
    if not known:
        raise ConfigError(f"{file}: no [curate.classifiers.NAME] table: it says what a classifier learns from")
    if name is not None and name not in known:
        raise ConfigError(f"{file}: no [curate.classifiers.{name}]{did_you_mean(name, known)}")
    told: dict[str, Any] = {}
    for one in [name] if name is not None else list(known):
        try:
            told[one] = _learned(one, known[one], models, quiet=quiet, tell=not as_json)
        except KeyboardInterrupt:
            raise Stopped(f"stopped; the same command goes on, all answers are in {known[one].out}") from None
    if as_json:
        click.echo(json.dumps(told))


def _learned(name: str, spec: ClassifierSpec, models: Collaboration, *, quiet: bool, tell: bool) -> dict[str, Any]:
    from pilotfish.assemble._build_curate_learn import build_classifier, lesson_of
    from pilotfish.curate.quality import QualityClassifier
    from pilotfish.curate.quality.page import page_of
    from pilotfish.rows._atomic import atomic
    from pilotfish.rows._lock import locked
    from pilotfish.train.folder import digest

    folder = Path(models.folder / spec.out)
    with locked(folder):
        lesson = lesson_of(spec, models, progress=not quiet, tell=say)
        given = [spec.model_dump(), lesson.quality, lesson.groups, lesson.test]
        identity = digest(given, lesson.texts)
        if _noted(folder) == identity:
            classifier = QualityClassifier.load(folder, models.catalog)
            say(f"{name}: learnt already, in {folder}")
        else:
            (folder / LEARNED).unlink(missing_ok=True)
            classifier = build_classifier(spec, models)
            classifier.fit(lesson.texts, lesson.quality, groups=lesson.groups)
            classifier.save(folder)
        tests = {"held-out rows": classifier.report_}
        if lesson.test is not None:
            tests["test rows"] = classifier.judge(*lesson.test)
        write_page(folder / "report.html", page_of(name, classifier, tests))
        with atomic(folder / LEARNED) as file:
            file.write(json.dumps({"identity": identity}).encode() + b"\n")
    if tell:
        for what, report in tests.items():
            click.echo(f"{name}, {what}: {report}")
    return {"out": str(folder), **{what.replace(" ", "_"): report.to_json() for what, report in tests.items()}}


def _noted(folder: Path) -> str | None:
    try:
        found = json.loads((folder / LEARNED).read_bytes())["identity"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(found)
