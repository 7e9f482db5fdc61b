"""Panels: means and votes by hand, label models that find the good judge, and labels that judge no row of their own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.evaluate.judge import Compared, Judged, Rubric, panel_scores, panel_verdicts
from pilotfish.evaluate.judge.panel import NOBODY, probabilities
from pilotfish.evaluate.scores import Scores
from pilotfish.measure.label_models import DawidSkene, Weighted
from pilotfish.measure.votes import Votes
from pilotfish.rows.asking import Bill

SCALE = Rubric.of("x", low=1, high=3).scale


def judged(column: Sequence[int | None], name: str = "j") -> Judged:
    """What a judge told that answered once."""
    places = [at for at, one in enumerate(column) if one is not None]
    values = np.array([one for one in column if one is not None], np.float64)
    shares = np.eye(len(SCALE))[values.astype(int) - 1]
    return Judged(
        len(column),
        np.array(places, np.int64),
        Scores(name, values),
        {"score": shares},
        SCALE,
        why={at: "no answer" for at, one in enumerate(column) if one is None},
        bill=Bill(calls=len(column), cost=1.0),
    )


def compared(column: Sequence[int | None], name: str = "j") -> Compared:
    places = np.array([at for at, one in enumerate(column) if one is not None], np.int64)
    verdicts = np.array([one for one in column if one is not None], np.int64)
    why = {at: "no answer" for at, one in enumerate(column) if one is None}
    return Compared(len(column), places, name, verdicts, (verdicts + 1) / 2, np.ones(len(places), np.int64), why=why)


def test_the_mean_of_those_that_have_a_score() -> None:
    told = panel_scores({"one": judged([1, 3, None, None], "1st"), "two": judged([2, 3, 2, None], "2nd")})
    assert told.column == [1.5, 3, 2, None] and told.missing == {NOBODY: 1}
    assert told.scores.notes == ["", "", "judges without a verdict: 1"]
    assert told.name == "panel of 2 (mean): 1st, 2nd" and told.bill == Bill(calls=8, cost=2.0)
    assert told.shares["score"][0].tolist() == [0.5, 0.5, 0]


def test_most_votes_win_and_a_draw_is_a_tie() -> None:
    told = panel_verdicts(
        {
            "a": compared([1, 1, 1, None, None]),
            "b": compared([1, -1, 0, -1, None]),
            "c": compared([-1, 0, 1, None, None]),
        }
    )
    assert told.column == [1, 0, 1, -1, None] and told.missing == {NOBODY: 1}
    assert told.preferences.tolist() == pytest.approx([2 / 3, 0.5, 5 / 6, 0])
    assert told.longer.tolist() == [1] * 4 and told.position() is None
    assert told.name.startswith("panel of 3 (majority): j, j, j")


def planted(rows: int = 600, seed: int = 0) -> tuple[np.ndarray, dict[str, list[int]]]:
    """Verdicts of a judge that knows nine in ten, and of four that know two: the four outvote it."""
    random = np.random.default_rng(seed)
    truth = random.choice([1, 0, -1], rows)

    def right(share: float) -> list[int]:
        said = np.where(random.random(rows) < share, truth, random.choice([1, 0, -1], rows))
        return [int(one) for one in said]

    return truth, {"good": right(0.9), **{f"poor {n}": right(0.2) for n in range(4)}}


def test_a_label_model_finds_the_good_judge() -> None:
    truth, said = planted()
    told = {name: compared(column, name) for name, column in said.items()}
    by_votes, by_model = (panel_verdicts(told, kind) for kind in ("majority", "dawid-skene"))
    assert (by_model.verdicts == truth).mean() > (by_votes.verdicts == truth).mean() + 0.1
    assert (by_model.verdicts == truth).mean() > 0.85


def test_people_s_labels_judge_no_row_of_their_own() -> None:
    """Labels at random teach nothing: were a row's own clamped, the panel would repeat it."""
    truth, said = planted(300)
    random = np.random.default_rng(5)
    wrong = random.choice([1, 0, -1], 300).tolist()
    told = {name: compared(column, name) for name, column in said.items()}
    for kind in ("dawid-skene", Weighted()):
        found = panel_verdicts(told, kind, gold=wrong)
        assert (found.verdicts == np.array(wrong)).mean() < 0.5
    helped = panel_verdicts(told, "weighted", gold=truth.tolist())
    assert (helped.verdicts == truth).mean() > 0.85


def test_rows_of_a_group_are_judged_without_its_labels() -> None:
    truth, said = planted(200)
    votes = Votes.from_table(list(zip(*said.values(), strict=True)), classes=[1, 0, -1], sources=list(said), abstain=9)
    gold = [int(one) if at < 100 else None for at, one in enumerate(truth)]
    groups = np.arange(200) // 10
    before = probabilities(votes, DawidSkene(), gold=gold, groups=groups)
    changed = [{1: -1, -1: 1, 0: 0}[one] if at < 10 and one is not None else one for at, one in enumerate(gold)]
    after = probabilities(votes, DawidSkene(), gold=changed, groups=groups)
    np.testing.assert_array_equal(before[:10], after[:10])
    assert abs(before[100:] - after[100:]).max() > 0
    assert not np.isnan(before).any()


def test_a_label_model_over_scores() -> None:
    random = np.random.default_rng(2)
    truth = random.integers(1, 4, 400)
    said = {
        str(n): np.where(random.random(400) < share, truth, random.integers(1, 4, 400)).tolist()
        for n, share in enumerate([0.9, 0.3, 0.3])
    }
    told = {name: judged(column) for name, column in said.items()}
    mean, model = (panel_scores(told, kind).scores.values for kind in ("mean", "dawid-skene"))
    assert ((model - truth) ** 2).mean() < ((mean - truth) ** 2).mean() * 0.7
    some = {**told, "2": judged([None, *said["2"][1:]]), "1": judged([None, *said["1"][1:]])}
    alone = panel_scores({**some, "0": judged([None, *said["0"][1:]])}, "dawid-skene")
    assert alone.why == {0: NOBODY} and alone.column[0] is None and len(alone.scores) == 399
    assert len(panel_scores(some, "dawid-skene").scores) == 400
    taught = panel_scores(told, "weighted", gold=[int(one) for one in truth])
    assert taught.name.startswith("panel of 3 (weighted)") and len(taught.scores) == 400


def test_what_is_wrong_is_told() -> None:
    with pytest.raises(ConfigError, match="a panel needs a judge"):
        panel_scores({})
    with pytest.raises(DataError, match="the same rows, not 1 and 2"):
        panel_scores({"a": judged([1]), "b": judged([1, 2])})
    with pytest.raises(ConfigError, match="no label model 'majorty'"):
        panel_verdicts({"a": compared([1])}, "majorty")
    with pytest.raises(ConfigError, match="a mean learns nothing"):
        panel_scores({"a": judged([1])}, gold=[1])
    other = Judged(1, np.array([0]), Scores("x", np.ones(1)), {"score": np.ones((1, 1))}, (1,))
    with pytest.raises(DataError, match="another rubric"):
        panel_scores({"a": judged([1]), "b": other})
    reward = Judged(1, np.array([0]), Scores("x", np.ones(1)), {}, ())
    with pytest.raises(ConfigError, match="a scale of its own"):
        panel_scores({"a": reward, "b": reward})
    with pytest.raises(DataError, match="of 2 rows 1 have verdicts, and 0 a reason"):
        Judged(2, np.array([0]), Scores("x", np.ones(1)), {}, ())
    with pytest.raises(DataError, match="two groups"):
        panel_verdicts({"a": compared([1, -1])}, "weighted", gold=[1, None])
