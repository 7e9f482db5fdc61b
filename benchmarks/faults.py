"""An endpoint that goes wrong in seven ways, a tenth of the calls each: is every reply right or a clear error?

The gateway is a process of its own before a scripted endpoint; 2,000 requests (half of them streams) are asked by 64
clients without retries, then with them, then through a fallback to a sound model. Every answer is compared with the one
right answer to its prompt, so a spliced or a foreign one would show; usage is compared with what `/metrics` counts.
Then the endpoint fails altogether and comes back: does the breaker open and close?
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from tests.fakes import Answer, ScriptedUpstream, Seen, failing
from tests.serve.storm import Storm, ask_all, expected, faulty

from benchmarks._gateway_servers import Served, free_port

FILE = """
[models.small]
use = "openai"
model = "tiny"
base_url = "{url}"
key_env = "BENCH_KEY"
concurrency = 128
timeout = 0.4
retries = {retries}

[models.sound]
use = "openai"
model = "tiny"
base_url = "{sound}"
key_env = "BENCH_KEY"
concurrency = 128

[models.safe]
use = "fallback"
models = ["small", "sound"]

[models.broken]
use = "breaker"
model = "small"
failures = 5
rest = 1.0
"""


def gateway(folder: Path, url: str, sound: str, retries: int) -> Served:
    """Start a gateway before two endpoints."""
    file, port = folder / f"gateway-{retries}.toml", free_port()
    file.write_text(FILE.format(url=url, sound=sound, retries=retries), encoding="utf-8")
    command = [sys.executable, "-m", "pilotfish.cli.main", "serve", str(file), "--port", str(port)]
    return Served(command, port, "/readyz", {}, 30)


def storm(folder: Path, count: int, retries: int, model: str) -> tuple[Storm, int]:
    """Return what came of a storm, and the tokens out of whole answers that `/metrics` counts beyond what was told."""

    def sound(seen: Seen) -> Answer:
        return Answer(expected(seen.prompt))

    with ScriptedUpstream(faulty(0.1, seed=retries)) as upstream, ScriptedUpstream(sound) as other:
        served = gateway(folder, upstream.url, other.url, retries)
        try:
            url = f"http://127.0.0.1:{served.port}"
            found = asyncio.run(ask_all(url, count, clients=64, model=model))
            lines = httpx.get(f"{url}/metrics").text.splitlines()
        finally:
            served.stop()
    counted = sum(int(line.rpartition(" ")[2]) for line in lines if "tokens_total{" in line and '"output"' in line)
    return found, counted - found.tokens_out


def breaker(folder: Path) -> dict[str, Any]:
    """Return how an endpoint's failure and return show: seconds to open, calls spared, seconds to close again."""
    down = False

    def script(seen: Seen) -> Answer:
        return failing(500) if down else Answer(expected(seen.prompt))

    with ScriptedUpstream(script) as upstream:
        served = gateway(folder, upstream.url, upstream.url, 0)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{served.port}", timeout=10) as client:

                def ask() -> int:
                    body = {"model": "broken", "messages": [{"role": "user", "content": "q"}]}
                    return client.post("/v1/chat/completions", json=body).status_code

                fine = [ask() for _ in range(4)]
                down = True
                failed = [ask() for _ in range(50)]
                reached = upstream.calls - len(fine)
                down, back = False, time.monotonic()
                while ask() != 200 and time.monotonic() - back < 10:
                    time.sleep(0.02)
                closed = time.monotonic() - back
                after = [ask() for _ in range(10)]
        finally:
            served.stop()
    opened = failed.count(503)
    return {
        "case": "breaker: requests refused at once of 50 while the endpoint fails",
        "value": opened,
        "unit": "requests",
        "n": 50,
        "reached": reached,
        "seconds_to_close": round(closed, 3),
        "sound": fine == [200] * 4 and after == [200] * 10 and opened > 0,
    }


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return the shares of right answers, clear errors and honest breaks, and how many were anything else."""
    del data
    count = 300 if quick else 2000
    cases: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as where:
        for title, retries, model in (("no retries", 0, "small"), ("4 retries", 4, "small"), ("fallback", 0, "safe")):
            found, apart = storm(Path(where), count, retries, model)
            told = {"errors": dict(found.errors), "broken_off": found.broken, "tokens_apart": apart}
            rows = (("right", found.right), ("neither right nor a clear error", len(found.wrong)))
            for what, number in rows:
                cases.append({"case": f"{title}: {what}", "value": number / count, "unit": "share", "n": count} | told)
            for line in found.wrong[:5]:
                print(line, file=sys.stderr)
        cases.append(breaker(Path(where)))
    return {"name": "faults", "bars": {"neither": 0}, "cases": cases}
