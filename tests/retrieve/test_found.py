from __future__ import annotations

from collections.abc import Sequence

from pilotfish.retrieve.found import Hit, Passage, Retriever


class First:
    """Finds the first k of its passages, whatever is asked."""

    name = "first"

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.passages = passages

    def search(self, queries: Sequence[str], k: int = 10) -> list[list[Hit]]:
        return [[Hit(passage, 1.0) for passage in self.passages[:k]] for _ in queries]


def test_a_title_is_searched_before_the_text() -> None:
    assert Passage("1", "It blew.", "Wind").searched == "Wind\nIt blew."
    assert Passage("1", "It blew.").searched == "It blew."


def test_what_finds_is_a_retriever() -> None:
    found = First([Passage("1", "one"), Passage("2", "two")])
    assert isinstance(found, Retriever)
    assert [[hit.passage.id for hit in hits] for hits in found.search(["a", "b"], k=1)] == [["1"], ["1"]]
