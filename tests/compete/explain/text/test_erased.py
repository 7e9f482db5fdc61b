"""Whether explanations of texts are faithful: what counts is sooner missed than what was drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pilotfish.compete.explain.text import attributed, faithful_words
from pilotfish.errors import DataError
from tests.compete.explain.text.help import TEXTS, table


def test_what_counts_is_missed_sooner() -> None:
    reads = table()
    told = attributed(reads, TEXTS)
    found = faithful_words(reads, told)
    assert found.deletion_gain.low > 0 and found.insertion_gain.low > 0 and found.rows == len(TEXTS)
    assert found.deletion.value < found.random_deletion.value
    turned = faithful_words(reads, [replace(one, shares=-one.shares) for one in told])
    assert turned.deletion_gain.high < 0


def test_the_areas_are_those_of_a_walk_by_hand() -> None:
    reads = table()
    text = "a card q arrived"
    (one,) = attributed(reads, [text])
    ordered = replace(one, shares=np.array([1.0, 4.0, 2.0, 3.0]))
    found = faithful_words(reads, [ordered], steps=4)
    said = reads.classes_.index(one.label)
    gone = reads.predict_proba(["a q arrived", "a q", "a", ""])[:, said]
    back = reads.predict_proba(["card", "card arrived", "card q arrived", text])[:, said]
    assert found.deletion.value == pytest.approx(gone.mean())
    assert found.insertion.value == pytest.approx(back.mean())


def test_texts_of_a_word_say_nothing() -> None:
    reads = table()
    with pytest.raises(DataError, match="two words"):
        faithful_words(reads, attributed(reads, ["card", ""]))
