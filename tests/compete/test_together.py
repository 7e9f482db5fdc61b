"""The advisor with time to fine-tune the encoder: measured beside the others, and where it is best, the small model."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from pilotfish import ask
from pilotfish.assemble import Collaboration
from pilotfish.compete import together
from pilotfish.compete.advise import Advice, Settings, advise
from pilotfish.compete.folder import write_folder
from pilotfish.compete.mix import threshold_by
from pilotfish.compete.page import page
from pilotfish.compete.task import text_task
from pilotfish.compete.tuned import Tuned, fine_tuned
from pilotfish.measure.report import render_html, render_terminal
from pilotfish.model import Price
from pilotfish.models.encoder import Encoder
from tests.compete.help import made_rows, oracle, truth_of

ROWS, FREE, TEST = made_rows(240), made_rows(60, seed=1), made_rows(150, seed=2)


def advised(encoder: Encoder) -> Advice:
    task = text_task(ROWS, text="text", label="label", unlabelled=FREE, test=TEST)
    large = oracle(truth_of(ROWS, FREE, TEST), wrong=0.05, price=Price(2, 8))
    return advise(task, encoder, large, Settings(seeds=1, counts=(0, 8), margin=0.05, max_seconds=90.0))


def test_the_fine_tuned_encoder_is_the_small_model_where_rows_kept_back_say_so(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[Tuned] = []

    def lucky(*settings: object) -> Tuned | None:
        found = fine_tuned(*settings)  # type: ignore[arg-type]
        assert found is not None
        found.gold.chosen_by = 1.1  # so that it is the best by rows kept back, whatever it learnt
        made.append(found)
        return found

    monkeypatch.setattr(together, "fine_tuned", lucky)
    found = advised(encoder)
    (tuned,) = made
    assert found.small is tuned.gold is found.contenders[0]
    assert "tuned" in [one.key for one in found.candidates]
    assert found.judged is not None
    # The cascade's threshold is chosen by the one that did not see the rows it is chosen on, of the same kind.
    expected = threshold_by(found.task, found.judged, tuned.by_people.kept, found.task.labels)
    assert found.threshold == expected
    write_folder(found, tmp_path / "a", None)
    (tmp_path / "a").rename(tmp_path / "b")
    small = Collaboration.load(tmp_path / "b" / "pilotfish.toml").model("small")
    answers = [ask(small, text).text for text in found.task.test[:10]]
    assert answers == list(found.small.answers)[:10]
    shown = io.StringIO()
    render_terminal(page(found), Console(file=shown, width=140))
    assert "fine-tuned tiny" in shown.getvalue()
    assert "fine-tuned tiny" in render_html(page(found))
    titles = [one.title for one in found.candidates]
    assert len(set(titles)) == len(titles) and all(len(title) < 60 for title in titles)


def test_it_stands_beside_the_linear_ones_otherwise(encoder: Encoder) -> None:
    found = advised(encoder)
    keys = [one.key for one in found.candidates]
    assert "tuned" in keys and found.distilled is not None
    if found.distilled.alpha < 1:
        assert "distilled" in keys and "distilled-tuned" in keys
        assert found.distilled.other is not None
    kept = {one.key: one.chosen_by for one in found.candidates if one.family == "small"}
    assert found.small.chosen_by == max(kept.values())
    np.testing.assert_array_equal(found.candidates[1].rows, found.small.rows)
    assert dataclasses.asdict(found.settings)["max_seconds"] == 90.0
