"""`pilotfish`: finds the command, runs it, and turns errors into one line.

Commands load when they are run, so that `pilotfish --help` answers at once.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from typing import NoReturn

import click

from pilotfish.errors import PilotfishError

# Command -> (module, attribute, what `--help` shows).
COMMANDS = {
    "advise": ("pilotfish.cli.advise", "command", "Small, large, or both? Measure on your rows and decide."),
    "ask": ("pilotfish.cli.ask", "command", "Ask a model of a collaboration file."),
    "map": ("pilotfish.cli.map", "command", "Ask a model about every row of a file; stops and goes on."),
    "models": ("pilotfish.cli.models", "group", "Models by name: list, fetch, show, remove."),
    "rows": ("pilotfish.cli.rows", "group", "Convert, de-duplicate and split files of rows."),
}


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
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def main(debug: bool) -> None:
    """Small models that make large language models cheaper, better, and sometimes unnecessary."""


def run(args: list[str] | None = None) -> NoReturn:
    """Run the command line: exit 0 when done, 2 with one line on an error, 130 on Ctrl-C."""
    args = sys.argv[1:] if args is None else args
    # Progress bars of libraries would draw over ours; the environment's own setting wins.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    try:
        main.main(args, prog_name="pilotfish", standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("stopped", 130)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except PilotfishError as error:
        if "--debug" in args:
            raise
        _fail(str(error), 2)
    except BrokenPipeError:
        # Who reads us has gone (`| head`); the interpreter must not complain about it when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        if "--debug" in args or error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        _fail(f"{error.filename or 'a file'}: {error.strerror}", 2)
    sys.exit(0)


def _fail(text: str, code: int) -> NoReturn:
    line = " ".join(text.split())
    click.echo(line if code == 130 else f"error: {line}", err=True)
    sys.exit(code)
