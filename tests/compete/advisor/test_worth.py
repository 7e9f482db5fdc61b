"""Which candidate is cheapest for which price of an error."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.compete.advisor.worth import cheapest, envelope, target
from pilotfish.compete.candidate import Family
from pilotfish.compete.graded import Graded


def one(key: str, right: int, dollars: float | None, family: Family = "small") -> Graded:
    scores = np.array([1.0] * right + [0.0] * (100 - right))
    return Graded(
        key, key, family, np.arange(100), ["a"] * 100, ["a"] * 100, dollars=dollars, seconds=1.0, scores=scores
    )


def test_cheap_first_and_dear_where_errors_are_dear() -> None:
    small, both, large = one("small", 80, 0.0), one("both", 92, 0.003), one("large", 95, 0.01, "large")
    spans = envelope([large, small, both], "USD")
    assert [span.one.key for span in spans] == ["small", "both", "large"]
    # 0.003 more for 12 points fewer errors: worth it from 2.5 cents an error on.
    assert math.isclose(spans[0].high, 0.003 / 0.12)
    assert math.isclose(spans[1].high, 0.007 / 0.03) and math.isinf(spans[2].high)
    assert cheapest(spans, 0.01) is small and cheapest(spans, 1.0) is large
    # At ten cents an error the small model would need this much to be worth as much as the large one.
    assert math.isclose(target(small, large, 0.1) or 0, 0.95 - 0.01 / 0.1)


def test_what_is_dearer_and_worse_is_never_cheapest() -> None:
    spans = envelope([one("a", 90, 0.001), one("b", 80, 0.002), one("no price", 99, None)], "USD")
    assert [span.one.key for span in spans] == ["a"] and spans[0].low == 0
    assert envelope([one("base", 50, 0.0, "baseline")], "USD") == []
    assert target(one("a", 9, None), one("b", 9, 0.0), 1.0) is None
    assert target(one("a", 9, 0.0), one("b", 9, 0.0), 0.0) is None


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 30)), min_size=1, max_size=6),
    st.floats(0, 500, allow_nan=False),
)
def test_the_envelope_is_the_minimum_over_all(lines: list[tuple[int, int]], error: float) -> None:
    candidates = [one(str(i), right, cost / 10) for i, (right, cost) in enumerate(lines)]
    found = cheapest(envelope(candidates, "USD"), error)
    assert found is not None

    def whole(candidate: Graded) -> float:
        return float(candidate.dollars or 0) + error * (1 - candidate.accuracy.value)

    best = min(whole(candidate) for candidate in candidates)
    assert math.isclose(whole(found), best, rel_tol=1e-9, abs_tol=1e-9)  # type: ignore[arg-type]
