"""The errors Pilotfish raises: each says what was wrong, where, and what to do.

The command line prints one line for any of them and exits with 2; `--debug` shows the traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "ConfigError",
    "DataError",
    "MissingExtra",
    "ModelError",
    "PilotfishError",
    "UpstreamError",
    "did_you_mean",
]


class PilotfishError(Exception):
    """What every error of this package is; its text is one line fit to show a user."""


class ConfigError(PilotfishError):
    """A setting, file or flag is wrong: an unknown key, a missing model, two options that clash."""


class DataError(PilotfishError):
    """The rows are wrong: a missing column, an empty file, a label that training never saw."""


class ModelError(PilotfishError):
    """A model cannot do what was asked: unknown name, damaged weights, no white-box access, unseen prompt."""


class UpstreamError(ModelError):
    """A remote endpoint failed: unreachable, refused the key, timed out, or sent what is not an answer.

    Attributes:
        status: the HTTP status, or None where no response came.
        retry_after: seconds the endpoint asked us to wait, or None.
    """

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class MissingExtra(PilotfishError):  # noqa: N818 the name in the design
    """An optional dependency is not installed; the text names the exact pip command."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest known word, else the list of what is known (up to 12)."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]!r}?"
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return f"; known: {shown}" if names else ""
