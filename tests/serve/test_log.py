"""The decision log: what was put is there, in SQLite and in a real PostgreSQL server; nothing blocks."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.infer.routing import Outcomes
from pilotfish.model import Call, Decision, Reply, Request, Trace
from pilotfish.serve._log_postgres import PostgresStore
from pilotfish.serve.log import DecisionLog

from .served import NOW, served

Where = Callable[[], str | Path]


def _postgres_bin() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    here = shutil.which("initdb")
    return Path(here).parent if here else None


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server of our own, without a database of a test's."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'pilotfish[postgres]'")
    programs = _postgres_bin()
    if programs is None:
        pytest.skip("no PostgreSQL server on this machine (Debian: apt-get install postgresql)")
    folder = tmp_path_factory.mktemp("postgres")
    as_user: dict[str, Any] = {}
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        import pwd

        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        for parent in (folder, *folder.parents):
            if parent.stat().st_uid == 0 and parent.name.startswith(("pytest", "popen", "postgres")):
                parent.chmod(0o755)
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    data = folder / "data"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    setting = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, **as_user}
    make = ["-D", str(data), "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8"]
    subprocess.run([str(programs / "initdb"), *make], check=True, timeout=60, **setting)
    options = ["-k", str(folder), "-p", str(port), "-h", "127.0.0.1", "-c", "fsync=off"]
    server = subprocess.Popen([str(programs / "postgres"), "-D", str(data), *options], **setting)
    try:
        import psycopg

        url = f"postgresql://postgres@127.0.0.1:{port}"
        end = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(f"{url}/postgres").close()
                break
            except psycopg.OperationalError:
                assert server.poll() is None
                assert time.monotonic() < end
                time.sleep(0.05)
        yield url
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(20)


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    """A database for one test."""
    if request.param == "sqlite":
        return tmp_path / "log.sqlite"
    url = request.getfixturevalue("postgres")
    import psycopg

    name = f"test_{os.getpid()}_{time.monotonic_ns()}"
    with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{url}/{name}"


def filled(where: str | Path, count: int = 12, **settings: Any) -> DecisionLog:
    log = DecisionLog(where, every=0.01, **settings)
    for number in range(count):
        log.put(served(number))
    assert log.flush()
    return log


def test_what_was_put_is_there(where: str | Path) -> None:
    log = filled(where, 4)
    rows = log.rows()
    assert [row["id"] for row in rows] == [f"chatcmpl-{n}" for n in range(4)]
    row = rows[3]
    assert row["time"] == NOW + 3
    assert (row["key"], row["model"], row["answered_by"], row["status"]) == ("ann", "assistant", "large", 200)
    assert (row["verdict"], row["score"], row["attempts"], row["cost"]) == ("deferred", -1.3, 2, 0.021)
    assert (row["tokens_in"], row["tokens_out"], row["streamed"], row["cached"]) == (16, 6, False, False)
    assert row["request"] == {"messages": [{"role": "user", "content": row["prompt"]}], "max_tokens": 20}
    assert row["reply"] == {"text": "Armstrong", "finish_reason": "stop"}
    assert [call["model"] for call in row["calls"]] == ["small", "large"]
    decided = {"model": "assistant", "verdict": "deferred", "score": -1.3, "threshold": None}
    assert row["decisions"] == [decided]
    assert (log.written, log.dropped) == (4, 0)
    log.close()


def test_rows_by_time_model_and_number(where: str | Path) -> None:
    log = filled(where)
    log.put(served(99, model="other"))
    log.flush()
    ids = [row["id"] for row in log.rows(since=NOW + 3, until=NOW + 6)]
    assert ids == ["chatcmpl-3", "chatcmpl-4", "chatcmpl-5"]
    assert [row["id"] for row in log.rows(model="other")] == ["chatcmpl-99"]
    assert [row["id"] for row in log.rows(limit=2, texts=False)] == ["chatcmpl-11", "chatcmpl-99"]
    after = log.rows()[10]["seq"]
    later = log.rows(after=after, texts=False)
    assert [row["id"] for row in later] == ["chatcmpl-11", "chatcmpl-99"]
    assert "prompt" not in later[0]
    log.close()


def test_the_latest_of_a_time_are_found_without_a_look_at_all(tmp_path: Path) -> None:
    log = filled(tmp_path / "log.sqlite", 3000)
    reader = log._store._connections["read"]  # type: ignore[attr-defined]
    looked = 0

    def count() -> None:
        nonlocal looked
        looked += 1

    reader.set_progress_handler(count, 100)
    assert [row["id"] for row in log.rows(since=NOW + 2997, limit=500)] == [f"chatcmpl-{n}" for n in (2997, 2998, 2999)]
    assert looked < 20  # hundreds of steps; a row that is looked at in vain takes several
    log.put(served(5))  # written late, as by a replica that was cut off
    assert log.flush()
    assert [row["id"] for row in log.rows(since=NOW, limit=2)] == ["chatcmpl-2998", "chatcmpl-2999"]
    log.close()


def test_one_row_and_how_much_of_it(where: str | Path) -> None:
    log = filled(where)
    (row,) = log.rows(id="chatcmpl-3")
    assert row["reply"]["text"] == "Armstrong"
    (short,) = log.rows(id="chatcmpl-3", texts="prompt")
    assert short == {name: value for name, value in row.items() if name not in ("request", "reply")}
    assert "prompt" not in log.rows(id="chatcmpl-3", texts=False)[0]
    assert log.rows(id="chatcmpl-99") == []
    log.close()


def test_odd_texts_come_back(where: str | Path) -> None:
    texts = ["", "naïve 🐟 ", 'quo"te\\', "nul\x00", "half \ud83d", "'; DROP TABLE served; --"]
    log = DecisionLog(where, redact="off")
    for number, text in enumerate(texts):
        log.put(served(number, text, error=text, key=text))
    log.flush()
    kept = [row["prompt"] for row in log.rows()]
    assert kept[:3] == texts[:3]
    assert kept[5] == texts[5]
    assert len(kept) == len(texts)
    log.close()


def test_private_data_is_never_written(where: str | Path) -> None:
    log = DecisionLog(where)
    reply = Reply("Write to ann@mail.example").with_(trace=served().reply.trace)  # type: ignore[union-attr]
    log.put(served(1, "I am ann@mail.example, card 4111 1111 1111 1111", reply=reply, error="ann@mail.example"))
    log.flush()
    (row,) = log.rows()
    assert "ann@" not in repr(row)
    assert row["prompt"] == "I am [email], card [card]"
    log.close()
    if isinstance(where, Path):
        whole = b"".join(file.read_bytes() for file in where.parent.iterdir())
        assert b"ann@" not in whole
        assert b"4111" not in whole


def test_no_text_at_all(where: str | Path) -> None:
    log = DecisionLog(where, redact="all")
    for number, text in enumerate(("secret one", "secret one", "secret two")):
        log.put(served(number, text))
    log.flush()
    one, same, two = (row["prompt"] for row in log.rows())
    assert one == same != two
    assert "secret" not in repr(log.rows())
    log.close()
    again = DecisionLog(where, redact="all")  # the salt is the database's
    again.put(served(9, "secret one"))
    again.flush()
    assert again.rows()[-1]["prompt"] == one
    again.close()


def test_ratings(where: str | Path) -> None:
    log = filled(where, 4)
    log.rate("chatcmpl-3", 0.9)
    log.rate("chatcmpl-3", 0.2, model="small")
    log.rate("chatcmpl-1", 1)
    log.rate("chatcmpl-1", 0)
    assert [row["quality"] for row in log.rows()] == [{}, {"small": 0.0}, {}, {"large": 0.9, "small": 0.2}]
    log.close()


def test_forgetting(where: str | Path) -> None:
    log = DecisionLog(where)
    now = time.time()
    for number in range(6):
        log.put(served(number, time=now - 86400 * number))
    log.flush()
    log.rate("chatcmpl-5", 1.0)
    assert log.forget(2.5 * 86400) == 3
    assert [row["id"] for row in log.rows()] == ["chatcmpl-0", "chatcmpl-1", "chatcmpl-2"]
    log.put(served(5, time=now))
    log.flush()
    assert log.rows()[-1]["quality"] == {}
    log.close()


def test_retention_forgets_by_itself(where: str | Path) -> None:
    first = DecisionLog(where)
    first.put(served(0, time=time.time() - 100))
    first.put(served(1, time=time.time()))
    first.close()
    second = DecisionLog(where, retention=50, every=0.01)
    end = time.monotonic() + 5
    while len(second.rows()) > 1 and time.monotonic() < end:
        time.sleep(0.01)
    assert [row["id"] for row in second.rows()] == ["chatcmpl-1"]
    second.close()


def test_closing_writes_what_waits(where: str | Path) -> None:
    log = DecisionLog(where, every=60)
    for number in range(1200):
        log.put(served(number))
    log.close()
    log.close()
    log.put(served(1))
    assert (log.written, log.dropped) == (1200, 1)
    again = DecisionLog(where)
    assert len(again.rows(texts=False)) == 1200
    again.close()


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
def test_export_is_what_routers_learn_from(where: str | Path, name: str, tmp_path: Path) -> None:
    log = filled(where, 9)
    log.put(served(20, status=499, error="left"))
    log.put(served(21, cached=True))
    log.put(served(22, reply=None, status=502))
    log.flush()
    log.rate("chatcmpl-0", 1.0)
    log.rate("chatcmpl-0", 0.0, "small")
    path = tmp_path / name
    assert log.export(path) == 9
    log.close()
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file)) if name.endswith("csv") else [json.loads(line) for line in file]
    outcomes = Outcomes.of(
        rows,
        text="prompt",
        quality={"small": "quality:small", "large": "quality:large"},
        cost={"small": "cost:small", "large": "cost:large"},
    )
    assert outcomes.quality[0].tolist() == [0, 1]
    assert outcomes.cost[0].tolist() == [0.001, 0.02]
    assert outcomes.cost[1].tolist()[0] == 0.001
    assert str(outcomes.cost[1].tolist()[1]) == "nan"
    assert rows[0]["reply"] == "Armstrong"


def _write(where: str | Path, name: str) -> None:
    log = DecisionLog(where, every=0.01)
    for number in range(300):
        log.put(served(number, key=name))
    log.close()


def test_several_replicas_write(where: str | Path) -> None:
    context = multiprocessing.get_context("spawn")
    replicas = [context.Process(target=_write, args=(where, name)) for name in "abc"]
    for replica in replicas:
        replica.start()
    for replica in replicas:
        replica.join(60)
    assert [replica.exitcode for replica in replicas] == [0, 0, 0]
    log = DecisionLog(where)
    rows = log.rows(texts=False)
    log.close()
    assert sorted({row["key"] for row in rows}) == ["a", "b", "c"]
    assert len(rows) == 900


def test_another_process_does_not_take_the_file_for_its_own(tmp_path: Path) -> None:
    """The locks of a first connection hold though a second one was opened after it.

    Without them a visitor that closes the file would delete the write-ahead log, and what we write then would be lost.
    """
    where = tmp_path / "log.sqlite"
    filled(where, 1).close()
    log = filled(where, 1)
    visit = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT count(*) FROM served').fetchone()"
    subprocess.run([sys.executable, "-c", f"{visit}; c.close()", str(where)], check=True)
    assert where.with_name("log.sqlite-wal").exists()
    log.put(served(1))
    log.close()
    again = DecisionLog(where)
    assert len(again.rows()) == 3
    again.close()


KILLED = """
import sys, time
from tests.serve.served import served
from pilotfish.serve.log import DecisionLog
log = DecisionLog(sys.argv[1], every=0.05)
for number in range(200):
    log.put(served(number))
log.flush()
print("flushed", flush=True)
log._wake.clear()
for number in range(200, 205):
    log.put(served(number))
time.sleep(60)
"""


def test_kill_9_loses_the_queue_at_most(tmp_path: Path) -> None:
    where = tmp_path / "log.sqlite"
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(where)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "flushed\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    log = DecisionLog(where)
    assert len(log.rows()) in range(200, 206)
    log.close()


def test_what_does_not_fit_is_counted_and_nothing_blocks(tmp_path: Path) -> None:
    where = tmp_path / "log.sqlite"
    log = DecisionLog(where, queue=50, every=0.01)
    with sqlite3.connect(where, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")  # a writer that does not let go
        log.put(served(0))
        time.sleep(0.1)
        start = time.perf_counter()
        for number in range(1, 2000):
            log.put(served(number))
        assert time.perf_counter() - start < 1
        other.execute("COMMIT")
    assert log.flush()
    assert log.dropped > 0
    assert log.dropped + log.written == 2000
    assert len(log.rows()) == log.written
    log.close()


def test_a_database_that_is_away_for_a_while(postgres: str, caplog: pytest.LogCaptureFixture) -> None:
    import psycopg

    name = f"away_{time.monotonic_ns()}"
    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        log = DecisionLog(f"{postgres}/{name}", every=0.01)
        log.put(served(0))
        assert log.flush()
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        log.put(served(1))
        assert log.flush()
        assert [row["id"] for row in _patiently(log)] == ["chatcmpl-0", "chatcmpl-1"]
        log.close()
    assert caplog.text.count("wait in memory") <= 1
    assert "postgres@" not in caplog.text


def test_closing_does_not_wait_for_a_database_that_hangs(
    where: str | Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pilotfish.serve.log._PATIENCE", 0.3)
    log = filled(where, 1)
    if isinstance(where, Path):
        holder: Any = sqlite3.connect(where, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
    else:
        import psycopg

        holder = psycopg.connect(where)
        holder.execute("LOCK TABLE pilotfish_served IN ACCESS EXCLUSIVE MODE")
    log.put(served(1))
    time.sleep(0.1)  # the log's thread waits for the lock by now
    start = time.perf_counter()
    log.close()
    assert time.perf_counter() - start < 3
    assert "does not answer: 1 records may be lost" in caplog.text
    holder.rollback()
    holder.close()
    log._thread.join(10)
    log._store.close()


@pytest.mark.parametrize(("query", "expected"), [("", "15000"), ("?tcp_user_timeout=4000", "4000")])
def test_a_connection_that_died_is_noticed(postgres: str, query: str, expected: str) -> None:
    store = PostgresStore(f"{postgres}/postgres{query}")
    told = store._connections["write"].info.get_parameters()
    assert (told["tcp_user_timeout"], told["keepalives_idle"], told["connect_timeout"]) == (expected, "10", "10")
    store.close()


def _patiently(log: DecisionLog) -> list[dict[str, Any]]:
    """Read, once more where the connection was cut."""
    try:
        return log.rows()
    except DataError:
        return log.rows()


def test_errors_name_no_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(DataError) as caught:
        DecisionLog("postgresql://zoe:hunter2@127.0.0.1:1/db")
    assert "hunter2" not in str(caught.value)
    assert "zoe" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_another_version_is_refused(tmp_path: Path) -> None:
    where = tmp_path / "log.sqlite"
    filled(where, 1).close()
    with sqlite3.connect(where) as other:
        other.execute("PRAGMA user_version = 9")
    with pytest.raises(DataError, match="version 9"):
        DecisionLog(where)


def test_a_record_that_cannot_be_a_row_is_dropped(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "log.sqlite", every=0.01)
    log.put(served(0, request=None))
    log.put(served(1))
    assert log.flush()
    assert [row["id"] for row in log.rows()] == ["chatcmpl-1"]
    assert log.dropped == 1
    log.close()


def test_odd_numbers_do_not_stop_the_log(where: str | Path) -> None:
    """What an endpoint says it used may be beyond what a column holds, and a score may be of numpy's kinds."""
    log = DecisionLog(where, every=0.01)
    calls = (Call("small", tokens_in=10**30, tokens_out=-(10**30), cost=float("nan")),)
    scores: list[Any] = [np.float32(0.5), np.int64(2), float("inf")]
    for score in scores:
        log.put(served(0, reply=Reply("x", trace=Trace(calls, (Decision("a", "accepted", score),)))))
    log.put(served(1))
    assert log.flush()
    assert log.written == 4
    assert log.dropped == 0
    rows = log.rows()
    assert [row["score"] for row in rows[:3]] == [0.5, 2.0, float("inf")]
    assert rows[0]["tokens_in"] == 2**31 - 1
    assert rows[0]["cost"] is None
    log.close()


def test_an_error_of_no_known_kind_does_not_stop_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = DecisionLog(tmp_path / "log.sqlite", every=0.01)
    write = log._store.write

    def fail(rows: Any) -> None:
        monkeypatch.setattr(log._store, "write", write)
        raise OverflowError("as a driver may raise for a value of an odd kind")

    monkeypatch.setattr(log._store, "write", fail)
    log.put(served(0))
    assert log.flush()
    log.put(served(1))
    assert log.flush()
    assert [row["id"] for row in log.rows()] == ["chatcmpl-1"]
    assert (log.written, log.dropped) == (1, 1)
    log.close()


def test_long_texts_are_cut(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "log.sqlite", longest=1000)
    log.put(served(0, request=Request.of("x" * 50_000)))
    log.put(served(1, request=Request.of([{"role": "user", "content": "y"}] * 5000)))
    log.flush()
    first, second = log.rows()
    assert len(first["prompt"]) == 1000
    assert "…[cut]" in first["request"]["messages"][0]["content"]
    assert second["request"]["cut"] > 1000
    log.close()


@pytest.mark.parametrize("settings", [{"queue": 0}, {"every": 0}, {"retention": 0}, {"longest": 1}, {"redact": "some"}])
def test_settings_that_cannot_be(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        DecisionLog(tmp_path / "log.sqlite", **settings)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ConfigError, match="postgresql"):
        DecisionLog("mysql://localhost/x")
