"""A collaboration file's models and its `[serve]` table, as a gateway."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

from pilotfish.assemble import Collaboration
from pilotfish.assemble._specs_aligned import RewardSpec
from pilotfish.assemble._specs_knowledge import EnergySpec
from pilotfish.assemble._specs_serve import AnswersSpec, LogSpec, ServeSpec
from pilotfish.assemble.specs import EncoderSpec
from pilotfish.errors import ConfigError
from pilotfish.serve.answers import ResponseCache
from pilotfish.serve.app import Gateway, create_app
from pilotfish.serve.keys import Keys
from pilotfish.serve.log import DecisionLog
from pilotfish.serve.otel import Spans
from pilotfish.serve.settings import Settings

__all__ = ["gateway_of"]


def gateway_of(models: Collaboration) -> Gateway:
    """Return the gateway that a file describes.

    Raises:
        ConfigError: no models, or a setting is wrong.
        ModelError: a model's files are missing or damaged.
        DataError: the log or the file of what was spent cannot be used.
    """
    spec = models.serve or ServeSpec()
    # A reward model scores answers for others of the file, and gives none.
    rewards = {name for name in models.names if isinstance(models.spec(name), RewardSpec | EnergySpec)}
    served = spec.models if spec.models is not None else [name for name in models.names if name not in rewards]
    if not served:
        raise ConfigError(f"{models.where}: no models in it; each is a table such as [models.small]")
    for name in served:
        models.check(name)
    encoders = {name: models.encoder(name) for name in served if isinstance(models.spec(name), EncoderSpec)}
    answering = {name: models.model(name) for name in served if name not in encoders}
    settings = Settings(**{field.name: getattr(spec, field.name) for field in dataclasses.fields(Settings)})
    tables = [key.model_dump() for key in spec.keys]
    keys = Keys(tables, models.folder / spec.spent if spec.spent is not None else None)
    log = _log(models, spec.log)
    traces = Spans() if spec.otel else None
    parts = [models.part(name) for name in models.names if name not in rewards]

    async def load() -> None:
        """Load the weights before the first request, one model after another."""
        for part in parts:
            if hasattr(part, "load"):
                await asyncio.to_thread(part.load)

    async def end() -> None:
        await models.aclose()
        keys.close()
        if log is not None:
            await asyncio.to_thread(log.close)
        if traces is not None:
            await asyncio.to_thread(traces.close)

    gateway = create_app(
        answering,
        settings,
        encoders=encoders,
        keys=keys,
        answers=_answers(models, spec.answers),
        shared_answers=spec.answers is not None and spec.answers.shared,
        log=log,
        traces=traces,
        on_start=load if spec.load else None,
        on_end=end,
    )
    if spec.page:
        gateway.page = _page(gateway, log)
    return gateway


def _page(gateway: Gateway, log: DecisionLog | None) -> Any:
    """Return the page as an application."""
    from starlette.applications import Starlette

    from pilotfish.serve.page import routes

    return Starlette(routes=routes(log, gateway.models, gateway.keys, lambda: gateway.draining))


def _answers(models: Collaboration, spec: AnswersSpec | None) -> ResponseCache | None:
    if spec is None:
        return None
    settings: dict[str, Any] = spec.model_dump(exclude={"encoder", "shared"})
    encoder = models.encoder(spec.encoder) if spec.encoder is not None else None
    return ResponseCache(encoder=encoder, **settings)


def _log(models: Collaboration, spec: LogSpec | None) -> DecisionLog | None:
    if spec is None:
        return None
    where = spec.to if "://" in spec.to else models.folder / spec.to
    retention = None if spec.days is None else spec.days * 86400
    return DecisionLog(where, redact=spec.redact, retention=retention, queue=spec.queue)
