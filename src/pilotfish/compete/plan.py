"""How much of the large model's work the budget pays for, planned from a few rows that tell its speed and price."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilotfish.compete.watch import Watch
from pilotfish.rows.model_stage import concurrency_of

if TYPE_CHECKING:
    from pilotfish.compete.watch import Budget
    from pilotfish.models.classify import Labeller, Labels

PROBE = 16  # rows that tell how fast and how dear the model is
MIN_TEST = 30  # fewer held-out rows than this say nothing
ENOUGH = 100  # held-out rows that come before anything else is paid for
WAYS = 64  # rows for each of: choosing the way of asking, and the correction of a white box's label bias


@dataclass(frozen=True)
class Sizes:
    """How many rows the large model is asked about.

    Attributes:
        test: held-out rows, in each way of asking.
        calibrate: rows kept back, for the threshold.
        unlabelled: texts to teach a small model.
        ways: rows to choose the way of asking by, and again to correct its label bias by.
    """

    test: int
    calibrate: int
    unlabelled: int
    ways: int = WAYS


NOTHING = Sizes(0, 0, 0, 0)


def rate(found: Labels, labeller: Labeller) -> tuple[float, float] | None:
    """Return seconds and dollars a row, from the model's own traces (so a resumed run plans as the first one did).

    The seconds are the median, which a machine that is busy for a moment does not move.
    """
    rows = len(found.labels)
    if not rows:
        return None
    seconds = statistics.median(trace.seconds for trace in found.traces) / lanes(labeller)
    return seconds, sum(trace.cost or 0.0 for trace in found.traces) / rows


def lanes(labeller: Labeller) -> int:
    """Return how many questions are in flight at a time."""
    if labeller.white_box:
        return 1
    asked = concurrency_of(labeller.model, labeller.concurrency)
    own = getattr(labeller.model, "concurrency", None)
    return asked if own is None else max(1, min(asked, own))


def afforded(
    wanted: Sizes,
    rates: Sequence[tuple[float, float] | None],
    budget: Budget,
    watch: Watch,
    done: Sizes = NOTHING,
) -> Sizes | None:
    """Cut the sizes down to what the budget pays for; None: too few held-out rows.

    A little time is kept for what follows. Held-out rows come first, up to 100; the rest is cut alike. What is `done`
    need not be paid for again.
    """
    known = [rate for rate in rates if rate is not None]
    if not known or len(known) < len(rates):
        watch.say("the budget does not even pay for timing the large model: it is left out")
        return None
    # Every way of asking sees the held-out rows and two times the rows for choosing; the better one sees the rest.
    each = [sum(rate[i] for rate in known) for i in (0, 1)]
    dearest = [max(rate[i] for rate in known) for i in (0, 1)]
    left = (0.8 * budget.seconds_left(), budget.dollars_left())

    def pays_for(one: Sizes) -> bool:
        both = one.test - done.test + 2 * (one.ways - done.ways)
        better = one.calibrate - done.calibrate + one.unlabelled - done.unlabelled
        return all(both * each[i] + better * dearest[i] <= left[i] for i in (0, 1))

    if pays_for(wanted):
        return wanted
    steps = [(floor, percent) for floor in (ENOUGH, 60) for percent in range(99, 14, -1)]
    for floor, percent in [*steps, *((MIN_TEST, percent) for percent in range(99, -1, -1))]:
        share = percent / 100
        cut = Sizes(
            max(int(wanted.test * share), min(wanted.test, floor)),
            int(wanted.calibrate * share),
            int(wanted.unlabelled * share),
            max(int(wanted.ways * share), 16),
        )
        if pays_for(cut):
            watch.say(
                f"the budget pays for {cut.test:,} of {wanted.test:,} held-out rows of the large model, "
                f"{cut.calibrate:,} for the threshold and {cut.unlabelled:,} to learn from"
            )
            return cut
    if done is NOTHING:
        watch.say(
            f"the budget does not pay for {min(MIN_TEST, wanted.test)} held-out rows of the large model, the least "
            f"that says anything, at {each[0] / len(known):.2g} s and ${each[1] / len(known):.2g} a row: it is left out"
        )
    return None


def extended(
    done: Sizes, wanted: Sizes, rates: Sequence[tuple[float, float] | None], budget: Budget, watch: Watch
) -> Sizes | None:
    """Return larger sizes where the budget turns out to pay for a quarter more of any kind; else None.

    `done` is the plan so far, of which the held-out rows and those for choosing are answered, the others not yet.
    """
    if done == wanted:
        return None
    more = afforded(wanted, rates, budget, Watch(), Sizes(done.test, 0, 0, done.ways))
    if more is None:
        return None
    # No kind shrinks: what was asked is asked, and the purse stops what cannot be paid for.
    grown = Sizes(*(max(a, b) for a, b in zip(_numbers(more), _numbers(done), strict=True)))
    if all(b <= 1.25 * a for a, b in zip(_numbers(done), _numbers(grown), strict=True)):
        return None
    watch.say(f"there is budget left: {grown.test:,} held-out rows of the large model after all")
    return grown


def _numbers(sizes: Sizes) -> tuple[int, int, int, int]:
    return sizes.test, sizes.calibrate, sizes.unlabelled, sizes.ways
