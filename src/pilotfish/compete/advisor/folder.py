"""The output folder of an advice of any kind: the report, a file that `serve` and `ask` run, and the figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.compete.advisor.page import page
from pilotfish.compete.folder import LAST, comment, plain, put, table
from pilotfish.errors import DataError
from pilotfish.measure.report import render_html
from pilotfish.rows.write import write

if TYPE_CHECKING:
    from pilotfish.compete.advisor.advised import Advised

__all__ = ["write_advised"]


def write_advised(advice: Advised, out: Path, given: Mapping[str, Mapping[str, Any]]) -> None:
    """Write report.html, pilotfish.toml, answers.jsonl, what the tables refer to, and advice.json last.

    Args:
        advice: what was found.
        out: the folder.
        given: tables of the user's own models, by full names, as they can stand in that folder.

    Raises:
        DataError: the folder cannot be written; no advice.json is left that a later run would trust.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / LAST).unlink(missing_ok=True)
        advice.save(out)
        write([plain(row) for row in advice.answers], out / "answers.jsonl")
        put(out / "report.html", render_html(page(advice)))
        put(out / "pilotfish.toml", _toml(advice, given))
        told = json.dumps(plain(advice.to_json()), ensure_ascii=False, indent=1, allow_nan=False)
        put(out / LAST, told + "\n")
    except OSError as error:
        raise DataError(f"cannot write the advice into {out}: {error.strerror or error}") from error


def _toml(advice: Advised, given: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [
        '# Written by `pilotfish advise`. Try it:  pilotfish ask pilotfish.toml "…" --trace',
        "# Put it to work:  pilotfish serve pilotfish.toml",
        comment(f"{advice.verdict.answer}: {advice.verdict.reason}"),
        f"default = {json.dumps(advice.default)}",
        "",
    ]
    for name, values in {**given, **advice.tables}.items():
        lines += table(name, values)
    return "\n".join(lines)
