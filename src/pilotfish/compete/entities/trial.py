"""Both linkers on every mention of a part kept for it: what any split of easy and hard would have cost and been right.

The threshold is the largest saving that is shown to keep an accuracy, by a sequence of tests fixed before (`measure.
promise`: Angelopoulos et al. 2021, Learn then Test, section 3.2): from asking the large model every time to never.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.entities.mention import Mention
from pilotfish.compete.entities.split import Decided, LinkedModel
from pilotfish.errors import DataError
from pilotfish.measure.deferral import DeferralCurve
from pilotfish.measure.intervals import Interval, bootstrap, paired_bootstrap, wilson
from pilotfish.measure.promise import evidence, last_kept

__all__ = ["SplitTrial", "tried"]

STEPS = 60  # thresholds that are tried, at most
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SplitTrial:
    """What each linker made of each mention.

    Attributes:
        ease: (mentions,) by the small linker.
        small, large: (mentions,) 1 where it is right.
        tokens: (mentions,) that asking the large model takes, in and out.
        unread: how many of its answers named no candidate.
    """

    ease: Floats
    small: Floats
    large: Floats
    tokens: Floats
    unread: int = 0

    def __len__(self) -> int:
        return len(self.ease)

    def take(self, places: Sequence[int] | NDArray[np.int64]) -> SplitTrial:
        """Return some of the mentions."""
        at = np.asarray(places, np.int64)
        return SplitTrial(self.ease[at], self.small[at], self.large[at], self.tokens[at], self.unread)

    def right(self, above: float) -> Floats:
        """Return (mentions,): 1 where the split is right."""
        return np.where(self.ease >= above, self.small, self.large)

    @property
    def curve(self) -> DeferralCurve:
        """Accuracy against the share of mentions that the large model is asked about, the hardest first."""
        return DeferralCurve.of(-self.ease, self.small, self.large)

    def at(self, above: float) -> dict[str, Interval]:
        """Return a split's accuracy, its gain over each linker alone, and the share of the tokens that it saves."""
        right, hard = self.right(above), self.ease < above
        if not self.tokens.sum():
            raise DataError("the large model told no tokens, so that no saving of them can be")
        saved = np.stack([np.where(hard, 0.0, self.tokens), self.tokens], axis=1)
        return {
            "accuracy": wilson(float(right.sum()), len(self)),
            "over small": paired_bootstrap(right, self.small),
            "over large": paired_bootstrap(right, self.large),
            "asked": wilson(int(hard.sum()), len(self)),
            "tokens saved": bootstrap(saved, _share, method="percentile", resamples=2000),
        }

    def reaching(self, accuracy: float, risk: float = 0.1) -> float:
        """Return the lowest threshold at which so many mentions are shown to be right: what saves most.

        Args:
            accuracy: a share of the mentions, between 0 and 1.
            risk: the probability that it is not kept on mentions to come.

        Raises:
            DataError: no share, or an accuracy that not even the large model, asked every time, is shown to have.
        """
        if not 0 < accuracy < 1:
            raise DataError(f"an accuracy is a share between 0 and 1, not {accuracy}")
        # Above the easiest of all stands the large model alone.
        values = np.unique(self.ease)
        if len(values) > STEPS:
            values = np.unique(np.quantile(values, np.linspace(0, 1, STEPS)))
        values = np.append(values[::-1], -np.inf)
        values = np.insert(values, 0, np.inf)

        def shown(at: int) -> float:
            return evidence(self.right(float(values[at])) - accuracy, -accuracy, 1 - accuracy)

        kept = last_kept(len(values), shown, risk)
        if kept is None:
            alone = f"{self.large.mean():.3f} of {len(self)} mentions"
            raise DataError(
                f"the large model alone, right on {alone}, is not shown to reach {accuracy:g}: ask for less"
            )
        return float(values[kept])


async def tried(
    model: LinkedModel, mentions: Sequence[tuple[Mention, str | None]], *, concurrency: int | None = None
) -> SplitTrial:
    """Ask both linkers about every mention.

    Args:
        model: with a large model.
        mentions: with the id that is meant, None where none is.
        concurrency: mentions under way at once; None takes the model's.

    Raises:
        ConfigError: it has no large model.
    """
    linked = await asyncio.to_thread(model.linker.link, [mention for mention, _ in mentions])
    room = asyncio.Semaphore(concurrency or model.concurrency)

    async def both(one: Any) -> Decided | None:
        async with room:
            return await model.asked(one) if one.candidates else None

    decided = await asyncio.gather(*map(both, linked))
    golds = [gold for _, gold in mentions]
    # Without a candidate there is nothing to ask, and NIL is the answer of both.
    small = [_id(one.entity) == gold for one, gold in zip(linked, golds, strict=True)]
    large = [
        ok if one is None else _id(one.entity) == gold for ok, one, gold in zip(small, decided, golds, strict=True)
    ]
    spent = [0 if one is None else _tokens(one) for one in decided]
    return SplitTrial(
        np.array([one.ease for one in linked], np.float64),
        np.array(small, np.float64),
        np.array(large, np.float64),
        np.array(spent, np.float64),
        sum(one is not None and one.by == "unread" for one in decided),
    )


def _tokens(one: Decided) -> int:
    calls = one.trace.calls[len(one.linked.trace.calls) :]
    return sum(call.tokens_in + call.tokens_out for call in calls)


def _share(rows: NDArray[Any]) -> float:
    saved, whole = rows.sum(axis=0)
    return float(saved / whole) if whole else 0.0


def _id(entity: Any) -> str | None:
    return None if entity is None else str(entity.id)
