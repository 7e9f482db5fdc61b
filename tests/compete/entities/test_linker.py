"""Linking: namesakes told apart by what is said, strangers left alone, thresholds as brute force has them."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.compete.entities import Entity, EntityBase, Linker, Mention, reported
from pilotfish.compete.entities.linker import FILE, best_f1, precise
from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.retrieve.rerank import Relevance
from tests.compete.entities.made import mentions, placed


def ids(linker: Linker, *asked: Mention) -> list[str | None]:
    return [None if one.entity is None else one.entity.id for one in linker.link(asked)]


def test_untaught_it_takes_names_and_context(base: EntityBase) -> None:
    linker = Linker(base)
    assert ids(linker, placed("liquid {} is a poison metal in fish and thermometers", "Mercury")) == ["metal"]
    (one,) = linker.link([placed("the {} agreed", "Europaen Union")])
    assert one.candidates[0].id == "eu" and one.chances.sum() + one.nil == pytest.approx(1.0)
    assert (np.diff(one.chances) <= 0).all() and one.ease == one.probability
    assert ids(linker, Mention.alone("Quxlibet Zorn")) == [None] and linker.link([]) == []


def test_taught_it_links_better_and_leaves_strangers_alone(base: EntityBase) -> None:
    told = mentions()
    learn, rest = told[::3] + told[1::3], told[2::3]
    golds = [gold for _, gold in rest]
    linker = Linker(base)
    before = reported(linker.link([mention for mention, _ in rest]), golds)
    linker.fit(learn).calibrate(learn)
    after = reported(linker.link([mention for mention, _ in rest]), golds)
    assert after.accuracy.value >= max(0.8, before.accuracy.value)
    assert after.nil_recall is not None and after.nil_recall.value == 1.0
    easy = linker.link([mention for mention, _ in rest])
    assert all(0 <= one.ease <= 1 for one in easy) and linker.easy_ is not None


def test_a_new_entity_is_linked_without_training(base: EntityBase) -> None:
    linker = Linker(base).fit(mentions()).calibrate(mentions())
    weights = linker.weights_.copy()
    mention = placed("the painter {} died poor", "Jolanta Brisk")
    assert ids(linker, mention) == [None]
    base.add([Entity("brisk", "Jolanta Brisk", types=("person",), description="A painter who died poor.")])
    assert ids(linker, mention) == ["brisk"] and (linker.weights_ == weights).all()
    base.remove(["brisk"])
    assert ids(linker, mention) == [None]


def test_saved_and_loaded_it_says_the_same(base: EntityBase, tmp_path: Path) -> None:
    linker = Linker(base, ways=["names", "bm25"], k=5).fit(mentions()).calibrate(mentions())
    linker.save(tmp_path / "l")
    again = Linker.load(tmp_path / "l", base)
    asked = [mention for mention, _ in mentions()]
    for one, other in zip(linker.link(asked), again.link(asked), strict=True):
        assert (one.entity, one.ease) == (other.entity, other.ease) and one.chances.tolist() == other.chances.tolist()
    told = json.loads((tmp_path / "l" / FILE).read_text())
    for broken in ({**told, "nil": None}, {**told, "weights": {}}, {**told, "easy": [1.0]}, {**told, "format": 9}):
        (tmp_path / "l" / FILE).write_text(json.dumps(broken))
        with pytest.raises(ModelError, match="linker"):
            Linker.load(tmp_path / "l", base)
    with pytest.raises(ModelError, match="not a saved linker"):
        Linker.load(tmp_path / "no", base)


def test_without_strangers_nil_is_not_unlearnt(base: EntityBase) -> None:
    linker = Linker(base).fit([(mention, gold) for mention, gold in mentions() if gold is not None])
    assert ids(linker, Mention.alone("Quantronix Ltd")) == [None]


class Reads:
    """Says that a god is meant."""

    name = "reads"

    def read(self, pairs: list[tuple[str, str]]) -> Relevance:
        return Relevance(np.array([9.0 if "messenger" in text else -9.0 for _, text in pairs]), np.full(len(pairs), 7))


def test_a_reader_is_heard_and_paid(base: EntityBase) -> None:
    (one,) = Linker(base, reader=Reads()).link([Mention.alone("Mercury")])  # type: ignore[arg-type]
    assert one.candidates[0].id == "god"
    assert [(call.model, call.role) for call in one.trace.calls] == [("reads", "reranker")]
    assert one.trace.usage.tokens_in == 7 * len(one.candidates)


def test_mistakes(base: EntityBase) -> None:
    with pytest.raises(ConfigError, match="ridge is above 0"):
        Linker(base, ridge=0)
    with pytest.raises(DataError, match="there are none"):
        Linker(base).calibrate([])
    with pytest.raises(DataError, match="none of these has any"):
        Linker(base).fit([(Mention.alone("Zyxq"), None)])
    with pytest.raises(DataError, match="no threshold is shown"):
        Linker(base).calibrate(mentions(), precision=0.99)


scored = st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.7, 0.9]), st.booleans()), min_size=1, max_size=12)


@given(scored, st.integers(0, 5))
def test_the_threshold_with_the_best_f1(rows: list[tuple[float, bool]], missed: int) -> None:
    scores, right = np.array([score for score, _ in rows]), np.array([ok for _, ok in rows])
    meant = int(right.sum()) + missed

    def f1(threshold: float) -> float:
        made = scores >= threshold
        return float(2 * (made & right).sum() / max(1, made.sum() + meant))

    assert f1(best_f1(scores, right, meant)) == pytest.approx(max(f1(score) for score in scores))


def test_a_precision_that_is_vouched_for() -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(60):
        scores = rng.random(600)
        right = rng.random(600) < scores  # so that links above t are right on (1 + t) / 2
        with suppress(DataError):  # nothing is promised
            found.append(precise(scores, right, 0.8, 0.1))
    broken = sum((1 + threshold) / 2 < 0.8 for threshold in found)
    assert len(found) > 40 and broken <= 12  # 6 expected at most; more than 12 with probability .01
    with pytest.raises(DataError, match="a precision is a share"):
        precise(np.ones(3), np.ones(3, bool), 1.0, 0.1)
