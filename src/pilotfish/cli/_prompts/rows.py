"""`pilotfish prompts soft` and `decomposer`: rows for soft demonstrations, and rows that teach a decomposer."""

from __future__ import annotations

import json

import click

from pilotfish.cli._common import rows_of, say

__all__ = ["decomposer_command", "soft_command"]


@click.command("soft")
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def soft_command(file: str, as_json: bool) -> None:
    """Teach a small classifier, and label its own rows out of fold, as [prompts.soft] of FILE says.

    The folder then holds classifier, which is a model of use = "classifier", and soft.jsonl: each row with the label
    and the confidence that it gets from a classifier that did not see it. They are the `plug_in` and the `rows` of a
    model of use = "super-icl".
    """
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._build_features import features_of
    from pilotfish.errors import ConfigError
    from pilotfish.measure.intervals import wilson
    from pilotfish.models.classify import EncoderFeatures, Remembered, SoftmaxHead, TextClassifier
    from pilotfish.prompt.soft import soft_demonstrations
    from pilotfish.rows import write

    models = Collaboration.load(file)
    spec = models.prompts.soft if models.prompts is not None else None
    if spec is None:
        raise ConfigError(f"{file}: no [prompts.soft] table: it says which rows a classifier learns")
    rows = rows_of(models, spec.rows, [spec.text, spec.label])
    texts, labels = [row[spec.text] for row in rows], [row[spec.label] for row in rows]
    features = features_of(models, spec.features)
    # An encoder reads each text once, whatever the number of folds.
    held = Remembered(features) if isinstance(features, EncoderFeatures) else None

    def make() -> TextClassifier:
        return TextClassifier(held or features_of(models, spec.features), SoftmaxHead(spec.c))

    made, classifier = soft_demonstrations(make, texts, labels, spec.folds, spec.seed)
    out = models.folder / spec.out
    out.mkdir(parents=True, exist_ok=True)
    classifier.save(out / "classifier")
    write([one.to_json() for one in made], out / "soft.jsonl")
    right = wilson(sum(one.predicted == one.label for one in made), len(made))
    sure = sum(one.confidence or 0.0 for one in made) / len(made)
    told = {"rows": len(made), "right": right.to_json(), "confidence": sure}
    if as_json:
        click.echo(json.dumps(told))
    else:
        say(
            f"{len(made):,} rows; out of fold {right.value:.3f} [{right.low:.3f}, {right.high:.3f}] are right, at a "
            f"mean confidence of {sure:.3f}; {out / 'soft.jsonl'} and {out / 'classifier'}"
        )


@click.command("decomposer")
@click.argument("file")
def decomposer_command(file: str) -> None:
    """Make rows that teach a model to take questions apart, as [prompts.decomposer] of FILE says.

    `pilotfish tune OUT --prompt prompt --model WEIGHTS --out FOLDER` learns them; the folder is the weights of the
    `decomposer` of a model of use = "decomposed".
    """
    from pilotfish.assemble import Collaboration
    from pilotfish.errors import ConfigError
    from pilotfish.prompt.decompose import TEMPLATE, decomposer_rows
    from pilotfish.rows import read, write

    models = Collaboration.load(file)
    spec = models.prompts.decomposer if models.prompts is not None else None
    if spec is None:
        raise ConfigError(f"{file}: no [prompts.decomposer] table: it says which questions and sub-questions there are")
    made = decomposer_rows(
        list(read(models.folder / spec.rows)),
        question=spec.question,
        sub_questions=spec.sub_questions,
        attempt=spec.attempt,
        template=TEMPLATE if spec.template is None else spec.template,
    )
    out = models.folder / spec.out
    write(made, out)
    say(f"{len(made):,} rows in {out}: pilotfish tune {out} --prompt prompt --model WEIGHTS --out FOLDER")
