from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.label_models import CoSupervised, DawidSkene
from pilotfish.measure.label_models._gates import Gates
from pilotfish.measure.label_models._regions import Regions
from pilotfish.measure.votes import Votes


def specialists(rows: int = 1500, seed: int = 0) -> tuple[Votes, np.ndarray, list[str], np.ndarray]:
    """Six sources, each right at .95 in one of three domains and at .5 elsewhere; features that show the domain."""
    dice = np.random.default_rng(seed)
    truth, domain = dice.integers(0, 2, rows), dice.integers(0, 3, rows)
    right = np.where(domain[:, None] == np.arange(6) % 3, 0.95, 0.5)
    table = np.where(dice.random((rows, 6)) < right, truth[:, None], 1 - truth[:, None])
    table[dice.random(table.shape) < 0.1] = -1
    centres = np.array([[3.0, 0, 0, 0], [0, 3.0, 0, 0], [-3.0, -3.0, 0, 0]])
    features = centres[domain] + dice.normal(size=(rows, 4))
    return Votes.from_table(table, classes=(0, 1)), truth, [f"d{one}" for one in domain], features


def _right(proba: np.ndarray, truth: np.ndarray) -> float:
    return float((np.nan_to_num(proba).argmax(axis=1) == truth).mean())


def test_the_mixture_is_bayes_rule() -> None:
    dice = np.random.default_rng(0)
    table = dice.dirichlet(np.ones(4), (2, 3, 3))  # sources, regions, true; the last column is silence
    regions = Regions(table, dice.dirichlet(np.ones(3), 3))
    votes = Votes.from_table([[0, 2], [1, -1], [-1, -1]], classes=range(3))
    where = dice.dirichlet(np.ones(3), 3)
    joint, evidence = regions.expected(votes, np.log(where), np.array([-1, -1, 2]))
    said = [[0, 2], [1, 3], [3, 3]]
    for i in range(3):
        wanted = np.zeros((3, 3))
        for r, c in product(range(3), range(3)):
            wanted[r, c] = where[i, r] * regions.prior[r, c] * table[0, r, c, said[i][0]] * table[1, r, c, said[i][1]]
        if i == 2:
            wanted[:, :2] = 0
        assert joint[i] == pytest.approx(wanted / wanted.sum())
        assert evidence[i] == pytest.approx(np.log(wanted.sum()))


def test_gates_are_products_along_the_tree() -> None:
    dice = np.random.default_rng(0)
    gates = Gates(dice.normal(size=(3, 3)), 1.0)
    x = np.concatenate([dice.normal(size=(5, 2)), np.ones((5, 1))], axis=1)
    left = 1 / (1 + np.exp(-(x @ gates.weights.T)))
    wanted = np.stack(
        [
            left[:, 0] * left[:, 1],
            left[:, 0] * (1 - left[:, 1]),
            (1 - left[:, 0]) * left[:, 2],
            (1 - left[:, 0]) * (1 - left[:, 2]),
        ],
        axis=1,
    )
    assert np.exp(gates.log_regions(x)) == pytest.approx(wanted)
    share = dice.dirichlet(np.ones(4), 5)

    def worth(one: Gates) -> float:
        return float((share * one.log_regions(x)).sum()) - one.penalty()

    assert worth(gates.climbed(x, share)) > worth(gates)


def test_specialists_are_listened_to_where_they_know() -> None:
    votes, truth, domains, features = specialists()
    flat = _right(DawidSkene().fit(votes).posterior_, truth)
    known = CoSupervised().fit(votes, domains=domains)
    learned = CoSupervised().fit(votes, features=features)
    assert _right(known.posterior_, truth) > flat + 0.08
    assert _right(learned.posterior_, truth) > flat + 0.08
    best = np.array([[known.domains_.index("d" + str(s % 3)) for s in range(6)]])
    assert (known.region_accuracy_[:3].argmax(axis=0) == best).all()
    assert known.region_accuracy_[best[0], np.arange(6)] == pytest.approx([0.95] * 6, abs=0.06)


def test_new_rows_and_new_domains() -> None:
    votes, truth, domains, features = specialists()
    old, new = range(1000), range(1000, 1500)
    model = CoSupervised().fit(votes.take(old), features=features[:1000])
    found = model.predict_proba(votes.take(new), features=features[1000:])
    assert _right(found, truth[1000:]) > 0.88
    known = CoSupervised().fit(votes.take(old), domains=domains[:1000])
    odd = known.predict_proba(votes.take(new), domains=["elsewhere"] * 500)
    # A domain that is new is judged by the accuracies over all.
    assert known.region_accuracy_[-1] == pytest.approx(known.accuracy_)
    assert _right(odd, truth[1000:]) > 0.7


@pytest.mark.parametrize("abstain", ["missing", "vote"])
def test_the_objective_never_falls(abstain: str) -> None:
    votes, truth, domains, features = specialists(300)
    gold = {at: int(truth[at]) for at in range(20)}
    for where in ({"domains": domains}, {"features": features}):
        model = CoSupervised(abstain=abstain, tol=0, max_iter=30).fit(votes, gold, **where)  # type: ignore[arg-type]
        assert np.diff(model.objective_).min() > -1e-6
        assert model.posterior_[:20] == pytest.approx(np.eye(2)[truth[:20]])


def test_assignment_names_a_specialist_or_nobody() -> None:
    votes, truth, domains, _ = specialists()
    model = CoSupervised().fit(votes, domains=domains)
    chosen = model.assign(votes, domains=domains, consistent=False)
    named = [int(one) % 3 == int(domain[1:]) for one, domain in zip(chosen, domains, strict=True) if one is not None]
    # Two specialists a domain, each silent one time in ten.
    assert np.mean(named) > 0.95
    strict = model.assign(votes, domains=domains)
    assert 0 < sum(one is None for one in strict) < 300
    table = votes.table.toarray().reshape(1500, 6, 2)

    def right(names: list[str | None]) -> float:
        return float(np.mean([table[i, int(s), truth[i]] for i, s in enumerate(names) if s is not None]))

    assert right(strict) > right(chosen)


def test_what_is_missing_is_said() -> None:
    votes, _, domains, features = specialists(100)
    for wrong in ({}, {"domains": domains, "features": features}):
        with pytest.raises(ConfigError, match="one of the two"):
            CoSupervised().fit(votes, **wrong)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="99 domains for 100 rows"):
        CoSupervised().fit(votes, domains=domains[:99])
    with pytest.raises(DataError, match="row 3: its features are not all finite"):
        CoSupervised().fit(votes, features=np.where(np.arange(100)[:, None] == 3, np.nan, features))
    with pytest.raises(ConfigError, match="depth"):
        CoSupervised(depth=0).fit(votes, domains=domains)
    model = CoSupervised().fit(votes, domains=domains)
    with pytest.raises(ConfigError, match="fitted with domains"):
        model.predict_proba(votes, features=features)
    with pytest.raises(ConfigError, match="one of the two"):
        model.predict(votes)
    wide = CoSupervised(depth=1).fit(votes, features=features)
    with pytest.raises(DataError, match="features of 2 columns"):
        wide.predict_proba(votes, features=features[:, :2])
