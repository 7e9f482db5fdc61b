from __future__ import annotations

import json

import numpy as np
import pytest
from rich.console import Console

from pilotfish.errors import DataError
from pilotfish.measure.intervals import wilson
from pilotfish.measure.label_models import CoSupervised, DawidSkene, Majority
from pilotfish.measure.report import render_terminal
from pilotfish.measure.votes import Votes
from pilotfish.supervise.sources_report import sources_report
from tests.measure.label_models.planted import even

TABLE = [[0, 0, -1], [0, 1, -1], [1, -1, -1], [-1, -1, -1], [1, 1, 1]]


def test_coverage_overlap_and_conflict_are_counted() -> None:
    report = sources_report(Votes.from_table(TABLE, sources=("a", "b", "c")), [0, 0, 0, 1, 1])
    assert (report.rows, report.votes, report.gold) == (5, 8, 5)
    assert (report.coverage, report.overlap, report.conflict) == (0.8, 0.6, 0.2)
    a, b, c = report.sources
    assert (a.coverage, a.overlap, a.conflict) == (0.8, 0.75, 0.25)
    assert [b.coverage, b.overlap, b.conflict] == pytest.approx([0.6, 1.0, 1 / 3])
    assert (c.coverage, c.overlap, c.conflict, c.says) == (0.2, 1.0, 0.0, (1,))
    assert a.accuracy == wilson(3, 4)
    assert a.confusion.tolist() == [[2, 1], [0, 1]]
    assert report.model is None
    assert report.estimation_error is None


def test_soft_votes_count_by_their_shares() -> None:
    soft = np.array([[[0.8, 0.2]], [[0.4, 0.6]], [[0.5, 0.5]]])
    (line,) = sources_report(Votes.from_soft(soft), [0, 1, 1]).sources
    assert line.accuracy is not None
    assert line.accuracy.value == pytest.approx((0.8 + 0.6 + 0.5) / 3)
    assert line.confusion == pytest.approx(np.array([[0.8, 0.2], [0.9, 1.1]]))


def test_estimates_stand_beside_the_truth_and_the_model_beside_majority() -> None:
    given = even(2000)
    model = DawidSkene().fit(given.votes)
    report = sources_report(given.votes, given.truth, model)
    assert report.estimation_error is not None
    assert report.estimation_error < 0.03
    assert len(report.misjudged) <= 2
    assert report.model is not None
    assert report.model.accuracy.value > report.model.majority.value
    assert report.model.ece < 0.05
    assert report.model.ties == 0
    told = json.loads(json.dumps(report.to_json()))
    assert told["sources"][0]["estimated"] == pytest.approx(model.accuracy_[0])
    assert told["model"]["kind"] == "dawid-skene"
    # A source that is called much better than it is, is named.
    model.confusion_ = np.tile(np.eye(3), (5, 1, 1))
    assert "3" in sources_report(given.votes, given.truth, model).misjudged


def test_ties_count_half_and_are_told() -> None:
    votes = Votes.from_table([[0, 1]] * 10)
    report = sources_report(votes, [0] * 10, Majority().fit(votes))
    assert report.model is not None
    assert (report.model.accuracy.value, report.model.ties) == (0.5, 10)


def test_text_and_page_show_every_source() -> None:
    votes = Votes.from_table(TABLE, sources=("keyword_my", "b", "c"))
    report = sources_report(votes, {0: 0, 4: 1}, DawidSkene().fit(votes))
    text = str(report)
    assert "keyword_my     80.0%" in text
    assert "dawid-skene is right on" in text
    console = Console(record=True, width=120)
    render_terminal(report.page(), console)
    assert "keyword_my" in console.export_text()


def test_a_model_that_needs_more_than_votes_hands_its_probabilities_over() -> None:
    given = even(300)
    where = ["a", "b", "c"] * 100
    model = CoSupervised().fit(given.votes, domains=where)
    proba = model.predict_proba(given.votes, domains=where)
    assert sources_report(given.votes, given.truth, model, proba).model is not None
    with pytest.raises(DataError, match="rows, classes"):
        sources_report(given.votes, given.truth, model, proba[:5])


def test_no_votes_are_refused() -> None:
    with pytest.raises(DataError, match="no votes"):
        sources_report(Votes.from_table([[-1, -1]], classes=(0, 1)))
