"""The engine that asks: its overhead beside Curator's and distilabel's, what kills cost, and what malformed answers do.

A scripted upstream of 0 and of 20 ms in a process of its own; each side in a process of its own too, in turn. A side's
overhead a call is what a further row takes (the difference of a long and a short run, so that starting up does not
count) less the endpoint's time, spread over the calls under way. Then our run is killed at random moments, is given one
malformed answer in ten, and reads 25,000 stored answers again.
"""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

from tests.fakes import Answer, ScriptedUpstream, Seen

from benchmarks._gateway_servers import upstream
from benchmarks._peer import Peer
from benchmarks._result import Cases

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "benchmarks" / "peers" / "synth_worker.py"
PEERS = {"curator": "Curator", "distilabel": "distilabel"}
CONCURRENCY, SHORT, LONG, ROUNDS, STORED = 32, 200, 1400, 3, 25_000
_WORKER = "import sys; from benchmarks.synth_engine import make; make(*sys.argv[1:])"
_CHECKED = "from benchmarks.synth_engine import reread; import sys; reread(*sys.argv[1:])"


def python_of(peer: str) -> Path:
    """Return the interpreter of a peer's environment."""
    return ROOT / ".bench" / peer / "bin" / "python"


def hint_of(peer: str) -> str:
    """Return how a peer's environment is made."""
    return f"python -m venv .bench/{peer} && .bench/{peer}/bin/pip install -r benchmarks/peers/{peer}.txt"


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return overheads, and the counts that should be 0."""
    del data
    cases = Cases("synth-engine", quick=quick)
    there = [peer for peer in PEERS if python_of(peer).exists()]
    if not quick:
        for latency in (0.0, 0.02):
            cases.add(_overheads(latency, there))
    cases.add(_kills(200 if quick else 1000, 5 if quick else 20))
    cases.add(_malformed(200 if quick else 2000))
    cases.add(_reread(500 if quick else STORED))
    missing = [hint_of(peer) for peer in PEERS if peer not in there]
    peer = f"not installed: {'; '.join(missing)}" if missing else "Curator and distilabel, see benchmarks/peers"
    return {"name": "synth-engine", "peer": peer, "bars": {"overhead": 3.0}, "cases": cases.found}


def _overheads(latency: float, peers: list[str]) -> list[dict[str, Any]]:
    """Return our overhead a call beside each peer's."""
    found: dict[str, list[float]] = {which: [] for which in ("ours", *peers)}
    rates: dict[str, list[float]] = {which: [] for which in found}
    with upstream(latency) as port:
        for _ in range(ROUNDS):
            for which, overheads in found.items():
                short, long = (_timed(which, port, rows) for rows in (SHORT, LONG))
                overheads.append((long - short) / (LONG - SHORT) - latency / CONCURRENCY)
                rates[which].append(LONG / long)
    cases = []
    for peer in peers:
        for what, unit, mine, theirs, ratios in (
            (
                "overhead a call",
                "ms",
                [1000 * one for one in found["ours"]],
                [1000 * one for one in found[peer]],
                [b / a for a, b in zip(found["ours"], found[peer], strict=True)],
            ),
            (
                f"{LONG:,} rows, all of it",
                "rows/s",
                rates["ours"],
                rates[peer],
                [a / b for a, b in zip(rates["ours"], rates[peer], strict=True)],
            ),
        ):
            cases.append(
                {
                    "case": f"upstream of {1000 * latency:g} ms: {what} against {PEERS[peer]}",
                    "ours": median(mine),
                    "peer": median(theirs),
                    "unit": unit,
                    "ratio": median(ratios),
                    "ratio_min": min(ratios),
                    "ratio_max": max(ratios),
                    "parity": 0.0,  # as many rows: `_timed` sees to it
                    "n": len(ratios),
                }
            )
    return cases


def _timed(which: str, port: int, rows: int) -> float:
    """Return the seconds of a run in a fresh process and folder."""
    side = Peer(Path(sys.executable) if which == "ours" else python_of(which), SCRIPT, hint_of(which))
    with tempfile.TemporaryDirectory(prefix="pilotfish-synth-") as folder:
        url = f"http://127.0.0.1:{port}/v1"
        job = {"which": which, "url": url, "rows": rows, "concurrency": CONCURRENCY, "folder": f"{folder}/run"}
        told = side.ask(job)
    side.close()
    if told["rows"] != rows:
        raise RuntimeError(f"{which} made {told['rows']} rows of {rows}")
    return float(told["seconds"])


def make(url: str, rows: str, out: str) -> None:
    """Make rows by class and attributes: what the killed process does."""
    from pilotfish.models.remote import RemoteModel
    from pilotfish.synthesize.make import synthesize
    from pilotfish.synthesize.scratch.attributed import Attributed

    values = {"number": [str(i) for i in range(int(rows))]}
    fields = {"text": "a sentence", "kind": "its kind"}
    recipe = Attributed("Sentences.", fields, label="kind", labels=["plain", "odd"], attributes=values)
    model = RemoteModel("scripted", url, key_env=None, concurrency=8, retries=0)
    synthesize(recipe, model, out, rows=int(rows), rounds=50, progress=False)


def _kills(rows: int, kills: int) -> list[dict[str, Any]]:
    """Kill a run at random moments, let it end, and count what was lost or paid for twice."""
    rng = random.Random(int(time.time()))
    again = missing = killed = 0
    with (
        tempfile.TemporaryDirectory(prefix="pilotfish-synth-") as folder,
        ScriptedUpstream(lambda seen: Answer(_row(seen), delay=rng.uniform(0, 0.01))) as endpoint,
    ):
        out = Path(folder) / "killed"
        for turn in range(kills):
            left = rows - _stored(out)
            calls = endpoint.calls + rng.randint(1, max(1, 2 * left // (kills - turn + 1)))
            process = _start(endpoint.url, rows, out)
            until = time.monotonic() + (rng.uniform(0.3, 1.5) if turn % 4 == 3 else 30)
            while process.poll() is None and endpoint.calls < calls and time.monotonic() < until:
                time.sleep(0.0005)
            process.kill()
            if process.wait() == 0:
                break  # it was done before the moment came
            killed += 1
        stored = _stored(out)
        before = endpoint.calls
        if _start(endpoint.url, rows, out).wait(300) != 0:
            raise RuntimeError("the run that goes on failed")
        ended = _stored(out)
        again = endpoint.calls - before - (ended - stored)
        made = [json.loads(line) for line in (out / "rows.jsonl").read_text("utf-8").splitlines()]
        missing = rows - len(made)
        twice = sum(count - 1 for count in Counter(row["text"] for row in made).values())
        extra = endpoint.calls - ended  # calls that were under way when a kill came
    return [
        _count(f"rows lost after {killed} kills", missing, rows),
        _count("rows twice", twice, rows),
        _count("calls made again for finished ones", again, rows),
        _count(f"calls under way at a kill, made again (at most 8 a kill: {8 * killed})", extra, rows),
    ]


def _start(url: str, rows: int, out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _WORKER, url, str(rows), str(out)], cwd=ROOT)


def _stored(out: Path) -> int:
    path = out / "calls.sqlite"
    if not path.exists():
        return 0
    with sqlite3.connect(path) as connection:
        return int(connection.execute("SELECT count(*) FROM calls").fetchone()[0])


def _row(seen: Seen) -> str:
    return json.dumps({"text": seen.prompt})


def _malformed(rows: int) -> list[dict[str, Any]]:
    """Give one malformed answer in ten, of five kinds, and count the answers that are neither kept nor told."""
    rng = random.Random(1)
    kinds = ["no, sorry", '{"text": "cut sho', '{"words": "x"}', '{"text": 7}', ""]

    def answer(seen: Seen) -> Answer:
        return Answer(_row(seen) if rng.random() >= 0.1 else rng.choice(kinds))

    with tempfile.TemporaryDirectory(prefix="pilotfish-synth-") as folder, ScriptedUpstream(answer) as endpoint:
        out = Path(folder) / "malformed"
        if _start(endpoint.url, rows, out).wait(300) != 0:
            raise RuntimeError("the run failed")
        kept = len((out / "rows.jsonl").read_text("utf-8").splitlines())
        rejects = [json.loads(line) for line in (out / "rejects.jsonl").read_text("utf-8").splitlines()]
        calls = endpoint.calls
    unread = [row for row in rejects if not row["reason"].startswith("not needed")]
    return [
        _count("answers neither kept nor told, one in ten malformed", calls - kept - len(rejects), calls),
        _count("malformed answers without reason and raw text", sum(not row["reason"] for row in unread), len(unread)),
        _count("rows that are missing in the end", rows - kept, rows),
    ]


def reread(url: str, rows: str, out: str) -> None:
    """Make rows, then once more from what is stored; print the seconds of the second time."""
    make(url, rows, out)
    start = time.perf_counter()
    make(url, rows, out)
    print(time.perf_counter() - start)


def _reread(rows: int) -> list[dict[str, Any]]:
    """Return what a stored answer takes to be read again, to a row on the disk."""
    with (
        tempfile.TemporaryDirectory(prefix="pilotfish-synth-") as folder,
        ScriptedUpstream(lambda seen: Answer(_row(seen)), keep=1) as endpoint,
    ):
        told = subprocess.run(
            [sys.executable, "-c", _CHECKED, endpoint.url, str(rows), f"{folder}/stored"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        calls = endpoint.calls
    if calls != rows:
        raise RuntimeError(f"{calls} calls for {rows} rows")
    each = 1000 * float(told.stdout) / rows
    return [{"case": f"{rows:,} stored answers read again", "value": each, "unit": "ms a row", "n": rows}]


def _count(case: str, value: int, n: int) -> dict[str, Any]:
    return {"case": case, "value": value, "low": value, "high": value, "unit": "count", "n": n}
