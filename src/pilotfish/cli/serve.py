"""`pilotfish serve`: the gateway over the models of a collaboration file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish.cli._common import say

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration

__all__ = ["command"]


@click.command("serve")
@click.argument("file")
@click.option("--host", help="The address to listen at; the file's, or 127.0.0.1, where not given.")
@click.option("--port", type=click.IntRange(0, 65535), help="0 takes a free one; the file's, or 8000, where not given.")
@click.option(
    "--log-level", default="info", show_default=True, help="debug, info, warning or error; to standard error."
)
def command(file: str, host: str | None, port: int | None, log_level: str) -> None:
    """Serve every model of FILE, nested ones too, behind an OpenAI-compatible API.

    FILE is a collaboration file (TOML), or the name of one model. Its [serve] table sets limits, keys, the response
    cache and the log. SIGTERM or Ctrl-C lets what is under way end, and refuses what comes after it; a second one stops
    at once.
    """
    import logging

    from pilotfish._extras import need

    for module in ("uvicorn", "httptools"):
        need(module, "serve")
    levels = logging.getLevelNamesMapping()
    if log_level.upper() not in levels:
        raise click.UsageError(f"--log-level {log_level}: not debug, info, warning or error")
    logging.basicConfig(level=levels[log_level.upper()], format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(max(levels[log_level.upper()], logging.WARNING))

    from pilotfish.assemble._specs_serve import ServeSpec
    from pilotfish.serve._hosts import is_loopback
    from pilotfish.serve._server import Server, bind
    from pilotfish.serve.from_file import gateway_of

    models = _collaboration(file)
    spec = models.serve or ServeSpec()
    listener = bind(host or spec.host, spec.port if port is None else port)
    gateway = gateway_of(models)
    shown, number = listener.getsockname()[:2]
    say(f"serving {', '.join([*gateway.models, *gateway.encoders])} at http://{_bracketed(shown)}:{number}/v1")
    if not spec.keys and not is_loopback(shown):
        say("no [[serve.keys]]: everyone who reaches this address may ask")
    Server(gateway, gateway.settings).run(sockets=[listener])
    say("stopped")


def _collaboration(file: str) -> Collaboration:
    """Return the models; endpoints keep no replies on disk unless the file says so.

    A run over rows wants each paid reply kept; a gateway's clients want an answer of their own.
    """
    import tomllib

    from pilotfish.assemble import Collaboration
    from pilotfish.cli._common import collaboration_of

    models = collaboration_of(file)
    if not file.endswith(".toml"):
        tables = {name: models.table(name) for name in models.names}
        data: dict[str, Any] = {"models": tables}
    else:
        data = tomllib.loads(Path(file).read_text(encoding="utf-8"))
    for table in data.get("models", {}).values():
        if table.get("use") == "openai":
            table.setdefault("cache", False)
    return Collaboration(data, where=models.where, folder=models.folder)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
