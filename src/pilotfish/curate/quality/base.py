"""What every quality classifier shares: rows held out before anything learns, calibration, a report, a folder."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pilotfish._saved import facts_in, reading
from pilotfish.curate.quality._telling import telling
from pilotfish.curate.quality.judged import Judged, judged
from pilotfish.curate.quality.rows import Parts, dealt
from pilotfish.errors import ConfigError, DataError
from pilotfish.models.classify.calibration import CALIBRATIONS, Calibration, calibrated, calibration_from

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog

__all__ = ["QualityClassifier"]

FILE, FORMAT = "quality.json", 1
Floats = NDArray[np.float64]
_PROBES = ("The history of the town begins with the sea.", "click here | login | 404\nfree free free!!")


class QualityClassifier(ABC):
    """Scores texts from 0 to 1: how likely a text is one of the good ones. scikit-learn's contract.

    `fit` deals the rows, copies together, into those that are learnt from, those that the scores are calibrated on, and
    those that the report is about; what was held out is not learnt from afterwards.

    Args:
        calibrate: "platt", "isotonic" (from some 1,000 rows on; its scores have ties) or "off".
        held_out: the share of rows that the report is about; half as many are for the calibration.
        good_from: of ratings, the least one of a good text (FineWeb-Edu takes 3 of 5).
        seed: of the parts, and of what is drawn in learning.

    Attributes:
        calibration_: from logits to scores.
        report_: how good the scores are on the held-out rows.
    """

    kind: ClassVar[str]

    def __init__(
        self, *, calibrate: str = "platt", held_out: float = 0.2, good_from: float = 3.0, seed: int = 0
    ) -> None:
        self.calibrate, self.held_out, self.good_from, self.seed = calibrate, held_out, good_from, seed

    def fit(self, texts: Sequence[str], quality: ArrayLike, *, groups: Sequence[Hashable] | None = None) -> Self:
        """Learn what good texts are like.

        Args:
            texts: the texts.
            quality: (texts,) true for good ones and false for others; or ratings from 0 to 5, whose mean a score times
                five then stands for.
            groups: one a text, as its document: texts of one group are all learnt from or all held out.

        Raises:
            ConfigError: a setting is out of range.
            DataError: not one quality a text, texts that are none, or too few good texts or others.
        """
        if self.calibrate not in CALIBRATIONS:
            raise ConfigError(f"calibrate is one of {', '.join(CALIBRATIONS)}, not {self.calibrate!r}")
        targets, good = self._read(texts, quality)
        parts = dealt(texts, good, groups, held_out=self.held_out, seed=self.seed)
        self._learn([texts[i] for i in parts.learn], targets[parts.learn])
        if self.calibrate == "off":
            self.calibration_: Calibration = calibrated("off", [], [])
        else:
            logits = self.logits([texts[i] for i in parts.calibrate])
            # Of ratings the shares themselves are what a score should be on average.
            self.calibration_ = calibrated(self.calibrate, logits, targets[parts.calibrate])
        self.report_ = self._judged(texts, targets, good, parts)
        return self

    def score(self, texts: Sequence[str]) -> Floats:
        """Return how likely each text is a good one, or its rating over five: (texts,).

        Raises:
            DataError: one text is given where a list is meant.
        """
        _no_single(texts)
        return self.calibration_(self.logits(texts))

    def judge(self, texts: Sequence[str], quality: ArrayLike) -> Judged:
        """Return how good the scores are on other texts, as a test set of one's own.

        Raises:
            DataError: as for `fit`.
        """
        targets, good = self._read(texts, quality)
        return judged(self.score(texts), good, targets=targets, cut=self._cut(targets), seed=self.seed)

    @abstractmethod
    def logits(self, texts: Sequence[str]) -> Floats:
        """Return a score before calibration, of any size, higher for better texts: (texts,)."""

    @abstractmethod
    def _learn(self, texts: Sequence[str], targets: Floats) -> None:
        """Learn from texts and from how good each is, 0 to 1."""

    @abstractmethod
    def _save(self, folder: Path) -> None:
        """Write what `logits` needs."""

    @classmethod
    @abstractmethod
    def _load(cls, folder: Path, settings: dict[str, Any], catalog: Catalog | None) -> Self:
        """Return a classifier with what `_save` wrote.

        Raises:
            OSError, ValueError, KeyError, TypeError: it is not there, or damaged.
        """

    def settings(self) -> dict[str, Any]:
        """Return what `__init__` takes, as plain data."""
        names = ("calibrate", "held_out", "good_from", "seed")
        return {name: getattr(self, name) for name in names}

    def fingerprint(self) -> str:
        """Return a hash of the settings and of what was learnt, as some probes and the held-out rows show it."""
        probes = [float(f"{value:.5g}") for value in self.logits(_PROBES)]
        told = [self.kind, self.settings(), self.calibration_.to_json(), self.report_.to_json(), probes]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:24]

    def save(self, folder: str | Path) -> None:
        """Write the classifier: safetensors and JSON; `quality.json` goes first and comes last."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).unlink(missing_ok=True)
        self._save(folder)
        told = {
            "format": FORMAT,
            "kind": self.kind,
            "settings": self.settings(),
            "calibration": self.calibration_.to_json(),
            "report": self.report_.to_json(),
        }
        (folder / FILE).write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    @staticmethod
    def load(folder: str | Path, catalog: Catalog | None = None) -> QualityClassifier:
        """Read a classifier of any kind.

        Raises:
            ModelError: the folder holds none, or a damaged one.
        """
        from pilotfish.curate.quality.kinds import kind_of

        folder = Path(folder)
        with reading(folder, "quality classifier"):
            told = facts_in(folder / FILE, "quality classifier", FORMAT)
            found = kind_of(told["kind"])._load(folder, dict(told["settings"]), catalog)
            found.calibration_ = calibration_from(told["calibration"])
            found.report_ = Judged.from_json(told["report"])
        return found

    def _read(self, texts: Sequence[str], quality: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
        """Return targets from 0 to 1, and which texts are good.

        Raises:
            DataError: they are none.
        """
        _no_single(texts)
        if any(not isinstance(text, str) for text in texts):
            raise DataError("a classifier of texts learns from texts: one of them is none")
        given = np.asarray(quality)
        if given.dtype.kind not in "bif":
            raise DataError(f"the quality of a text is true or false, or a rating from 0 to 5, not {given.ravel()[:1]}")
        if given.shape != (len(texts),):
            raise DataError(f"{len(texts)} texts but qualities of shape {given.shape}")
        values = given.astype(np.float64)
        if not np.isfinite(values).all() or (len(values) and (values.min() < 0 or values.max() > 5)):
            raise DataError("a rating lies from 0 to 5, and each text needs one")
        rated = _rated(values)
        good = values >= self.good_from if rated else values > 0
        return (values / 5 if rated else values), good

    def _judged(self, texts: Sequence[str], targets: Floats, good: NDArray[np.bool_], parts: Parts) -> Judged:
        scores = self.score([texts[i] for i in parts.test])
        own = targets[parts.test]
        found = judged(scores, good[parts.test], targets=own, cut=self._cut(targets), seed=self.seed)
        word = telling([texts[i] for i in parts.learn], good[parts.learn])
        return found.with_facts(asdict(parts.facts), word)

    def _cut(self, targets: Floats) -> float:
        return self.good_from / 5 if _rated(targets) else 0.5


def _rated(values: Floats) -> bool:
    """Zeros and ones are classes, whatever their type; anything else makes all of them ratings."""
    return bool(((values != 0) & (values != 1)).any())


def _no_single(texts: Sequence[str]) -> None:
    if isinstance(texts, str):
        raise DataError("a list of texts is wanted, not one text: its letters would be taken for texts")
