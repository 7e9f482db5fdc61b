"""Processes of their own that need not load torch: each is the fork of one that has.

Loading torch, transformers and our own modules takes a process seconds, and the tests start more than a thousand. What
is forked has loaded modules and has run nothing. What a command loads, and what it does without, is for a fresh process
to show (see `tests.cli.help.pilotfish`, its `before`).
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

__all__ = ["Forked", "Forks", "forked", "module", "serve"]

LOADED = (
    "accelerate",
    "anyio",
    "catboost",
    "click",
    "httpx",
    "interpret.glassbox",
    "lightgbm",
    "numpy",
    "onnxruntime",
    "pydantic",
    "rapidfuzz",
    "rich.console",
    "rich.progress",
    "rich.table",
    "scipy.cluster.hierarchy",
    "scipy.optimize",
    "scipy.sparse",
    "scipy.stats",
    "sentence_transformers",
    "sklearn.cluster",
    "sklearn.ensemble",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "starlette.applications",
    "tokenizers",
    "torch",
    "transformers",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.bert.modeling_bert",
    "transformers.models.gpt2.modeling_gpt2",
    "transformers.models.llama.modeling_llama",
    "transformers.models.qwen2.modeling_qwen2",
    "usearch.index",
    "uvicorn",
    "xgboost",
)
# Run when they are loaded.
SCRIPTS = ("pilotfish.measure._jail",)
ROOT = Path(__file__).resolve().parents[1]
# A message is one packet: the arguments of a process, its place and what its environment has beside.
LONGEST = 150_000


class Forked:
    """A process that was forked, to be handled as `subprocess.Popen` is; its streams are binary pipes."""

    def __init__(self, arguments: Sequence[str], stdin: int, stdout: int, stderr: int, status: int) -> None:
        self.args = list(arguments)
        self.stdin: IO[bytes] = os.fdopen(stdin, "wb")
        self.stdout: IO[bytes] = os.fdopen(stdout, "rb")
        self.stderr: IO[bytes] = os.fdopen(stderr, "rb")
        self.returncode: int | None = None
        self._status = status
        self.pid = self._told()

    def _told(self) -> int:
        said = os.read(self._status, 4)
        if len(said) < 4:
            raise EOFError("the process that is forked has ended")
        return int.from_bytes(said, "big", signed=True)

    def poll(self) -> int | None:
        """Return the exit code, None where it runs."""
        return self._ended(0)

    def _ended(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], seconds)[0]:
            self.returncode = self._told()
            os.close(self._status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once it has ended."""
        if self._ended(timeout) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def communicate(self, input: bytes = b"", timeout: float | None = None) -> tuple[bytes, bytes]:
        """Write its input and return what it prints until it ends."""
        until = None if timeout is None else time.monotonic() + timeout
        said: dict[str, bytes] = {}
        workers = [
            threading.Thread(target=_read, args=(self.stdout, said, "out"), daemon=True),
            threading.Thread(target=_read, args=(self.stderr, said, "err"), daemon=True),
            threading.Thread(target=_write, args=(self.stdin, input), daemon=True),
        ]
        for worker in workers:
            worker.start()
        self.wait(timeout)
        for worker in workers[:2]:
            worker.join(10 if until is None else max(1.0, until - time.monotonic()))
        return said.get("out", b""), said.get("err", b"")

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for stream in (self.stdout, self.stderr):
            stream.close()
        if not self.stdin.closed:
            _write(self.stdin, b"")
        self.wait()


class Forks:
    """Starts processes in a given environment.

    Args:
        env: of all of them.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = dict(env)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom tests.forks import serve\nserve({theirs.fileno()})"
        quiet = subprocess.DEVNULL
        self._server = subprocess.Popen(
            [sys.executable, "-c", code], env=self.env, stdin=quiet, stdout=quiet, pass_fds=[theirs.fileno()]
        )
        theirs.close()
        self._socket = ours
        atexit.register(self.close)

    def start(
        self, code: str, arguments: Sequence[str | Path], cwd: Path, more: Mapping[str, str] | None = None
    ) -> Forked:
        """Start `python -c code arguments` and return at once; `more` joins its environment.

        A variable that a library reads when it is loaded comes too late in `more`.
        """
        pipes = [os.pipe() for _ in range(4)]
        (read_in, write_in), (read_out, write_out), (read_err, write_err), (read_status, write_status) = pipes
        given = [str(argument) for argument in arguments]
        told = json.dumps({"code": code, "arguments": given, "cwd": str(cwd), "env": dict(more or {})}).encode()
        if len(told) > LONGEST:
            raise ValueError(f"{len(told)} bytes of arguments: {LONGEST} at most")
        theirs = [read_in, write_out, write_err, write_status]
        socket.send_fds(self._socket, [told], theirs)
        for file in theirs:
            os.close(file)
        return Forked(given, write_in, read_out, read_err, read_status)

    def close(self) -> None:
        """End the process that is forked."""
        self._socket.close()
        self._server.wait(timeout=10)


def forked(code: str, *arguments: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> Forked:
    """Start `python -c code arguments` in the environment of now, as a fork of a process that stays."""
    now = dict(os.environ if env is None else env)
    # pytest notes the running test here.
    now = {name: value for name, value in now.items() if not name.startswith("PYTEST_CURRENT")}
    if not _forks or any(_forks[0].env.get(name) != now.get(name) for name in EARLY):
        for old in _forks:
            old.close()
        _forks[:] = [Forks(now)]
    return _forks[0].start(code, arguments, cwd, now)


def module(name: str) -> str:
    """Return the code that does as `python -m name`."""
    return f"import runpy; runpy.run_module({name!r}, run_name='__main__', alter_sys=True)"


_forks: list[Forks] = []
# What libraries read when they are loaded: another value needs another process to fork.
EARLY = ("HF_HUB_OFFLINE", "HF_HOME", "OMP_NUM_THREADS", "PYTHONPATH", "TOKENIZERS_PARALLELISM")


def serve(number: int) -> None:
    """Fork for each process that the socket asks for; the child is that process."""
    for name in LOADED:
        importlib.import_module(name)
    _load_ours()
    gc.collect()
    asking = socket.socket(fileno=number)
    # Nobody waits for those who wait, below.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        gc.freeze()  # a child whose collector looked at all that is loaded would copy it
        message, files, _, _ = socket.recv_fds(asking, LONGEST, 4)
        if not message:
            os._exit(0)
        if not os.fork():
            asking.close()
            _wait(json.loads(message), files)
        for file in files:
            os.close(file)


def _load_ours() -> None:
    """Load our modules, but for those whose library is not here."""
    import pilotfish
    from pilotfish.errors import MissingExtra

    for one in pkgutil.walk_packages(pilotfish.__path__, "pilotfish.", onerror=lambda name: None):
        if one.name in SCRIPTS:
            continue
        with suppress(ImportError, MissingExtra):
            importlib.import_module(one.name)


def _wait(told: dict[str, object], files: Sequence[int]) -> None:
    """Fork the process, tell its number, then its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, status = files
    pid = os.fork()
    if not pid:
        os.close(status)
        for place, file in enumerate(streams):
            os.dup2(file, place)
            os.close(file)
        _be(told)
    for file in streams:
        os.close(file)
    # Of a group of its own, lest Ctrl-C at the terminal ends it before what it waits for.
    os.setpgid(0, 0)
    os.write(status, pid.to_bytes(4, "big"))
    _, ended = os.waitpid(pid, 0)
    with suppress(BrokenPipeError):  # nobody asks any more
        os.write(status, os.waitstatus_to_exitcode(ended).to_bytes(4, "big", signed=True))
    os._exit(0)


def _be(told: dict[str, object]) -> None:
    """Be the process: run the code and end as an interpreter does, but do not take apart all that is loaded (2 s)."""
    env, cwd, arguments, text = told["env"], told["cwd"], told["arguments"], told["code"]
    assert isinstance(env, dict) and isinstance(cwd, str) and isinstance(arguments, list) and isinstance(text, str)
    os.chdir(cwd)
    if env:
        os.environ.clear()
        os.environ.update(env)
    sys.path.remove(str(ROOT))
    sys.argv[1:] = arguments
    code: object = 0
    try:
        exec(compile(text, "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = 120
    if isinstance(code, str):
        os.write(2, f"{code}\n".encode())
        code = 1
    os._exit(code if isinstance(code, int) else 0)


def _read(stream: IO[bytes], said: dict[str, bytes], name: str) -> None:
    said[name] = stream.read()


def _write(stream: IO[bytes], text: bytes) -> None:
    with suppress(BrokenPipeError):
        stream.write(text)
        stream.close()
