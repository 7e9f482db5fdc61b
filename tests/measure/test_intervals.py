from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.errors import DataError
from pilotfish.measure import _bootstrap
from pilotfish.measure._compare import _tango
from pilotfish.measure.intervals import (
    Interval,
    bootstrap,
    holm,
    mcnemar,
    non_inferiority,
    paired_bootstrap,
    paired_score,
    wilson,
)


def test_an_interval_reads_well() -> None:
    interval = Interval(0.925, 0.9171, 0.9333, method="x", n=10)
    assert str(interval) == "0.925 [0.917, 0.933]"
    assert f"{interval:.1%}" == "92.5% [91.7%, 93.3%]"
    assert interval.contains(0.92) and not interval.contains(0.94)
    assert interval.to_json()["high"] == 0.9333
    with pytest.raises(DataError, match="above its high end"):
        Interval(0.5, 0.6, 0.4)


def test_wilson_matches_its_closed_form_and_stays_sound_at_the_ends() -> None:
    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611.
    assert (round(wilson(81, 263).low, 4), round(wilson(81, 263).high, 4)) == (0.2553, 0.3662)
    assert wilson(0, 20).low == 0 and round(wilson(0, 20).high, 4) == 0.1611
    assert wilson(20, 20).high == 1


@given(st.integers(1, 500), st.floats(0, 1), st.floats(0.5, 0.999))
def test_wilson_holds_its_value(n: int, share: float, level: float) -> None:
    interval = wilson(round(share * n), n, level)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_bootstrap_of_a_mean_agrees_with_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(1).exponential(size=80)
    for method, theirs in (("bca", "BCa"), ("percentile", "percentile")):
        ours = bootstrap(values, method=method, resamples=20_000)  # type: ignore[arg-type]
        other = stats.bootstrap((values,), np.mean, method=theirs, n_resamples=20_000, rng=np.random.default_rng(2))
        assert ours.low == pytest.approx(other.confidence_interval.low, abs=0.012)
        assert ours.high == pytest.approx(other.confidence_interval.high, abs=0.012)


def test_both_paths_of_the_mean_and_a_plain_statistic_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    values = (np.random.default_rng(0).random(300) < 0.8).astype(float)
    counted = bootstrap(values)
    slow = bootstrap(values, np.mean, resamples=4_000)
    monkeypatch.setattr(_bootstrap, "_FEW", 0)
    monkeypatch.setattr(_bootstrap, "_CELLS", 1_000)  # many chunks
    drawn = bootstrap(values)
    for other in (slow, drawn):
        assert other.low == pytest.approx(counted.low, abs=0.006)
        assert other.high == pytest.approx(counted.high, abs=0.006)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(3).normal(size=50)
    assert bootstrap(values, seed=7) == bootstrap(values, seed=7)
    assert bootstrap(values, seed=7) != bootstrap(values, seed=8)


def test_groups_widen_and_strata_narrow() -> None:
    rng = np.random.default_rng(0)
    per_group = rng.normal(size=40)
    values = np.repeat(per_group, 25)
    groups = np.repeat(np.arange(40), 25)
    plain, grouped = bootstrap(values), bootstrap(values, groups=groups)
    assert grouped.n == 40 and "groups" in grouped.method
    assert grouped.width == pytest.approx(5 * plain.width, rel=0.15)  # sqrt(25) times wider
    strata = per_group > 0
    within = bootstrap(per_group, strata=strata)
    assert within.width < 0.75 * bootstrap(per_group).width
    # A stratum for each row leaves nothing to chance.
    assert bootstrap(per_group, strata=np.arange(40)).width == pytest.approx(0, abs=1e-12)


def test_groups_of_one_are_rows_and_unequal_groups_keep_row_weights() -> None:
    values = np.random.default_rng(5).normal(size=60)
    ones = bootstrap(values, groups=np.arange(60), resamples=20_000)
    assert ones.width == pytest.approx(bootstrap(values, resamples=20_000).width, rel=0.05)
    uneven = np.repeat([0, 1, 2, 3], [40, 10, 5, 5])
    assert bootstrap(values, groups=uneven).value == pytest.approx(values.mean())
    general = bootstrap(values, np.mean, groups=uneven, resamples=4_000, method="percentile")
    quick = bootstrap(values, groups=uneven, method="percentile")
    assert general.low == pytest.approx(quick.low, abs=0.03)
    with pytest.raises(DataError, match="two strata"):
        bootstrap(values, groups=uneven, strata=np.arange(60) % 2)


def test_pairing_cancels_what_rows_share() -> None:
    rng = np.random.default_rng(0)
    hard = rng.normal(size=500) * 5
    a, b = hard + 0.3 + rng.normal(size=500) * 0.1, hard + rng.normal(size=500) * 0.1
    paired = paired_bootstrap(a, b)
    assert paired.low > 0.27 and paired.high < 0.33
    assert paired.width < 0.1 * bootstrap(a).width
    median = paired_bootstrap(a, b, np.mean, resamples=1_000)
    assert median.value == pytest.approx(paired.value)
    assert median.width == pytest.approx(paired.width, rel=0.15)


@pytest.mark.parametrize("kind", ["wilson", "bca", "percentile", "paired", "tango", "grouped"])
def test_95_per_cent_intervals_cover_95_per_cent_of_the_time(kind: str) -> None:
    rng = np.random.default_rng(11)
    trials, hits = 500, 0
    for trial in range(trials):
        if kind in ("paired", "tango"):
            table = rng.choice(4, 250, p=[0.75, 0.10, 0.06, 0.09])  # both, a only, b only, neither
            a, b = np.isin(table, (0, 1)).astype(float), np.isin(table, (0, 2)).astype(float)
            interval = paired_score(a, b) if kind == "tango" else paired_bootstrap(a, b, resamples=1_000, seed=trial)
            true = 0.04
        elif kind == "grouped":
            values = np.repeat(rng.normal(size=60), 5) + rng.normal(size=300)
            interval = bootstrap(values, groups=np.repeat(np.arange(60), 5), resamples=600, seed=trial)
            true = 0.0
        else:
            values = (rng.random(150) < 0.85).astype(float)
            true = 0.85
            if kind == "wilson":
                interval = wilson(values.sum(), 150)
            else:
                interval = bootstrap(values, resamples=1_000, seed=trial, method=kind)  # type: ignore[arg-type]
        hits += interval.contains(true)
    # Four standard errors of 500 trials about 0.95, with room for the bootstrap's known shortfall.
    assert 0.915 <= hits / trials <= 0.985


def test_bca_covers_a_skewed_mean_better_than_percentile() -> None:
    rng = np.random.default_rng(4)
    hits = {"bca": 0, "percentile": 0}
    for trial in range(500):
        values = rng.exponential(size=25) ** 1.5
        for method in hits:
            interval = bootstrap(values, resamples=800, seed=trial, method=method)  # type: ignore[arg-type]
            hits[method] += interval.contains(math.gamma(2.5))
    assert hits["bca"] > hits["percentile"]


@pytest.mark.parametrize(("only_a", "only_b", "n", "gap"), [(12, 5, 80, -0.05), (0, 7, 40, 0.1), (9, 9, 60, 0.02)])
def test_tango_uses_the_constrained_maximum_likelihood(only_a: int, only_b: int, n: int, gap: float) -> None:
    shares = np.linspace(max(0.0, -gap) + 1e-9, (1 - gap) / 2 - 1e-9, 400_001)
    with np.errstate(divide="ignore", invalid="ignore"):
        likelihood = (
            np.where(only_a, only_a * np.log(shares + gap), 0)
            + only_b * np.log(shares)
            + (n - only_a - only_b) * np.log(1 - 2 * shares - gap)
        )
    best = shares[np.nanargmax(likelihood)]
    expected = (only_a - only_b - n * gap) / math.sqrt(n * (2 * best + gap * (1 - gap)))
    assert _tango(only_a, only_b, n, gap) == pytest.approx(expected, abs=2e-3)


@settings(max_examples=60)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 60))
def test_tango_is_ordered_and_mirrors(only_a: int, only_b: int, rest: int) -> None:
    a = np.array([1] * only_a + [0] * only_b + [1] * rest, float)
    b = np.array([0] * only_a + [1] * only_b + [1] * rest, float)
    ours, other = paired_score(a, b), paired_score(b, a)
    assert -1 <= ours.low <= ours.value <= ours.high <= 1
    assert ours.low == pytest.approx(-other.high, abs=1e-9)


def test_systems_that_never_disagree_still_have_an_interval() -> None:
    same = np.ones(50)
    assert paired_score(same, same).width > 0.1
    assert not non_inferiority(same, same, margin=0.01).shown  # 50 rows cannot show a hundredth
    assert non_inferiority(np.ones(1_000), np.ones(1_000), margin=0.01).shown


def test_non_inferiority_answers_its_questions() -> None:
    rng = np.random.default_rng(0)
    b = (rng.random(3_000) < 0.9).astype(float)
    a = np.where(rng.random(3_000) < 0.02, 1 - b, b)
    close = non_inferiority(a, b, margin=0.03)
    assert close.shown and not close.superior and not close.inferior
    assert close.p_value < 0.001
    assert close.difference.level == pytest.approx(0.9)
    worse = non_inferiority(b - 0.1, b, margin=0.03)
    assert worse.inferior and not worse.shown and worse.p_value > 0.9
    assert "bootstrap" in worse.difference.method
    assert non_inferiority(b + 0.1, b, margin=0.03).superior
    assert close.to_json()["shown"] is True


@pytest.mark.parametrize("grouped", [False, True])
def test_p_value_and_interval_agree(grouped: bool) -> None:
    rng = np.random.default_rng(2)
    for _ in range(30):
        b = (rng.random(200) < 0.85).astype(float)
        a = np.where(rng.random(200) < 0.1, (rng.random(200) < 0.7).astype(float), b)
        groups = np.arange(200) // 2 if grouped else None
        test = non_inferiority(a, b, margin=0.04, groups=groups)
        if abs(test.p_value - 0.05) > 0.01:  # ties of discrete draws sit right at the edge
            assert test.shown == (test.difference.low > -0.04)


def test_non_inferiority_rarely_passes_a_system_that_is_worse_by_the_margin() -> None:
    rng = np.random.default_rng(9)
    passed = 0
    for _ in range(1_000):
        table = rng.choice(3, 300, p=[0.87, 0.04, 0.09])  # a is exactly 0.05 worse
        passed += non_inferiority(table != 2, table != 1, margin=0.05).shown
    assert 0.025 <= passed / 1_000 <= 0.075


def test_mcnemar_is_the_exact_binomial() -> None:
    a = [1] * 8 + [0] * 2 + [1] * 30
    b = [0] * 8 + [1] * 2 + [1] * 30
    expected = 2 * sum(math.comb(10, k) for k in range(3)) / 2**10
    assert mcnemar(a, b).p_value == pytest.approx(expected)
    assert mcnemar([1, 0], [0, 1]).p_value == 1.0
    many = mcnemar([1] * 4_000 + [0] * 3_000, [0] * 4_000 + [1] * 3_000)
    assert 0 < many.p_value < 1e-30
    stats = pytest.importorskip("scipy.stats")
    for only_a, only_b in itertools.product((0, 3, 11), (1, 6, 20)):
        test = mcnemar([1] * only_a + [0] * only_b, [0] * only_a + [1] * only_b)
        assert test.p_value == pytest.approx(stats.binomtest(only_a, only_a + only_b).pvalue)


def test_holm_in_a_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_never_lowers_and_keeps_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
    assert np.all(np.diff(np.array(adjusted)[np.argsort(p_values)]) >= 0)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: wilson(3, 2), "3 of 2"),
        (lambda: wilson(1, 2, level=1.0), "strictly between"),
        (lambda: bootstrap([]), "at least one row"),
        (lambda: bootstrap([1.0, float("nan")]), "finite"),
        (lambda: bootstrap([1.0, 2.0], resamples=5), "100 resamples"),
        (lambda: bootstrap([1.0, 2.0], groups=[1]), "one id a row"),
        (lambda: bootstrap([[1.0], [2.0]]), "one column"),
        (lambda: paired_bootstrap([1.0], [1.0, 2.0]), "same rows"),
        (lambda: paired_score([0.5], [1]), "0 and 1 only"),
        (lambda: non_inferiority([1], [1], margin=0), "margin above 0"),
        (lambda: holm([2.0]), "between 0 and 1"),
    ],
)
def test_bad_input_is_one_clear_error(call: object, says: str) -> None:
    assert callable(call)
    with pytest.raises(DataError, match=says):
        call()
