"""Names in running text."""

from __future__ import annotations

from pilotfish.compete.entities.names import normalised
from pilotfish.compete.entities.spots import spotted

NAMES = {
    normalised(name) for name in ("New York", "New York Times", "U.S.", "Who", "C++", "3M", "deep learning", "Ann")
}


def found(text: str) -> list[str]:
    return [one.surface for one in spotted(text, NAMES)]


def test_the_longest_names_and_no_pronouns() -> None:
    assert found("The New York Times of New York, said Ann.") == ["New York Times", "New York", "Ann"]
    assert found("Who knows who? In the U.S. they use C++ and deep learning at 3M.") == [
        "Who",
        "U.S.",
        "C++",
        "deep learning",
        "3M",
    ]
    assert found("") == [] and found("nothing here") == []


def test_places() -> None:
    text = "Ann's dog; ANN!"
    assert [(one.start, one.end) for one in spotted(text, NAMES)][-1] == (11, 14)
