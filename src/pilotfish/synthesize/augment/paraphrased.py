"""Rows in other words, each child in its own way.

Source: Dai et al. 2023 (AugGPT): a model rephrases each row of a few several times, and a classifier learns from all.
That each child is told another way to differ (words, order, length, register) is ours: without it a model gives the
same paraphrase again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pilotfish.errors import ConfigError, did_you_mean
from pilotfish.rows._row import Row
from pilotfish.synthesize.augment.restyled import Reworded

__all__ = ["WAYS", "Paraphrased"]

WAYS = {
    "words": "Use other words: synonyms, other turns of phrase.",
    "order": "Change its order: begin with what stands at its end.",
    "shorter": "Use fewer words.",
    "longer": "Use more words, but add nothing that is not in it.",
    "formal": "Say it formally.",
    "casual": "Say it casually, as people talk.",
}


class Paraphrased(Reworded):
    """Has a model say rows in other words.

    Args:
        rows: the parents.
        ways: of `WAYS`; the children of a parent go through them in turn.
        settings: those of `Reworded` and `Varied`.
    """

    name = "paraphrased"
    questions = True

    def __init__(
        self,
        rows: Sequence[Row],
        *,
        ways: Sequence[str] = tuple(WAYS),
        template: str | Path = "augment_paraphrased",
        **settings: Any,
    ) -> None:
        for way in ways:
            if way not in WAYS:
                raise ConfigError(f"no way {way!r} to paraphrase{did_you_mean(way, WAYS)}")
        super().__init__(rows, ways={way: WAYS[way] for way in ways}, template=template, **settings)
