"""Commands as processes of their own that need not load torch: each is the fork of one that has.

Loading torch and transformers takes a command seconds, and the tests run hundreds. What is forked has loaded libraries
and nothing of ours, and has run nothing.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["Forks", "serve"]

LOADED = (
    "anyio",
    "click",
    "httpx",
    "numpy",
    "pydantic",
    "scipy.optimize",
    "scipy.sparse",
    "scipy.stats",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "tokenizers",
    "torch",
    "transformers",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.bert.modeling_bert",
    "transformers.models.llama.modeling_llama",
    "transformers.models.qwen2.modeling_qwen2",
)
ROOT = Path(__file__).resolve().parents[2]


class Forks:
    """Starts commands in a given environment.

    Args:
        entry: Python that is a command.
        env: of all of them.
    """

    def __init__(self, entry: str, env: Mapping[str, str]) -> None:
        self.env = dict(env)
        self._lock = threading.Lock()
        ours, theirs = socket.socketpair()
        serving = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom tests.cli.forks import end_with, serve\n"
        code = f"{serving}serve({theirs.fileno()})\nend_with({entry!r})"
        self._server = subprocess.Popen(
            [sys.executable, "-c", code], env=self.env, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
        )
        theirs.close()
        self._socket = ours
        atexit.register(self.close)

    def run(
        self, arguments: Sequence[str], cwd: Path, stdin: bytes, timeout: float
    ) -> subprocess.CompletedProcess[bytes] | None:
        """Run a command to its end; None where another one is under way."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            return self._run(arguments, cwd, stdin, timeout)
        finally:
            self._lock.release()

    def _run(
        self, arguments: Sequence[str], cwd: Path, stdin: bytes, timeout: float
    ) -> subprocess.CompletedProcess[bytes]:
        pipes = [os.pipe() for _ in range(3)]
        (read_in, write_in), (read_out, write_out), (read_err, write_err) = pipes
        told = json.dumps({"arguments": list(arguments), "cwd": str(cwd)}).encode()
        socket.send_fds(self._socket, [len(told).to_bytes(4, "big")], [read_in, write_out, write_err])
        self._socket.sendall(told)
        for theirs in (read_in, write_out, write_err):
            os.close(theirs)
        said: dict[str, bytes] = {}
        readers = [
            threading.Thread(target=_read, args=(read_out, said, "out"), daemon=True),
            threading.Thread(target=_read, args=(read_err, said, "err"), daemon=True),
            threading.Thread(target=_write, args=(write_in, stdin), daemon=True),
        ]
        for reader in readers:
            reader.start()
        pid = int.from_bytes(_exactly(self._socket, 4), "big")
        self._socket.settimeout(timeout)
        try:
            code = int.from_bytes(_exactly(self._socket, 4), "big", signed=True)
        except TimeoutError:
            os.kill(pid, 9)
            self._socket.settimeout(None)
            _exactly(self._socket, 4)
            raise subprocess.TimeoutExpired(list(arguments), timeout) from None
        finally:
            self._socket.settimeout(None)
        for reader in readers:
            reader.join(timeout=10)
        return subprocess.CompletedProcess(list(arguments), code, said.get("out", b""), said.get("err", b""))

    def close(self) -> None:
        """End the process that is forked."""
        self._socket.close()
        self._server.wait(timeout=10)


def serve(number: int) -> None:
    """Fork for each command that the socket asks for; return in the child, which then is the command."""
    for name in LOADED:
        importlib.import_module(name)
    asking = socket.socket(fileno=number)
    while True:
        gc.freeze()  # a child whose collector looked at all that is loaded would copy it
        head, files, _, _ = socket.recv_fds(asking, 4, 3)
        if not head:
            os._exit(0)
        told = json.loads(_exactly(asking, int.from_bytes(head, "big")))
        pid = os.fork()
        if not pid:
            asking.close()
            for place, file in enumerate(files):
                os.dup2(file, place)
                os.close(file)
            os.chdir(told["cwd"])
            sys.path.remove(str(ROOT))
            sys.argv[1:] = told["arguments"]
            return
        for file in files:
            os.close(file)
        asking.sendall(pid.to_bytes(4, "big"))
        _, status = os.waitpid(pid, 0)
        asking.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))


def end_with(entry: str) -> None:
    """Run the command and end as an interpreter does, but that it does not take apart all that is loaded (2 s)."""
    code: object = 0
    try:
        exec(compile(entry, "<string>", "exec"), {"__name__": "__main__"})
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
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def _exactly(asked: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        more = asked.recv(count - len(found))
        if not more:
            raise EOFError("the process that is forked has ended")
        found += more
    return found


def _read(file: int, said: dict[str, bytes], name: str) -> None:
    with os.fdopen(file, "rb") as pipe:
        said[name] = pipe.read()


def _write(file: int, stdin: bytes) -> None:
    try:
        with os.fdopen(file, "wb") as pipe:
            pipe.write(stdin)
    except BrokenPipeError:
        pass
