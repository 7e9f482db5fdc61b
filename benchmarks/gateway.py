"""The gateway against the LiteLLM proxy: requests a second, added latency, streams, memory.

One worker each, before the same scripted upstream, asked by the same load; upstream, gateway and load are processes of
their own on one machine, so all three share its cores. A B A B for each case; every answer is checked. Bars: 15 times
the peer's requests a second at 16 and 64 clients, a tenth of its added p50 at one client, memory that grows by less
than 5% from request 5,000 to 20,000.
"""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks._gateway_harness import harness
from benchmarks._gateway_servers import HINT, PEER, Load, Served, ours, theirs, upstream
from benchmarks._result import Cases

BARS = {"rate": 15.0, "added": 10.0, "growth": 0.05}
CLIENTS = (1, 16, 64)


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return requests a second, p50 and p99 at 1, 16 and 64 clients, streaming and not, and memory."""
    del data
    if not PEER.exists():
        return {"name": "gateway", "peer": f"not installed: {HINT}", "cases": []}
    cases = Cases("gateway", quick=quick)
    load = Load()
    for latency in (0.0,) if quick else (0.0, 0.05):
        with ExitStack() as stack:
            behind = stack.enter_context(upstream(latency))
            mine, peer = stack.enter_context(ours(behind)), stack.enter_context(theirs(behind))
            for server in (mine, peer):  # whatever is made at the first requests is no part of the measure
                load.run(server.port, 4, requests=50)
                load.run(server.port, 4, stream=True, requests=20)
            for stream in (False, True):
                for clients in CLIENTS:
                    title = f"{clients} clients, upstream {1000 * latency:g} ms{', streaming' if stream else ''}"
                    rounds, seconds = (1, 1.5) if quick else (3, 4.0)
                    cases.add(_compared(load, behind, mine, peer, title, clients, stream, rounds, seconds))
            cases.add([_memory_of(peer, "LiteLLM after the cases above")])
    cases.add(_growth(load, 2000 if quick else 20_000))
    load.close()
    if not quick:
        cases.add(harness())
    return {
        "name": "gateway",
        "peer": "LiteLLM proxy, see benchmarks/peers/litellm.txt",
        "bars": BARS,
        "cases": cases.found,
    }


def _compared(
    load: Load,
    behind: int,
    mine: Served,
    peer: Served,
    title: str,
    clients: int,
    stream: bool,
    rounds: int,
    seconds: float,
) -> list[dict[str, Any]]:
    """Return the cases of one setting: requests a second; at one client the added p50 too; for streams first bytes."""
    found: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for _ in range(rounds):
        pair = [load.run(server.port, clients, stream=stream, seconds=seconds) for server in (mine, peer)]
        found.append((pair[0], pair[1]))
    direct = load.run(behind, clients, stream=stream, seconds=min(seconds, 2.0))
    rates = [[one["requests"] / one["seconds"] for one in pair] for pair in found]
    rows = [_case(f"requests: {title}", rates, "requests a second", found, higher=True)]
    rows[0] |= _quantiles(found, direct, "latency")
    if clients == 1:
        added = [[one["latency"]["p50"] - direct["latency"]["p50"] for one in pair] for pair in found]
        rows.append(_case(f"added p50: {title}", added, "milliseconds", found, higher=False))
    if stream:
        firsts = [[one["first"]["p50"] for one in pair] for pair in found]
        rows.append(_case(f"first byte p50: {title}", firsts, "milliseconds", found, higher=False))
        rows[-1] |= _quantiles(found, direct, "first")
    return rows


def _case(title: str, values: list[list[float]], unit: str, found: list[Any], *, higher: bool) -> dict[str, Any]:
    ratios = [a / b if higher else b / max(a, 1e-3) for a, b in values]
    medians = [statistics.median(pair[side] for pair in values) for side in (0, 1)]
    return {
        "case": title,
        "ours": round(medians[0], 3),
        "peer": round(medians[1], 3),
        "unit": unit,
        "ratio": round(statistics.median(ratios), 2),
        "ratio_min": round(min(ratios), 2),
        "ratio_max": round(max(ratios), 2),
        "parity": 0.0,  # every answer was compared with what the upstream says
        "n": sum(one["requests"] for pair in found for one in pair),
    }


def _quantiles(found: list[Any], direct: dict[str, Any], what: str) -> dict[str, Any]:
    """Return p50 and p99 in milliseconds, of both and of the upstream asked directly."""
    rows = {
        "ours": [pair[0][what] for pair in found],
        "peer": [pair[1][what] for pair in found],
        "direct": [direct[what]],
    }
    return {
        f"{name}_{mark}_ms": round(statistics.median(one[mark] for one in ones), 3)
        for name, ones in rows.items()
        for mark in ("p50", "p99")
    }


def _memory_of(server: Served, title: str) -> dict[str, Any]:
    return {"case": f"memory: {title}", "value": round(server.rss, 1), "unit": "MB", "n": 1}


def _growth(load: Load, last: int) -> list[dict[str, Any]]:
    """Return our memory after a quarter of the requests and after all of them, a tenth of them streams."""
    first = last // 4
    with upstream(0.0) as behind, ours(behind) as mine:
        told = []
        for count in (first, last - first):
            load.run(mine.port, 16, requests=count - count // 10)
            load.run(mine.port, 16, stream=True, requests=count // 10)
            told.append(mine.rss)
    growth = told[1] / told[0] - 1
    return [
        {"case": f"memory after {first} requests", "value": round(told[0], 1), "unit": "MB", "n": first},
        {"case": f"memory after {last} requests", "value": round(told[1], 1), "unit": "MB", "n": last},
        {"case": "growth between them", "value": round(growth, 4), "unit": "share", "n": last, "bar": BARS["growth"]},
    ]
