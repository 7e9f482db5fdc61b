"""An encoder taught several labels at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pilotfish.errors import DataError
from pilotfish.models.encoder import Encoder
from pilotfish.train.several import FIT, tuned_several

pytest.importorskip("torch")

WORDS = {"card": "card arrived", "refund": "refund money", "song": "bird sang"}
LABELS = sorted(WORDS)


def rows(count: int, seed: int) -> tuple[list[str], np.ndarray]:
    random = np.random.default_rng(seed)
    sets = random.random((count, 3)) < 0.4
    texts = [" ".join(["the", *(WORDS[LABELS[i]] for i in np.flatnonzero(row)), "it"]) for row in sets]
    return texts, sets


def test_each_label_is_learnt_and_the_given_encoder_stays(tiny_encoder: Encoder) -> None:
    texts, sets = rows(150, 0)
    test, wanted = rows(80, 1)
    before = tiny_encoder.encode(test)
    how = replace(FIT, epochs=8, rate=1e-3, batch_tokens=128)
    made, head = tuned_several(tiny_encoder, texts, sets, LABELS, how)
    said = head.said(head.predict_proba(made.encode(test)))
    assert (said == wanted).mean() > 0.95
    np.testing.assert_array_equal(tiny_encoder.encode(test), before)
    assert head.classes_ == LABELS and head.thresholds_.tolist() == [0.5] * 3
    with pytest.raises(DataError, match="and a table of"):
        tuned_several(tiny_encoder, texts, sets[:3], LABELS, how)
