from __future__ import annotations

import pytest

from pilotfish.measure.support import ByWords


def test_words_bear_out_a_sentence_by_their_share() -> None:
    passage = "The boat sank in 1912 off the coast of Newfoundland."
    told = ByWords()(
        [
            (passage, "The boat sank in 1912."),
            (passage, "The boat was saved."),
            (passage, "The boat sank in 1913."),
            (passage, "It is."),
        ]
    )
    assert told == [1.0, pytest.approx(0.5), 0.0, 1.0]
    assert ByWords(numbers=False)([(passage, "The boat sank in 1913.")]) == [pytest.approx(2 / 3)]
