"""`pilotfish serve` as users run it: a process that listens, answers, keeps its books and ends on a signal."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from pilotfish.serve.keys import new_key
from tests.cli.help import SECRET, error_of, pilotfish, remote, start, write_toml
from tests.fakes import Answer, ScriptedUpstream
from tests.forks import Forked


@contextmanager
def serving(file: Path, *flags: str) -> Iterator[tuple[httpx.Client, Forked]]:
    """Run the command until the block ends; gives a client and the process."""
    process = start("serve", file, "--port", "0", *flags, cwd=file.parent)
    try:
        said = process.stderr.readline().decode()
        while "serving" not in said:
            assert process.poll() is None, said
            said = process.stderr.readline().decode()
        with httpx.Client(base_url=said.split(" at ")[1].strip().removesuffix("/v1"), timeout=10) as client:
            yield client, process
    finally:
        process.terminate()
        process.wait(10)


def chat(client: httpx.Client, model: str = "small", key: str = "", **fields: object) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "mail me at ann@example.org"}], **fields}
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return client.post("/v1/chat/completions", json=body, headers=headers)


CASCADE = """
[models.both]
use = "cascade"
small = "small"
large = "large"
accept = { score = "mean-logprob", above = 0.0 }
"""


def test_every_model_of_a_file_is_served_nested_ones_too(tmp_path: Path) -> None:
    with ScriptedUpstream(Answer("a b"), key=SECRET) as upstream:
        file = write_toml(tmp_path / "c.toml", remote("small", upstream.url), remote("large", upstream.url), CASCADE)
        with serving(file) as (client, process):
            names = [row["id"] for row in client.get("/v1/models").json()["data"]]
            answer = chat(client, "both")
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        assert upstream.calls == 2
    assert names == ["small", "large", "both"]
    assert answer.headers["x-pilotfish-model"] == "large"
    assert answer.json()["usage"]["completion_tokens"] == 4
    assert SECRET not in process.stderr.read().decode()


def test_endpoints_keep_no_replies_on_disk_unless_the_file_says_so(tmp_path: Path) -> None:
    with ScriptedUpstream(Answer("a b")) as upstream:
        table = f'[models.small]\nuse = "openai"\nmodel = "m"\nbase_url = "{upstream.url}"\nkey_env = "TEST_KEY"\n'
        with serving(write_toml(tmp_path / "c.toml", table)) as (client, _):
            chat(client)
            chat(client)
        assert upstream.calls == 2


def test_keys_answers_and_the_log_of_the_serve_table(tmp_path: Path) -> None:
    secret, digest = new_key()
    table = f"""
[serve]
models = ["small"]
max_tokens = 50
[serve.answers]
ttl = 60
[serve.log]
to = "log.sqlite"
[[serve.keys]]
name = "ann"
sha256 = "{digest}"
"""
    with ScriptedUpstream(Answer("a b")) as upstream:
        file = write_toml(tmp_path / "c.toml", remote("small", upstream.url), remote("other", upstream.url), table)
        with serving(file, "--log-level", "debug") as (client, process):
            refused = chat(client)
            first, again = chat(client, key=secret), chat(client, key=secret)
            hidden = chat(client, "other", key=secret)
            limited = chat(client, key=secret, max_tokens=51)
            page, figures = client.get("/"), client.get("/live/summary", headers={"authorization": f"Bearer {secret}"})
        assert upstream.calls == 1
        assert upstream.seen[0].body["max_tokens"] == 50
    assert refused.status_code == 401
    said = process.stderr.read().decode()
    assert "POST" in said  # it does tell, on debug
    assert secret not in said + refused.text
    assert SECRET not in said
    assert (first.status_code, again.status_code, hidden.status_code, limited.status_code) == (200, 200, 404, 400)
    assert (page.status_code, figures.status_code) == (200, 403)  # who is no admin sees no traffic
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert again.json()["choices"] == first.json()["choices"]
    with sqlite3.connect(tmp_path / "log.sqlite") as log:
        tables = [name for (name,) in log.execute("select name from sqlite_master where type = 'table'")]
        text = "\n".join(str(row) for name in tables for row in log.execute(f"select * from {name}"))
    assert first.headers["x-request-id"] in text
    assert "ann@example.org" not in text  # taken out before it was written
    assert secret not in text


def test_ctrl_c_finishes_a_stream(tmp_path: Path) -> None:
    with ScriptedUpstream(Answer("one two three four five", drip=0.15)) as upstream:
        file = write_toml(tmp_path / "c.toml", remote("small", upstream.url))
        with serving(file) as (client, process):
            got = ""
            body = {"model": "small", "messages": [{"role": "user", "content": "x"}], "stream": True}
            with client.stream("POST", "/v1/chat/completions", json=body) as response:
                lines = response.iter_lines()
                next(lines)  # the role, before any text
                process.send_signal(signal.SIGINT)  # once: a second one stops at once
                for line in lines:
                    if line.startswith("data: {"):
                        got += json.loads(line[6:])["choices"][0]["delta"].get("content") or ""
            assert got == "one two three four five"
            assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("[serve]\nprot = 1", "unknown key 'serve.prot'; did you mean 'port'?"),
        ('[serve]\nmodels = ["smal"]', "no such model; did you mean 'small'?"),
        ("[serve]\nport = 99999", "port"),
        ('[[serve.keys]]\nname = "ann"\nsha256 = "abc"', "needs `sha256`, 64 hexadecimal digits"),
        ('[serve]\nhosts = ["http://box.lan"]', 'bare names such as "box.lan"'),
        ('[serve.answers]\nencoder = "small"', "is not an encoder"),
    ],
)
def test_a_wrong_table_is_told_in_one_line(tmp_path: Path, table: str, said: str) -> None:
    file = write_toml(tmp_path / "c.toml", remote("small", "http://127.0.0.1:9/v1"), table)
    assert said in error_of(pilotfish("serve", file, "--port", "0", cwd=tmp_path))


def test_other_names_lead_here_only_where_the_file_says_so(tmp_path: Path) -> None:
    file = write_toml(tmp_path / "c.toml", remote("small", "http://127.0.0.1:9/v1"), '[serve]\nhosts = ["box.lan"]')
    with serving(file) as (client, _):
        told = [client.get("/", headers={"host": host}).status_code for host in ("localhost", "box.lan", "evil.lan")]
    assert told == [200, 200, 403]


def test_a_port_that_is_taken_is_told_in_one_line(tmp_path: Path) -> None:
    file = write_toml(tmp_path / "c.toml", remote("small", "http://127.0.0.1:9/v1"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = error_of(pilotfish("serve", file, "--port", port, cwd=tmp_path))
    assert f"cannot listen at 127.0.0.1:{port}" in line


def test_ready_soon(tmp_path: Path) -> None:
    file = write_toml(tmp_path / "c.toml", remote("small", "http://127.0.0.1:9/v1"))
    begun = time.monotonic()
    with serving(file) as (client, _):
        assert client.get("/readyz").status_code == 200
    assert time.monotonic() - begun < 10
