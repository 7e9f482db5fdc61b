"""TREC's files are read as trec_eval reads them, and written so that they are read the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotfish.errors import DataError
from pilotfish.rows.qrels import ranked, read_qrels, read_run, write_qrels, write_run


def test_judgements(tmp_path: Path) -> None:
    path = tmp_path / "q.txt"
    path.write_text("1 0 184 1\n1\t0\t29 -1\n\n2 Q0 x 3\n1 0 184 1\n")
    held = read_qrels(path)
    assert held == {"1": {"184": 1, "29": -1}, "2": {"x": 3}}
    write_qrels(tmp_path / "again.txt", held)
    assert read_qrels(tmp_path / "again.txt") == held


def test_a_run_goes_by_scores_then_by_the_larger_id(tmp_path: Path) -> None:
    path = tmp_path / "r.txt"
    path.write_text("q Q0 a 1 0.5 tag\nq Q0 b 2 0.5 tag\nq Q0 c 3 0.9 tag\nq Q0 d 4 -1e-3 tag\n")
    assert read_run(path) == {"q": [("c", 0.9), ("b", 0.5), ("a", 0.5), ("d", -0.001)]}
    assert [name for name, _ in ranked({"doc2": 1.0, "doc10": 1.0})] == ["doc2", "doc10"]  # as texts, as trec_eval does
    run = {"q": [("a", 0.1 + 0.2), ("b", 0.25)]}
    write_run(tmp_path / "again.txt", run, "us")
    assert read_run(tmp_path / "again.txt") == run  # to the last bit
    assert (tmp_path / "again.txt").read_text().splitlines()[1] == "q Q0 b 2 0.25 us"


def test_judgements_of_beir(tmp_path: Path) -> None:
    path = tmp_path / "test.tsv"
    path.write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\n")
    assert read_qrels(path) == {"q1": {"d1": 2, "d2": 0}}
    path.write_text("query-id\tcorpus-id\tscore\nq1\t0\td1\t2\n")
    with pytest.raises(DataError, match="line 2: 4 words where the others have 3"):
        read_qrels(path)
    path.write_text("q1 d1 2\n")
    with pytest.raises(DataError, match="line 1: 3 words where the others have 4"):
        read_qrels(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 0 a\n", "line 1: 3 words where .* have 4"),
        ("1 0 a 1\n1 0 b x\n", "line 2: the grade 'x'"),
        ("1 0 a 1\n1 0 a 2\n", "line 2: 'a' has the grades 1 and 2 for '1'"),
        ("\n", "no line of"),
    ],
)
def test_bad_judgements_are_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "q.txt").write_text(text)
    with pytest.raises(DataError, match=said):
        read_qrels(tmp_path / "q.txt")


def test_bad_runs_are_named(tmp_path: Path) -> None:
    path = tmp_path / "r.txt"
    path.write_text("q Q0 a 1 high tag\n")
    with pytest.raises(DataError, match="line 1: the score 'high'"):
        read_run(path)
    path.write_text("q Q0 a 1 2 tag\nq Q0 a 2 1 tag\n")
    with pytest.raises(DataError, match="line 2: 'a' is ranked twice for 'q'"):
        read_run(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_run(tmp_path / "none.txt")
    with pytest.raises(DataError, match="cannot hold the id 'two words'"):
        write_run(path, {"q": [("two words", 1.0)]})
