"""`pilotfish learn`: a router from rows, and from the gateway's log; then the route that uses it."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

pytest.importorskip("sklearn")

from pilotfish.model import Call, Decision, Reply, Request, Trace
from pilotfish.serve.log import DecisionLog
from pilotfish.serve.record import Served
from tests.cli.help import error_of, pilotfish, write_rows, write_toml

FILE = """
[models.small]
use = "recorded"
path = "small.jsonl"
[models.large]
use = "recorded"
path = "large.jsonl"
[models.assistant]
use = "route"
models = ["small", "large"]
router = "router"
choose = { price = 1.0 }
"""


def asked(rows: int, seed: int = 0) -> list[tuple[str, str, bool]]:
    """Greetings, which the small model can answer, and sums, which it cannot: (question, answer, easy)."""
    rng = random.Random(seed)
    found = []
    for i in range(rows):
        easy = rng.random() < 0.5
        noise = rng.choice(["kindly", "please", "now", "once more"])
        found.append((f"Say hello {noise} {i}" if easy else f"Compute {i} times {i + 7} {noise}", f"answer {i}", easy))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = asked(300)
    write_rows(tmp_path / "rows.jsonl", [{"q": q, "gold": a, "subject": i // 10} for i, (q, a, _) in enumerate(rows)])
    small = [{"prompt": q, "reply": a if easy else "hm", "cost": 0.001} for q, a, easy in rows]
    large = [{"prompt": q, "reply": a, "cost": 0.1} for q, a, _ in rows]
    write_rows(tmp_path / "small.jsonl", small)
    write_rows(tmp_path / "large.jsonl", large)
    write_toml(tmp_path / "c.toml", FILE)
    return tmp_path


def test_a_router_is_learned_from_rows_and_judged_with_the_same_answers(folder: Path) -> None:
    ask = ("--prompt", "{q}", "--gold", "gold", "--out", "out", "--quiet")
    done = pilotfish("learn", "c.toml", "rows.jsonl", *ask, "--group-by", "subject", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "this router: APGR 0.7" in done.stdout  # half of the gap is there: an oracle has 0.75
    assert (folder / "router" / "router.json").is_file()
    done = pilotfish("evaluate", "c.toml", "rows.jsonl", *ask, cwd=folder)
    assert done.returncode == 0, done.stderr  # the trial's answers are taken over, though the router is new
    assert "its router" in done.stdout
    reply = pilotfish("ask", "c.toml", "Say hello please 3", "--trace", cwd=folder)
    assert "large" not in reply.stderr


def test_yesterday_s_traffic_teaches_too(folder: Path) -> None:
    log = DecisionLog(folder / "log.sqlite", redact="off")
    now = time.time()
    for i, (question, answer, easy) in enumerate(asked(200, seed=3)):
        calls = [Call("small", "model", 5, 5, 0.1, 0.001)]
        if not easy:
            calls.append(Call("large", "model", 5, 5, 0.5, 0.1))
        decision = Decision("cascade", "accepted" if easy else "deferred", -0.1 if easy else -2.0)
        reply = Reply(answer, trace=Trace(tuple(calls), (decision,)))
        log.put(Served(f"chatcmpl-{i}", now - i, "", "assistant", Request.of(question), reply))
    log.close()
    done = pilotfish("learn", "c.toml", "--from-log", "log.sqlite", "--days", "2", "--kind", "boosted", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "200 requests; 0 qualities rated" in done.stderr
    assert "saved in" in done.stderr
    for question, model in (("Say hello now 5", "small"), ("Compute 3 times 10 please", "large")):
        write_rows(folder / "small.jsonl", [{"prompt": question, "reply": "small"}])
        write_rows(folder / "large.jsonl", [{"prompt": question, "reply": "large"}])
        assert pilotfish("ask", "c.toml", question, cwd=folder).stdout.strip() == model


def test_what_is_wrong_is_said_in_one_line(folder: Path) -> None:
    assert "ROWS or --from-log" in error_of(pilotfish("learn", "c.toml", cwd=folder))
    assert "--prompt" in error_of(pilotfish("learn", "c.toml", "rows.jsonl", cwd=folder))
    assert "small is no route" in error_of(pilotfish("learn", "c.toml", "--from-log", "x", "-m", "small", cwd=folder))
    assert "no such decision log" in error_of(pilotfish("learn", "c.toml", "--from-log", "x", cwd=folder))
    tuned = ("--from-log", "x", "--kind", "tuned")
    assert "needs --encoder" in error_of(pilotfish("learn", "c.toml", *tuned, cwd=folder))
