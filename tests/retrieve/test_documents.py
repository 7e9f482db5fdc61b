"""Documents of every source; bad input is one clear line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pilotfish.errors import DataError
from pilotfish.retrieve.documents import Document, documents
from pilotfish.rows.rejects import Rejects


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_rows_keep_their_other_columns(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "d.jsonl", {"id": 7, "text": "One.", "title": "A", "year": 1999}, {"id": "b", "text": "Two."}
    )
    assert list(documents(path)) == [Document("7", "One.", "A", {"year": 1999}), Document("b", "Two.")]
    path = tmp_path / "d.csv"
    path.write_text("name,body\nx,Hello there\n")
    assert list(documents(path, text="body", id="name")) == [Document("x", "Hello there")]


def test_rows_without_ids_are_called_by_their_places(tmp_path: Path) -> None:
    path = lines(tmp_path / "d.jsonl", {"text": "One."}, {"text": "Two."})
    assert [one.id for one in documents(path)] == ["d.jsonl:1", "d.jsonl:2"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"id": "b", "text": " "}, "row 2: no text in 'text'"),
        ({"id": "b", "text": 3}, "row 2: no text in 'text'"),
        ({"text": "Two."}, "row 2: 'id' is None, which is no id"),
        ({"id": "b", "text": "Two.", "title": 5}, "row 2: 'title' is int, not text"),
        ({"id": "b", "text": "\ud800"}, "line 2: half a surrogate pair"),
    ],
)
def test_a_bad_row_is_named_or_rejected(tmp_path: Path, row: dict[str, object], said: str) -> None:
    path = lines(tmp_path / "d.jsonl", {"id": "a", "text": "One."}, row, {"id": "c", "text": "Three."})
    with pytest.raises(DataError, match=rf"d\.jsonl, {said}"):
        list(documents(path))
    rejects = Rejects()
    assert [one.id for one in documents(path, rejects=rejects)] == ["a", "c"]
    assert len(rejects) == 1


def test_a_column_that_is_not_there_is_told_with_the_nearest(tmp_path: Path) -> None:
    path = lines(tmp_path / "d.jsonl", {"id": "a", "texts": "One."})
    with pytest.raises(DataError, match="'texts'"):
        list(documents(path))
    with pytest.raises(DataError, match="number"):
        list(documents(path, text="texts", id="number"))


def test_folders_give_their_texts(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.md").write_text("# B\n\nText.")
    (tmp_path / "deep" / "a.txt").write_text("\ufeffA.")
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "c.png").write_bytes(b"\x89PNG")
    assert [(one.id, one.text) for one in documents(tmp_path)] == [("b.md", "# B\n\nText."), ("deep/a.txt", "A.")]
    (tmp_path / "bad.txt").write_bytes(b"\xff\xff")
    with pytest.raises(DataError, match=r"bad\.txt: not UTF-8"):
        list(documents(tmp_path))
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"no \.txt, \.md"):
        list(documents(tmp_path / "none"))


TREC = """<?xml version='1.0'?>
<xml>
<doc>
<docno> 12 </docno>
<title>the wing
in a wind</title>
<author>a, b</author>
<text>the wing
in a wind .
  lift &amp; drag, x < y .</text>
</doc>
<DOC><DOCNO>A-1</DOCNO><HEADLINE>News</HEADLINE>It rains.</DOC>
</xml>
"""


def test_trec_s_documents(tmp_path: Path) -> None:
    path = tmp_path / "d.xml"
    path.write_text(TREC)
    one, other = documents(path)
    assert (one.id, one.title, one.fields) == ("12", "the wing in a wind", {"author": "a, b"})
    assert one.text == ".\n  lift & drag, x < y ."
    assert other.id == "A-1" and "News" in other.text
    path.write_text("<doc><title>x</title></doc>")
    with pytest.raises(DataError, match="line 1: <doc> number 1 has no <docno>"):
        list(documents(path))
    path.write_text("<doc>\n<docno>1</docno>")
    with pytest.raises(DataError, match="line 1: this <doc> has no end"):
        list(documents(path))
