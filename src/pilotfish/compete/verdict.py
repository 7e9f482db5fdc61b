"""The answer in words: small, large, cascade, or large at training time only; why; and what would flip it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.compete.candidate import TITLES, Candidate, Family, common_rows
from pilotfish.compete.rule import Contest, hopeful, nearest_flip, rows_needed, running_order
from pilotfish.measure.intervals import Interval, paired_bootstrap, paired_score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.compete.curve import Crossover


@dataclass(frozen=True)
class Verdict:
    """The advice.

    Attributes:
        answer: "small", "large", "cascade" or "large at training time only".
        chosen: the candidate to deploy.
        reason: one sentence.
        flip: the one measurement that would change the answer, one sentence.
        settled: whether the rows show that the choice is not worse than any other by more than the margin.
        differences: chosen minus each other candidate, paired, on the rows they share.
        rows: how many held-out rows those are.
        margin: the loss of accuracy that is taken to not matter.
    """

    answer: str
    chosen: Candidate
    reason: str
    flip: str
    settled: bool
    differences: dict[str, Interval]
    rows: int
    margin: float

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as plain data."""
        return {
            "answer": self.answer,
            "chosen": self.chosen.key,
            "reason": self.reason,
            "flip": self.flip,
            "settled": self.settled,
            "margin": self.margin,
            "rows": self.rows,
            "differences": {key: interval.to_json() for key, interval in self.differences.items()},
        }


def best_by_kept_rows(candidates: Sequence[Candidate]) -> Candidate:
    """Return the candidate with the best score on rows kept back, of equals the one with the fewest weights.

    Never by the test rows, and not by measured seconds, which would make two equal runs differ.
    """
    return max(candidates, key=lambda one: (round(one.chosen_by, 6), -one.weights))


def decide(
    contenders: Sequence[Candidate],
    *,
    margin: float,
    alpha: float = 0.05,
    crossing: Crossover | None = None,
    twin: Candidate | None = None,
) -> Verdict:
    """Choose among one candidate of each family (those that were measured) by the rule of `pilotfish.compete.rule`.

    Args:
        contenders: at most one each of small, taught, cascade and large; small must be there.
        margin: the loss of accuracy that does not matter, e.g. 0.02.
        alpha: the one-sided error rate of each comparison.
        crossing: where the small model's learning curve overtakes the large model.
        twin: the distilled student's, which people's labels alone taught; it has answered every held-out row.
    """
    by_family = {one.family: one for one in contenders}
    rows = common_rows(contenders)
    every = max(len(one.rows) for one in contenders)
    contest = Contest(
        running_order(by_family),
        {one.family: one.on(rows) for one in contenders},
        margin,
        alpha,
        whole={one.family: one.correct for one in contenders if len(one.rows) == every > len(rows)},
        twin=None if twin is None else (twin.on(rows), twin.correct),
    )
    family, settled = contest.choose()
    chosen = by_family[family]
    differences = {
        by_family[other].key: difference(*contest.pair(family, other)) for other in contest.order if other != family
    }
    return Verdict(
        answer=TITLES[family],
        chosen=chosen,
        reason=_reason(chosen, by_family, differences, settled=settled, margin=margin, rows=len(rows)),
        flip=_flip(contest, by_family, crossing),
        settled=settled,
        differences=differences,
        rows=len(rows),
        margin=margin,
    )


def difference(a: NDArray[np.float64], b: NDArray[np.float64]) -> Interval:
    """Return a - b with its 95% interval; where they never differ, which a bootstrap takes for certainty, by Tango."""
    if (a == b).all():
        return paired_score(a, b)
    return paired_bootstrap(a, b, method="percentile", resamples=5000)


def _reason(
    chosen: Candidate,
    by_family: Mapping[Family, Candidate],
    differences: Mapping[str, Interval],
    *,
    settled: bool,
    margin: float,
    rows: int,
) -> str:
    """Say in one sentence how good the choice is, against what, and at what cost."""
    rival = by_family.get("large" if chosen.family in ("small", "cascade") else "small")
    text = f"{_subject(chosen, by_family)} {_worth(chosen)} {len(chosen.rows):,} held-out rows"
    if rival is not None and rival.key in differences:
        text += f", {_against(differences[rival.key], rival)}{_price(chosen, rival)}"
    small = by_family.get("small")
    if chosen.family == "taught":
        text += _taught(chosen)
    if chosen.family == "cascade" and small is not None:
        gap = differences[small.key].value
        text += f"; it is {_points(abs(gap))} {'better' if gap >= 0 else 'worse'} than the small model alone"
    if not settled:
        text += (
            f"; it is only the best so far, as {rows:,} shared rows are too few to show that it is at most "
            f"{_points(margin)} worse than every other candidate"
        )
    return text + "."


def _worth(one: Candidate) -> str:
    if one.counted:
        return f"is right on {one.accuracy.value:.1%} of"
    return f"reaches {one.accuracy.value:.3f} ({getattr(one, 'measure', 'score')}) on"


def _taught(chosen: Candidate) -> str:
    """Say what its teacher took, which is paid once: dollars where it has a price, else seconds."""
    calls = int(chosen.details.get("teacher_calls", 0))
    if not calls:
        return ""
    seconds = f"{chosen.details['teacher_seconds']:,.0f} s"
    return f"; its teacher was asked {calls:,} times, once, for {f'${chosen.once:,.2f}' if chosen.once else seconds}"


def _subject(chosen: Candidate, by_family: Mapping[Family, Candidate]) -> str:
    small, large = by_family.get("small"), by_family.get("large")
    if chosen.family == "cascade" and small is not None and large is not None and "deferred" in chosen.details:
        share = float(chosen.details.get("deferred", 0.0))
        return f"The cascade of {small.title} and, for {share:.0%} of the rows, {large.title}"
    if chosen.family == "taught" and "student" in chosen.details:
        return f"{chosen.details['student']} ({chosen.title})"
    return chosen.title


def _against(gap: Interval, rival: Candidate) -> str:
    where = f"95% interval {gap.low * 100:+.1f} to {gap.high * 100:+.1f}, on {gap.n:,} shared rows".replace("-", "−")
    if not rival.counted:
        if round(gap.value, 3) == 0:
            return f"as much as {rival.title} ({where})"
        return f"{_points(abs(gap.value))} {'more' if gap.value > 0 else 'less'} than {rival.title} ({where})"
    if round(gap.value, 3) == 0:
        return f"as often as {rival.title} ({where})"
    return f"{_points(abs(gap.value))} {'more' if gap.value > 0 else 'less'} often than {rival.title} ({where})"


def _points(share: float) -> str:
    number = f"{share * 100:.1f}".removesuffix(".0")
    return f"{number} point" if number == "1" else f"{number} points"


def _price(chosen: Candidate, rival: Candidate) -> str:
    """Compare what the two cost to run: in dollars where they have a price, else in seconds."""
    if chosen.dollars is not None and rival.dollars is not None and (chosen.dollars or rival.dollars):
        return f", for {_dollars(chosen.dollars)} instead of {_dollars(rival.dollars)} a thousand rows"
    if not chosen.seconds or not rival.seconds:
        return ""
    ratio = rival.seconds / chosen.seconds
    if 0.67 < ratio < 1.5:
        return ", at about the same speed"
    return f", and {_times(ratio)} faster" if ratio > 1 else f", but {_times(1 / ratio)} slower"


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} times" if ratio >= 10 else f"{ratio:.1f} times"


def _dollars(a_row: float) -> str:
    """Return the dollars of a thousand rows, to the cent or to two digits where that is less."""
    thousand = a_row * 1000
    return f"${thousand:.2f}" if thousand >= 0.1 or thousand == 0 else f"${thousand:.2g}"


def _flip(contest: Contest, by_family: Mapping[Family, Candidate], crossing: Crossover | None) -> str:
    """Name the nearest measurement that would change the answer, in one sentence."""
    family, settled = contest.choose()
    chosen, mine = by_family[family], float(contest.scores[family].mean())
    others = [one for one in contest.order if one != family]
    if not others:
        needed = mine + contest.margin
        if needed >= 1:
            return f"none on these rows, of which {chosen.title} gets {mine:.1%} right; harder rows may tell."
        return f"a large model that is right on more than {needed:.1%} of the same rows; none was measured."
    if not settled:
        more, against = max(
            (rows_needed(contest.scores[family], contest.scores[one], contest.margin), one)
            for one in others
            if not contest.test(family, one).shown or len(others) == 1 or family == "taught"
        )
        return (
            f"more held-out rows: about {more:,} in all, where there are {len(contest.scores[family]):,}, would be "
            f"likely to settle it against {_titled(by_family[against])}."
        )
    cheaper = hopeful(contest)
    if cheaper is not None:
        one, more = cheaper
        return (
            f"more held-out rows: about {more:,} in all, where there are {len(contest.scores[family]):,}, would be "
            f"likely to show that {by_family[one].title} is within {_points(contest.margin)} of every other candidate, "
            f"which would make the answer {_named(one)}."
        )
    nearest = nearest_flip(contest)
    if nearest is None:
        return (
            f"none on these {len(contest.scores[family]):,} rows: whatever another candidate answered, "
            f"{chosen.title} would stay within {_points(contest.margin)} of it; harder rows may tell."
        )
    one, more, then = nearest
    have, rows = float(contest.scores[one].mean()), len(contest.scores[one])
    answers = "answer" if more == 1 else "answers"
    text = (
        f"about {more:,} more right {answers} of {_titled(by_family[one])} on the {rows:,} "
        f"shared rows ({have + more / rows:.1%}, not {have:.1%}) would make the answer {_named(then)}"
    )
    if family == "small" and crossing is not None and _passed(crossing):
        text += (
            f"; with fewer than about {crossing.labels:.0f} labels a class (95% interval {_span(crossing)}) the "
            "large model is the better one"
        )
    if family in ("cascade", "large") and (dear := _error_worth(contest, family, chosen, by_family)):
        text += f"; where an error costs you less than {dear}, the small model's savings outweigh its errors"
    return text + "."


def _titled(one: Candidate) -> str:
    """Return a candidate's name as it stands in a sentence."""
    if one.family == "cascade":
        return "the cascade"
    return f"the small model {one.title}" if one.family == "taught" else one.title


def _named(family: Family) -> str:
    return "large at training time only" if family == "taught" else f"the {family}{' model' * (family != 'cascade')}"


def _passed(crossing: Crossover) -> bool:
    return bool(np.isfinite(crossing.labels)) and crossing.labels >= 1 and not crossing.from_the_start


def _span(crossing: Crossover) -> str:
    if not np.isfinite(crossing.high):
        return f"from {crossing.low:.0f} on"
    return f"{crossing.low:.0f} to {crossing.high:.0f}"


def _error_worth(
    contest: Contest, family: Family, chosen: Candidate, by_family: Mapping[Family, Candidate]
) -> str | None:
    """Return the dollars an error must cost for the choice to be worth its price over the small model."""
    small = by_family.get("small")
    if small is None or chosen.dollars is None or small.dollars is None:
        return None
    gap = float(contest.scores[family].mean() - contest.scores["small"].mean())
    dear = chosen.dollars - small.dollars
    if gap <= 0 or dear <= 0:
        return None
    worth = dear / gap
    return f"${worth:,.2f}" if worth >= 0.1 else f"${worth:.2g}"
