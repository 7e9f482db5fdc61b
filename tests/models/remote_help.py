"""What the tests of the remote model share."""

from __future__ import annotations

import asyncio
from typing import Any

from pilotfish import RemoteModel, Request
from pilotfish.model import Delta
from tests.fakes import ScriptedUpstream


def model_at(upstream: ScriptedUpstream, **settings: Any) -> RemoteModel:
    """Return a model at the scripted upstream, without a key unless the settings name its variable."""
    return RemoteModel("tiny", upstream.url, **{"key_env": None, "timeout": 5.0, **settings})


async def collect(model: RemoteModel, prompt: str | Request, **settings: Any) -> list[Delta]:
    """Return all deltas of a stream."""
    return [delta async for delta in model.stream(Request.of(prompt, **settings))]


def streamed(model: RemoteModel, prompt: str | Request, **settings: Any) -> list[Delta]:
    """Return all deltas of a stream, in an event loop of its own."""
    return asyncio.run(collect(model, prompt, **settings))
