from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pilotfish.errors import DataError
from pilotfish.rows.rejects import Rejects


def test_counts_by_kind_and_appends(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "rejects.jsonl"
    with Rejects(path) as rejects:
        assert not path.exists()
        rejects.add("a.csv", 3, "wrong number of fields: 2 where the header has 3", "x,y")
        rejects.add("a.csv", 9, "wrong number of fields: 4 where the header has 3", "x\ud800")
        rejects.add("a.csv", None, "not UTF-8: byte 0xff", "z", row=7)
    with Rejects(path) as more:
        more.add("b.csv", 1, "NUL byte", "")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["line"] for line in lines] == [3, 9, None, 1]
    assert lines[0] == {
        "source": "a.csv",
        "line": 3,
        "reason": "wrong number of fields: 2 where the header has 3",
        "raw": "x,y",
    }
    assert lines[2]["row"] == 7
    assert len(rejects) == 3
    assert rejects.summary() == f"3 rows rejected (2 wrong number of fields, 1 not UTF-8); see {path}"
    assert rejects.to_json()["first"] == "a.csv, line 3: wrong number of fields: 2 where the header has 3"


def test_without_a_path_it_only_counts() -> None:
    rejects = Rejects()
    assert rejects.summary() == "no rows rejected"
    assert rejects  # empty, yet there
    rejects.add("s", 1, "bad", "raw")
    assert rejects.summary() == "1 row rejected (1 bad); the first: s, line 1: bad"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_full_disk_is_one_clear_line() -> None:
    with pytest.raises(DataError, match="the disk is full"):
        Rejects("/dev/full").add("s", 1, "bad", "raw")
