"""`pilotfish classify`: teach a small text classifier, apply it to rows, measure it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import Stopped, format_options, read_rows, say, say_rejects

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_classify import ClassifySpec
    from pilotfish.models.classify import SeveralClassifier, TextClassifier
    from pilotfish.rows import Rejects, Row

__all__ = ["group"]

KINDS = ("tfidf", "encoder", "static", "bag", "contrastive", "tuned", "lora")
WAYS = ("probability", "energy", "mahalanobis", "neighbours")
BATCH = 512  # rows read by the classifier at a time


@click.group("classify")
def group() -> None:
    """Teach a small text classifier, apply it to rows, measure it.

    `pilotfish advise` says whether a small one will do, and which; this makes one of a stated kind.
    """


@group.command("learn")
@click.argument("rows")
@click.option("--text", help="The column with the text.  [default: text]")
@click.option("--label", help="The column with the label.  [default: label]")
@click.option("--kind", type=click.Choice(KINDS), help="What it is.  [default: bag]")
@click.option("--encoder", help="What all kinds but tfidf and bag stand on: a name, hf:… or a folder.")
@click.option("--test", help="Held-out rows; otherwise a share of ROWS is held out.")
@click.option("--test-share", type=click.FloatRange(0.01, 0.9), help="That share.  [default: 0.25]")
@click.option("--several", is_flag=True, default=None, help="A row has several labels: a list, or see --separator.")
@click.option("--separator", help="What parts several labels in a text.")
@click.option("--out-of-scope", type=click.Choice(WAYS), help="How texts of no class are told.")
@click.option("--recall", type=click.FloatRange(0, 1, min_open=True, max_open=True),
              help="The share of texts of the classes to keep.  [default: 0.95]")  # fmt: skip
@click.option("--outside", help="Rows of no class, to measure that by; nothing learns from them.")
@click.option("--out", help="The folder for the classifier.  [default: classifier]")
@click.option("--device", help="auto, cpu, cuda or mps.")
@click.option("--seed", type=int, help="Of every draw.")
@format_options
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def learn(rows: str, as_json: bool, quiet: bool, **flags: Any) -> None:
    """Teach a classifier on ROWS: labelled rows, or a TOML file with a [classify] table (flags win over it).

    Near-duplicates fall on one side of the split. A fifth of the training rows teaches nothing: it sets the
    temperature, the threshold of --out-of-scope, and with --several each label's threshold. The folder is a model: name
    it as `path` of use = "classifier", or ask it with `pilotfish ask`.
    """
    from pilotfish.rows._lock import locked

    models, spec = _plan(rows, flags)
    out = models.folder / spec.out
    try:
        with locked(out):
            told = _learnt(models, spec, out)
    except KeyboardInterrupt:
        raise Stopped(f"stopped; the same command goes on from what lies in {out / 'work'}") from None
    if as_json:
        click.echo(json.dumps({"kind": spec.kind, **told.to_json()}, ensure_ascii=False))
    elif not quiet:
        say(f"{spec.kind}: {told}")
        say(f"the classifier is in {out}")


@group.command("apply")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("rows")
@click.option("--text", default="text", show_default=True, help="The column with the text.")
@click.option("--into", default="label", show_default=True, help="The column for the label, or the list of labels.")
@click.option("--out", required=True, help="The file for the rows with what was said of them.")
@format_options
def apply(folder: Path, rows: str, text: str, into: str, out: str, **options: Any) -> None:
    """Put the label of a classifier in FOLDER on every row of ROWS.

    Beside the label stands `<into>_probability`; of a classifier that knows its scope also `<into>_in_scope` and
    `<into>_scope`, the score. Rows without a text are rejected and told.
    """
    from pilotfish.models.classify import load_classifier
    from pilotfish.rows import Rejects, write

    classifier = load_classifier(folder)
    with Rejects(Path(f"{out}.rejects.jsonl")) as rejects:
        read = _with_text(read_rows(rows, rejects, **options), text, rows, rejects)
        count = write((row for batch in _batches(read) for row in _labelled(classifier, batch, text, into)), out)
        say_rejects(rejects)
    say(f"{count:,} rows in {out}")


@group.command("score")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("rows")
@click.option("--text", default="text", show_default=True, help="The column with the text.")
@click.option("--label", default="label", show_default=True, help="The column with the label, or the labels.")
@click.option("--separator", help="What parts several labels in a text.")
@click.option("--outside", help="Rows of no class, to measure the scope by.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@format_options
def score(
    folder: Path,
    rows: str,
    text: str,
    label: str,
    separator: str | None,
    outside: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure the classifier in FOLDER on the labelled rows of ROWS, each figure with its interval.

    Of one label: accuracy, macro F1 and calibration, and of one that knows its scope how much of ROWS it keeps and,
    with --outside, AUROC and FPR95. Of several: micro and macro F1 and the share of exact sets.
    """
    from pilotfish.compete.classify import graded
    from pilotfish.errors import ConfigError
    from pilotfish.models.classify import SeveralClassifier, load_classifier
    from pilotfish.rows import Rejects

    classifier = load_classifier(folder)
    rejects = Rejects()
    read = list(_with_text(read_rows(rows, rejects, **options), text, rows, rejects, label))
    others = [] if outside is None else list(_with_text(read_rows(outside, rejects, **options), text, outside, rejects))
    say_rejects(rejects)
    told: Any
    if isinstance(classifier, SeveralClassifier):
        if outside is not None:
            raise ConfigError("--outside measures a scope, which a classifier of several labels does not have")
        told = _several_graded(classifier, read, text, label, separator)
    else:
        told = graded(
            classifier, [row[text] for row in read], [str(row[label]) for row in read], [row[text] for row in others]
        )
    click.echo(json.dumps(told.to_json(), ensure_ascii=False) if as_json else str(told))


def _plan(rows: str, flags: dict[str, Any]) -> tuple[Collaboration, ClassifySpec]:
    """Return the models and the settings: flags over the file's table.

    Raises:
        ConfigError: something is missing, unknown or does not go together.
    """
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_classify import ClassifySpec
    from pilotfish.assemble.check import checked
    from pilotfish.errors import ConfigError

    given = {("format" if key == "format_" else key): value for key, value in flags.items()}
    given = {key: value for key, value in given.items() if value not in (None, False)}
    if not rows.endswith(".toml"):
        return Collaboration({}, where="the command line"), checked(ClassifySpec, {"rows": rows, **given}, rows)
    models = Collaboration.load(rows)
    if models.classify is None:
        raise ConfigError(f"{rows}: no [classify] table; it names rows, text, label and kind")
    # What a flag names is from here, what the file names is from the file.
    for key in ("rows", "test", "outside", "out"):
        if key in given:
            given[key] = str(Path(given[key]).absolute())
    table = models.classify.model_dump(exclude_unset=True) | given
    return models, checked(ClassifySpec, table, f"{rows} [classify]")


def _learnt(models: Collaboration, spec: ClassifySpec, out: Path) -> Any:
    from pilotfish.compete.classify import teach
    from pilotfish.compete.classify_several import several_task, teach_several
    from pilotfish.compete.task import text_task

    rows, test = _rows(models, spec, spec.rows), None if spec.test is None else _rows(models, spec, spec.test)
    encoder = None
    if spec.encoder is not None:
        from pilotfish.assemble._build_encoder import tunable

        encoder = tunable(spec.encoder, models, out, device=spec.device)
    general: dict[str, Any] = {"seed": spec.seed, "folder": out / "work", "settings": spec.settings}
    made: Any
    if spec.several:
        columns: dict[str, Any] = {"text": spec.text, "label": spec.label, "separator": spec.separator}
        several = several_task(rows, test=test, test_share=spec.test_share, seed=spec.seed, **columns)
        for name in several.unknown[:1]:
            say(f"{len(several.unknown)} labels of held-out rows are none of training's, such as {name!r}")
        made = teach_several(several, spec.kind, encoder, **general)
    else:
        task = text_task(rows, text=spec.text, label=spec.label, test=test, test_share=spec.test_share, seed=spec.seed)
        for note in task.notes:
            say(note)
        outside = [] if spec.outside is None else [str(row[spec.text]) for row in _rows(models, spec, spec.outside)]
        how: dict[str, Any] = {"scope": spec.out_of_scope, "recall": spec.recall, "outside": outside}
        made = teach(task, spec.kind, encoder, **how, **general)
    made.classifier.save(out)
    (out / "learnt.json").write_text(json.dumps({"kind": spec.kind, **made.to_json()}) + "\n", encoding="utf-8")
    shutil.rmtree(out / "work", ignore_errors=True)  # checkpoints, of which the classifier is what remains
    return made


def _rows(models: Collaboration, spec: ClassifySpec, source: str) -> list[Row]:
    from pilotfish.rows import Rejects, need_columns, read

    path = source if source == "-" else str(models.folder / source)
    rejects = Rejects()
    found = list(read(path, rejects=rejects, strict=spec.strict, format=spec.format, encoding=spec.encoding))
    say_rejects(rejects)
    for row in found[:1]:
        need_columns(row, spec.text, source=path)
    return found


def _with_text(
    rows: Iterator[Row], text: str, source: str, rejects: Rejects, label: str | None = None
) -> Iterator[Row]:
    """Yield the rows that have a text, and a label where one is wanted; the others are rejected."""
    from pilotfish.rows import need_columns
    from pilotfish.rows._json import shown

    for number, row in enumerate(rows, 1):
        if number == 1:
            need_columns(row, text, *([label] if label else []), source=source)
        if not isinstance(row.get(text), str) or not row[text].strip():
            rejects.add(source, None, f"no text in {text!r}: row {number}", shown(row))
        elif label is not None and row.get(label) is None:
            rejects.add(source, None, f"no label in {label!r}: row {number}", shown(row))
        else:
            yield row


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _labelled(classifier: TextClassifier | SeveralClassifier, rows: list[Row], text: str, into: str) -> Iterator[Row]:
    """Yield rows with what a classifier says of them."""
    from pilotfish.models.classify import SeveralClassifier

    texts = [row[text] for row in rows]
    if isinstance(classifier, SeveralClassifier):
        sure = classifier.predict_proba(texts)
        for row, each, said in zip(rows, sure, classifier.head.said(sure), strict=True):
            names = [name for name, there in zip(classifier.classes_, said, strict=True) if there]
            own = {name: round(float(p), 6) for name, p in zip(classifier.classes_, each, strict=True)}
            yield {**row, into: names, f"{into}_probability": own}
        return
    sure, scores = classifier.judged(texts)
    for i, row in enumerate(rows):
        best = int(sure[i].argmax())
        told: Row = {into: classifier.classes_[best], f"{into}_probability": round(float(sure[i, best]), 6)}
        if scores is not None and classifier.scope is not None:
            told |= {
                f"{into}_in_scope": bool(scores[i] >= classifier.scope.threshold_),
                f"{into}_scope": round(float(scores[i]), 6),
            }
        yield {**row, **told}


def _several_graded(
    classifier: SeveralClassifier, rows: list[Row], text: str, label: str, separator: str | None
) -> Any:
    from pilotfish.measure.members import member_scores, member_table
    from pilotfish.models.classify.several import label_set

    sets = [label_set(row[label], separator) for row in rows]
    # Labels that it does not know are wrong on every row that has them, and stay in the count.
    labels = [*classifier.classes_, *sorted({one for some in sets for one in some} - set(classifier.classes_))]
    said = classifier.predict([row[text] for row in rows])
    return member_scores(member_table(sets, labels), member_table(said, labels), labels)
