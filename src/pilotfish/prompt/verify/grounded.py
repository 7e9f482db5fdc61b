"""Trust an answer whose sentences are borne out by what it stands on.

Sources: sentence by sentence against the whole evidence: Laban et al. 2022 (SummaC), section 3; an answer that says it
has none is not judged.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Literal, get_args

from pilotfish.errors import ConfigError, ModelError
from pilotfish.measure.checks import Verdict
from pilotfish.measure.support import Supports
from pilotfish.model import Reply, Request
from pilotfish.prompt.verify.evidence import evidence_of
from pilotfish.rows.sentences import sentences_of

__all__ = ["Grounded", "Over"]

Over = Literal["least", "mean"]
_CITED = re.compile(r"\s*\[\d+(?:\s*[,;–-]\s*\d+)*\]")


@dataclass(frozen=True)
class Grounded:
    """Trust a reply whose sentences what it was given bears out, each at least by `above`, or on average.

    Attributes:
        supports: says how far a text bears out a sentence, 0 to 1: a model of entailment, or words.
        above: the least that is trusted.
        over: the sentence that is borne out least decides, or their mean.
    """

    supports: Supports
    above: float = 0.5
    over: Over = "least"

    def __post_init__(self) -> None:
        if not 0 <= self.above <= 1 or self.over not in get_args(Over):
            raise ConfigError(f"above lies between 0 and 1, and over is one of {', '.join(get_args(Over))}")

    async def __call__(self, request: Request, reply: Reply) -> Verdict:
        """Judge every sentence against all the evidence.

        Raises:
            ModelError: not a number from 0 to 1 for each.
        """
        sentences = [_CITED.sub("", one).strip() for one in sentences_of(reply.text)]
        sentences = [one for one in sentences if any(letter.isalnum() for letter in one)]
        if not sentences:
            return Verdict(False, 0.0, threshold=self.above, why="It says nothing.")
        evidence = "\n\n".join(evidence_of(request))
        # In a thread: a model reads, and other requests need not wait.
        told = await asyncio.to_thread(self.supports, [(evidence, one) for one in sentences])
        found = [float(one) for one in told]
        if len(found) != len(sentences) or not all(0 <= one <= 1 for one in found):
            raise ModelError(f"{len(sentences)} sentences need as many numbers from 0 to 1; there came {found!r}")
        score = min(found) if self.over == "least" else sum(found) / len(found)
        worst = sentences[found.index(min(found))]
        why = "" if score >= self.above else f'What it was given does not bear out: "{worst}"'
        return Verdict(score >= self.above, score, threshold=self.above, why=why)
