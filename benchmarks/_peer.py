"""A peer in a process and an environment of its own: a line of JSON goes in, a line of JSON comes out."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["Peer"]


class Peer:
    """A program that answers every line of JSON with one.

    Args:
        python: the interpreter of the peer's environment.
        script: the program.
        hint: how the environment is made, for the error.
        env: variables beside our own.
    """

    def __init__(self, python: Path, script: Path, hint: str, env: Mapping[str, str] | None = None) -> None:
        self._name, self._hint = script.name, hint
        # A file and no pipe: a peer that prints much would wait for ever for someone to read it.
        self._told = tempfile.TemporaryFile("w+")  # noqa: SIM115 open as long as the process
        self._process = subprocess.Popen(
            [str(python), str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._told,
            text=True,
            env={**os.environ, **(env or {})},
        )

    def ask(self, job: Any) -> dict[str, Any]:
        """Return the answer to a job.

        Raises:
            RuntimeError: the program has ended; its last line on standard error is told.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self._process.wait(timeout=60)
            self._told.seek(0)
            said = self._told.read().strip().splitlines() or ["no reason given"]
            raise RuntimeError(f"{self._name} ended: {said[-1]} (its environment: {self._hint})")
        return dict(json.loads(answer))

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=60)
        self._told.close()
