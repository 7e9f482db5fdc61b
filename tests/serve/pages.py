"""A gateway with its page, a log and an hour's traffic."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from starlette.applications import Starlette

from pilotfish.infer import Above, Cascade
from pilotfish.infer.drift import Watch
from pilotfish.infer.watched import Watched
from pilotfish.model import Call, Decision, Model, Price, Reply, Trace
from pilotfish.serve import page
from pilotfish.serve.keys import Keys
from pilotfish.serve.log import DecisionLog
from tests.fakes import ScriptedModel

from .browser import Tab
from .gateways import Running, started
from .served import served

__all__ = ["EVIL", "gateway", "models", "visit"]

EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def models(drifts: bool = False) -> dict[str, Model]:
    """A cascade with a calibration, and its parts."""
    small = ScriptedModel(
        lambda r: f"Small says: {r.prompt}", name="small", logprob=lambda r, _: -0.9, price=Price(0.1, 0.4), delay=0.02
    )
    large = ScriptedModel("Large says so.", name="large", price=Price(2, 8), delay=0.05)
    reference = (-np.random.default_rng(1).gamma(4, 0.5 if drifts else 0.15, 400)).tolist()
    accept = Watched(Above("mean-logprob", -0.7), Watch(reference, -0.7), name="assistant")
    return {"assistant": Cascade(small, large, accept, "assistant"), "small": small, "large": large}


def traffic(log: DecisionLog, count: int = 400, span: float = 3000.0, evil: bool = True) -> None:
    """An hour's requests, rated, most of them trusted to the small model."""
    rng = np.random.default_rng(0)
    now = time.time()
    for number in range(count):
        bad = evil and number == count - 1
        score = -float(rng.gamma(4, 0.15))
        deferred = score < -0.7
        calls: tuple[Call, ...] = (Call("small", tokens_in=40, tokens_out=60, seconds=0.2, cost=28e-6),)
        if deferred:
            calls += (Call("large", tokens_in=40, tokens_out=90, seconds=1.1, cost=800e-6),)
        decisions = (Decision("assistant", "deferred" if deferred else "accepted", score),)
        log.put(
            served(
                number,
                EVIL if bad else f"Question {number}: what is {number} times {number % 7}?",
                time=now - span + span * number / count,
                reply=Reply(EVIL if bad else f"It is {number * (number % 7)}.", trace=Trace(calls, decisions)),
                seconds=float(rng.gamma(2, 0.2)) + deferred,
                overhead=0.0007,
                first_byte=0.1,
                streamed=True,
                status=502 if number % 97 == 5 else 200,
                error=f"down {EVIL if evil else ''}" if number % 97 == 5 else "",
                cached=number % 31 == 7,
            )
        )
        log.rate(f"chatcmpl-{number}", float(rng.random() < (0.92 if deferred else 0.75 + 0.3 * score)))
    assert log.flush()


@contextmanager
def gateway(
    folder: Path,
    keys: Keys | None = None,
    logs: bool = True,
    fills: bool = True,
    drifts: bool = False,
    evil: bool = True,
) -> Iterator[tuple[Running, DecisionLog | None]]:
    """A gateway with its page, log and traffic."""
    log = DecisionLog(folder / "log.sqlite", every=0.02) if logs else None
    if log is not None and fills:
        traffic(log, evil=evil)
    served_models = models(drifts)
    ending: list[bool] = []
    shown = Starlette(routes=page.routes(log, served_models, keys, lambda: bool(ending), every=0.1))
    with started(served_models, keys=keys, log=log, page=shown) as running:
        try:
            yield running, log
        finally:
            ending.append(True)
    if log is not None:
        log.close()


def visit(tab: Tab, running: Running, scheme: str = "light", size: tuple[int, int] = (1280, 900)) -> None:
    """Open the page and wait until it shows figures and requests."""
    tab.complaints.clear()
    tab.prefer(scheme)
    tab.size(*size)
    tab.go(running.url)
    tab.until("document.querySelectorAll('#tiles div').length === 8 && document.querySelector('#scores svg')")
    tab.until("document.querySelectorAll('#requests tbody tr').length > 10")
