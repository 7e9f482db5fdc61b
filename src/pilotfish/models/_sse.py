"""Server-sent events, parsed as they arrive.

Source: WHATWG HTML, "Server-sent events", section 9.2.6 (interpreting an event stream).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Event", "EventParser"]

_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its `data` lines joined by newlines, and its type (`message` where the stream names none)."""

    data: str
    type: str = "message"


class EventParser:
    """Turns chunks of bytes, cut anywhere, into events.

    Lines may end with CRLF, LF or CR; comments and unknown fields are skipped. Bytes are decoded a whole line at a
    time, so a character cut in two by the network is whole again.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._data: list[str] = []
        self._type = "message"
        self._first = True

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that this chunk completes.

        Raises:
            UnicodeDecodeError: a line is not UTF-8.
        """
        self._buffer += chunk
        # A CR at the very end may be half of a CRLF: leave it until the next byte is known.
        usable = len(self._buffer) - 1 if self._buffer.endswith(b"\r") else len(self._buffer)
        events, start = [], 0
        for end in _LINE_END.finditer(self._buffer, 0, usable):
            event = self._line(self._buffer[start : end.start()])
            start = end.end()
            if event is not None:
                events.append(event)
        self._buffer = self._buffer[start:]
        return events

    def close(self) -> Event | None:
        """Return the event that the end of the stream leaves without its blank line; None where nothing is left.

        The standard drops it. Some endpoints close right after `data: [DONE]`, so the caller may want to look at it.
        """
        rest, self._buffer = self._buffer.rstrip(b"\r"), b""
        for line in (rest, b""):
            event = self._line(line)
            if event is not None:
                return event
        return None

    def _line(self, raw: bytes) -> Event | None:
        line = raw.decode("utf-8")
        if self._first:
            line, self._first = line.removeprefix("\ufeff"), False
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value or "message"
        return None  # a comment (no name), `id`, `retry`, or a field nobody knows

    def _dispatch(self) -> Event | None:
        event = Event("\n".join(self._data), self._type) if self._data else None
        self._data, self._type = [], "message"
        return event
