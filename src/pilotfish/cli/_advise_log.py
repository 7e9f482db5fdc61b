"""A gateway's decision log as rows to advise on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotfish.rows import Row

__all__ = ["rows_of_log"]

_GOOD = 0.5  # of a quality from 0 to 1


def rows_of_log(source: str, out: Path) -> list[Row]:
    """Return what was asked and what was sent, as rows of `prompt` and `reply`; newest requests are the last.

    Answers whose model was rated below 0.5 are left out: what was sent is no right answer there. Of a prompt that was
    asked more than once the last answer stands.

    Args:
        source: an SQLite file, or a PostgreSQL URL.
        out: the output folder; the rows are kept in it.

    Raises:
        DataError: there is no such log, or it holds nothing to learn from.
    """
    from pilotfish.errors import DataError
    from pilotfish.rows import read
    from pilotfish.serve.log import DecisionLog

    if not source.startswith("postgres") and not Path(source).is_file():
        raise DataError(f"{source}: no such log")
    path = out / "work" / "log.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    log = DecisionLog(source)
    try:
        log.export(path)
    finally:
        log.close()
    found: dict[str, Row] = {}
    for row in read(path):
        prompt, reply = row.get("prompt"), row.get("reply")
        if not (isinstance(prompt, str) and prompt.strip() and isinstance(reply, str) and reply.strip()):
            continue
        rated = row.get(f"quality:{_by(row)}")
        if isinstance(rated, int | float) and rated < _GOOD:
            continue
        found[prompt] = {"prompt": prompt, "reply": reply}
    if not found:
        raise DataError(f"{source}: no request with an answer in it")
    return list(found.values())


def _by(row: Any) -> str:
    return str(row.get("answered_by") or row.get("model") or "")
