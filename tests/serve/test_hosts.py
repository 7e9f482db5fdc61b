"""A gateway without keys on this machine answers to its own names only, not to a web page's that leads here."""

from __future__ import annotations

import hashlib
import socket

import pytest

from pilotfish.errors import ConfigError
from pilotfish.model import Model
from pilotfish.serve._hosts import own_names
from pilotfish.serve._server import bind
from pilotfish.serve.keys import Keys
from pilotfish.serve.settings import Settings
from tests.fakes import ScriptedModel
from tests.serve.gateways import running, started

ASKED = {"model": "small", "messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "[::1]"])
@pytest.mark.parametrize("port", ["", ":{port}", ":80"])
def test_its_own_names(host: str, port: str) -> None:
    with running({"small": ScriptedModel()}) as gateway:
        told = gateway.client.get("/v1/models", headers={"host": host + port.format(port=gateway.port)})
    assert told.status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "localhost.evil.example", "127.0.0.1.evil.example", "[::2]", "x" * 999],
)
def test_any_other_name_is_refused_before_anything_is_done(host: str) -> None:
    model = ScriptedModel()
    with running({"small": model}) as gateway:
        headers = {"host": host.format(port=gateway.port)}
        for path in ("/", "/v1/models", "/live/rows", "/metrics", "/healthz"):
            assert gateway.client.get(path, headers=headers).status_code == 403
        refused = gateway.post("chat/completions", ASKED, **headers)
        assert refused.status_code == 403
        assert refused.headers["connection"] == "close"
        error = refused.json()["error"]
    assert (error["code"], error["type"]) == ("host_not_allowed", "permission_error")
    assert headers["host"][:100] in error["message"]
    assert "\n" not in error["message"]
    assert len(error["message"]) < 300
    assert model.calls == 0


@pytest.mark.parametrize("head", [b"GET /v1/models HTTP/1.0\r\n\r\n", b"GET /v1/models HTTP/1.1\r\nHost:\r\n\r\n"])
def test_no_name_at_all_is_refused(head: bytes) -> None:
    with running({}) as gateway, socket.create_connection(("127.0.0.1", gateway.port), 5) as raw:
        raw.sendall(head)
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert b" 403 " in answer.split(b"\r\n")[0]
    assert b"names no host" in answer


def test_names_that_the_settings_add() -> None:
    models: dict[str, Model] = {"small": ScriptedModel()}
    with started(models, Settings(grace=2, hosts=("Box.lan",))) as gateway:
        statuses = [
            gateway.client.get("/v1/models", headers={"host": host}).status_code
            for host in ("box.lan:8000", "localhost", "other.lan")
        ]
    assert statuses == [200, 200, 403]


def test_where_there_are_keys_the_name_does_not_matter() -> None:
    keys = Keys([{"name": "ann", "sha256": hashlib.sha256(b"secret").hexdigest()}])
    with running({"small": ScriptedModel()}, keys=keys) as gateway:
        headers = {"host": "gateway.example", "authorization": "Bearer secret"}
        assert gateway.client.get("/v1/models", headers=headers).status_code == 200


@pytest.mark.parametrize(("at", "name"), [("127.0.0.1", "127.0.0.1"), ("127.0.0.2", "127.0.0.2"), ("localhost", "::1")])
def test_listening_on_this_machine_alone(at: str, name: str) -> None:
    with bind(at, 0) as listener:
        names = own_names([listener], ["box.lan"])
    assert names is not None
    assert {"localhost", "box.lan", name} <= names


def test_whoever_listens_to_others_is_asked_by_any_name() -> None:
    with bind("0.0.0.0", 0) as listener, bind("127.0.0.1", 0) as further:
        assert own_names([listener], []) is None
        assert own_names([further, listener], []) is None
    assert own_names([], []) is None


@pytest.mark.parametrize("name", ["", "*", "http://box.lan", "box.lan/v1", "a b"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ConfigError, match="bare names"):
        Settings(hosts=[name])
