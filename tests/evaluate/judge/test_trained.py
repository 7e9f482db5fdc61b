"""The taught judge: its zone of ties by brute force, verdicts, honest agreement, and what is saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import DataError, ModelError
from pilotfish.evaluate.judge import TrainedJudge
from pilotfish.evaluate.judge.trained import FILE, tie_zone
from pilotfish.models.encoder import Encoder
from pilotfish.train.reward import Pair, RewardModel
from pilotfish.train.settings import Fit

torch = pytest.importorskip("torch")

FIT = Fit(epochs=8, batch_tokens=1024, rate=1e-3, dtype="float32")
WORDS = "the cat horse hammer saw drill bird fish".split()  # noqa: SIM905


def answers(count: int, seed: int) -> list[tuple[str, str, str]]:
    """A task with a polite answer and a rude one."""
    random = np.random.default_rng(seed)
    found = []
    for i in range(count):
        said = " ".join(random.choice(WORDS, 3))
        found.append((f"what is {WORDS[i % 8]} {seed} {i}", f"please {said}", f"nonsense {said}"))
    return found


@pytest.fixture(scope="module")
def reward(tiny_encoder: Encoder) -> RewardModel:
    return RewardModel(tiny_encoder, FIT, held_out=0).fit([Pair(*one) for one in answers(160, 0)])


@given(
    rows=st.lists(
        st.tuples(st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0]), st.sampled_from([-1, 0, 1])), max_size=9
    )
)
def test_the_zone_is_the_best_of_all(rows: list[tuple[float, int]]) -> None:
    gaps, people = np.array([gap for gap, _ in rows]), np.array([one for _, one in rows])

    def right(zone: float) -> int:
        return int((np.where(abs(gaps) <= zone, 0, np.sign(gaps)) == people).sum())

    found = tie_zone(gaps, people)
    every = [0.0, 0.5, 1.0, 2.0]
    assert right(found) == max(map(right, every))
    assert found == min(zone for zone in every if right(zone) == right(found))


def test_it_scores_compares_and_knows_ties(reward: RewardModel, tmp_path: Path) -> None:
    judge = TrainedJudge(reward)
    tasks, good, bad = map(list, zip(*answers(90, 1), strict=True))
    found = judge.scores([*tasks, *tasks], [*good, *bad])
    assert len(found) == 180 and found.values[:90].mean() > found.values[90:].mean()
    # A third of the pairs are the same but for nothing: people say a tie.
    people = np.where(np.arange(90) % 3 == 0, 0, 1)
    other = [one if even == 0 else two for one, two, even in zip(good, bad, people, strict=True)]
    flip = np.arange(90) % 2 == 0
    a = [two if turn else one for one, two, turn in zip(good, other, flip, strict=True)]
    b = [one if turn else two for one, two, turn in zip(good, other, flip, strict=True)]
    truth = np.where(flip, -people, people)
    judge.fit(tasks, a, b, truth, groups=tasks)
    assert judge.agreement_ is not None and judge.agreement_.same.value > 0.85 and judge.agreement_.rows == 90
    told = judge(tasks, a, b)
    assert (told.verdicts == truth).mean() > 0.85 and told.missing.total() == 0 and told.position() is None
    gaps = judge.gaps(tasks, a, b)
    assert told.preferences == pytest.approx(1 / (1 + np.exp(-gaps)))
    np.testing.assert_array_equal(judge(tasks, b, a).verdicts, -told.verdicts)
    judge.save(tmp_path / "judge")
    again = TrainedJudge.load(tmp_path / "judge")
    assert (again.tie, again.name, again.agreement_) == (judge.tie, judge.name, judge.agreement_)
    np.testing.assert_array_equal(again(tasks, a, b).verdicts, told.verdicts)
    # It is a reward model as ever, and a reward model is a judge without a zone.
    RewardModel.load(tmp_path / "judge")
    (tmp_path / "judge" / FILE).unlink()
    assert TrainedJudge.load(tmp_path / "judge").tie == 0


def test_agreement_is_not_of_the_zone_s_own_pairs(reward: RewardModel) -> None:
    """People who say anything: the best zone on all pairs is right more often than the cross-fitted one."""
    random = np.random.default_rng(7)
    tasks, good, bad = map(list, zip(*answers(60, 2), strict=True))
    judge = TrainedJudge(reward)
    truth = random.choice([-1, 0, 1], 60)
    judge.fit(tasks, good, bad, truth)
    assert judge.agreement_ is not None
    own = float((judge(tasks, good, bad).verdicts == truth).mean())
    assert judge.agreement_.same.value <= own


def test_what_is_wrong_is_told(reward: RewardModel, tmp_path: Path) -> None:
    judge = TrainedJudge(reward)
    with pytest.raises(DataError, match="verdicts are 1, 0 or -1"):
        judge.fit(["q"], ["a"], ["b"], [2])
    with pytest.raises(DataError, match="cannot be dealt"):
        judge.fit(["q", "q"], ["a", "b"], ["b", "c"], [1, 0])
    with pytest.raises(DataError, match="2 tasks, 1 answers"):
        judge.scores(["q", "r"], ["a"])
    with pytest.raises(ModelError, match="not a saved reward model"):
        TrainedJudge.load(tmp_path)
