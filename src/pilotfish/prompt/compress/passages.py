"""Passages in fewer tokens, for a model that answers from them: each keeps its number, and what it was is known.

Source: Xu et al. 2024 (RECOMP), section 3; Jiang et al. 2024 (LongLLMLingua), section 4.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pilotfish.model import Call, Trace
from pilotfish.prompt.compress.compressor import PAUSE, Compressor, Prompt

__all__ = ["Passages"]


@dataclass(frozen=True)
class Passages:
    """Makes passages shorter by a question; one may become "", and their order stays.

    Attributes:
        compressor: of all passages together, so that the better ones keep more.
        name: in traces.
    """

    compressor: Compressor
    name: str = "compressed"

    def __call__(self, question: str, passages: Sequence[str], budget: int) -> tuple[list[str], Trace]:
        """Return the passages within a budget together, and what that took.

        Args:
            question: that is to be answered from them.
            passages: texts.
            budget: in what the compressor counts, at least 1.
        """
        start = time.perf_counter()
        compressor = self.compressor if not self.compressor.reorder else replace(self.compressor, reorder=False)
        # The question is read, and is no part of the passages.
        found = compressor.prompt(Prompt(tuple(passages)), budget=budget, question=question)
        texts, at = [], 0
        for passage in passages:
            if passage and at:
                at += len(PAUSE)
            texts.append(found.within(at, at + len(passage)))
            at += len(passage)
        why = f"{found.before} to {found.after} {found.unit}"
        call = Call(self.name, "compressor", found.read, 0, time.perf_counter() - start, 0.0, why=why)
        return texts, Trace((call,))
