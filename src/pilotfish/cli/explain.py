"""`pilotfish explain`: why a model says what it says, whether that is true, and what transparency costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import Stopped, format_options, read_rows, say, say_rejects

if TYPE_CHECKING:
    from pilotfish.compete.explain.rivals import Rival
    from pilotfish.compete.explain.whole_table import TableWhole
    from pilotfish.compete.explain.whole_text import TextWhole
    from pilotfish.rows._row import Row

__all__ = ["command"]

WAYS = ("exact", "gradients", "rollout", "occlusion")


@click.command("explain")
@click.argument("model")
@click.option("--rows", required=True, help="Rows to explain; best ones that the model did not learn from.")
@click.option("--model", "-m", "named", help="Which model of a TOML file; its default otherwise.")
@click.option("--text", default="text", show_default=True, help="The column of texts, for classifiers of texts.")
@click.option("--target", help="The column with the truth: shown beside answers, needed for what transparency costs.")
@click.option("--train", help="Rows to teach transparent models on, beside which the model is set; needs --target.")
@click.option("--rival", "rivals", multiple=True, help="Which to teach: linear, additive, rules; ngrams, aug; or all.")
@click.option("--redraws", type=click.IntRange(0), default=2, show_default=True, help="Fits on rows drawn anew.")
@click.option("--encoder", help="What reads n-grams for the table of n-grams; the model's own encoder otherwise.")
@click.option("--keep", type=click.Path(path_type=Path), help="A folder for the transparent models.")
@click.option("--against", multiple=True, help="Another model of the same target, to set beside it.")
@click.option("--again", multiple=True, help="The same model taught with another seed: do explanations stay?")
@click.option("--fixed", multiple=True, help="A column that cannot be otherwise.")
@click.option("--way", type=click.Choice(WAYS), help="To explain texts; the most exact one otherwise.")
@click.option("--most", type=click.IntRange(1), help="Rows that are explained: 200 of a table, 100 texts.")
@click.option("--shown", type=click.IntRange(1), default=5, show_default=True, help="Rows that are shown.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of all that is drawn.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("explain.html"), show_default=True, help="Page.")
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON, too.")
@format_options
@click.option("--quiet", is_flag=True, help="No progress.")
def command(model: str, out: Path, as_json: bool, quiet: bool, **flags: Any) -> None:
    """Explain MODEL: the folder of a table's model or of a classifier of texts, or a TOML file with one.

    The page says what counts, explains single answers and what would change them, checks that the explanations are
    faithful, add up and stay, and tells what accuracy transparency costs: with --train a linear and an additive model
    and a rule list (of texts two tables of n-grams) are taught and set beside it on --rows.
    """
    from pilotfish.compete.explain.page import page
    from pilotfish.compete.explain.text import reads_of
    from pilotfish.compete.tables.model import TableModel
    from pilotfish.errors import ConfigError
    from pilotfish.measure.report import render_html
    from pilotfish.rows import Rejects
    from pilotfish.rows._atomic import atomic
    from pilotfish.rows._progress import Progress

    if flags["train"] and not flags["target"]:
        raise ConfigError("--train needs --target: the column that the transparent models are to foretell")
    if flags["keep"] and not flags["train"]:
        raise ConfigError("--keep needs --train: there are no transparent models to keep without it")
    given = _loaded(model, flags["named"])
    others = {path: _loaded(path) for path in flags["against"]}
    again = [_loaded(path) for path in flags["again"]]
    rejects = Rejects()
    options = {name: flags[name] for name in ("format_", "encoding", "strict")}
    rows = list(read_rows(flags["rows"], rejects, **options))
    train = list(read_rows(flags["train"], rejects, **options)) if flags["train"] else []
    say_rejects(rejects)
    name = flags["named"] or Path(model).name.removesuffix(".toml") or "the model"
    try:
        found: TableWhole | TextWhole
        with Progress(None, shown=not quiet, unit="steps") as bar:
            if isinstance(given, TableModel):
                found, rivals = _table(name, given, rows, train, others, again, flags, bar.add)
            else:
                reads = reads_of(given)
                found, rivals = _texts(
                    name,
                    reads,
                    rows,
                    train,
                    {path: reads_of(one) for path, one in others.items()},
                    [reads_of(one) for one in again],
                    flags,
                    bar.add,
                )
    except KeyboardInterrupt:
        raise Stopped("stopped; nothing was written") from None
    for one in rivals if flags["keep"] else []:
        one.model.save(flags["keep"] / one.name)
    out.parent.mkdir(parents=True, exist_ok=True)
    report = page(found)
    with atomic(out) as file:
        file.write(render_html(report).encode())
    say(report.verdict)
    for heading, sentence in report.notes:
        say(f"{heading}: {sentence}")
    say(f"the page is {out}" + (f", the transparent models are in {flags['keep']}" if flags["keep"] else ""))
    if as_json:
        from pilotfish.compete.folder import plain

        click.echo(json.dumps(plain(found.to_json()), ensure_ascii=False))


def _loaded(path: str, named: str | None = None) -> Any:
    """Return a table's model, a classifier, or a labeller."""
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._build_classify import TABLE, TREES
    from pilotfish.compete.tables.model import TableModel, TableReplies
    from pilotfish.errors import ConfigError
    from pilotfish.models.classify import TextClassifier

    if path.endswith(".toml"):
        from pilotfish.compete.explain.served import Explaining

        models = Collaboration.load(path)
        found = models.model(named or models.default)
        found = found.model if isinstance(found, Explaining) else found
        return found.table if isinstance(found, TableReplies) else found
    if named:
        raise ConfigError("-m names a model of a TOML file")
    folder = Path(path)
    if (folder / TABLE).is_file():
        return TableModel.load(folder)
    if (folder / TREES).is_file():
        raise ConfigError(f"{path}: a distilled student of trees; explain the model of a table (`use` classifier)")
    return TextClassifier.load(folder)


def _table(
    name: str,
    model: Any,
    rows: list[Row],
    train: list[Row],
    others: dict[str, Any],
    again: list[Any],
    flags: dict[str, Any],
    progress: Any,
) -> tuple[TableWhole, list[Rival]]:
    from dataclasses import replace

    from pilotfish.compete.explain.rivals import TABLES, table_rivals
    from pilotfish.compete.explain.whole_table import explain_table

    rivals: list[Rival] = []
    if train:
        drawn = model.table.matrix(rows[:500])
        rivals = table_rivals(
            model,
            train,
            flags["target"],
            flags["rivals"] or TABLES,
            looked_at=drawn,
            again=flags["redraws"],
            seed=flags["seed"],
            progress=progress,
        )
    found = explain_table(
        model,
        rows,
        name=name,
        target=flags["target"],
        background=train or None,
        again=again,
        against={**others, **{one.name: one.model for one in rivals}},
        fixed=flags["fixed"],
        most=flags["most"] or 200,
        shown=flags["shown"],
        seed=flags["seed"],
    )
    return replace(found, rivals=_stabilities(rivals)), rivals


def _texts(
    name: str,
    reads: Any,
    rows: list[Row],
    train: list[Row],
    others: dict[str, Any],
    again: list[Any],
    flags: dict[str, Any],
    progress: Any,
) -> tuple[TextWhole, list[Rival]]:
    from dataclasses import replace

    from pilotfish.compete.explain.rivals import text_rivals
    from pilotfish.compete.explain.whole_text import explain_texts

    texts, labels = _column(rows, flags["text"], flags["rows"]), None
    if flags["target"]:
        labels = _column(rows, flags["target"], flags["rows"])
    known: list[str] = []
    rivals: list[Rival] = []
    if train:
        known = _column(train, flags["text"], flags["train"])
        taught = _column(train, flags["target"], flags["train"])
        how = {"again": flags["redraws"], "seed": flags["seed"], "progress": progress}
        rivals = text_rivals(known, taught, _encoder(reads, flags["encoder"]), flags["rivals"] or None, **how)
    found = explain_texts(
        reads,
        texts,
        name=name,
        truth=labels,
        way=flags["way"],
        known=known,
        again=again,
        against={**others, **{one.name: one.model for one in rivals}},
        most=flags["most"] or 100,
        shown=flags["shown"],
        seed=flags["seed"],
        progress=progress,
    )
    return replace(found, rivals=_stabilities(rivals)), rivals


def _stabilities(rivals: list[Rival]) -> dict[str, Any]:
    return {one.name: one.stability for one in rivals if one.stability is not None}


def _encoder(reads: Any, named: str | None) -> Any:
    """Return what reads n-grams: the encoder of that name, or the classifier's own, or none."""
    from pilotfish.models.classify import EncoderFeatures, TextClassifier
    from pilotfish.models.encoder import Encoder

    if named:
        return Encoder(named)
    if isinstance(reads, TextClassifier) and isinstance(reads.features, EncoderFeatures):
        return reads.features.encoder
    return None


def _column(rows: list[Row], column: str, source: str) -> list[str]:
    from pilotfish.errors import DataError
    from pilotfish.rows import need_columns

    for number, row in enumerate(rows, 1):
        need_columns(row, column, source=f"{source}: row {number}")
        if row[column] is None or not str(row[column]).strip():
            raise DataError(f"{source}: row {number}: nothing in column {column!r}")
    return [str(row[column]).strip() if not isinstance(row[column], str) else row[column] for row in rows]
