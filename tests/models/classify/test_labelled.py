"""A teacher's labels: soft where it gives probabilities, stored as they come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pilotfish.distill.blackbox.students import TeacherLabels, labelled
from pilotfish.errors import ConfigError
from pilotfish.model import Price, Reply, Request, TokenLogprob
from pilotfish.models.classify import Labeller
from pilotfish.models.local import LocalModel
from tests.fakes import ScriptedModel

TEXTS = ["where is my card", "give me my money", "hm", "where is my card"]
LABELS = ["card_arrival", "refund"]


def test_a_black_box_is_asked_once_and_its_failures_are_counted(tmp_path: Path) -> None:
    said = {"where is my card": "Card arrival.", "give me my money": "refund", "hm": "no idea"}
    model = ScriptedModel(lambda request: said[request.prompt.removeprefix("Text: ")], price=Price(1e6, 1e6))
    for _ in range(2):
        found = labelled(TEXTS, Labeller(model, LABELS), LABELS, tmp_path, progress=False)
        assert found.labels == ["card_arrival", "refund", None, "card_arrival"]
        assert found.missing == {"no label in the answer": 1}
        assert model.calls == found.bill.calls == 3
        assert found.bill.cost is not None
        assert found.bill.cost > 0


def test_a_classifier_is_soft(tmp_path: Path) -> None:
    def said(request: Request) -> Reply:
        sure = -0.1 if "card" in request.prompt else -1.2
        top = (("card_arrival", sure), ("refund", float(np.log1p(-np.exp(sure)))))
        ranked = tuple(sorted(top, key=lambda pair: -pair[1]))
        return Reply(ranked[0][0], logprobs=(TokenLogprob(*ranked[0], ranked),))

    found = labelled(TEXTS, ScriptedModel(said), LABELS, tmp_path, progress=False)
    np.testing.assert_allclose(found.probabilities[:2, 0], np.exp([-0.1, -1.2]))
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    assert found.labels == ["card_arrival", "refund", "refund", "card_arrival"]


def test_a_white_box_labels_by_batches(tmp_path: Path, tiny_lm: LocalModel) -> None:
    labeller = Labeller(tiny_lm, LABELS)
    # Another order of the labels than the labeller's.
    found = labelled(TEXTS, labeller, LABELS[::-1], tmp_path, progress=False)
    direct = TeacherLabels.of(labeller.predict(TEXTS), labeller.labels)
    np.testing.assert_allclose(found.probabilities[:, ::-1], direct.probabilities, atol=1e-6)
    assert found.known.all()
    # Another correction is another run: nothing of the first is taken for it.
    labeller.prior_ = np.log([0.9, 0.1])
    with pytest.raises(ConfigError):
        labelled(TEXTS, labeller, LABELS[::-1], tmp_path, progress=False)
    assert found.bill.calls == 4
