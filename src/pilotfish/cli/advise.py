"""`pilotfish advise`: small, large, cascade, or large at training time only?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from pilotfish.assemble.specs import AdviseSpec

__all__ = ["command"]


@click.command("advise")
@click.argument("rows")
@click.option("--text", help="The column with the text.")
@click.option("--label", help="The column with the label.")
@click.option("--test", help="Held-out rows; otherwise a share of ROWS is held out.")
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
@click.option("--shots", type=click.IntRange(1), help="Examples a label in the few-shot prompt.")
@click.option("--seeds", type=click.IntRange(1), help="Draws of labels for each point of the learning curve.")
@click.option("--seed", type=int, help="Of every draw.")
@click.option("--format", "format_", help="Of the files: jsonl, csv, tsv, parquet, datasets, labelled-lines, …")
@click.option("--encoding", help="Of text files, such as latin-1; UTF-8 otherwise.")
@click.option("--strict", is_flag=True, help="Stop at the first bad row rather than putting it into rejects.jsonl.")
@click.option("--quiet", is_flag=True, help="No progress; the verdict only.")
def command(rows: str, out: Path, strict: bool, quiet: bool, **flags: Any) -> None:
    """Measure small, large and both on ROWS, and say which to deploy, with the evidence.

    ROWS is a file of labelled rows, or a TOML file with an [advise] table (flags win over it). The report, the chosen
    model and a file for `pilotfish ask` go into the folder --out. A run that was stopped goes on where it was.
    """
    from rich.console import Console

    console = Console(stderr=True, quiet=quiet)
    console.print("pilotfish advise: reading the rows", highlight=False)
    spec, collaboration, folder = _spec(rows, flags)
    from pilotfish.compete.advise import advise, kept
    from pilotfish.compete.folder import write_folder
    from pilotfish.compete.watch import Watch
    from pilotfish.rows._lock import locked

    settings = _settings(spec)
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        task = _task(spec, folder, out, strict)
        console.print(
            f"{len(task.train):,} training rows, {len(task.test):,} held out, {len(task.labels)} labels, "
            f"{len(task.unlabelled):,} unlabelled",
            highlight=False,
        )
        small = collaboration.part(spec.small)
        _check_small(small, spec.small)
        large = collaboration.model(spec.large) if spec.large else None
        found = advise(task, small, large, settings, watch=Watch(console), memo=kept(out))
        write_folder(found, out, _portable(collaboration.table(spec.large), folder) if spec.large else None)
    _show(found, out, console)


def _spec(rows: str, flags: dict[str, Any]) -> tuple[AdviseSpec, Any, Path]:
    """Return the settings, the models and the folder that paths start from."""
    from pilotfish.assemble import Collaboration, model_of
    from pilotfish.assemble.check import checked
    from pilotfish.assemble.specs import AdviseSpec
    from pilotfish.errors import ConfigError

    given = {key: value for key, value in flags.items() if value not in (None, ())}
    given["names"] = dict(_pair(pair) for pair in given.get("names", ()))
    given["licences"] = list(given.get("licences", ()))
    given["format"] = given.pop("format_", None)
    models: dict[str, Any] = {}
    if rows.endswith(".toml"):
        there = Collaboration.load(rows)
        if there.advise is None:
            raise ConfigError(f"{rows}: no [advise] table; it names rows, text, label, small and large")
        folder = Path(rows).parent
        table = there.advise.model_dump(exclude_none=True)
        models = {name: there.table(name) for name in there.names}
    else:
        folder = Path()
        table = {"rows": rows, "small": "", "text": "", "label": ""}
        missing = [f"--{key}" for key in ("text", "label", "small") if key not in given]
        if missing:
            raise ConfigError(f"{', '.join(missing)} must be given: which columns, and which small model")
    for key in ("rows", "test", "unlabelled"):
        if rows.endswith(".toml") and key in table and table[key] != "-":
            table[key] = str(folder / table[key])
    for role in ("small", "large"):
        if role in given and given[role] not in models:
            models[role] = model_of(given[role])[1]
            given[role] = role
    table |= {key: value for key, value in given.items() if value not in (None, {}, [])}
    spec = checked(AdviseSpec, table, rows)
    where = rows if rows.endswith(".toml") else "the command line"
    catalog = there.catalog_tables if rows.endswith(".toml") else {}
    collaboration = Collaboration({"models": models, "catalog": catalog}, where=where, folder=folder)
    for role, name in (("small", spec.small), ("large", spec.large)):
        if name is not None and name not in collaboration.names:
            raise ConfigError(f"{where}: [advise] {role} = {name!r}: no such model")
    return spec, collaboration, folder


def _pair(text: str) -> tuple[str, str]:
    label, equals, name = text.partition("=")
    if not equals or not label or not name:
        raise click.UsageError(f"--name takes LABEL=NAME, not {text!r}")
    return label, name


def _settings(spec: AdviseSpec) -> Any:
    from pilotfish.compete.advise import Settings
    from pilotfish.compete.curve import COUNTS

    names = ("margin", "seeds", "shots", "test_rows", "calibrate_rows", "unlabelled_rows", "max_seconds", "max_cost")
    chosen = {name: getattr(spec, name) for name in names}
    memory = _bytes(spec.max_memory) if spec.max_memory else None
    counts = tuple(spec.counts) if spec.counts is not None else COUNTS
    return Settings(counts=counts, max_memory=memory, licences=tuple(spec.licences), seed=spec.seed, **chosen)


def _bytes(text: str) -> int:
    """Read a size such as 512MB, 2GiB or 1e9."""
    from pilotfish.errors import ConfigError

    found = re.fullmatch(r"\s*([\d.eE+]+)\s*([kmgt]?)(i?)b?\s*", text, re.IGNORECASE)
    try:
        assert found is not None
        base = 1024 if found[3] else 1000
        return int(float(found[1]) * base ** " kmgt".index(found[2].lower() or " "))
    except (AssertionError, ValueError):
        raise ConfigError(f"--max-memory takes a size such as 512MB or 2GiB, not {text!r}") from None


def _task(spec: AdviseSpec, folder: Path, out: Path, strict: bool) -> Any:
    """Read the rows and split them; bad rows go into rejects.jsonl."""
    from pilotfish.compete.task import text_task
    from pilotfish.rows.read import read
    from pilotfish.rows.rejects import Rejects

    (out / "rejects.jsonl").unlink(missing_ok=True)
    with Rejects(out / "rejects.jsonl") as rejects:

        def rows_of(source: str) -> list[dict[str, Any]]:
            settings: dict[str, Any] = {"format": spec.format, "encoding": spec.encoding}
            return list(read(source, strict=strict, rejects=rejects, **settings))

        task = text_task(
            rows_of(spec.rows),
            text=spec.text,
            label=spec.label,
            test=rows_of(spec.test) if spec.test else None,
            unlabelled=rows_of(spec.unlabelled) if spec.unlabelled else (),
            names=spec.names,
            test_share=spec.test_share,
            seed=spec.seed,
        )
        if rejects:
            click.echo(f"{rejects.summary()}: see {out / 'rejects.jsonl'}", err=True)
    return task


def _check_small(small: Any, name: str) -> None:
    from pilotfish.errors import ConfigError
    from pilotfish.models.encoder import Encoder
    from pilotfish.models.local import LocalModel

    if not isinstance(small, Encoder | LocalModel):
        raise ConfigError(
            f"the small model {name!r} must be an encoder or a local language model, whose vectors are here"
        )


def _portable(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a model's table with paths made absolute, so that it works from the output folder too."""
    fixed = dict(table)
    for key in ("weights", "path", "cache"):
        value = fixed.get(key)
        if isinstance(value, str) and (folder / value).exists():
            fixed[key] = str((folder / value).resolve())
    return fixed


def _show(found: Any, out: Path, console: Console) -> None:
    """Print the report on standard error's terminal, and the verdict and the paths on standard output."""
    from rich.console import Console as Terminal

    from pilotfish.compete.page import page
    from pilotfish.measure.report import render_terminal

    if not console.quiet:
        render_terminal(page(found), Terminal())
    verdict = found.verdict
    click.echo(f"verdict: {verdict.answer}")
    click.echo(f"reason: {verdict.reason}")
    click.echo(f"what would flip it: {verdict.flip}")
    for gate in found.gates:
        if gate.status == "fail":
            click.echo(f"GATE FAILED: {gate.name}: {gate.text}")
    click.echo(f"report: {out / 'report.html'}")
    click.echo(f'try it: pilotfish ask {out / "pilotfish.toml"} "…" --trace')
