"""The rejects file: every row that was left out, with where it stood and why. Nothing is dropped in silence."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any

from pilotfish.rows._atomic import cannot_write


class Rejects:
    """Counts bad rows by reason and, given a path, appends each to a JSONL file.

    A line of the file is `{"source", "line", "reason", "raw"}`. It is written by one system call, so a killed process
    leaves whole lines. Bytes that are not text stand in `raw` as backslash escapes. What a reason says before its
    first colon is its kind; `counts` goes by kind. The file is made at the first reject, and appended to if it exists.

    Attributes:
        path: the file, or None to count only.
        counts: kind of reason -> rows.
        first: one line about the first reject, or "" while there is none.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = Path(path) if path is not None else None
        self.counts: Counter[str] = Counter()
        self.first = ""
        self._fd: int | None = None

    def __len__(self) -> int:
        return sum(self.counts.values())

    def __bool__(self) -> bool:
        # An empty Rejects is still a place to put rejects: `if rejects` must not read as "none given".
        return True

    def add(self, source: str, line: int | None, reason: str, raw: str, **more: Any) -> None:
        """Note one bad row; `more` adds fields to its line in the file.

        Raises:
            DataError: the file cannot be written.
        """
        self.counts[reason.partition(":")[0]] += 1
        if not self.first:
            self.first = f"{source}{f', line {line}' if line is not None else ''}: {reason}"
        if self.path is None:
            return
        entry = {"source": source, "line": line, "reason": reason, "raw": raw, **more}
        text = json.dumps(entry, ensure_ascii=False, default=str) + "\n"
        self._write(text.encode("utf-8", "backslashreplace"))

    def _write(self, data: bytes) -> None:
        assert self.path is not None
        try:
            if self._fd is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def summary(self) -> str:
        """Return one line: how many rows were rejected, why, and where to look."""
        total = len(self)
        if not total:
            return "no rows rejected"
        reasons = ", ".join(f"{count} {kind}" for kind, count in self.counts.most_common())
        where = f"; see {self.path}" if self.path is not None else f"; the first: {self.first}"
        return f"{total} {'row' if total == 1 else 'rows'} rejected ({reasons}){where}"

    def to_json(self) -> dict[str, Any]:
        """Return the counts as plain data."""
        return {"rejected": len(self), "reasons": dict(self.counts), "first": self.first}

    def close(self) -> None:
        """Close the file; a later `add` opens it again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Rejects:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()
