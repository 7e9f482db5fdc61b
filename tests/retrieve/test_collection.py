"""Rows keep their numbers; documents are new, changed or the same; what is deleted is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotfish.errors import DataError
from pilotfish.retrieve.collection import Added, Collection
from pilotfish.retrieve.found import Passage


def of(name: str, *texts: str) -> list[Passage]:
    return [Passage(f"{name}#{place}", text, "T", name, 0, len(text), {"n": place}) for place, text in enumerate(texts)]


def test_documents_are_new_changed_or_the_same(tmp_path: Path) -> None:
    held = Collection(tmp_path / "p.sqlite")
    assert held.add([of("a", "one", "two"), of("b", "three")]) == Added(2, 0, 0, 3)
    assert held.add([of("b", "three"), of("a", "one", "two and more"), of("c", "five")]) == Added(1, 1, 1, 3)
    assert (held.rows, held.live, held.documents) == (6, 4, 3)
    assert held.deleted.tolist() == [0, 1]
    assert [(one.id, one.text) for one in held] == [
        ("b#0", "three"),
        ("a#0", "one"),
        ("a#1", "two and more"),
        ("c#0", "five"),
    ]
    assert held.passages([5, 2, 5]) == [*of("c", "five"), *of("b", "three"), *of("c", "five")]
    held.close()
    again = Collection(tmp_path / "p.sqlite")
    assert again.texts(0, 4) == ["", "", "T\nthree", "T\none"]
    assert again.delete(["a", "c"]) == 3 and again.live == 1 and again.rows == 6
    assert again.add([of("c", "six")]) == Added(1, 0, 0, 1)
    assert again.passages([6])[0].text == "six"


def test_what_is_wrong_leaves_all_as_it_was(tmp_path: Path) -> None:
    held = Collection(tmp_path / "p.sqlite")
    held.add([of("a", "one")])
    with pytest.raises(DataError, match="no document 'aa'; did you mean 'a'"):
        held.delete(["a", "aa"])
    with pytest.raises(DataError, match="another document has a passage called 'a#0'"):
        held.add([of("x", "new"), [Passage("a#0", "mine", document="b")]])
    with pytest.raises(DataError, match="no form in JSON"):
        held.add([[Passage("z", "text", fields={"what": object()})]])
    assert (held.rows, held.live) == (1, 1)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.sqlite").write_text("no database at all, but long enough to be looked at as one" * 20)
    with pytest.raises(DataError, match="make the index anew"):
        Collection(tmp_path / "p.sqlite")
