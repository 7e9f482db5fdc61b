"""What is toxic: by a classifier of sentences, taught on rows of one's own, and by a list of words.

No list and no classifier comes with this package: what is toxic is for whoever serves the answers to say.
`pilotfish repair train` with `kind = "sentences"` teaches one from {text, label} rows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pilotfish.errors import ConfigError, DataError, did_you_mean
from pilotfish.models.classify.classifier import TextClassifier
from pilotfish.repair.protected import check_touch, code
from pilotfish.repair.spans import Context, Span
from pilotfish.repair.units import units_of
from pilotfish.repair.ways import Mends, Remove, Way

__all__ = ["Toxic", "words_in"]


@dataclass(frozen=True)
class Toxic(Mends):
    """Finds sentences that a classifier gives one of some labels, and words of a list.

    Attributes:
        classifier: of texts; None goes by words alone.
        labels: of the classifier that count as a fault; together they have the sentence's score.
        above: the least score that is a fault.
        words: words and phrases; whole ones count, letter case and the number of blanks do not.
        way: what is done about them.
        touch: neither numbers nor code by default.
        name: in traces, and the kind of the spans.

    Raises:
        ConfigError: neither a classifier nor words, a label that the classifier does not have, or a setting out of
            range.
    """

    classifier: TextClassifier | None = None
    labels: tuple[str, ...] = ("toxic",)
    above: float = 0.5
    words: tuple[str, ...] = ()
    way: Way = Remove()  # noqa: RUF009  # frozen
    touch: frozenset[str] = frozenset()
    name: str = "toxic"

    def __post_init__(self) -> None:
        check_touch(self.touch)
        if self.classifier is None and not self.words:
            raise ConfigError(f"{self.name}: give a classifier, words, or both")
        if not 0 < self.above <= 1:
            raise ConfigError(f"{self.name}: above lies between 0 and 1, not {self.above}")
        if any(not word.strip() for word in self.words):
            raise ConfigError(f"{self.name}: one of the words is empty")
        if self.classifier is not None:
            known = self.classifier.classes_
            for label in self.labels:
                if label not in known:
                    raise ConfigError(
                        f"{self.name}: the classifier has no label {label!r}{did_you_mean(label, known)}"
                        f" (it has {', '.join(known[:8])})"
                    )

    def detect(self, text: str, context: Context) -> Sequence[Span]:
        """Return the sentences that the classifier is sure of, and the words that stand elsewhere."""
        found = self._sentences(text) if self.classifier is not None else []
        if self.words:
            held = [(span.start, span.end) for span in found] + code(text)
            found += [
                Span(one.start(), one.end(), self.name, 1.0, "a word of the list")
                for one in self._pattern.finditer(text)
                if not any(a < one.end() and one.start() < b for a, b in held)
            ]
        return sorted(found, key=lambda span: span.start)

    def _sentences(self, text: str) -> list[Span]:
        assert self.classifier is not None
        places, at = [], 0
        for unit in units_of(text):
            start = at + len(unit.lead)
            at = start + len(unit.text)
            if unit.text and not unit.code:
                places.append((start, at))
        if not places:
            return []
        told: Any = self.classifier.predict_proba([text[a:b] for a, b in places])
        which = [self.classifier.classes_.index(label) for label in self.labels]
        scores = told[:, which].sum(axis=1).tolist()
        return [
            Span(a, b, self.name, min(1.0, score), f"a sentence that the classifier calls {' or '.join(self.labels)}")
            for (a, b), score in zip(places, scores, strict=True)
            if score >= self.above
        ]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        # The longest first: of two that begin alike the longer one is meant.
        told = sorted({" ".join(word.split()) for word in self.words}, key=lambda word: (-len(word), word))
        inner = "|".join(r"\s+".join(map(re.escape, word.split(" "))) for word in told)
        return re.compile(rf"(?<!\w)(?:{inner})(?!\w)", re.IGNORECASE)


def words_in(path: str | Path) -> tuple[str, ...]:
    """Return the words of a file, one a line; empty lines and those that begin with # are none.

    Raises:
        DataError: it cannot be read, or has none.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    found = tuple(word for line in lines if (word := line.strip()) and not word.startswith("#"))
    if not found:
        raise DataError(f"{path}: no words in it")
    return found
