"""`pilotfish`: finds the command, runs it, and turns errors into one line.

Commands load when they are run, so that `pilotfish --help` answers at once.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

import click

from pilotfish.errors import PilotfishError

__all__ = ["COMMANDS", "main", "run"]

# Command -> (module, attribute, what `--help` shows).
COMMANDS = {
    "adapt": ("pilotfish.cli.adapt", "command", "Teach a small model which of a frozen model's answers are right."),
    "advise": ("pilotfish.cli.advise", "command", "Small, large, or both? Measure on your rows and decide."),
    "ask": ("pilotfish.cli.ask", "command", "Ask a model of a collaboration file."),
    "classify": ("pilotfish.cli.classify", "group", "Teach a small text classifier, apply it, measure it."),
    "compress": ("pilotfish.cli.compress", "command", "Say texts in fewer tokens, within an exact budget."),
    "curate": ("pilotfish.cli.curate", "command", "Keep the rows worth learning from, each decision with its reason."),
    "batches": ("pilotfish.cli.batches", "group", "Batches at a provider: list, wait, cancel."),
    "distill": ("pilotfish.cli.distill", "command", "Teach a small model what a larger one says or thinks."),
    "entities": ("pilotfish.cli.entities", "command", "Your own knowledge base: find entities, link mentions to it."),
    "evaluate": (
        "pilotfish.cli.evaluate",
        "command",
        "Judge a cascade or route, or any model by metrics.",
    ),
    "explain": ("pilotfish.cli.explain", "command", "Why a model says what it says, and what transparency costs."),
    "fit": ("pilotfish.cli.fit", "command", "What fits this machine? Model, runtime and precision, measured."),
    "index": ("pilotfish.cli.index", "command", "Make documents searchable: build, add, delete, info."),
    "search": ("pilotfish.cli.search", "command", "Find the passages of an index for a query."),
    "calibrate": ("pilotfish.cli.calibrate", "command", "Find a cascade's threshold that keeps a promise."),
    "judge": ("pilotfish.cli.judge", "command", "Judge answers by a rubric: models, panels, reward models."),
    "learn": ("pilotfish.cli.learn", "command", "Fit a route's router, on your rows or on logged traffic."),
    "phrases": ("pilotfish.cli.phrases", "command", "Teach an encoder your phrases; compare, group and find them."),
    "prompts": ("pilotfish.cli.prompts", "command", "Let small models choose what a large one is told."),
    "repair": ("pilotfish.cli.repair", "command", "Mend stored answers by plug-ins, and teach such plug-ins."),
    "replay": ("pilotfish.cli.replay", "command", "Judge a cascade or route on recorded answers, asking nothing."),
    "map": ("pilotfish.cli.map", "command", "Ask a model about every row of a file; stops and goes on."),
    "match": ("pilotfish.cli.match", "command", "Find records of the same thing in two tables."),
    "models": ("pilotfish.cli.models", "group", "Models by name: list, fetch, show, remove."),
    "supervise": ("pilotfish.cli.supervise", "command", "Teach a strong model what weak supervisors say."),
    "synthesize": ("pilotfish.cli.synthesize", "command", "Let a model write, label or vary rows, within a budget."),
    "tune": ("pilotfish.cli.tune", "command", "Fine-tune a small model on texts: an expert that steers a larger one."),
    "rows": ("pilotfish.cli.rows", "group", "Convert, de-duplicate and split files of rows."),
    "score": ("pilotfish.cli.score", "command", "Score texts by their references: BERTScore, ROUGE, BLEU, chrF."),
    "serve": ("pilotfish.cli.serve", "command", "Serve every model of a collaboration file behind OpenAI's API."),
    "verify": ("pilotfish.cli.verify", "command", "Teach a small verifier which answers are right."),
    "speculate": ("pilotfish.cli.speculate", "command", "Does drafting pay on your prompts, and at which length?"),
}
WRONG, BUG, STOPPED = 2, 1, 130


class Commands(click.Group):
    """A group whose commands are imported when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or offer the nearest one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from pilotfish.errors import did_you_mean

            raise click.UsageError(f"no command {args[0]!r}{did_you_mean(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, _, about) in sorted(COMMANDS.items())])


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from pilotfish import __version__

        click.echo(f"pilotfish {__version__}")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error; anywhere on the line.")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def main() -> None:
    """Small models that make large language models cheaper, better, and sometimes unnecessary.

    Exit codes: 0 done, 2 something is wrong (one line says what), 130 stopped by Ctrl-C, 1 a bug of ours.
    """


def run(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 when done, 2 with one line on an error, 130 on Ctrl-C, 1 on a bug."""
    args, debug = _without_debug(sys.argv[1:] if args is None else args)
    # Progress bars of libraries would draw over ours; the environment's own setting wins.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    try:
        if "_PILOTFISH_COMPLETE" in os.environ:
            main.main(args, prog_name="pilotfish")
        # Not `main.main`, which has ways of its own with Ctrl-C and broken pipes.
        with main.make_context("pilotfish", args) as context:
            main.invoke(context)
        sys.stdout.flush()
        code = 0
    except BaseException as error:
        if debug and not isinstance(error, SystemExit | click.exceptions.Exit | BrokenPipeError):
            traceback.print_exception(error)
        line, code = told(error)
        # What standard output cannot take is not to be tried again when the interpreter ends.
        _drop_output()
        if line:
            with suppress(OSError):
                click.echo(line, err=True)
        if code == STOPPED:
            # Ctrl-C does not wait for a thread that loads or computes; what is on the disk is whole at any moment.
            os._exit(code)
    sys.exit(code)


def told(error: BaseException) -> tuple[str, int]:
    """Return the one line and the exit code for whatever ended a command; no line where none is due."""
    error = _inner(error)
    text = " ".join(str(error).split())
    if isinstance(error, SystemExit):
        return "", error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, click.exceptions.Exit):
        return "", error.exit_code
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return text or "stopped", STOPPED
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error.format_message(), WRONG
    if isinstance(error, click.ClickException):
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
        hint = f" ({where} --help)" if where else ""
        return f"error: {' '.join(error.format_message().split())}{hint}", WRONG
    if isinstance(error, PilotfishError):
        return f"error: {text}", WRONG
    if isinstance(error, BrokenPipeError):
        return "", 0  # who read us has what it wanted (`| head`)
    if isinstance(error, OSError) and error.errno is not None:
        what = error.filename if isinstance(error.filename, str | os.PathLike) else "writing"
        full = "; free some space and run again" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        return f"error: {what}: {error.strerror}{full}", WRONG
    if type(error).__name__ == "SafetensorError" and "os error" in text:
        # safetensors has no OSError for a file that the system does not take; importing it to ask would take a second.
        return f"error: cannot write a model's weights: {text.rpartition('I/O error: ')[2]}", WRONG
    if isinstance(error, MemoryError):
        return "error: out of memory: take fewer rows at a time, or a smaller model", WRONG
    return f"error: a bug: {type(error).__name__}: {text} (the same command with --debug shows where)", BUG


def _inner(error: BaseException) -> BaseException:
    """Return the one error that a group is about: a stop first, then one that is ours."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [_inner(one) for one in error.exceptions]
    for kind in (KeyboardInterrupt, PilotfishError, OSError):
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return leaves[0]


def _without_debug(args: Sequence[str]) -> tuple[list[str], bool]:
    """Take --debug out from wherever it stands before a bare `--`."""
    end = args.index("--") if "--" in args else len(args)
    kept = [word for word in args[:end] if word != "--debug"]
    return [*kept, *args[end:]], len(kept) < end


def _drop_output() -> None:
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        return
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    run()
