"""From rows to a detector and its report: documents are dealt out before anything learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pilotfish.errors import ConfigError, DataError
from pilotfish.repair.tokens.baselines import by_cosine, by_overlap
from pilotfish.repair.tokens.corrupted import corrupted
from pilotfish.repair.tokens.detector import SpanDetector
from pilotfish.repair.tokens.judged import Judged, best_threshold
from pilotfish.repair.tokens.report import SpanReport, reported
from pilotfish.repair.tokens.rows import Answered, marked
from pilotfish.rows._groups import components
from pilotfish.rows.dedupe import near_duplicates
from pilotfish.rows.split import split

__all__ = ["Taught", "dealt", "taught", "tuned_thresholds"]


@dataclass(frozen=True)
class Taught:
    """What teaching a detector came to.

    Attributes:
        detector: taught.
        learnt, tuned, tested: answers of each part; no two parts share a document.
        made: answers with faults made on purpose, beside those that were learnt from.
        reports: of the detector and of what needs no training, on the tested answers.
    """

    detector: SpanDetector
    learnt: int
    tuned: int
    tested: int
    made: int
    reports: tuple[SpanReport, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain data."""
        return {
            "learnt": self.learnt,
            "tuned": self.tuned,
            "tested": self.tested,
            "made": self.made,
            "threshold": self.detector.threshold_,
            "answer_threshold": self.detector.answer_threshold_,
            "combined": self.detector.combined_.to_json(),
            "reports": [report.to_json() for report in self.reports],
        }


def dealt(
    rows: Sequence[Answered], tune: float = 0.15, test: float = 0.2, seed: int = 0
) -> tuple[list[Answered], list[Answered], list[Answered]]:
    """Return answers to learn from, to tune by and to test on: no document, and no copy of one, is in two parts.

    Args:
        rows: answers.
        tune: share of them.
        test: share of them.
        seed: of the split.

    Raises:
        ConfigError: shares that leave nothing to learn from.
        DataError: too few documents for three parts.
    """
    if not (tune > 0 and test > 0 and tune + test < 1):
        raise ConfigError(
            f"the shares to tune by and to test on are above 0 and leave some to learn from: {tune}, {test}"
        )
    documents = list(dict.fromkeys(row.document for row in rows))
    if len(documents) < 3:
        raise DataError(f"{len(documents)} documents: there must be one to learn from, one to tune by, one to test on")
    firsts = {text: at for at, text in reversed(list(enumerate(row.document for row in rows)))}
    rank = np.arange(len(rows), dtype=np.int64)
    home = np.array([firsts[row.document] for row in rows], dtype=np.int64)
    alike = near_duplicates([row.context or row.answer for row in rows]).group
    group = components(len(rows), np.concatenate([rank, rank]), np.concatenate([home, alike]))
    parts = {"train": 1 - tune - test, "tune": tune, "test": test}
    told = split(len(rows), parts, seed, stratify=[row.is_faulty for row in rows], group=group.tolist())
    learn, by, on = ([rows[at] for at in told[name].tolist()] for name in parts)
    return learn, by, on


def taught(
    detector: SpanDetector,
    rows: Sequence[Answered],
    *,
    tune: float = 0.15,
    test: float = 0.2,
    made: int = 0,
    seed: int = 0,
    progress: bool = False,
) -> Taught:
    """Teach a detector on a share of the documents, and report on another one beside what needs no training.

    Args:
        detector: untaught.
        rows: answers.
        tune: share of the documents that calibration and thresholds are chosen by.
        test: share of them that the report is about.
        made: answers with faults made on purpose for each document that is learnt from.
        seed: of the split and the faults.
        progress: show a bar.

    Raises:
        ConfigError: shares that leave nothing.
        DataError: too few documents, or none with a fault among those of a part.
    """
    learn, by, on = dealt(rows, tune, test, seed)
    known = list(dict.fromkeys(row.context for row in learn if row.context))
    extra = corrupted(known, each=made, seed=seed) if made and known else []
    detector.fit([*learn, *extra], by, progress=progress)
    ways = [("detector", detector.judge(by), detector.judge(on))]
    if any(row.context for row in rows):
        ways.append(("words that the evidence lacks", by_overlap(by), by_overlap(on)))
        ways.append(
            ("cosine of token states, untaught", by_cosine(by, detector.encoder), by_cosine(on, detector.encoder))
        )
    reports = []
    for name, tuning, testing in ways:
        threshold, answers = tuned_thresholds(by, tuning)
        if name == "detector":
            threshold, answers = detector.threshold_, detector.answer_threshold_
        reports.append(reported(name, on, testing, threshold, answers, seed=seed))
    return Taught(detector, len(learn), len(by), len(on), len(extra), tuple(reports))


def tuned_thresholds(rows: Sequence[Answered], judged: Sequence[Judged]) -> tuple[float, float]:
    """Return the thresholds of words and of answers with the best F1 on answers; 1 where nothing is known of words."""
    known = [at for at, row in enumerate(rows) if row.spans is not None or not row.is_faulty]
    faulty = np.concatenate([marked(judged[at].words, rows[at].spans or ()) for at in known] or [np.zeros(0, bool)])
    scores = np.concatenate([judged[at].scores for at in known] or [np.zeros(0)])
    worst = np.array([one.most for one in judged])
    return best_threshold(scores, faulty), best_threshold(worst, np.array([row.is_faulty for row in rows]))
