"""Where the work of a run is done: in this process, or by workers of Ray, on this machine or on a cluster."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

from pilotfish._extras import need
from pilotfish.errors import ConfigError, did_you_mean

__all__ = ["ENGINES", "Engine", "Ray", "engine_of", "using"]

ENGINES = ("local", "ray")
_STORE = 1 << 30  # bytes of the object store of a Ray that is started here: what is under way is small


@dataclass(frozen=True)
class Ray:
    """Workers of Ray, each a process that builds its own stages and loads its own models.

    All writing is done where `run` was called, so workers on other machines need not see the output folder.

    Attributes:
        workers: how many. A stage with resources of its own (`Stage.gpus`) has as many workers of its own.
        cpus: processors a worker; a part of one will do.
        gpus: GPUs a worker; a part of one will do.
        address: of a cluster that this machine is part of: `auto`, or `host:port` of its head; None is `RAY_ADDRESS`,
            or a Ray of our own on this machine that ends with the run. Where Ray is up in this process already, that
            one is used.

    Raises:
        ConfigError: a number is out of range, or the address is of Ray's client (`ray://`).
    """

    workers: int = 2
    cpus: float = 1.0
    gpus: float = 0.0
    address: str | None = None

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigError(f"at least one worker is needed, not {self.workers}")
        for name in ("cpus", "gpus"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ConfigError(f"{name} of a worker must be 0 or more, not {value}")
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ConfigError(f"gpus of a worker: Ray takes a part of one, or whole ones, not {self.gpus}")
        _no_client(self.address or "")

    @contextmanager
    def up(self) -> Iterator[Any]:
        """Give Ray's module, connected; a Ray that was started for this is ended after it.

        Raises:
            ConfigError: there is no cluster at the address.
            MissingExtra: Ray is not installed.
        """
        # Read when Ray is imported: without it each start asks a server on the Internet to count it.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray = need("ray", "ray")
        if ray.is_initialized():
            yield ray
            return
        address = self.address or os.environ.get("RAY_ADDRESS") or "local"
        _no_client(address)
        options: dict[str, Any] = {}
        if address == "local":
            # Processors are counted by what workers say they take: more of them than there are share, none waits.
            cpus = max(os.cpu_count() or 1, math.ceil(self.workers * self.cpus))
            options = {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": _STORE}
        try:
            ray.init(address=address, log_to_driver=False, logging_level="error", **options)
        except (ConnectionError, ValueError) as error:
            raise ConfigError(f"no Ray at {address}: {str(error).strip().splitlines()[0]}") from None
        try:
            with _quiet(ray):
                yield ray
        finally:
            ray.shutdown()


def _no_client(address: str) -> None:
    if address.startswith("ray://"):
        raise ConfigError(
            f"{address}: Ray's client takes no results that come one after another; run this on a machine of the "
            "cluster, with the address auto, or hand it in with `ray job submit`"
        )


@contextmanager
def _quiet(ray: Any) -> Iterator[None]:
    """Keep Ray's word about dead workers off standard output, where a command's answer may stand; we log it."""
    place: Any = getattr(getattr(ray, "_private", None), "worker", None)
    before = getattr(place, "_worker_logs_enabled", None)
    if before is None:
        yield
        return
    place._worker_logs_enabled = False
    try:
        yield
    finally:
        place._worker_logs_enabled = before


Engine = Literal["local", "ray"] | Ray
_engine: ContextVar[Engine] = ContextVar("engine", default="local")


def engine_of(engine: Engine | None = None) -> Ray | None:
    """Return the workers that are meant, or None for this process; where nothing is given it goes by `using`.

    Raises:
        ConfigError: there is no such engine.
    """
    engine = _engine.get() if engine is None else engine
    if isinstance(engine, Ray):
        return engine
    if engine not in ENGINES:
        raise ConfigError(f"unknown engine {engine!r}{did_you_mean(str(engine), ENGINES)}")
    return Ray() if engine == "ray" else None


@contextmanager
def using(engine: Engine | None) -> Iterator[None]:
    """Let runs in this block be done so that are not told otherwise, on one Ray; None changes nothing.

    What asks models through `rows.asked`, as distillation's teachers do, takes it from here.

    Raises:
        ConfigError: there is no such engine, or no cluster.
    """
    workers = engine_of(engine)
    token = _engine.set(workers or "local")
    try:
        with workers.up() if workers is not None else nullcontext():
            yield
    finally:
        _engine.reset(token)
