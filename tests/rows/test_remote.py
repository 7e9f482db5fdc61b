"""Rows behind URLs: read from them, runs whose folder is there, gone on with on another machine."""

from __future__ import annotations

import functools
import gzip
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pilotfish.curate import curate
from pilotfish.errors import ConfigError, DataError, UpstreamError
from pilotfish.rows import EachRow, Row, Rows, read, read_output, run, write
from tests.curate.test_curating import Rank, Short

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed: pip install 'pilotfish[remote]'")
ROWS: Rows = [{"n": n, "text": "x" * n} for n in range(50)]


@pytest.fixture(autouse=True)
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty store, `memory://`, and a cache of our own."""
    monkeypatch.setenv("PILOTFISH_HOME", str(tmp_path / "home"))
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()


def put(system: Any, path: str, data: bytes) -> str:
    system.pipe_file(path, data)
    return f"memory://{path}"


def jsonl(rows: Rows) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def test_rows_are_read_from_a_url(far: Any, tmp_path: Path) -> None:
    assert list(read(put(far, "/b/rows.jsonl", jsonl(ROWS)))) == ROWS
    assert list(read(put(far, "/b/rows.jsonl.gz", gzip.compress(jsonl(ROWS))))) == ROWS
    write(ROWS, tmp_path / "rows.parquet")
    assert list(read(put(far, "/b/rows.parquet", (tmp_path / "rows.parquet").read_bytes()))) == ROWS
    (tmp_path / "rows.jsonl").write_bytes(jsonl(ROWS))
    assert list(read(f"file://{tmp_path}/rows.jsonl")) == ROWS


def test_a_server_is_read_and_a_fault_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(jsonl(ROWS))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/rows.jsonl"
    try:
        assert list(read(url)) == ROWS
        report = run(url, EachRow(same), tmp_path / "out", progress=False)
        assert report.rows_out == 50
        with pytest.raises(DataError, match=r"^http://127\.0\.0\.1:\d+/none\.jsonl: no such file$"):
            list(read(url.replace("rows", "none")))
    finally:
        server.shutdown()
    for wrong, error in (("memory://b/none.jsonl", DataError), ("nothing://b/rows.jsonl", ConfigError)):
        with pytest.raises(error, match=f"^{wrong}: "):
            list(read(wrong))


def same(row: Row) -> Row:
    return row


def went(out: str | Path, source: Any = ROWS, **options: Any) -> Any:
    return run(source, Counted(), out, shard_rows=8, batch_size=4, progress=False, **options)


class Counted(EachRow):
    """Counts what it does; may stop at a row, or find an endpoint down."""

    done = 0
    stop_at: int | None = None
    down: set[int] = set()  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__(same)

    def each(self, row: Row) -> Any:
        if row["n"] == Counted.stop_at:
            raise ZeroDivisionError
        if row["n"] in Counted.down:
            raise UpstreamError("endpoint down: 503")
        Counted.done += 1
        return row


@pytest.fixture(autouse=True)
def counted() -> None:
    Counted.done, Counted.stop_at, Counted.down = 0, None, set()


def test_a_run_whose_folder_is_behind_a_url_is_gone_on_with_elsewhere(
    far: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = put(far, "/b/rows.jsonl", jsonl(ROWS))
    Counted.stop_at = 30
    with pytest.raises(ZeroDivisionError):
        went("memory://b/run", source)
    there = {path.rpartition("/")[2] for path in far.ls("/b/run", detail=False)}
    assert {"run.json", "shard-00000.done", "shard-00000.jsonl"} <= there
    assert not {"report.json", ".lock"} & there and not any(name.endswith(".journal") for name in there)
    # Another machine has the whole shards only.
    monkeypatch.setenv("PILOTFISH_HOME", str(tmp_path / "other"))
    Counted.stop_at, Counted.done = None, 0
    report = went("memory://b/run", source)
    assert (report.rows_out, report.resumed, report.out_dir) == (50, 24, "memory://b/run")
    assert Counted.done == 26
    assert list(read_output("memory://b/run")) == ROWS
    went(tmp_path / "here", put(far, "/b/rows.jsonl", jsonl(ROWS)))
    for path in (tmp_path / "here").glob("shard-*"):
        assert far.cat_file(f"/b/run/{path.name}") == path.read_bytes()
    # A third one has nothing yet, and needs nothing but what is there.
    monkeypatch.setenv("PILOTFISH_HOME", str(tmp_path / "third"))
    assert list(read_output("memory://b/run")) == ROWS


def test_rows_to_try_anew_are_put_anew(far: Any) -> None:
    Counted.down = {3}
    assert went("memory://b/run").again == 1
    Counted.down = set()
    assert went("memory://b/run").again == 0
    assert list(read_output("memory://b/run")) == ROWS
    assert "shard-00000.rejects.jsonl" not in {path.rpartition("/")[2] for path in far.ls("/b/run", detail=False)}


def test_what_was_not_put_yet_is_put_by_the_next_session(far: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = type(far)
    real = kind.put_file
    monkeypatch.setattr(kind, "put_file", lambda *args, **more: fail() if "shard-00001" in args[1] else real(*args))
    with pytest.raises(DataError, match=r"^memory://b/run: TimeoutError: the store does not answer$"):
        went("memory://b/run")
    monkeypatch.setattr(kind, "put_file", real)
    assert went("memory://b/run").rows_out == 50
    assert Counted.done == 50
    assert list(read_output("memory://b/run")) == ROWS


def fail() -> None:
    raise TimeoutError("the store does not answer")


def test_another_run_at_the_url_is_refused_and_fresh_discards_it(far: Any, tmp_path: Path) -> None:
    went("memory://b/run")
    far.pipe_file("/b/run/mine.txt", b"not ours")
    with pytest.raises(ConfigError, match="the input has changed"):
        went("memory://b/run", ROWS[:20])
    assert went("memory://b/run", ROWS[:20], resume=False).rows_out == 20
    assert list(read_output("memory://b/run")) == ROWS[:20]
    assert far.cat_file("/b/run/mine.txt") == b"not ours"


def test_a_curation_from_and_to_urls(far: Any, tmp_path: Path) -> None:
    source = put(far, "/b/rows.jsonl", jsonl(ROWS))
    report = curate(source, [Short(10), Rank(5)], "memory://b/out", progress=False)
    curate(ROWS, [Short(10), Rank(5)], tmp_path / "here", progress=False)
    assert (report.kept, report.out) == (5, "memory://b/out")
    for name in ("kept.jsonl", "dropped.jsonl", "rejects.jsonl"):
        assert far.cat_file(f"/b/out/{name}") == (tmp_path / "here" / name).read_bytes()
    assert curate(source, [Short(10), Rank(5)], "memory://b/out", progress=False).repeated
