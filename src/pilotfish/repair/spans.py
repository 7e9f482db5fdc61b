"""The words of plug-ins: a span that is found fault with, an edit that mends it, and what both are judged by.

A plug-in is any object with `detect` and `mend`; either may be async. Numbers and code are not theirs to change unless
they say so by `touch` (`pilotfish.repair.protected`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from pilotfish.errors import ModelError
from pilotfish.model import Request, Trace

__all__ = ["Context", "Edit", "Mended", "Plugin", "Span", "applied"]


@dataclass(frozen=True, slots=True)
class Span:
    """A place of a text that is found fault with.

    Attributes:
        start: where it begins, in characters.
        end: behind its last character.
        kind: of fault, as "unsupported" or "email".
        score: how sure that is, from 0 to 1.
        why: one line for people. It stands in traces, so it quotes nothing that must not be seen.
        better: what should stand there, where the plug-in knows.
    """

    start: int
    end: int
    kind: str
    score: float = 1.0
    why: str = ""
    better: str | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a text.

    Attributes:
        start: where it begins in the text before, in characters.
        end: behind the last character that goes.
        before: what stood there.
        after: what stands there now.
        kind: of the fault that is mended.
        why: one line for people.
        score: how sure the fault was.
    """

    start: int
    end: int
    before: str
    after: str
    kind: str = ""
    why: str = ""
    score: float = 1.0


@dataclass(frozen=True)
class Mended:
    """What a plug-in made of a text.

    Attributes:
        text: with the edits in it.
        edits: in order and apart, places of the text before.
        trace: calls of models that mending took, and decisions of theirs.
        withdrawn: the whole answer is taken back, and `text` stands in its place; there are no edits then.
    """

    text: str
    edits: tuple[Edit, ...] = ()
    trace: Trace = field(default_factory=Trace)
    withdrawn: bool = False


@dataclass(frozen=True)
class Context:
    """What a text is judged by.

    Attributes:
        question: what was asked.
        passages: what the answer is to stand on, where anything is.
        system: the system turns.
        before: what of the answer stands before the text; it was sent, and nothing of it changes any more.
        edits: those that were made in it.
        request: the whole request; None for stored answers.
        row: of a stored answer.
    """

    question: str = ""
    passages: tuple[str, ...] = ()
    system: str = ""
    before: str = ""
    edits: tuple[Edit, ...] = ()
    request: Request | None = None
    row: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Plugin(Protocol):
    """Finds and mends one kind of fault."""

    @property
    def name(self) -> str:
        """The name in traces."""

    @property
    def touch(self) -> frozenset[str]:
        """What of `protected.KINDS` it may change."""

    @property
    def whole(self) -> bool:
        """Whether it needs the whole answer: a stream then waits for the end."""

    def detect(self, text: str, context: Context) -> Sequence[Span] | Awaitable[Sequence[Span]]:
        """Return the faulty places of a text: a sentence, or the whole answer of a plug-in that needs it."""

    def mend(self, text: str, spans: Sequence[Span], context: Context) -> Mended | Awaitable[Mended]:
        """Return the text without its faults, and each change of it as an edit."""


def applied(text: str, edits: Sequence[Edit]) -> str:
    """Return a text with edits in it.

    Raises:
        ModelError: they overlap, are out of order or outside the text, or tell another text before.
    """
    parts, at = [], 0
    for edit in edits:
        if not at <= edit.start <= edit.end <= len(text):
            raise ModelError(f"an edit of characters {edit.start} to {edit.end} overlaps another or is outside")
        if text[edit.start : edit.end] != edit.before:
            raise ModelError(f"an edit of characters {edit.start} to {edit.end} is of another text")
        parts += [text[at : edit.start], edit.after]
        at = edit.end
    return "".join([*parts, text[at:]])
