"""What to label next: doubt, difference, both, and what is typical; from votes and vectors alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.synthesize.labels import Choice, Labelling, Several
from pilotfish.synthesize.labels.selecting import badge, doubt, k_center, select, typical
from pilotfish.synthesize.labels.votes import labelled, shares_of
from pilotfish.synthesize.make import synthesize
from tests.fakes import ScriptedModel
from tests.synthesize.labels.test_labelling import said


def blobs(each: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Five directions with a few rows about each, the first of them much larger: (rows, 16), and their blob."""
    random = np.random.default_rng(seed)
    middles = np.eye(16)[:5]
    which = np.repeat(np.arange(5), [each * 4, each, each, each, each])
    vectors = middles[which] + 0.1 * random.normal(size=(len(which), 16))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), which


def test_the_least_sure_come_first() -> None:
    shares = np.array([[0.9, 0.1, 0.0], [0.4, 0.3, 0.3], [0.5, 0.5, 0.0], [np.nan] * 3])
    assert select("entropy", 2, 4, probabilities=shares) == [3, 1]  # nothing is known of the fourth
    assert select("margin", 4, 4, probabilities=shares)[-2:] == [1, 0]
    assert doubt(np.full((1, 4), 0.25))[0] == pytest.approx(np.log(4))


@pytest.mark.parametrize("how", ["k-center", "k-means", "typical", "badge"])
def test_difference_covers_all_blobs_and_chance_does_not(how: str) -> None:
    covered, by_chance = [], []
    for seed in range(10):
        vectors, which = blobs(seed=seed)
        even = np.full((len(which), 2), 0.5)
        found = select(how, 5, len(which), probabilities=even, vectors=vectors, seed=seed)  # type: ignore[arg-type]
        assert len(set(found)) == 5
        covered.append(len(set(which[found])))
        by_chance.append(len(set(which[select("random", 5, len(which), seed=seed)])))
    assert np.mean(covered) > np.mean(by_chance) + 0.5 and max(covered) == 5


def test_what_is_known_is_not_chosen_again() -> None:
    vectors, which = blobs()
    known = vectors[which == 0][:5]
    for how in ("k-center", "typical"):
        found = select(how, 4, len(which), vectors=vectors, known=known)
        assert 0 not in which[found] and len(set(which[found])) == 4


def test_k_center_never_leaves_the_furthest_out() -> None:
    vectors, _ = blobs()
    found = k_center(vectors, 20, np.zeros((0, 16)))
    apart = 2 - 2 * vectors @ vectors[found].T
    # Each row is as near to the chosen as the last chosen one was far from those before it (the 2-approximation).
    last = (2 - 2 * vectors[found[-1]] @ vectors[found[:-1]].T).min()
    assert apart.min(axis=1).max() <= last + 1e-9


def test_badge_draws_by_its_gradients() -> None:
    vectors, which = blobs()
    shares = np.full((len(which), 3), 0.0)
    shares[:, 0] = 1.0
    unsure = np.flatnonzero(which == 3)
    shares[unsure] = (0.4, 0.35, 0.25)
    shares[unsure[7]] = (0.34, 0.33, 0.33)
    found = badge(shares, vectors, 10)
    # Rows without doubt all have the same gradient, none: the first of them drawn is the last.
    assert len(set(found) - set(unsure.tolist())) <= 1
    error = shares.copy()
    error[np.arange(len(shares)), shares.argmax(axis=1)] -= 1
    gradients = np.einsum("rc,rd->rcd", error, vectors).reshape(len(shares), -1)
    assert found[0] == unsure[7] == int(np.linalg.norm(gradients, axis=1).argmax())


def test_typical_rows_stand_in_the_middle() -> None:
    vectors, which = blobs()
    for i in typical(vectors, 5, np.zeros((0, 16))):
        middle = vectors[which == which[i]].mean(axis=0)
        inside = vectors[which == which[i]] @ middle
        assert vectors[i] @ middle >= np.quantile(inside, 0.5)


def test_more_than_there_are_is_all_and_mistakes_are_told() -> None:
    vectors = np.ones((3, 2))
    for how in ("k-center", "k-means", "badge", "typical"):
        found = select(how, 9, 3, probabilities=np.full((3, 2), 0.5), vectors=vectors)
        assert sorted(found) == [0, 1, 2]
    for how, count in (("entropy", 1), ("k-center", 1), ("nearest", 1), ("random", 0)):
        with pytest.raises(ConfigError):
            select(how, count, 3)  # type: ignore[arg-type]


def test_votes_are_read_off_a_runs_folder(tmp_path: Path) -> None:
    rows = [{"text": text} for text in ("sure", "torn", "mute")]
    recipe = Labelling(Choice(["a", "b"]), rows, task="t", samples=2, least=0.9)

    def answer(sample: int, text: str) -> str:
        return "?" if "mute" in text else said(label="a" if "sure" in text or sample else "b")

    synthesize(recipe, ScriptedModel(lambda r: answer(r.metadata["sample"], r.prompt)), tmp_path, progress=False)
    found = labelled(tmp_path, "label")
    assert [(one.number, one.kept, one.unsure) for one in found] == [
        (0, True, False),
        (1, False, True),
        (2, False, False),
    ]
    assert found[1].row == {"text": "torn"} and found[1].confidence == 0.5 and found[2].value is None
    shares = shares_of(Choice(["a", "b"]), 3, found)
    assert shares[:2].tolist() == [[1.0, 0.0], [0.5, 0.5]] and np.isnan(shares[2]).all()
    assert shares_of(Several(["a", "b"]), 3, found)[:2].tolist() == [[1.0, 0.0], [0.75, 0.25]]
    with pytest.raises(DataError, match="synthesize"):
        labelled(tmp_path / "nowhere", "label")
