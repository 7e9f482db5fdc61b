"""Stages that keep rows by a classifier's score: from a threshold on, the best share, or drawn by it.

Sources: Brown et al. 2020, appendix A (the draw: keep where a Pareto variable is above 1 - score, alpha 9); Li et al.
2024 (DCLM), section 4.4 (the best tenth).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.curate.barrier import Barrier, Decide
from pilotfish.curate.quality.base import QualityClassifier
from pilotfish.curate.sift import Dropped, Judged, Sift
from pilotfish.errors import ConfigError, DataError
from pilotfish.rows._row import Row, Rows
from pilotfish.rows.stage import Outcome

__all__ = ["Quality", "QualityShare", "pareto"]


class Quality(Sift):
    """Scores rows, and keeps those from a threshold on, or by a draw; without either it keeps all.

    A text without any word is dropped: there is nothing to score.

    Args:
        classifier: what scores; or the folder of a saved one, which is loaded where the work is done.
        text: the column that is scored.
        into: the column for the score; it must be new.
        threshold: the least score, 0 to 1.
        pareto: alpha of the draw: the higher, the fewer rows of low score are kept. GPT-3's is 9.
        seed: of the draw; a row's luck goes by the seed and its text, so neither order nor company changes it.

    Raises:
        ConfigError: a setting is out of range, or two of them are given.
    """

    def __init__(
        self,
        classifier: QualityClassifier | str | Path,
        *,
        text: str = "text",
        into: str = "score",
        threshold: float | None = None,
        pareto: float | None = None,
        seed: int = 0,
    ) -> None:
        if threshold is not None and pareto is not None:
            raise ConfigError("keep by a threshold or by a Pareto draw, not by both")
        self.threshold = _number("threshold", threshold, 0.0, 1.0)
        self.pareto = _number("pareto", pareto, 0.0, math.inf)
        if self.pareto == 0:
            raise ConfigError("pareto must be above 0")
        self.text, self.into, self.seed = text, into, seed
        self.measure = into
        # Told by what it has learnt, so that a run goes on only with the same classifier.
        self.learned = fingerprint(classifier)
        self._classifier = classifier

    @property
    def title(self) -> str:
        """The stage."""
        return "Quality"

    def setup(self) -> None:
        """Load the classifier."""
        given = self._classifier
        self._loaded = QualityClassifier.load(given) if isinstance(given, str | Path) else given

    def close(self) -> None:
        """Let go of it."""
        self.__dict__.pop("_loaded", None)

    def process(self, rows: Rows) -> list[Outcome]:
        """Return each row with its score, or why it goes.

        Raises:
            ConfigError: the column for the score is there already.
        """
        for row in rows:
            if self.into in row:
                raise ConfigError(f"the rows already have a column {self.into!r}; choose another with `into`")
        return super().process(rows)

    def judge(self, texts: Sequence[str]) -> list[Judged]:
        """Return the score of each text, or why it goes."""
        if "_loaded" not in self.__dict__:
            self.setup()
        scores = self._loaded.score(texts) if texts else np.empty(0)
        return [self._one(text, float(score)) for text, score in zip(texts, scores, strict=True)]

    def _one(self, text: str, score: float) -> Judged:
        if not text or text.isspace():
            return Dropped("quality.empty: no words")
        found = {self.into: score}
        if self.threshold is not None and score < self.threshold:
            return Dropped(f"quality.threshold: {score:.4g} against at least {self.threshold:g}", columns=found)
        if self.pareto is not None and not (drawn := pareto(text, self.pareto, self.seed)) > 1 - score:
            why = f"quality.pareto: drew {drawn:.4g} against more than {1 - score:.4g}"
            return Dropped(why, columns=found)
        return found


class QualityShare(Barrier):
    """Keeps the best share of all rows by their scores: one pass scores, the next one knows the cut.

    The scores of the first pass lie in a file, 8 bytes a row, and the cut is found by counting, in four passes over it:
    exact, and in constant memory. Rows that tie at the cut are all kept, so it may be more than the share.

    Args:
        classifier: as for `Quality`.
        share: of the rows that are kept, above 0 and at most 1.
        text: the column that is scored.
        into: the column for the score; it must be new.

    Raises:
        ConfigError: the share is out of range.
    """

    def __init__(
        self, classifier: QualityClassifier | str | Path, share: float, *, text: str = "text", into: str = "score"
    ) -> None:
        found = _number("share", share, 0.0, 1.0)
        if not found:
            raise ConfigError("the share that is kept must be above 0")
        self.share, self.into = found, into
        self._scoring = Quality(classifier, text=text, into=into)
        self.learned = self._scoring.learned

    @property
    def title(self) -> str:
        """The step."""
        return "Quality"

    @property
    def before(self) -> Quality:
        """What scores the rows."""
        return self._scoring

    @property
    def measure(self) -> str:
        """The score."""
        return self.into

    def look(self, rows: Iterator[Row], folder: Path) -> Decide:
        """Find the cut."""
        path = folder / "scores.f8"
        total = 0
        with path.open("wb") as file:
            for row in rows:
                file.write(np.float64(row[self.into]).tobytes())
                total += 1
        if not total:
            return lambda number, row: {}
        scores = np.memmap(path, np.float64, mode="r")
        cut = nth_largest(scores, max(1, round(self.share * total)))
        why = f"at least {cut:.4g}, the cut of the best {self.share:.4g}"

        def decide(number: int, row: Row) -> Judged:
            score = row[self.into]
            return {} if score >= cut else Dropped(f"quality.share: {score:.4g} against {why}")

        return decide


def nth_largest(values: NDArray[np.float64], n: int) -> float:
    """Return the n-th largest of numbers from 0 to 1 that may not fit into memory.

    Of such numbers the bits are in order too: they are counted sixteen at a time, the upper ones first.

    Args:
        values: (rows,), at least n of them.
        n: 1 or more.
    """
    found, left = 0, n
    for shift in (48, 32, 16, 0):
        counts = np.zeros(1 << 16, np.int64)
        for start in range(0, len(values), 1 << 20):
            bits = np.ascontiguousarray(values[start : start + (1 << 20)]).view(np.uint64)
            if shift < 48:
                bits = bits[(bits >> np.uint64(shift + 16)) == np.uint64(found)]
            counts += np.bincount(((bits >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.int64), minlength=1 << 16)
        above = np.cumsum(counts[::-1])
        place = int(np.searchsorted(above, left))
        left -= int(above[place - 1]) if place else 0
        found = found << 16 | ((1 << 16) - 1 - place)
    return float(np.array([found], np.uint64).view(np.float64)[0])


def pareto(text: str, alpha: float, seed: int) -> float:
    """Return a draw of a Pareto (Lomax) variable, from 0 on, that goes by the text and the seed alone."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=str(seed).encode()).digest()
    uniform = (int.from_bytes(digest, "little") + 1) / 2.0**64  # above 0, at most 1
    return math.expm1(-math.log(uniform) / alpha)


def fingerprint(classifier: QualityClassifier | str | Path) -> str:
    """Return a hash of what a classifier has learnt.

    Raises:
        DataError: it has learnt nothing yet.
        ModelError: there is no such folder.
    """
    found = QualityClassifier.load(classifier) if isinstance(classifier, str | Path) else classifier
    if getattr(found, "calibration_", None) is None:
        raise DataError("this classifier has learnt nothing yet: call `fit`, or load one")
    return found.fingerprint()


def _number(name: str, value: Any, low: float, high: float) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise ConfigError(f"{name} is a number, not {value!r}")
    if not low <= float(value) <= high or not math.isfinite(float(value)):
        raise ConfigError(f"{name} lies from {low:g} to {high:g}, not {value:g}")
    return float(value)
