"""Faults that a function of the user's finds."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pilotfish.errors import ModelError
from pilotfish.measure.grade import function_at
from pilotfish.repair.protected import check_touch
from pilotfish.repair.spans import Context, Span
from pilotfish.repair.ways import Mark, Mends, Way

__all__ = ["ByFunction"]


@dataclass(frozen=True)
class ByFunction(Mends):
    """Asks `module:name`, called with a text and its `Context`, for spans: of `Span`, or objects with its fields.

    It may be async. What is not a sentence's matter needs `entire`: it is then given the whole answer.

    Attributes:
        path: of the function.
        entire: give it the whole answer; a stream then waits for the end.
        way: what is done about them.
        touch: what may be changed.
        name: in traces.

    Raises:
        ConfigError: no such function.
    """

    path: str
    entire: bool = False
    way: Way = Mark()  # noqa: RUF009  # frozen
    touch: frozenset[str] = frozenset()
    name: str = "function"

    def __post_init__(self) -> None:
        check_touch(self.touch)
        _ = self._function

    @property
    def whole(self) -> bool:
        """Whether the whole answer is needed."""
        return self.entire or super().whole

    async def detect(self, text: str, context: Context) -> Sequence[Span]:
        """Return what the function says.

        Raises:
            ModelError: that are no spans.
        """
        told: Any = self._function(text, context)
        if inspect.isawaitable(told):
            told = await told
        return [self._span(one) for one in told]

    def _span(self, one: Any) -> Span:
        if isinstance(one, Span):
            return one
        try:
            if not isinstance(one, Mapping):
                raise TypeError(f"{type(one).__name__} is no span")
            return Span(**{"kind": self.name} | dict(one))
        except TypeError as error:
            raise ModelError(
                f"{self.path}: a span has start and end, and may have kind, score, why, better: {error}"
            ) from None

    @cached_property
    def _function(self) -> Any:
        return function_at(self.path)
