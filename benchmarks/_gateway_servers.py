"""The processes of `benchmarks gateway`: the upstream, the two gateways, the load."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[1]
PEER = ROOT / ".bench" / "litellm" / "bin" / "litellm"
HINT = "python -m venv .bench/litellm && .bench/litellm/bin/pip install -r benchmarks/peers/litellm.txt"

OURS = """
[models.small]
use = "openai"
model = "tiny"
base_url = "http://127.0.0.1:{port}/v1"
key_env = "BENCH_KEY"
price = {{ input = 1.0, output = 2.0 }}
concurrency = 256
"""
THEIRS = """
model_list:
  - model_name: small
    litellm_params:
      model: openai/tiny
      api_base: http://127.0.0.1:{port}/v1
      api_key: sk-bench
      input_cost_per_token: 0.000001
      output_cost_per_token: 0.000002
general_settings:
  dangerously_permit_weak_or_unset_master_key: true
"""


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Served:
    """A process that listens.

    Args:
        command: its command line.
        port: where it listens.
        path: what is asked for to see whether it does.
        env: variables beside our own.
        wait: seconds that it may take to start.
    """

    def __init__(self, command: list[str], port: int, path: str, env: dict[str, str], wait: float) -> None:
        self.port = port
        self._told = tempfile.TemporaryFile("w+")  # noqa: SIM115 open as long as the process
        whole = {**os.environ, "BENCH_KEY": "sk-bench", **env}
        self.process = subprocess.Popen(command, cwd=ROOT, env=whole, stdout=self._told, stderr=self._told)
        end = time.monotonic() + wait
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{port}{path}", timeout=2).status_code == 200:
                    return
            time.sleep(0.1)
        self._told.seek(0)
        said = self._told.read().strip().splitlines()
        self.stop()
        raise RuntimeError(f"{command[0]} does not listen: {said[-1] if said else 'it says nothing'}")

    @property
    def rss(self) -> float:
        """Resident memory in MB, of the process and all it has started."""
        whole = psutil.Process(self.process.pid)
        return float(sum(one.memory_info().rss for one in (whole, *whole.children(recursive=True))) / 1e6)

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._told.close()


@contextlib.contextmanager
def upstream(latency: float) -> Iterator[int]:
    """Run the scripted upstream; gives its port."""
    script = str(ROOT / "benchmarks" / "_gateway_upstream.py")
    command = [sys.executable, script, "--latency", str(latency)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def ours(behind: int) -> Iterator[Served]:
    """Run our gateway before the upstream at a port."""
    with tempfile.TemporaryDirectory() as folder:
        file, port = Path(folder) / "gateway.toml", free_port()
        file.write_text(OURS.format(port=behind), encoding="utf-8")
        command = [sys.executable, "-m", "pilotfish.cli.main", "serve", str(file), "--port", str(port)]
        served = Served(command, port, "/readyz", {}, 30)
        try:
            yield served
        finally:
            served.stop()


@contextlib.contextmanager
def theirs(behind: int) -> Iterator[Served]:
    """Run the LiteLLM proxy, one worker, before the upstream at a port."""
    with tempfile.TemporaryDirectory() as folder:
        file, port = Path(folder) / "config.yaml", free_port()
        file.write_text(THEIRS.format(port=behind), encoding="utf-8")
        env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION"}
        command = [str(PEER), "--config", str(file), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        served = Served([*command, "--telemetry", "False"], port, "/health/liveliness", env, 180)
        try:
            yield served
        finally:
            served.stop()


class Load:
    """The process that asks."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "benchmarks._gateway_load"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, port: int, clients: int, *, stream: bool = False, **much: float) -> dict[str, Any]:
        """Return what came of a job: `seconds` or `requests` says how much.

        Raises:
            RuntimeError: an answer was wrong.
        """
        job = {"port": port, "clients": clients, "stream": stream, **much}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        if found["wrong"]:
            raise RuntimeError(f"{found['wrong']} of {found['requests']} answers were wrong: {found['said']}")
        return found

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=30)
