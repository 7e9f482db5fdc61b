"""`pilotfish fit`: which model, runtime and precision meets a machine's limits best."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import Stopped, format_options, say, say_rejects

if TYPE_CHECKING:
    from rich.console import Console

    from pilotfish.assemble._specs_fit import FitSpec
    from pilotfish.compete.constrained import Fit

__all__ = ["command"]

NEEDED = ("torch", "transformers", "sentence_transformers", "sklearn", "matplotlib", "jinja2")


@click.command("fit")
@click.argument("rows")
@click.option("--model", "-m", "models", multiple=True, help="Weights: a name, hf:…, a folder, a GGUF file; several.")
@click.option("--text", help="The column with the text.")
@click.option("--label", help="The column with the label: a task of classes.")
@click.option("--test", help="Held-out rows of classes; otherwise a share of ROWS is held out.")
@click.option("--a", help="The column with one text, of rows that say how alike two are.")
@click.option("--b", help="The column with the other text.")
@click.option("--score", help="The column with how alike they are.")
@click.option("--prompt", help="The column with a prompt, of rows with choices.")
@click.option("--choices", help="The column with the list of choices.")
@click.option("--answer", help="The column with the right one: its place or its text.")
@click.option("--memory", help="The most the process may hold resident, such as 2GiB.")
@click.option("--p95", help="The most that 95 of 100 single rows may take, such as 200ms.")
@click.option("--energy", help="The most a single row may take, such as 0.5J.")
@click.option("--rows-per-day", type=click.FloatRange(0, min_open=True), help="Rows that a day's work must do.")
@click.option("--cold-start", help="The most from the start of the process to its first answer, such as 3s.")
@click.option("--disk", help="The most the exported folder may take, such as 300MB.")
@click.option("--runtime", "runtimes", multiple=True, help="torch, onnx, openvino, llamacpp; all otherwise.")
@click.option("--precision", "precisions", multiple=True, help="fp32, bf16, int8 or int4; all otherwise.")
@click.option("--margin", type=click.FloatRange(0), help="The loss of quality that does not matter (0.01: a point).")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Of timing each candidate's single rows.")
@click.option("--batch", type=click.IntRange(1), help="Rows of a batch.")
@click.option("--new-tokens", type=click.IntRange(1), help="That a text is gone on with, of texts alone.")
@click.option("--threads", type=click.IntRange(1), help="Processor threads; every core otherwise.")
@click.option("--out", help="The folder for the report and the exported model.  [default: out/fit]")
@click.option("--seed", type=int, help="Of the split.")
@click.option("--again", is_flag=True, help="Measure anew what was measured before.")
@format_options
@click.option("--quiet", is_flag=True, help="No progress; the verdict only.")
def command(rows: str, strict: bool, again: bool, quiet: bool, **flags: Any) -> None:
    """Measure every way to run every model on ROWS, and export the best one that keeps the limits.

    ROWS is a file of rows, or a TOML file with a [fit] table (flags win over it). Each candidate is measured in a
    process of its own: cold start, peak memory, latency, throughput, energy, and what quantising costs in quality. The
    report, the exported model and a file for `pilotfish ask` go into the folder --out. A run that was stopped goes on
    where it was.
    """
    from rich.console import Console

    console = Console(stderr=True, quiet=quiet)
    spec, folder, catalog = _plan(rows, flags)
    from pilotfish.assemble._build_fit import fit_models, fit_settings, fit_task

    settings = fit_settings(spec)
    _check_extras()
    from pilotfish.compete.constrained import fit
    from pilotfish.compete.constrained.folder import write_folder
    from pilotfish.rows import Rejects
    from pilotfish.rows._lock import locked

    out = folder / spec.out
    with locked(out):
        (out / "rejects.jsonl").unlink(missing_ok=True)
        with Rejects(out / "rejects.jsonl") as rejects:
            task = fit_task(spec, folder, rejects, strict=strict)
            say_rejects(rejects)
        models = fit_models(spec, folder, task, catalog)
        console.print(f"{len(task.rows):,} rows of {task.sort}; models: {', '.join(models)}", highlight=False)
        try:
            how: dict[str, Any] = {"catalog": catalog, "again": again, "say": lambda text: _say(console, text)}
            found = fit(task, models, out, settings, **how)
            found = write_folder(found, out)
        except KeyboardInterrupt:
            raise Stopped(f"stopped; what was measured is kept in {out}: the same command goes on from there") from None
    _show(found, out, console)


def _plan(rows: str, flags: dict[str, Any]) -> tuple[FitSpec, Path, Any]:
    """Return the table, flags laid over it, the folder that its paths start from, and the catalog."""
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_fit import FitSpec
    from pilotfish.assemble.check import checked
    from pilotfish.errors import ConfigError
    from pilotfish.models.catalog import Catalog

    flags["format"] = flags.pop("format_", None)
    given = {name: value for name, value in flags.items() if value not in (None, ())}
    for name in ("models", "runtimes", "precisions"):
        if name in given:
            given[name] = list(given[name])
    if not rows.endswith(".toml"):
        return checked(FitSpec, {"rows": rows, **given}, "the command line"), Path(), Catalog.load()
    there = Collaboration.load(rows)
    if there.fit is None:
        raise ConfigError(f"{rows}: no [fit] table; it names rows, their columns, models and limits")
    for name in ("test", "out"):  # what a flag names lies where the command was started
        if name in given:
            given[name] = str(Path(given[name]).absolute())
    if "models" in given:
        given["models"] = [str(Path(one).absolute()) if Path(one).exists() else one for one in given["models"]]
    table = there.fit.model_dump(exclude_unset=True) | given
    return checked(FitSpec, table, f"{rows} [fit]"), there.folder, there.catalog


def _check_extras() -> None:
    """Find what is imported later, without importing it: no half hour of measuring for want of a plot library.

    Raises:
        MissingExtra: something is not installed.
    """
    import importlib.util

    from pilotfish._extras import need

    for module in NEEDED:
        if importlib.util.find_spec(module) is None:
            need(module, "train")


def _say(console: Console, text: str) -> None:
    if not console.quiet:
        say(text)


def _show(found: Fit, out: Path, console: Console) -> None:
    """Print the report on the terminal, and the verdict and the paths on standard output."""
    from rich.console import Console as Terminal

    from pilotfish.compete.constrained.page import page
    from pilotfish.measure.report import render_terminal

    if not console.quiet:
        render_terminal(page(found), Terminal())
    chosen = found.verdict.chosen
    click.echo(f"verdict: {'nothing fits' if chosen is None else chosen.name}")
    click.echo(f"reason: {found.verdict.reason}")
    click.echo(f"what would flip it: {found.verdict.flip}")
    click.echo(f"report: {out / 'report.html'}")
    if chosen is not None:
        click.echo(f"exported: {out / 'model'}")
        if found.task.sort != "similarity":
            click.echo(f'try it: pilotfish ask {out / "pilotfish.toml"} "…" --trace')
