"""The page's figures over HTTP: who may see them, and that they add up."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pilotfish.infer import Above, Cascade
from pilotfish.model import Call, Price
from pilotfish.serve import page
from pilotfish.serve._totals import prices_of, totals
from pilotfish.serve.keys import Keys, new_key
from pilotfish.serve.log import DecisionLog
from tests.fakes import ScriptedModel

from .gateways import Running
from .pages import EVIL, gateway


def test_totals_add_up() -> None:
    calls = (Call("small", tokens_in=10, cost=0.1), Call("large", tokens_in=10, cost=1.0))
    row: dict[str, Any] = {
        "status": 200, "cached": False, "answered_by": "large", "model": "assistant", "cost": 1.1,
        "verdict": "deferred", "tokens_in": 20, "tokens_out": 0,
        "seconds": 0.5, "overhead": 0.001, "first_byte": None, "time": 5.0,
        "calls": [{"model": c.model, "cost": c.cost, "cached": False, "tokens_in": 10, "tokens_out": 0} for c in calls],
    }  # fmt: skip
    alone = {**row, "answered_by": "small", "cost": 0.1, "calls": row["calls"][:1], "verdict": "accepted"}
    cached = {**alone, "cached": True, "cost": 0.0}
    failed = {**row, "status": 502, "cost": 0.0, "calls": []}
    sums = totals([row, alone, cached, failed], 0, 10, {})
    assert (sums["requests"], sums["answered"], sums["failed"], sums["cached"]) == (4, 3, 1, 1)
    assert sums["cost"] == pytest.approx(1.2)
    assert sums["against"] == "large"
    assert sums["saved"] == pytest.approx(3 * 1.0 - 1.2)
    assert sums["deferred"] == 0.5
    assert {one["model"]: one["requests"] for one in sums["models"]} == {"large": 1, "small": 1, "cache": 1}
    assert sums["timeline"][15]["models"] == {"large": 1, "small": 1, "cache": 1, "none": 1}
    assert totals([], 0, 10, {})["saved"] is None
    priced = totals([alone], 0, 10, {"large": Price(1e6, 1e6)})
    assert (priced["against"], priced["saved"]) == ("large", pytest.approx(10 - 0.1))


def test_prices_are_found_inside_collaborations() -> None:
    class Priced(ScriptedModel):
        price = Price(1, 2)

    inner = Cascade(Priced(name="a"), Priced(name="b"), Above("mean-logprob", 0), "inner")
    outer = Cascade(inner, Priced(name="c"), Above("mean-logprob", 0), "outer")
    assert set(prices_of({"outer": outer})) == {"a", "b", "c"}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, DecisionLog | None]]:
    with gateway(tmp_path_factory.mktemp("page")) as found:
        yield found


def test_the_figures(filled: tuple[Running, DecisionLog | None]) -> None:
    client = filled[0].client
    about = client.get("/live/about").json()
    assert about == {
        "keys": False, "log": True, "known": True, "admin": True, "models": ["assistant", "small", "large"], "name": "",
    }  # fmt: skip
    sums = client.get("/live/summary").json()
    assert sums["requests"] >= 400
    assert sums["against"] == "large"
    assert sums["saved"] > 0
    rows = client.get("/live/rows", params={"limit": 3}).json()["rows"]
    assert len(rows) == 3
    later = client.get("/live/rows", params={"after": rows[0]["seq"]}).json()["rows"]
    assert [row["seq"] for row in later] == [row["seq"] for row in rows[1:]]
    whole = client.get("/live/request", params={"id": rows[0]["id"]}).json()["request"]
    assert next(call["model"] for call in whole["calls"]) == "small"
    told = client.get("/live/what-if").json()
    assert told["model"] == "assistant"
    assert told["now"]["threshold"] == pytest.approx(-0.7, abs=0.02)
    assert told["fixed"] == -0.7
    assert [told["curve"][0]["deferred"], told["curve"][-1]["deferred"]] == [0, 1]
    drift = client.get("/live/drift").json()
    assert drift["drift"]["alarmed"] is False
    assert sum(drift["live_share"]) == pytest.approx(1)


@pytest.mark.parametrize(
    "query", ["summary?seconds=nan", "summary?seconds=x", "rows?after=x", "rows?limit=x", f"rows?after={'9' * 5000}"]
)
def test_nonsense_is_a_clear_error(filled: tuple[Running, DecisionLog | None], query: str) -> None:
    answer = filled[0].client.get(f"/live/{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_request"


@pytest.mark.parametrize("after", ["9" * 30, "-" + "9" * 30, "²", "9" * 5000, "x"])
def test_numbers_beyond_what_a_database_holds_break_nothing(
    filled: tuple[Running, DecisionLog | None], after: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = filled[0].client
    assert client.get("/live/rows", params={"after": after}).status_code in (200, 400)
    assert client.get("/live/rows", params={"limit": "9" * 30}).status_code == 200
    with client.stream("GET", "/live/events", params={"after": after}) as stream:
        assert stream.status_code == 200
        assert next(stream.iter_lines()) == "retry: 2000"
    assert "Traceback" not in caplog.text


def test_any_request_can_be_looked_up_not_only_the_latest(filled: tuple[Running, DecisionLog | None]) -> None:
    client, log = filled[0].client, filled[1]
    assert log is not None
    first = log.rows(texts=False)[0]
    found = client.get("/live/request", params={"id": first["id"]}).json()["request"]
    assert (found["seq"], found["id"]) == (first["seq"], first["id"])
    assert found["reply"] is not None


def test_odd_names_are_no_one(filled: tuple[Running, DecisionLog | None]) -> None:
    client = filled[0].client
    assert client.get("/live/what-if", params={"model": EVIL}).json()["model"] is None
    assert client.get("/live/drift", params={"model": EVIL}).json()["model"] is None
    assert client.get("/live/request", params={"id": EVIL}).json() == {"request": None}
    assert client.get("/live/../../etc/passwd").status_code == 404


def test_nothing_from_elsewhere_may_run(filled: tuple[Running, DecisionLog | None]) -> None:
    client = filled[0].client
    for path in ("/", "/live/app.js", "/live/style.css", "/live/summary"):
        policy = client.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert client.get(path).headers["x-content-type-options"] == "nosniff"
    static = Path(page.__file__).parent / "static"
    for file in static.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        for word in ("http://", "https://", "innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", " style="):
            assert word not in text, (file.name, word)
        assert re.search(r"\son\w+=", text) is None, file.name


def test_events_come_as_they_happen(filled: tuple[Running, DecisionLog | None]) -> None:
    running, _ = filled
    with httpx.stream("GET", f"{running.url}/live/events", params={"after": 10**9}, timeout=10) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines).startswith("retry:")
    latest = running.client.get("/live/rows", params={"limit": 1}).json()["rows"][0]["seq"]
    with httpx.stream("GET", f"{running.url}/live/events", params={"after": latest}, timeout=10) as answer:
        running.chat("hello there", "assistant")
        data = next(line for line in answer.iter_lines() if line.startswith("data:"))
    (row,) = json.loads(data.removeprefix("data: "))
    assert (row["prompt"], row["model"], row["answered_by"], row["verdict"]) == (
        "hello there", "assistant", "large", "deferred",
    )  # fmt: skip


def test_only_so_many_pages_are_followed_at_once(
    filled: tuple[Running, DecisionLog | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pilotfish.serve.page._STREAMS", 1)
    url, client = f"{filled[0].url}/live/events", filled[0].client
    with httpx.stream("GET", url, timeout=10) as first:
        lines = first.iter_lines()  # kept: the connection ends with it
        assert next(lines) == "retry: 2000"
        refused = client.get("/live/events")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "too_many_streams")
        assert client.get("/live/rows").status_code == 200
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:  # it is noticed within a second that the first one left
        with httpx.stream("GET", url, timeout=10) as second:
            if second.status_code == 200:
                return
        time.sleep(0.1)
    pytest.fail("a stream that ended still counts")


def test_only_admins_see_the_traffic(tmp_path: Path) -> None:
    (admin, admin_hash), (user, user_hash) = new_key(), new_key()
    keys = Keys(
        [
            {"name": "root", "sha256": admin_hash, "admin": True},
            {"name": "ann", "sha256": user_hash, "models": ["small"]},
        ]
    )
    with gateway(tmp_path, keys) as (running, _):
        assert running.client.get("/").status_code == 200  # the page itself tells nothing
        paths = ("summary", "rows", "request?id=chatcmpl-1", "what-if", "drift", "events")
        for path in paths:
            assert running.client.get(f"/live/{path}").status_code == 401
            mine = running.client.get(f"/live/{path}", headers={"authorization": f"Bearer {user}"})
            assert mine.status_code == 403
            assert "Question" not in mine.text
        about = running.client.get("/live/about", headers={"authorization": f"Bearer {user}"}).json()
        assert about == {"keys": True, "log": True, "known": True, "admin": False, "models": ["small"], "name": "ann"}
        nobody = running.client.get("/live/about", headers={"authorization": "Bearer x"}).json()
        assert (nobody["known"], nobody["models"]) == (False, [])
        sums = running.client.get("/live/summary", headers={"authorization": f"Bearer {admin}"}).json()
        assert sums["requests"] >= 400


def test_without_a_log_there_is_the_playground(tmp_path: Path) -> None:
    with gateway(tmp_path, logs=False) as (running, _):
        assert running.client.get("/live/about").json()["log"] is False
        assert running.client.get("/live/summary").status_code == 404


def test_an_open_page_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with gateway(tmp_path, fills=False) as (running, _):
        stream = httpx.Client().stream("GET", f"{running.url}/live/events", timeout=10)
        answer = stream.__enter__()
        next(answer.iter_lines())
        start = time.monotonic()
    assert time.monotonic() - start < 1.5
    answer.close()
