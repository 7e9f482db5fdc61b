from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pilotfish.compete.candidate import Candidate, Family
from pilotfish.compete.curve import Crossover
from pilotfish.compete.rule import Contest, nearest_flip, rows_needed, running_order
from pilotfish.compete.verdict import best_by_kept_rows, decide
from pilotfish.measure.intervals import non_inferiority
from tests.compete.help import scored

N = 400


def right(share: float, seed: int = 0, rows: int = N) -> NDArray[np.float64]:
    """So many of the rows, at random places."""
    return (np.random.default_rng(seed).permutation(rows) < round(share * rows)).astype(np.float64)


def four(
    small: float, taught: float, both: float, large: float, *, nested: bool = True, deferred: float = 0.3
) -> list[Candidate]:
    """The four answers; nested ones are right on the same rows as far as they go."""
    hits = [right(share, 0 if nested else i) for i, share in enumerate((small, taught, both, large))]
    return [
        scored("small", hits[0]),
        scored("taught", hits[1]),
        scored("cascade", hits[2], dollars=0.001 * deferred, deferred=deferred),
        scored("large", hits[3], dollars=0.001),
    ]


@pytest.mark.parametrize(
    ("contenders", "answer", "settled"),
    [
        (four(0.90, 0.90, 0.90, 0.90), "small", True),
        (four(0.90, 0.89, 0.90, 0.905), "small", True),
        (four(0.90, 0.89, 0.90, 0.91), "large", True),
        (four(0.60, 0.62, 0.80, 0.95), "large", True),
        (four(0.70, 0.72, 0.95, 0.95), "cascade", True),
        (four(0.70, 0.95, 0.95, 0.95), "large at training time only", True),
        (four(0.93, 0.95, 0.95, 0.95), "large at training time only", True),
        # A cascade that defers nearly all rows saves nothing: the large model alone.
        (four(0.30, 0.32, 0.95, 0.95, deferred=0.97), "large", True),
        (four(0.90, 0.90, 0.90, 0.60), "small", True),
    ],
)
def test_the_four_answers(contenders: list[Candidate], answer: str, settled: bool) -> None:
    verdict = decide(contenders, margin=0.02)
    assert (verdict.answer, verdict.settled) == (answer, settled)
    assert verdict.rows == N
    assert set(verdict.differences) == {one.key for one in contenders} - {verdict.chosen.key}


def test_too_few_rows_settle_nothing_and_the_best_so_far_is_named() -> None:
    few = [scored("small", right(0.8, 1, 40)), scored("large", right(0.85, 2, 40), dollars=0.001)]
    verdict = decide(few, margin=0.02)
    assert (verdict.answer, verdict.settled) == ("large", False)
    assert "best so far" in verdict.reason
    assert "more held-out rows" in verdict.flip
    tied = decide([scored("small", right(0.8, 1, 40)), scored("large", right(0.8, 2, 40))], margin=0.02)
    assert tied.answer == "small"


def test_only_rows_that_all_have_answered_count() -> None:
    small = scored("small", np.concatenate([np.zeros(200), np.ones(200)]))
    large = scored("large", np.ones(200), rows=np.arange(200, 400), dollars=0.001)
    verdict = decide([small, large], margin=0.02)
    assert (verdict.answer, verdict.rows) == ("small", 200)
    assert verdict.differences["large"].value == 0


def test_differences_are_paired() -> None:
    """The same accuracies: where errors coincide the interval is narrow, where they do not it is wide."""
    same = decide([scored("small", right(0.8)), scored("large", right(0.82), dollars=1.0)], margin=0.05)
    apart = decide([scored("small", right(0.8)), scored("large", right(0.82, 1), dollars=1.0)], margin=0.05)
    narrow, wide = (one.differences[next(iter(one.differences))] for one in (same, apart))
    assert narrow.width < 0.5 * wide.width
    assert narrow.level == wide.level == 0.95
    assert (same.answer, apart.answer) == ("small", "large")


def test_equal_answers_still_have_an_interval() -> None:
    verdict = decide([scored("small", right(0.8)), scored("large", right(0.8))], margin=0.02)
    gap = verdict.differences["large"]
    assert gap.value == 0 and gap.low < 0 < gap.high
    assert gap.level == 0.95


def test_small_alone() -> None:
    verdict = decide([scored("small", right(0.8))], margin=0.02)
    assert verdict.answer == "small"
    assert verdict.reason == "the small one is right on 80.0% of 400 held-out rows."
    assert verdict.flip.startswith("a large model that is right on more than 82.0%")
    sure = decide([scored("small", right(1.0))], margin=0.02)
    assert "harder rows" in sure.flip


SHARES = st.floats(0.3, 1.0)


@settings(max_examples=40, deadline=None)
@given(SHARES, SHARES, SHARES, SHARES, st.booleans(), st.integers(60, 300))
def test_the_flip_is_the_nearest_one_by_brute_force(
    small: float, taught: float, both: float, large: float, nested: bool, rows: int
) -> None:
    families: tuple[Family, ...] = ("small", "taught", "cascade", "large")
    scores = {
        family: right(share, 0 if nested else i, rows)
        for i, (family, share) in enumerate(zip(families, (small, taught, both, large), strict=True))
    }
    contest = Contest(families, scores, 0.05)
    chosen, settled = contest.choose()
    if settled and chosen != "taught":
        assert all(non_inferiority(scores[chosen], scores[other], 0.05).shown for other in families if other != chosen)
    found = nearest_flip(contest)
    if found is None:
        return
    one, more, then = found
    assert then == contest.with_more_right(one, more).choose()[0] != chosen
    for family in families:
        if family == chosen:
            continue
        wrong = int((scores[family] == 0).sum())
        for fewer in {1, more // 2, more - 1} & set(range(1, wrong + 1)):
            if fewer < more:
                assert contest.with_more_right(family, fewer).choose()[0] == chosen, (family, fewer)


def test_more_right_answers_are_only_ever_added() -> None:
    contest = Contest(("small", "large"), {"small": right(0.5), "large": right(0.7)}, 0.02)
    changed = contest.with_more_right("small", 30)
    assert changed.scores["small"].sum() == 230
    assert (changed.scores["small"] >= contest.scores["small"]).all()
    assert changed.scores["large"] is contest.scores["large"]


def test_a_taught_model_needs_to_be_shown_better_than_what_people_taught() -> None:
    contest = Contest(("small", "taught"), {"small": right(0.80), "taught": right(0.805)}, 0.02)
    assert not contest.better_taught()
    assert contest.choose() == ("small", True)


def test_the_order_is_by_what_running_costs() -> None:
    def order(dollars: float | None, seconds: float | None) -> tuple[Family, ...]:
        half = [None if value is None else 0.5 * value for value in (dollars, seconds)]
        return running_order(
            {
                "large": scored("large", [1], dollars=dollars, seconds=seconds),
                "cascade": scored("cascade", [1], dollars=half[0], seconds=half[1], deferred=0.5),
                "small": scored("small", [1]),
            }
        )

    assert order(dollars=1.0, seconds=1.0) == ("small", "cascade", "large")
    assert order(dollars=0.0, seconds=1.0) == ("small", "cascade", "large")
    assert order(dollars=None, seconds=None) == ("small", "cascade", "large")
    slow: dict[Family, Candidate] = {
        "large": scored("large", [1], dollars=0.0, seconds=1.0),
        "cascade": scored("cascade", [1], dollars=0.0, seconds=1.2, deferred=0.9),
    }
    assert running_order(slow) == ("large", "cascade")
    unknown = scored("large", [1], dollars=None, seconds=None)
    full = scored("cascade", [1], dollars=None, seconds=None, deferred=1.0)
    assert running_order({"large": unknown, "cascade": full}) == ("large", "cascade")


def test_rows_needed_fall_with_the_margin_and_agree_with_a_simulation() -> None:
    a, b = right(0.80, 1), right(0.80, 2)
    needed = [rows_needed(a, b, margin) for margin in (0.02, 0.05, 0.1)]
    assert needed == sorted(needed, reverse=True)
    rng = np.random.default_rng(0)
    difference = a - b
    shown = 0
    for _ in range(200):
        pick = rng.integers(0, len(a), needed[1])
        x, y = a[pick] - (difference.mean() > 0) * 0, b[pick]
        shown += non_inferiority(x, y, 0.05).shown
    assert 0.65 < shown / 200 < 0.92


def test_the_best_of_a_family_is_chosen_by_rows_kept_back_and_ties_by_size() -> None:
    a, b, c = scored("small", [0, 0]), scored("small", [1, 1]), scored("small", [0, 1])
    a.chosen_by, b.chosen_by, c.chosen_by = 0.9, 0.8, 0.9
    a.weights, b.weights, c.weights = 500, 100, 200
    a.seconds, c.seconds = 0.1, 0.2
    assert best_by_kept_rows([a, b, c]) is c


def test_the_reason_is_one_sentence_with_the_rival_and_the_price() -> None:
    small = decide(four(0.90, 0.89, 0.90, 0.80), margin=0.02).reason
    assert small.startswith(
        "the small one is right on 90.0% of 400 held-out rows, 10 points more often than the large one"
    )
    assert small.endswith("for $0.00 instead of $1.00 a thousand rows.")
    both = decide(four(0.70, 0.72, 0.95, 0.95), margin=0.02).reason
    assert both.startswith("The cascade of the small one and, for 30% of the rows, the large one is right on 95.0%")
    assert "as often as the large one" in both and "25 points better than the small model alone" in both
    assert "for $0.30 instead of $1.00" in both
    taught = decide(four(0.70, 0.95, 0.95, 0.95), margin=0.02).reason
    assert "25 points more often than the small one" in taught
    for text in (small, both, taught):
        assert text.count(". ") == 0 and text.endswith(".")


def test_without_prices_seconds_are_compared() -> None:
    fast = decide([scored("small", right(0.9)), scored("large", right(0.9), seconds=2.0)], margin=0.02)
    assert "and 2,000 times faster" in fast.reason
    slow = decide([scored("small", right(0.9), seconds=0.003), scored("large", right(0.9))], margin=0.02)
    assert "but 3.0 times slower" in slow.reason
    level = decide([scored("small", right(0.9)), scored("large", right(0.9))], margin=0.02)
    assert "about the same speed" in level.reason
    unknown = decide(
        [scored("small", right(0.9)), scored("large", right(0.9), seconds=None, dollars=None)], margin=0.02
    )
    assert "faster" not in unknown.reason and "$" not in unknown.reason


def test_the_flip_names_the_measurement_and_the_answer_it_would_give() -> None:
    crossing = Crossover(16.0, 10.0, 26.0, 1.0)
    pair = [scored("small", right(0.9)), scored("large", right(0.8), dollars=0.001)]
    flip = decide(pair, margin=0.02, crossing=crossing).flip
    assert "more right answers of the large one" in flip and "would make the answer the large model" in flip
    assert "fewer than about 16 labels a class (95% interval 10 to 26)" in flip
    ahead = decide(pair, margin=0.02, crossing=Crossover(8.0, 8.0, 8.0, 1.0, first=8.0)).flip
    assert "labels a class" not in ahead
    dear = decide(four(0.70, 0.72, 0.95, 0.95), margin=0.02).flip
    assert "where an error costs you less than $0.0012" in dear
    none = decide([scored("small", right(1.0)), scored("large", right(0.9))], margin=0.02).flip
    assert none.startswith("none on these 400 rows")


def test_where_more_rows_would_do_that_is_the_nearest_flip() -> None:
    """The large one is shown to be safe, but the small one is a point behind: the rows do not rule it out."""
    verdict = decide(four(0.90, 0.89, 0.90, 0.91), margin=0.02)
    assert verdict.answer == "large"
    assert verdict.flip.startswith("more held-out rows: about ")
    assert "the small one is within 2 points of every other candidate" in verdict.flip
    behind = decide(four(0.60, 0.62, 0.80, 0.95), margin=0.02)
    assert "more held-out rows" not in behind.flip


def test_the_json_form_is_strict() -> None:
    data = decide(four(0.7, 0.7, 0.9, 0.95), margin=0.02).to_json()
    assert json.loads(json.dumps(data, allow_nan=False))["answer"] in ("large", "cascade")


def test_few_shared_rows_do_not_make_a_taught_model_the_answer() -> None:
    """Small and taught answered 300 rows, large 30: the former two are compared on the 300."""
    truth = ["x"] * 300
    right = np.ones(300)
    small, taught, large = right.copy(), right.copy(), np.zeros(30)
    small[:3] = 0  # all of its errors lie in the sample that the large model saw
    taught[100:120] = 0
    large[:20] = 1

    def made(key: str, family: Family, scores: NDArray[np.float64]) -> Candidate:
        answers = ["x" if one else "y" for one in scores]
        rows = np.arange(len(scores))
        return Candidate(key, key, family, rows, answers, truth[: len(rows)], seconds=0.01)

    found = decide([made("s", "small", small), made("t", "taught", taught), made("l", "large", large)], margin=0.02)
    assert found.answer == "small"
    assert found.differences["t"].n == 300 and found.differences["t"].value > 0
    assert found.differences["l"].n == 30


def test_a_distilled_student_must_be_better_than_its_own_twin_too() -> None:
    contenders = four(0.70, 0.95, 0.95, 0.95)
    same, worse = scored("small", right(0.945)), scored("small", right(0.80))
    assert decide(contenders, margin=0.02, twin=worse).answer == "large at training time only"
    verdict = decide(contenders, margin=0.02, twin=same)
    assert verdict.answer != "large at training time only"
    # Where the large model was asked about some rows only, student and twin are compared on all of them.
    contenders[2:] = [scored("large", right(0.95)[:40], rows=np.arange(40), dollars=0.001)]
    assert decide(contenders, margin=0.02, twin=worse).answer == "large at training time only"
    assert decide(contenders, margin=0.02, twin=same).answer != "large at training time only"


def test_what_a_teacher_took_once_is_told_with_the_choice() -> None:
    contenders = four(0.70, 0.95, 0.95, 0.95)
    contenders[1].details |= {"teacher_calls": 700, "teacher_seconds": 61.0, "student": "tiny + head"}
    assert "its teacher was asked 700 times, once, for 61 s" in decide(contenders, margin=0.02).reason
    contenders[1].once = 1.5
    assert "its teacher was asked 700 times, once, for $1.50" in decide(contenders, margin=0.02).reason
