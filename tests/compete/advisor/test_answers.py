"""The whole advice on answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.compete.advisor.advised import Advised
from pilotfish.compete.advisor.answers import advise_answers
from pilotfish.compete.advisor.folder import write_advised
from pilotfish.compete.advisor.leaves import LEAVES
from pilotfish.compete.advisor.marks import marks_by
from pilotfish.compete.advisor.page import page
from pilotfish.compete.settings import Settings
from pilotfish.measure.report import render_html
from tests.compete.advisor.sums import FACTS, NAMES, Adds, Bench, task


def advised(folder: Path, **models: Any) -> tuple[Advised, Bench]:
    one = task()
    bench = Bench(folder, {"small": Adds("Little", 20, 0.0), "large": Adds("Big", 40, 0.01), **models})
    marks, measure = marks_by("text", one)
    settings = Settings(max_cost=50.0, margin=0.05)
    return advise_answers(one, bench, marks, FACTS, NAMES, settings, measure=measure), bench


def test_a_cascade_that_knows_when_it_does_not_know_is_the_answer(tmp_path: Path) -> None:
    found, bench = advised(tmp_path)
    one = {candidate.key: candidate for candidate in found.candidates}
    # The small model is unsure exactly where it is wrong, so the cascade is always right, for less.
    assert one["cascade"].accuracy.value == 1.0 == one["large"].accuracy.value
    assert 0.2 < one["small"].accuracy.value < 0.4
    assert one["cascade"].dollars == pytest.approx(0.01 * one["cascade"].details["deferred"])
    assert found.verdict.answer == "cascade" and found.default == "cascade"
    assert found.tables["models.cascade"]["small"] == "small" and "accept" in found.tables["models.cascade"]
    assert found.spent == pytest.approx(0.01 * len(bench.models["large"].asked))
    leaves = {finding.leaf for finding in found.findings}
    assert leaves == {leaf.key for leaf in LEAVES}
    cascade = next(finding for finding in found.findings if finding.leaf == "cascade")
    assert cascade.status == "tried" and cascade.cheaper and cascade.cheaper > 1


def test_the_test_rows_chose_nothing(tmp_path: Path) -> None:
    found, _ = advised(tmp_path)
    one = task()
    test = set(one.test.tolist())
    for candidate in found.candidates:
        assert set(candidate.rows.tolist()) <= test
        truth = [one.rows[int(row)]["sum"] for row in candidate.rows]
        right = np.array([a == b for a, b in zip(candidate.answers, truth, strict=True)], float)
        assert right.tolist() == candidate.correct.tolist()


def test_a_small_model_that_is_as_good_is_the_answer_and_a_second_run_asks_nothing(tmp_path: Path) -> None:
    found, _ = advised(tmp_path, small=Adds("Little", 40, 0.0))
    assert found.verdict.answer == "small" and found.verdict.settled
    again, bench = advised(tmp_path, small=Adds("Little", 40, 0.0))
    assert again.verdict.reason == found.verdict.reason
    assert not bench.models["small"].asked and not bench.models["large"].asked
    # The budget is for both runs together.
    assert again.spent == pytest.approx(found.spent) and found.spent > 0


def test_a_small_model_without_log_probabilities_has_no_cascade_and_the_report_says_why(tmp_path: Path) -> None:
    found, _ = advised(tmp_path, small=Adds("Little", 20, 0.0, sure=False))
    cascade = next(finding for finding in found.findings if finding.leaf == "cascade")
    assert cascade.status == "not tried" and "log-probabilities" in cascade.why
    assert "models.cascade" not in found.tables


def test_the_folder_holds_a_page_a_file_and_the_figures(tmp_path: Path) -> None:
    found, _ = advised(tmp_path)
    write_advised(found, tmp_path / "out", {"models.small": {"use": "recorded", "path": "x"}})
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert html == render_html(page(found))
    for leaf in LEAVES:
        assert leaf.title in html, leaf.title
    assert "An error costs" in html and "How the ways were chosen" in html
    toml = (tmp_path / "out" / "pilotfish.toml").read_text(encoding="utf-8")
    assert 'default = "cascade"' in toml and "[models.small]" in toml and "[models.cascade]" in toml
    assert (tmp_path / "out" / "advice.json").exists() and (tmp_path / "out" / "answers.jsonl").exists()
