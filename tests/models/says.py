"""A model for workers in other processes, which import this file: it takes little to load."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from pilotfish.errors import DataError, UpstreamError
from pilotfish.model import Call, Reply, Request, TokenLogprob, Trace, WholeReplies


class Says(WholeReplies):
    """Says which process it is in; a prompt may ask for an error, or for the process's end the first time."""

    concurrency = 4

    def __init__(self, folder: Path, name: str = "says") -> None:
        self.folder, self.name = folder, name

    async def reply(self, request: Request) -> Reply:
        kind, _, text = request.prompt.partition(" ")
        with (self.folder / f"{kind}-{os.getpid()}").open("a") as file:
            file.write(f"{request.prompt}\n")
        if kind == "upstream":
            raise UpstreamError(text, status=503, retry_after=2.5)
        if kind == "data":
            raise DataError(text)
        if kind == "die" or (kind == "once" and not (self.folder / "died").exists()):
            (self.folder / "died").touch()
            os.kill(os.getpid(), 9)
        await asyncio.sleep(0.05)
        call = Call(self.name, "model", 3, 1, 0.05, 0.25)
        return Reply(text, logprobs=(TokenLogprob(text, -0.5, ((text, -0.5),)),), trace=Trace((call,)))
