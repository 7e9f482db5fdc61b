"""Sources that are rules: keywords, patterns, a function, a column that is there already, as of a crowd worker.

Source: Ratner et al. 2017 (Snorkel), section 2.1: labelling functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from pilotfish.errors import ConfigError, DataError
from pilotfish.rows._row import Row, need_columns
from pilotfish.supervise.sources.base import Said, Source
from pilotfish.supervise.sources.scope import Scope, column_of

__all__ = ["Column", "Function", "Keywords", "Patterns"]


class Patterns(Source):
    """Says a label where its regular expression is found; where several labels' are, each has the same share.

    Args:
        patterns: label -> a regular expression, or several.
        name: in reports.
        text: the column.
        scope: as `Source`.
        least: as `Source`; above .5 it abstains where two labels are found.

    Raises:
        ConfigError: a pattern that is none, or no pattern.
    """

    def __init__(
        self,
        patterns: Mapping[str, str | Sequence[str]],
        name: str = "patterns",
        *,
        text: str = "text",
        scope: Scope | None = None,
        least: float = 0.0,
    ) -> None:
        super().__init__(name, scope=scope, least=least)
        self.text = text
        self._patterns: list[tuple[str, re.Pattern[str]]] = []
        for label, given in patterns.items():
            for one in [given] if isinstance(given, str) else given:
                try:
                    self._patterns.append((label, re.compile(one)))
                except re.error as error:
                    raise ConfigError(f"{name}: the pattern {one!r} of {label!r} is none: {error}") from None
        if not self._patterns:
            raise ConfigError(f"{name}: no pattern")

    def say(self, rows: Sequence[Row], numbers: Sequence[int], folder: Path | None) -> Iterable[Said]:
        """Return the labels whose pattern each text has."""
        for text in column_of(rows, self.text, numbers):
            found = {label for label, pattern in self._patterns if pattern.search(text)}
            yield dict.fromkeys(sorted(found), 1.0) if found else None


class Keywords(Patterns):
    """Says a label where one of its words stands in the text, as a whole word, whatever the case.

    Args:
        words: label -> words, or phrases.
        name: in reports.
        text: the column.
        scope: as `Source`.
        least: as `Source`; above .5 it abstains where words of two labels are found.
        case: upper and lower case are told apart.

    Raises:
        ConfigError: no words.
    """

    def __init__(
        self,
        words: Mapping[str, Sequence[str]],
        name: str = "keywords",
        *,
        text: str = "text",
        scope: Scope | None = None,
        least: float = 0.0,
        case: bool = False,
    ) -> None:
        flag = "" if case else "(?i)"
        for label, given in words.items():
            if isinstance(given, str) or not all(isinstance(one, str) and one.strip() for one in given):
                raise ConfigError(f"{name}: the words of {label!r} are a list of words, none of them empty")
        # Not \b: what begins or ends with a sign, as ":-)", has no word's edge there.
        patterns = {
            label: flag + r"(?<!\w)(?:" + "|".join(re.escape(one.strip()) for one in given) + r")(?!\w)"
            for label, given in words.items()
            if given
        }
        super().__init__(patterns, name, text=text, scope=scope, least=least)


class Function(Source):
    """Says what a function of a row returns: a label, label -> share, or None.

    Args:
        function: of a row.
        name: in reports; the function's own by default.
        scope: as `Source`.
        least: as `Source`.
    """

    def __init__(
        self,
        function: Callable[[Row], Said],
        name: str | None = None,
        *,
        scope: Scope | None = None,
        least: float = 0.0,
    ) -> None:
        super().__init__(name or str(getattr(function, "__name__", "function")), scope=scope, least=least)
        self.function = function

    def say(self, rows: Sequence[Row], numbers: Sequence[int], folder: Path | None) -> Iterable[Said]:
        """Return what the function says."""
        return (self.function(row) for row in rows)


class Column(Source):
    """Says what stands in a column, as what a crowd worker or an earlier model said.

    Args:
        column: with labels, or label -> share; null, or an empty text, is to abstain.
        name: in reports; the column's own by default.
        labels: what stands there -> the label that is meant; what is not named here stands for itself.
        scope: as `Source`.
        least: as `Source`.
    """

    def __init__(
        self,
        column: str,
        name: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        scope: Scope | None = None,
        least: float = 0.0,
    ) -> None:
        super().__init__(name or column, scope=scope, least=least)
        self.column, self.labels = column, dict(labels or {})

    def say(self, rows: Sequence[Row], numbers: Sequence[int], folder: Path | None) -> Iterable[Said]:
        """Return what stands there."""
        for number, row in zip(numbers, rows, strict=True):
            need_columns(row, self.column, source=f"row {number}")
            value = row[self.column]
            if value is None or value == "":
                yield None
            elif isinstance(value, Mapping):
                yield {self._meant(label): self._share(share, number) for label, share in value.items()}
            else:
                yield self._meant(value)

    def _meant(self, value: object) -> str:
        return self.labels.get(str(value), str(value))

    def _share(self, value: object, number: int) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise DataError(f"row {number}: column {self.column!r}: {value!r} is no share")
        return float(value)
