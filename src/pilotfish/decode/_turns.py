"""A lock whose waiters are served in the order they came."""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType

__all__ = ["Turns"]


class Turns:
    """A re-entrant lock, first come first served.

    Python's own locks let the thread that has just released one take it again at once; a loop that generates would keep
    everyone else out until its last token.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._owner: int | None = None
        self._depth = 0

    def __enter__(self) -> Turns:
        me = threading.get_ident()
        with self._guard:
            if self._owner in (None, me):
                self._owner = me
                self._depth += 1
                return self
            gate = threading.Lock()
            gate.acquire()
            self._waiting.append(gate)
        try:
            gate.acquire()  # released by the one who hands over, who has made this thread the owner's heir
        except BaseException:
            with self._guard:
                if gate in self._waiting:
                    self._waiting.remove(gate)
                else:
                    self._hand_over()
            raise
        self._owner = me
        self._depth = 1
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._guard:
            self._depth -= 1
            if not self._depth:
                self._hand_over()

    def _hand_over(self) -> None:
        if self._waiting:
            self._owner = -1  # nobody's yet, but not free
            self._waiting.popleft().release()
        else:
            self._owner = None
