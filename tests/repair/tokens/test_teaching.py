"""From rows to a detector and its report."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.models.encoder import Encoder
from pilotfish.repair.tokens.detector import FIT, SpanDetector
from pilotfish.repair.tokens.rows import Answered
from pilotfish.repair.tokens.teaching import dealt, taught
from tests.repair.tokens.test_detector import made


def test_no_document_nor_a_copy_of_one_is_on_two_sides() -> None:
    rows = made(60, 0)
    rows += [replace(row, answer="another", document="x" + row.document) for row in rows]  # a copy by another name
    rows += [replace(row, context="", document=row.document) for row in rows[:60]]
    parts = dealt(rows, 0.2, 0.3, seed=1)
    assert sum(map(len, parts)) == len(rows)
    homes = [{row.document.removeprefix("x") for row in part} for part in parts]
    assert all(not one & other for at, one in enumerate(homes) for other in homes[at + 1 :])
    contexts = [{row.context for row in part if row.context} for part in parts]
    assert not contexts[0] & contexts[2]
    assert 0.2 < len(parts[2]) / len(rows) < 0.4
    with pytest.raises(ConfigError, match="shares"):
        dealt(rows, 0.5, 0.5)
    with pytest.raises(DataError, match="documents"):
        dealt([Answered("a", spans=()), Answered("b", spans=())])


def test_the_report_has_the_detector_and_what_needs_no_training(tiny_encoder: Encoder) -> None:
    how = replace(FIT, epochs=2, rate=1e-3, batch_tokens=160)
    found = taught(SpanDetector(tiny_encoder, how, length=32), made(80, 0), test=0.3, made=1)
    assert [report.name for report in found.reports] == [
        "detector",
        "words that the evidence lacks",
        "cosine of token states, untaught",
    ]
    assert found.learnt + found.tuned + found.tested == 80
    told = found.to_json()
    assert told["threshold"] == found.detector.threshold_
    assert told["reports"][1]["word_area"]["value"] == 1.0
    alone = [replace(row, context="", document=row.document) for row in made(60, 1)]
    assert len(taught(SpanDetector(tiny_encoder, how, length=32), alone).reports) == 1
