from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.errors import DataError
from pilotfish.rows._journal import Entry, Journal


def reject(*, again: bool) -> dict[str, Any]:
    return {"stage": "s", "reason": "r", "raw": "{}", "again": again}


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_prefix_of_the_file_gives_the_rows_it_holds_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("j") / "shard-00000.journal"
    texts = data.draw(st.lists(st.text(max_size=20), min_size=1, max_size=8))
    journal = Journal(path)
    ends = []
    for row, text in enumerate(texts):
        journal.append([Entry(row, 2, [{"text": text}])])
        ends.append(path.stat().st_size)
    journal.close()
    size = data.draw(st.integers(0, ends[-1]))
    os.truncate(path, size)
    again = Journal(path)
    whole = [row for row, end in enumerate(ends) if end <= size]
    assert again.load() == dict.fromkeys(whole, 2)
    assert [entry.rows for entry in again.entries()] == [[{"text": texts[row]}] for row in whole]
    # What was torn is gone, so the next line stands by itself.
    again.append([Entry(99, 1, [])])
    again.close()
    last = Journal(path)
    assert last.load() == {**dict.fromkeys(whole, 2), 99: 1}
    last.close()


def test_the_last_entry_of_a_row_counts_and_one_that_wants_another_try_does_not(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.append([Entry(0, 1, [{"a": 1}]), Entry(1, 2, [{"b": 1}]), Entry(2, 2, [], [reject(again=True)])])
    journal.append([Entry(0, 2, [], [reject(again=True)]), Entry(3, 2, [], [reject(again=False)])])
    assert journal.entry(0).again  # in the session that wrote it, it stands
    journal.close()
    later = Journal(tmp_path / "j")
    assert later.load() == {0: 1, 1: 2, 3: 2}
    assert later.entry(0).rows == [{"a": 1}]
    later.close()


def test_a_line_with_a_wrong_checksum_counts_as_not_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.append([Entry(n, 1, [{"n": n}]) for n in range(3)])
    journal.close()
    data = (tmp_path / "j").read_bytes()
    (tmp_path / "j").write_bytes(data.replace(b'"n": 1', b'"n": 7'))
    later = Journal(tmp_path / "j")
    assert later.load() == {0: 1, 2: 1}
    later.close()


def test_a_full_disk_leaves_nothing_of_the_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "j")
    journal.append([Entry(0, 1, [])])
    size = (tmp_path / "j").stat().st_size
    real = os.pwrite

    def full(handle: int, data: Any, offset: int) -> int:
        if offset > size:
            raise OSError(28, "No space left on device")
        return real(handle, bytes(data)[:7], offset)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(DataError, match="the disk is full"):
        journal.append([Entry(1, 1, [{"text": "long enough"}])])
    assert (tmp_path / "j").stat().st_size == size
    monkeypatch.undo()
    journal.append([Entry(1, 1, [])])
    journal.close()
    later = Journal(tmp_path / "j")
    assert later.load() == {0: 1, 1: 1}
    later.close()


def test_a_result_that_has_no_form_in_json_names_the_row(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    with pytest.raises(DataError, match="the result of row 5 has no form in JSON"):
        journal.append([Entry(4, 1, [{"a": {1, 2}}])])
    journal.close()
