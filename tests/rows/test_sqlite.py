from __future__ import annotations

import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pilotfish.errors import DataError
from pilotfish.rows._sqlite import Kind, _making

KIND = Kind("list of words", application=0x50465457, schema=2, create=("CREATE TABLE words (word TEXT)",))
VISIT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM words").fetchone()
connection.close()
"""


def words(path: Path) -> list[str]:
    connection = KIND.open(path)
    found = [word for (word,) in connection.execute("SELECT word FROM words ORDER BY word")]
    connection.close()
    return found


def test_a_new_file_is_ours_and_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "words.sqlite"
    KIND.open(path).close()
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    raw = sqlite3.connect(path)
    looks = ("application_id", "user_version", "journal_mode", "auto_vacuum")
    assert [raw.execute(f"PRAGMA {look}").fetchone()[0] for look in looks] == [KIND.application, 2, "wal", 2]
    raw.close()


def test_a_link_to_no_file_makes_one_for_its_owner_alone(tmp_path: Path) -> None:
    link = tmp_path / "link.sqlite"
    link.symlink_to(tmp_path / "words.sqlite")
    KIND.open(link).close()
    assert oct((tmp_path / "words.sqlite").stat().st_mode & 0o777) == "0o600"


def test_a_second_connection_leaves_the_locks_of_the_first(tmp_path: Path) -> None:
    """Without them a visitor deletes the write-ahead log, and what is written then is lost without an error."""
    path = tmp_path / "words.sqlite"
    first = KIND.open(path)
    first.execute("INSERT INTO words VALUES ('before')")
    second = KIND.open(path)
    subprocess.run([sys.executable, "-c", VISIT, str(path)], check=True)
    assert path.with_name("words.sqlite-wal").exists()
    first.execute("INSERT INTO words VALUES ('later')")
    first.close()
    second.close()
    assert words(path) == ["before", "later"]


def test_opening_waits_for_no_writer(tmp_path: Path) -> None:
    path = tmp_path / "words.sqlite"
    first = KIND.open(path)
    first.execute("BEGIN IMMEDIATE")
    KIND.open(path).close()
    first.execute("COMMIT")
    first.close()


def _add(path: Path, word: str) -> None:
    connection = KIND.open(path)
    connection.execute("INSERT INTO words VALUES (?)", (word,))
    connection.close()


def test_threads_and_processes_make_one_file_at_once(tmp_path: Path) -> None:
    for number in range(5):
        path = tmp_path / f"words-{number}.sqlite"
        fork = multiprocessing.get_context("fork")
        processes = [fork.Process(target=_add, args=(path, f"p{i}")) for i in range(4)]
        threads = [threading.Thread(target=_add, args=(path, f"t{i}")) for i in range(4)]
        for process in processes:
            process.start()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0] * 4
        assert words(path) == ["p0", "p1", "p2", "p3", "t0", "t1", "t2", "t3"]


def test_a_fork_while_a_file_is_made_does_not_hang_the_child() -> None:
    with _making:
        forked: list[int] = []

        def fork() -> None:
            child = os.fork()
            if child == 0:
                os._exit(0 if _making.acquire(timeout=5) else 1)
            forked.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

        thread = threading.Thread(target=fork)
        thread.start()
        thread.join(0.2)
        assert not forked  # the fork waits until the file is made
    thread.join()
    assert forked == [0]


@pytest.mark.parametrize("statement", ["CREATE TABLE mine (x)", "PRAGMA application_id = 7", "PRAGMA user_version = 2"])
def test_another_programs_file_is_left_alone(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "other.sqlite"
    other = sqlite3.connect(path)
    other.execute(statement)
    other.close()
    before = path.read_bytes()
    with pytest.raises(DataError, match="a database of another program, not a list of words: name another file"):
        KIND.open(path)
    assert path.read_bytes() == before


def test_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.sqlite"
    KIND.open(path).close()
    newer = Kind("list of words", KIND.application, 3, KIND.create)
    with pytest.raises(DataError, match="has version 2, this Pilotfish reads 3: name another file"):
        newer.open(path)


def test_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "words.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(DataError, match=r"damaged .*: move it away, or name another file"):
        KIND.open(path)
    gone = Kind("list of words", KIND.application, 2, KIND.create, remedy="delete it")
    with pytest.raises(DataError, match=r"damaged .*: delete it, or name another file"):
        gone.open(path)


def test_places_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be opened: Is a directory"):
        KIND.open(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be opened: "):
        KIND.open(tmp_path / "file" / "words.sqlite")
    loop = tmp_path / "loop.sqlite"
    loop.symlink_to(loop)
    with pytest.raises(DataError, match="list of words"):
        KIND.open(loop)
