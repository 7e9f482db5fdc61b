"""Confidence made honest: staircases that rise, temperatures that cool, told on folds they were not fitted on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.synthesize.labels import Choice, Several
from pilotfish.synthesize.labels.calibrating import Isotonic, Sloped, Temperature, calibrator
from pilotfish.synthesize.labels.gold import judged
from pilotfish.synthesize.labels.kind import Joined

LABELS = ["a", "b", "c"]


def sure_of(rows: int, seed: int = 0) -> tuple[list[Joined], list[str]]:
    """Votes that are surer than they are right: the truth is drawn by the square root of the shares."""
    random = np.random.default_rng(seed)
    joined, gold = [], []
    for _ in range(rows):
        shares = random.dirichlet([0.5] * 3)
        ranked = tuple(sorted(zip(LABELS, map(float, shares), strict=True), key=lambda one: -one[1]))
        joined.append(Joined(ranked[0][0], ranked[0][1], ranked))
        cooled = np.sqrt(shares) / np.sqrt(shares).sum()
        gold.append(str(random.choice(LABELS, p=cooled)))
    return joined, gold


@pytest.mark.parametrize(("how", "rows"), [("temperature", 150), ("isotonic", 600)])
def test_a_fitted_confidence_is_nearer_to_how_often_labels_are_right(how: str, rows: int) -> None:
    joined, gold = sure_of(rows)
    keys = [str(i) for i in range(rows)]
    found = judged(Choice(LABELS), joined, gold, keys, calibrate="auto", floor=1e-6, least=0.6, sure=True)
    assert found.figures["calibrated"]["how"] == how
    assert found.figures["ece_calibrated"] < 0.7 * found.figures["ece"]
    accuracy = [one["right"]["value"] for one in found.figures["by_coverage"]]
    assert accuracy[-1] > accuracy[0] + 0.05  # the surer, the righter
    kept = found.figures["kept"]
    assert kept["right"]["value"] > found.figures["accuracy"]["value"] and 0 < kept["coverage"] < 1


def test_the_temperature_that_made_them_is_found() -> None:
    joined, gold = sure_of(3000)
    fitted = calibrator(Choice(LABELS), joined, gold, how="temperature", floor=1e-9)
    assert isinstance(fitted, Temperature) and fitted.temperature == pytest.approx(2.0, rel=0.1)
    assert fitted(Joined("a", 0.8, (("a", 0.8), ("b", 0.2)))) < 0.8


def test_labels_without_classes_may_be_right_in_less_than_half() -> None:
    random = np.random.default_rng(0)
    joined = [Joined(("a",), float(sure), (("a", float(sure)),)) for sure in random.uniform(0.5, 1, 2000)]
    chances = [0.1 + 0.3 * (one.confidence - 0.5) for one in joined]  # from a tenth to a quarter
    gold = [("a",) if random.random() < chance else ("b",) for chance in chances]
    kind = Several(["a", "b"])
    fitted = calibrator(kind, joined, gold, how="temperature", floor=0.01)
    assert isinstance(fitted, Sloped) and fitted.slope > 0
    assert max(abs(fitted(one) - chance) for one, chance in zip(joined, chances, strict=True)) < 0.1
    told = judged(
        kind, joined, gold, list(map(str, range(2000))), calibrate="temperature", floor=0.01, least=None, sure=True
    )
    assert told.figures["ece_calibrated"] < 0.03 < 0.5 < told.figures["ece"]
    turned = calibrator(
        kind, joined, [("b",) if truth == ("a",) else ("a",) for truth in gold], how="temperature", floor=0.01
    )
    assert isinstance(turned, Sloped) and turned.slope == 0 and 0.7 < turned(joined[0]) < 0.9
    alike = [Joined(("a",), 1.0, (("a", 1.0),))] * 40
    same = calibrator(kind, alike, [("a",)] * 10 + [("b",)] * 30, how="temperature", floor=0.1)
    assert same is not None and same(alike[0]) == pytest.approx(0.25, abs=0.03)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_a_staircase_never_falls(pairs: list[tuple[float, bool]]) -> None:
    fitted = Isotonic.fit([sure for sure, _ in pairs], [hit for _, hit in pairs])
    found = [fitted(Joined("a", sure, ())) for sure in np.linspace(0, 1, 50)]
    assert all(0 < one < 1 for one in found)
    assert list(fitted.stairs.edges) == sorted(fitted.stairs.edges)
    assert found == sorted(found)


def test_few_rows_fit_nothing_and_none_readable_is_told() -> None:
    joined, gold = sure_of(20)
    assert calibrator(Choice(LABELS), joined, gold, how="auto", floor=1e-6) is None
    found = judged(Choice(LABELS), [None], ["a"], ["k"], calibrate="auto", floor=1e-6, least=None, sure=True)
    assert found.honest is None and found.figures == {"rows": 1, "unread": 1}
