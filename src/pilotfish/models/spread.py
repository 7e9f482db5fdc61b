"""A model whose copies answer in workers of Ray, on this machine or on a cluster: whatever asks it asks them all."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

from pilotfish.errors import ConfigError, DataError, ModelError, PilotfishError, UpstreamError
from pilotfish.model import Call, Decision, Model, Reply, Request, Source, Trace, WholeReplies
from pilotfish.models.cache import decode_reply, encode_reply
from pilotfish.rows._journal import Entry, Line
from pilotfish.rows._ray_pool import Pool
from pilotfish.rows._ray_sent import sent
from pilotfish.rows._row import Row
from pilotfish.rows._session import begun
from pilotfish.rows.engine import Ray
from pilotfish.rows.model_stage import concurrency_of
from pilotfish.rows.stage import AsyncStage

__all__ = ["Spread"]

_KINDS: dict[str, type[PilotfishError]] = {
    kind.__name__: kind for kind in (UpstreamError, ModelError, DataError, ConfigError)
}


class Spread(WholeReplies):
    """A model that is loaded in several workers, of which any that is free answers.

    Its answers are those of the model, and are kept under the model's name: what one process has asked, another with
    workers does not ask again. A worker that dies is replaced; the calls that it was at are made again. Workers begin
    at the first request, and end with `aclose`.

    Args:
        model: of settings alone, so that a worker can build it: a local model, an endpoint, any collaboration of such.
        workers: how many, and what each needs.
        name: in reports.

    Raises:
        ConfigError: at the first request: the model cannot be sent to a worker, or the cluster cannot hold one.
        MissingExtra: Ray is not installed.
    """

    def __init__(self, model: Model, workers: Ray, name: str | None = None) -> None:
        self.model, self.workers = model, workers
        self.name = name or model.name
        self.price = getattr(model, "price", None)
        self._each = concurrency_of(model, None)
        self._up: _Up | None = None
        self._beginning: asyncio.Lock | None = None

    @property
    def stands_for(self) -> Model:
        """Whose answers these are."""
        return self.model

    @property
    def concurrency(self) -> int:
        """How many requests keep all workers busy."""
        return self.workers.workers * self._each

    async def reply(self, request: Request) -> Reply:
        """Answer the request in a worker that has room.

        Raises:
            ModelError: as the model, or workers died of this request one after another.
            UpstreamError: as the model.
        """
        told = await (await self._begun()).row({"request": request.to_json(), "metadata": dict(request.metadata)})
        if "error" in told:
            raise _error(told)
        return decode_reply(told["reply"]).with_(trace=_trace(told["trace"]))

    async def aclose(self) -> None:
        """End the workers, and a Ray that was started for them."""
        up, self._up = self._up, None
        if up is not None:
            await up.close()

    async def _begun(self) -> _Up:
        loop = asyncio.get_running_loop()
        if self._up is not None and self._up.loop is not loop:
            # Futures of another loop would never be heard of here.
            self._up.abandon()
            self._up = self._beginning = None
        if self._up is None:
            self._beginning = self._beginning or asyncio.Lock()
            async with self._beginning:
                if self._up is None:
                    held = ExitStack()
                    # Ray takes seconds to begin, in which others of this loop go on.
                    ray = await asyncio.to_thread(held.enter_context, self.workers.up())
                    self._up = _Up(ray, held, self.model, self.workers, self._each)
        return self._up


class _Answering(AsyncStage):
    """Asks the model; an error of ours is told, not raised, so that it reaches who asked."""

    def __init__(self, model: Model, concurrency: int) -> None:
        self.model, self.concurrency = model, concurrency

    async def each(self, row: Row) -> Row:
        """Return the reply with its trace, or what was wrong."""
        request = Request.from_json(row["request"]).with_(metadata=row["metadata"])
        try:
            reply = await self.model.reply(request)
        except PilotfishError as error:
            kind = next((name for name, kind in _KINDS.items() if isinstance(error, kind)), "ModelError")
            more = {name: getattr(error, name, None) for name in ("status", "retry_after")}
            return {"kind": kind, "error": str(error), **more}
        trace = {
            name: [asdict(one) for one in getattr(reply.trace, name)] for name in ("calls", "decisions", "sources")
        }
        return {"reply": encode_reply(reply), "trace": trace}

    async def aclose(self) -> None:
        """Close the model's connections, where it has any."""
        close = getattr(self.model, "aclose", None)
        if close is not None:
            await close()


class _Up:
    """Workers that have begun, in one event loop; `held` is let go of with them."""

    def __init__(self, ray: Any, held: ExitStack, model: Model, workers: Ray, each: int) -> None:
        self.loop = asyncio.get_running_loop()
        self._numbers = count()
        with held:
            there = ray.cluster_resources()
            for place, need in (("CPU", workers.cpus), ("GPU", workers.gpus)):
                if need > there.get(place, 0.0) + 1e-9:
                    raise ConfigError(f"Ray has {there.get(place, 0.0):g} {place}, and a worker needs {need:g}")
            self._folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="pilotfish-")))
            stages = ray.put([sent(ray, _Answering(model, each))])
            built = (stages, each, model.name, 0, 1, begun(self._folder))
            options = {"num_cpus": workers.cpus, "num_gpus": workers.gpus}
            self._pool = Pool(ray, built, 1, options, workers.workers, each)
            self._held = held.pop_all()

    async def row(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return what a worker made of a row."""
        number = next(self._numbers)
        lines: list[Line] = []
        await self._pool.through([Entry(number, 0, [row])], self._folder / f".asked-{number:08d}.journal", lines.extend)
        entry = lines[-1].entry
        if not entry.rows:
            raise ModelError(str(entry.rejects[0]["reason"]))
        return dict(entry.rows[0])

    async def close(self) -> None:
        """End the workers."""
        if asyncio.get_running_loop() is self.loop:
            await self._pool.let_go(gently=True)
        self.abandon()

    def abandon(self) -> None:
        """Let Ray end what is left of them."""
        self._pool.end()
        self._held.close()


def _error(told: dict[str, Any]) -> PilotfishError:
    if told["kind"] == "UpstreamError":
        return UpstreamError(told["error"], status=told["status"], retry_after=told["retry_after"])
    return _KINDS[told["kind"]](told["error"])


def _trace(told: dict[str, Any]) -> Trace:
    return Trace(
        tuple(Call(**one) for one in told["calls"]),
        tuple(Decision(**one) for one in told["decisions"]),
        tuple(Source(**one) for one in told.get("sources", ())),
    )
