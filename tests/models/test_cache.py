from __future__ import annotations

import hashlib
import multiprocessing
import os
import pickle
import signal
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import DataError
from pilotfish.model import Call, Reply, TokenLogprob, ToolCall, Trace
from pilotfish.models.cache import ReplyCache, default_cache


def key(word: object) -> bytes:
    return hashlib.sha256(str(word).encode()).digest()


def said(text: str, tokens_in: int = 3, tokens_out: int = 2) -> Reply:
    return Reply(text, trace=Trace((Call("m", "model", tokens_in, tokens_out, 1.5, 0.25),)))


token = st.builds(
    TokenLogprob, st.text(), st.floats(-20, 0), st.lists(st.tuples(st.text(), st.floats(-20, 0))).map(tuple)
)
reply = st.builds(
    Reply,
    st.text(),
    st.lists(st.builds(ToolCall, st.text(), st.text(), st.text())).map(tuple),
    st.sampled_from(["stop", "length", "tool_calls"]),
    st.none() | st.lists(token).map(tuple),
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> ReplyCache:
    return ReplyCache(tmp_path_factory.mktemp("cache") / "replies.sqlite")


@given(first=reply, others=st.lists(reply, max_size=2), tokens=st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_gives_back_what_was_put(
    shared: ReplyCache, first: Reply, others: list[Reply], tokens: tuple[int, int]
) -> None:
    whole = first.with_(choices=tuple(others), trace=said("", *tokens).trace)
    shared.put(key("one"), whole)
    found = shared.get(key("one"), "now")
    assert found is not None
    assert found.with_(trace=Trace()) == whole.with_(trace=Trace())
    (call,) = found.trace.calls
    assert (call.model, call.tokens_in, call.tokens_out, call.cost, call.cached) == ("now", *tokens, 0.0, True)


def test_unknown_keys_and_replaced_replies(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path / "deep" / "folder" / "r.sqlite")
    assert cache.get(key("a"), "m") is None
    cache.put(key("a"), said("one"))
    cache.put(key("a"), said("two"))
    found = cache.get(key("a"), "m")
    assert found is not None
    assert found.text == "two"
    assert len(cache) == 1
    assert oct(cache.path.stat().st_mode & 0o777) == "0o600"


def test_reading_one_of_25000_replies_takes_under_a_millisecond(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    full = said("word " * 100).with_(logprobs=tuple(TokenLogprob("tok", -0.5, (("tok", -0.5),)) for _ in range(20)))
    cache = ReplyCache(path)
    cache.put(key(0), full)
    with sqlite3.connect(path) as raw:  # the rows that 24,999 more calls of put make, in one transaction
        (text,) = raw.execute("SELECT reply FROM replies").fetchone()
        rows = ((key(i), time.time(), text) for i in range(1, 25_000))
        raw.executemany("INSERT INTO replies (key, created, reply) VALUES (?, ?, ?)", rows)
    raw.close()
    cache.close()
    assert len(cache) == 25_000
    seconds = []
    for i in range(0, 25_000, 25):
        start = time.perf_counter()
        found = cache.get(key(i * 7919 % 25_000), "m")
        seconds.append(time.perf_counter() - start)
        assert found is not None
    assert statistics.median(seconds) < 0.001


def test_threads_share_one_cache(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path / "r.sqlite")
    wrong: list[object] = []

    def work(name: int) -> None:
        for i in range(50):
            cache.put(key((name, i)), said(f"{name}-{i}"))
            found = cache.get(key((name, i)), "m")
            if found is None or found.text != f"{name}-{i}":
                wrong.append((name, i, found))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(cache) == 300


def _fill(path: str, name: int) -> None:
    cache = ReplyCache(path)
    for i in range(50):
        cache.put(key((name, i)), said(f"{name}-{i}"))


def test_processes_create_and_fill_one_cache_at_once(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    spawn = multiprocessing.get_context("fork")  # quick to start, so that they do meet
    processes = [spawn.Process(target=_fill, args=(str(path), name)) for name in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 6
    assert len(ReplyCache(path)) == 300


def test_a_fork_does_not_share_the_connection(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path / "r.sqlite")
    cache.put(key("parent"), said("parent"))

    def child() -> None:
        cache.put(key("child"), said("child"))
        os._exit(0 if cache._pid == os.getpid() and len(cache) == 2 else 1)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    assert process.exitcode == 0
    assert len(cache) == 2


_WRITER = """
import sys, hashlib
from pilotfish.models.cache import ReplyCache
from pilotfish.model import Reply
cache = ReplyCache(sys.argv[1])
for i in range(10**6):
    cache.put(hashlib.sha256(str(i).encode()).digest(), Reply(f"reply {i}"))
    print(i, flush=True)
"""


def test_kill_9_loses_no_reply_that_was_put(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        done = -1
        for line in writer.stdout:
            done = int(line)
            if done == 200:
                writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        cache = ReplyCache(path)
        for i in range(done + 1):
            found = cache.get(key(i), "m")
            assert found is not None
            assert found.text == f"reply {i}"
        cache.close()


_VISIT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM replies").fetchone()
connection.close()
"""


def test_another_process_does_not_take_the_file_for_its_own(tmp_path: Path) -> None:
    """The writer's locks hold though the reader was opened after it.

    Without them a visitor that closes the file would delete the write-ahead log, and what is put then would be lost.
    """
    cache = ReplyCache(tmp_path / "r.sqlite")
    cache.put(key("a"), said("before"))
    assert cache.get(key("a"), "m") is not None  # opens the reader
    subprocess.run([sys.executable, "-c", _VISIT, str(cache.path)], check=True)
    assert cache.path.with_name("r.sqlite-wal").exists()
    cache.put(key("b"), said("after"))
    cache.close()
    found = ReplyCache(cache.path).get(key("b"), "m")
    assert found is not None
    assert found.text == "after"


def test_a_file_of_an_earlier_version_opens(tmp_path: Path) -> None:
    """As `pilotfish.models.cache` made it before it shared its way of opening files."""
    path = tmp_path / "r.sqlite"
    with sqlite3.connect(path, isolation_level=None) as raw:
        for statement in (
            "PRAGMA auto_vacuum = INCREMENTAL",
            "PRAGMA journal_mode = WAL",
            "CREATE TABLE IF NOT EXISTS replies (\n    id INTEGER PRIMARY KEY,\n    key BLOB NOT NULL UNIQUE,\n"
            "    created REAL NOT NULL,\n    reply TEXT NOT NULL\n)",
            "CREATE INDEX IF NOT EXISTS by_age ON replies (created)",
            "PRAGMA application_id = 1346783571",
            "PRAGMA user_version = 1",
        ):
            raw.execute(statement)
        text = '{"text":"old","finish":"stop","calls":[],"logprobs":null,"choices":[],"in":3,"out":2}'
        raw.execute("INSERT INTO replies (key, created, reply) VALUES (?, 1.0, ?)", (key("a"), text))
    raw.close()
    cache = ReplyCache(path)
    cache.put(key("b"), said("new"))
    found = cache.get(key("a"), "m")
    assert found is not None
    assert found.text == "old"
    assert len(cache) == 2


def test_prune_drops_the_oldest_first(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path / "r.sqlite")
    for i in range(400):
        cache.put(key(i), said("x" * 2000))
    before = cache.path.stat().st_size
    dropped = cache.prune(max_bytes=400_000)
    assert 0 < dropped < 400
    assert cache.get(key(dropped - 1), "m") is None
    assert cache.get(key(dropped), "m") is not None
    assert len(cache) == 400 - dropped
    cache.close()  # the last connection folds the log into the file
    assert cache.path.stat().st_size <= 420_000 < before + 1
    assert cache.prune(older_than=3600) == 0
    assert cache.prune(older_than=-1) == 400 - dropped


def test_the_size_limit_holds_by_itself(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path / "r.sqlite", max_bytes=500_000)
    for i in range(1200):
        cache.put(key(i), said("x" * 1000))
    cache.close()
    assert cache.path.stat().st_size < 500_000 + 256 * 1500  # the size is looked at every 256 replies
    assert cache.get(key(1199), "m") is not None
    assert cache.get(key(0), "m") is None


def test_a_damaged_file_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    path.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(DataError, match=r"r\.sqlite is damaged .*: delete it, or name another file"):
        ReplyCache(path).get(key("a"), "m")


def test_damage_in_the_middle_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    cache = ReplyCache(path)
    for i in range(300):
        cache.put(key(i), said("x" * 500))
    cache.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    with pytest.raises(DataError, match="damaged"):
        for i in range(300):
            cache.get(key(i), "m")


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE mine (x)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(DataError, match="another program"):
        ReplyCache(path).put(key("a"), said("x"))
    assert path.read_bytes() == before


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path / "r.sqlite")
    cache.put(key("a"), said("x"))
    cache.close()
    raw = sqlite3.connect(cache.path)
    raw.execute("PRAGMA user_version = 99")
    raw.close()
    with pytest.raises(DataError, match="version 99, this Pilotfish reads 1"):
        cache.get(key("a"), "m")


def test_a_full_disk_is_one_clear_error_and_what_was_put_stays(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path / "r.sqlite")
    cache.put(key("a"), said("kept"))
    cache._connections["_writer"].execute("PRAGMA max_page_count = 12")  # SQLite's own full disk
    with pytest.raises(DataError, match="no room left"):
        cache.put(key("b"), said("x" * 100_000))
    found = cache.get(key("a"), "m")
    assert found is not None
    assert found.text == "kept"
    assert cache.get(key("b"), "m") is None


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be opened"):
        ReplyCache(tmp_path / "file" / "r.sqlite").get(key("a"), "m")
    with pytest.raises(DataError, match="cannot be opened: Is a directory"):
        ReplyCache(tmp_path).get(key("a"), "m")


def test_a_pickled_copy_opens_the_same_file(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path / "r.sqlite", max_bytes=10**6)
    cache.put(key("a"), said("x"))
    copy = pickle.loads(pickle.dumps(cache))
    assert copy.max_bytes == 10**6
    assert copy.get(key("a"), "m") is not None


def test_the_default_place_follows_the_home_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PILOTFISH_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "replies.sqlite"
    monkeypatch.delenv("PILOTFISH_HOME")
    assert default_cache().parent.name == "pilotfish"
