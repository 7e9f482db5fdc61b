"""Matchers: taught on pairs, judged, kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.compete.entities.match import Matcher, Pair, PairEncoder, judged
from pilotfish.compete.entities.match.matcher import FILE
from pilotfish.compete.entities.match.report import best_threshold
from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.models.encoder import Encoder
from pilotfish.train.settings import Fit

BRANDS = ["acme", "zenith", "orbit", "vega", "lumen", "polar"]
THINGS = ["lamp", "phone", "radio", "kettle", "camera"]


def made(count: int, seed: int = 0) -> list[Pair]:
    """Pairs of products: the same one said otherwise, or another model of the brand."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        brand, thing, code = rng.choice(BRANDS), rng.choice(THINGS), int(rng.integers(1000, 9999))
        same = number % 3 == 0
        other = code if same else int(rng.integers(1000, 9999))
        left = {"title": f"{brand} {thing} kx{code}", "price": f"{code / 100:.2f}"}
        right = {"title": f"KX{other} {thing} by {brand.upper()}", "price": "" if number % 5 else f"{other / 100:.2f}"}
        found.append(Pair(left, right, same))
    return found


@pytest.mark.parametrize("kind", ["linear", "histogram"])
def test_it_learns_what_tells_products_apart(kind: str, tmp_path: Path) -> None:
    matcher = Matcher((kind,)).fit(made(240))
    report = matcher.measure(made(120, 1))
    assert report.f1.value > 0.95 and (report.pairs, report.same) == (120, 40) and matcher.kind_ == kind
    assert "average precision" in str(report) and report.to_json()["f1"]["n"] == 120
    matcher.save(tmp_path / "m")
    again = Matcher.load(tmp_path / "m")
    assert again.probabilities(made(30, 2)).tolist() == matcher.probabilities(made(30, 2)).tolist()
    assert again.threshold_ == matcher.threshold_ and len(again.probabilities([])) == 0
    told = json.loads((tmp_path / "m" / FILE).read_text())
    (tmp_path / "m" / FILE).write_text(json.dumps({**told, "kind": "oracle"}))
    with pytest.raises(ModelError, match="not a saved matcher"):
        Matcher.load(tmp_path / "m")


def test_the_better_kind_is_taken() -> None:
    matcher = Matcher(("linear", "histogram")).fit(made(150), made(60, 3))
    scores = {
        kind: Matcher((kind,)).fit(made(150), made(60, 3)).measure(made(60, 3)).f1.value for kind in matcher.kinds
    }
    assert matcher.measure(made(60, 3)).f1.value == max(scores.values())


def test_mistakes() -> None:
    with pytest.raises(ConfigError, match=r"no matcher of the kind 'linaer'.*linear"):
        Matcher(("linaer",))
    with pytest.raises(DataError, match="pair 2 has no label"):
        Matcher().fit([*made(1), Pair({"a": "b"}, {"a": "b"})], made(9))
    with pytest.raises(DataError, match="all 3 are alike"):
        Matcher().fit([pair for pair in made(9) if pair.same], made(9))
    with pytest.raises(DataError, match="one a pair"):
        judged(np.zeros(0), [], 0.5)


scored = st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.9]), st.booleans()), min_size=1, max_size=12)


@given(scored)
def test_the_threshold_with_the_best_f1(rows: list[tuple[float, bool]]) -> None:
    scores, same = np.array([score for score, _ in rows]), np.array([ok for _, ok in rows])

    def f1(threshold: float) -> float:
        called = scores >= threshold
        return float(2 * (called & same).sum() / max(1, called.sum() + same.sum()))

    threshold, told = best_threshold(scores, same)
    assert told == pytest.approx(f1(threshold)) and told == pytest.approx(max(f1(score) for score in scores))


def test_judged_by_hand() -> None:
    report = judged(np.array([0.9, 0.8, 0.3, 0.1]), [True, False, True, False], 0.5)
    assert report.precision is not None and report.recall is not None and report.average_precision is not None
    assert (report.f1.value, report.precision.value, report.recall.value) == (0.5, 0.5, 0.5)
    assert report.average_precision == pytest.approx((1 + 2 / 3) / 2)
    alone = judged(np.array([0.1]), [False], 0.5)
    assert alone.precision is None and alone.recall is None and alone.average_precision is None and "-" in str(alone)


def test_an_encoder_reads_both(tiny_encoder: Encoder, tmp_path: Path) -> None:
    pairs = [
        Pair({"t": "the cat sat"}, {"t": "the cat sat" if n % 2 else "the dog did"}, bool(n % 2)) for n in range(40)
    ]
    how = Fit(epochs=6, batch_tokens=512, rate=5e-3, dtype="float32")
    matcher = PairEncoder(tiny_encoder, how).fit(pairs)
    assert matcher.measure(pairs).f1.value > 0.9
    matcher.save(tmp_path / "m")
    again = PairEncoder.load(tmp_path / "m")
    assert again.probabilities(pairs) == pytest.approx(matcher.probabilities(pairs), abs=1e-5)
    with pytest.raises(ModelError, match="not a saved pair encoder"):
        PairEncoder.load(tmp_path / "no")
