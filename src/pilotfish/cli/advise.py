"""`pilotfish advise`: small, large, cascade, or large at training time only?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._advise_shown import show
from pilotfish.cli._common import Stopped, say_rejects

if TYPE_CHECKING:
    from pilotfish.assemble._specs_advise import AdviseSpec
    from pilotfish.cli._advise_plan import Plan
    from pilotfish.compete.task import TextTask
    from pilotfish.model import Model
    from pilotfish.models.encoder import Encoder
    from pilotfish.models.local import LocalModel

__all__ = ["command"]


@click.command("advise")
@click.argument("rows")
@click.option(
    "--task",
    type=click.Choice(["classification", "table", "extraction", "retrieval", "generation"]),
    help="What the rows are for.  [default: classification, or what the file says]",
)
@click.option("--text", help="The column with the text.")
@click.option("--label", help="The column with the label.")
@click.option("--test", help="Held-out rows; otherwise a share of ROWS is held out.")
@click.option("--target", help="Of a table: the column that is foretold.")
@click.option("--prompt", help='Of answers: what is asked, with columns in braces: "{question}".')
@click.option("--system", help="Of answers: a system message; it may hold columns too.")
@click.option("--gold", help="Of answers: the column of the right answer.")
@click.option("--field", "fields", multiple=True, help="Of extraction: a column of right values; repeatable.")
@click.option("--grade", help="Of answers: word-f1, exact-match, rougeL, last-number, unit-tests, judge …")
@click.option("--judge", help="Of answers graded by judge: the model that grades.")
@click.option("--documents", help="Of retrieval: rows or a folder to look things up in.")
@click.option("--max-tokens", type=click.IntRange(1), help="Of answers: the most tokens of one.  [default: 128]")
@click.option("--max-p95", type=click.FloatRange(0), help="Of a table: seconds that a single row may take, at p95.")
@click.option("--unlabelled", help="Rows without labels, for the large model to label.")
@click.option("--small", help="An encoder or small language model: a name, hf:…, or folder.")
@click.option("--large", help="The large model: a name, hf:…, a folder, a GGUF file, or openai:NAME.")
@click.option("--name", "names", multiple=True, metavar="LABEL=NAME", help="What a label is called in the prompt.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/advice"), show_default=True, help="Folder.")
@click.option("--max-seconds", type=click.FloatRange(0), help="Budget of wall time.")
@click.option("--max-cost", type=click.FloatRange(0), help="Budget of US dollars for the large model.")
@click.option("--max-memory", help="The most memory the choice's weights may take, such as 2GiB.")
@click.option("--licence", "licences", multiple=True, help="An allowed licence; any other fails its gate.")
@click.option("--margin", type=float, help="The loss of accuracy that does not matter (0.02: two points).")
@click.option("--test-rows", type=click.IntRange(1), help="The most held-out rows the large model is asked about.")
@click.option("--test-share", type=click.FloatRange(0.01, 0.9), help="The share held out without --test.")
@click.option("--drop-leaks", is_flag=True, default=None, help="Drop training rows that are near-duplicates of --test.")
@click.option("--shots", type=click.IntRange(1), help="Examples a label in the few-shot prompt.")
@click.option("--seeds", type=click.IntRange(1), help="Draws of labels for each point of the learning curve.")
@click.option("--seed", type=int, help="Of every draw.")
@click.option("--format", "format_", help="Of the files: jsonl, csv, tsv, parquet, datasets, labelled-lines, …")
@click.option("--encoding", help="Of text files, such as latin-1; UTF-8 otherwise.")
@click.option("--strict", is_flag=True, help="Stop at the first bad row rather than putting it into rejects.jsonl.")
@click.option("--quiet", is_flag=True, help="No progress; the verdict only.")
def command(rows: str, out: Path, strict: bool, quiet: bool, **flags: Any) -> None:
    """Measure small, large and both on ROWS, and say which to deploy, with the evidence.

    Tasks are texts with labels, a table with a column to foretell (--task table), fields to read out of texts
    (extraction), answers that stand in documents (retrieval), and answers in general (generation).

    ROWS is a file of labelled rows, or a TOML file with an [advise] table (flags win over it). The report, the chosen
    model and a file for `pilotfish ask` go into the folder --out. A run that was stopped goes on where it was: what the
    large model answered is kept there.
    """
    if _kind(rows, flags) != "classification":
        from pilotfish.cli._advise_whole import run

        given = {**flags, "format": flags.pop("format_", None), "names": _pairs(flags.get("names", ()))}
        run(rows, out, {key: value for key, value in given.items() if key != "format_"}, strict=strict, quiet=quiet)
        return
    flags = {key: value for key, value in flags.items() if key not in _WHOLE}
    from rich.console import Console

    console = Console(stderr=True, quiet=quiet)
    console.print("pilotfish advise: reading the rows", highlight=False)
    from pilotfish.cli._advise_plan import Plan, check_endpoints, check_extras, check_rows, settings_of
    from pilotfish.rows._lock import locked

    # All that can be known to be wrong is told within a second, before anything heavy is imported.
    plan = Plan.of(rows, flags)
    settings = settings_of(plan.spec)
    check_rows(plan.spec)
    tables = _tables(plan)
    check_extras()
    from pilotfish.compete.advise import advise, kept
    from pilotfish.compete.folder import write_folder
    from pilotfish.compete.watch import Watch

    with locked(out):
        task = _task(plan.spec, out, strict=strict)
        console.print(
            f"{len(task.train):,} training rows, {len(task.test):,} held out, {len(task.labels)} labels, "
            f"{len(task.unlabelled):,} unlabelled",
            highlight=False,
        )
        check_endpoints(plan)
        small, large = _models(plan)
        try:
            found = advise(task, small, large, settings, watch=Watch(console), memo=kept(out))
        except KeyboardInterrupt:
            kept_too = (
                f"; what {large.name} answered is kept in {out}: the same command goes on from there" if large else ""
            )
            raise Stopped(f"stopped, no advice was written{kept_too}") from None
        write_folder(found, out, tables.pop(plan.spec.large) if plan.spec.large else None)
        _complete(plan, out, tables)
    from pilotfish.compete.page import page

    show(found, lambda: page(found), out, console)


_WHOLE = (
    "task",
    "target",
    "prompt",
    "system",
    "gold",
    "fields",
    "grade",
    "judge",
    "documents",
    "max_tokens",
    "max_p95",
)


def _kind(rows: str, flags: dict[str, Any]) -> str:
    """Return what kind of task it is: by the flag, or by the file."""
    if flags["task"] is not None or not rows.endswith(".toml"):
        kind = str(flags["task"] or "classification")
    else:
        from pilotfish.assemble import Collaboration

        table = Collaboration.load(rows).advise
        kind = str(getattr(table, "task", "classification"))
    if kind == "classification":
        for name in _WHOLE[1:]:
            if flags[name] not in (None, ()):
                raise click.UsageError(
                    f"--{name.rstrip('s').replace('_', '-')} is of another --task than classification"
                )
    return kind


def _pairs(names: tuple[str, ...]) -> dict[str, str]:
    from pilotfish.cli._advise_plan import pair_of

    return dict(pair_of(one) for one in names)


def _task(spec: AdviseSpec, out: Path, *, strict: bool) -> TextTask:
    """Read the rows and split them; bad rows go into rejects.jsonl."""
    from pilotfish.compete.task import text_task
    from pilotfish.rows import Rejects, read
    from pilotfish.rows._atomic import cannot_write

    path = out / "rejects.jsonl"
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    with Rejects(path) as rejects:

        def rows_of(source: str) -> list[dict[str, Any]]:
            return list(read(source, strict=strict, rejects=rejects, format=spec.format, encoding=spec.encoding))

        task = text_task(
            rows_of(spec.rows),
            text=spec.text,
            label=spec.label,
            test=rows_of(spec.test) if spec.test else None,
            unlabelled=rows_of(spec.unlabelled) if spec.unlabelled else (),
            names=spec.names,
            test_share=spec.test_share,
            drop_leaks=spec.drop_leaks,
            seed=spec.seed,
        )
        say_rejects(rejects)
    return task


def _models(plan: Plan) -> tuple[Encoder | LocalModel, Model | None]:
    """Build the two models, called in the report by names that a reader knows."""
    from pilotfish.models.encoder import Encoder
    from pilotfish.models.local import LocalModel
    from pilotfish.models.remote import RemoteModel

    small = plan.models.part(plan.spec.small)
    assert isinstance(small, Encoder | LocalModel)  # Plan.of saw to it
    large = plan.models.model(plan.spec.large) if plan.spec.large else None
    small.name = plan.name(plan.spec.small)
    if plan.spec.large and isinstance(large, LocalModel | RemoteModel):
        name = plan.name(plan.spec.large)
        large.name = name if name != small.name else f"{name} (large)"
    return small, large


def _tables(plan: Plan) -> dict[str, dict[str, Any]]:
    """Return the large model's table and those of its parts, by their names, as they can stand in the output folder.

    Raises:
        ConfigError: one of them cannot.
    """
    from pilotfish.assemble.workbench import portable

    if plan.spec.large is None:
        return {}
    renamed = _parts(plan)
    return {name: portable(plan.models, name, renamed) for name in (plan.spec.large, *renamed)}


def _parts(plan: Plan) -> dict[str, str]:
    """Return the names that the parts of the large model get beside the models that the advice itself brings."""
    large = plan.spec.large
    parts = [name for name in plan.models.answers_by(large) if name != large] if large else []
    return {name: f"large-model-{number}" for number, name in enumerate(parts, 1)}


def _complete(plan: Plan, out: Path, tables: Mapping[str, Mapping[str, Any]]) -> None:
    """Add to the output's file what its models refer to: parts of the large one, entries of the file's own catalog.

    Raises:
        DataError: the file cannot be written.
    """
    from pilotfish.assemble.workbench import catalog_of
    from pilotfish.compete.folder import table
    from pilotfish.rows._atomic import atomic

    lines: list[str] = []
    for name, new in _parts(plan).items():
        lines += table(f"models.{new}", tables[name])
    for name, entry in catalog_of(plan.models).items():
        # Quoted, for a dot in a bare name would begin a table of its own.
        lines += table(f'catalog."{name}"', entry)
    if lines:
        path = out / "pilotfish.toml"
        whole = path.read_text(encoding="utf-8") + "\n" + "\n".join(lines)
        with atomic(path) as file:
            file.write(whole.encode())
