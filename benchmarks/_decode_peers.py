"""OpenVINO GenAI and llama.cpp on the same GGUF files, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from benchmarks._peer import Peer

ROOT = Path(__file__).resolve().parents[1]
OPENVINO = ROOT / ".bench" / "openvino" / "bin" / "python"
LLAMA = ROOT / ".bench" / "llama.cpp"
HINTS = {
    "OpenVINO": "python -m venv .bench/openvino && .bench/openvino/bin/pip install -r benchmarks/peers/openvino.txt",
    "llama.cpp": "sh benchmarks/peers/llama_cpp.sh",
}


def missing() -> list[str]:
    """Return how to install the peers that are not here."""
    here = {"OpenVINO": OPENVINO.exists(), "llama.cpp": (LLAMA / "build" / "bin" / "llama-batched-bench").exists()}
    return [f"{name} not installed: {HINTS[name]}" for name, found in here.items() if not found]


class OpenVino:
    """OpenVINO GenAI's pipeline on a GGUF file, loaded once."""

    def __init__(self, gguf: Path, threads: int) -> None:
        script = ROOT / "benchmarks" / "peers" / "openvino_decode.py"
        self._peer = Peer(OPENVINO, script, HINTS["OpenVINO"], {"OMP_NUM_THREADS": str(threads)})
        self._peer.ask({"gguf": str(gguf), "threads": threads})

    def rate(self, prompts: list[str], steps: int) -> float:
        """Return tokens a second of all prompts together, after the prompts."""
        return float(self._peer.ask({"prompts": prompts, "steps": steps})["rate"])

    def close(self) -> None:
        """End the process."""
        self._peer.close()


# What llama.cpp calls our weights.
TYPES = {"bfloat16": "BF16", "bfloat16 in 12 bits": "BF16", "int8": "Q8_0"}


class LlamaCpp:
    """llama.cpp built for this machine, on the GGUF file or on what its own quantiser makes of it.

    int4 is the file as it is (Q4_1 or Q4_K_M, 5 bits a weight or a little less, as ours); bfloat16 and int8 are made of
    it once and kept under `.bench`.
    """

    def __init__(self, gguf: Path, bits: str, threads: int) -> None:
        self.path, self._threads = gguf, threads
        if bits in TYPES:
            self.path = LLAMA / "models" / f"{gguf.stem}.{TYPES[bits]}.gguf"
            if not self.path.exists():
                self.path.parent.mkdir(exist_ok=True)
                part = self.path.with_suffix(".part")
                command = ["llama-quantize", "--allow-requantize", gguf, part, TYPES[bits], threads]
                self._run(command)
                part.rename(self.path)

    def rates(self, rows: int, prompt: int, steps: int) -> tuple[float, float]:
        """Return tokens a second of `rows` rows together: of their prompts of `prompt` tokens, and of decoding."""
        shape = ["-npp", prompt, "-ntg", steps, "-npl", rows, "-c", rows * (prompt + steps) + 64]
        threads = ["-t", self._threads, "-tb", self._threads, "-ngl", 0]
        out = self._run(["llama-batched-bench", "-m", self.path, *shape, *threads, "--output-format", "jsonl"])
        found = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        return float(found[-1]["speed_pp"]), float(found[-1]["speed_tg"])

    def _run(self, command: list[Any]) -> str:
        program, *rest = (str(word) for word in command)
        done = subprocess.run(
            [str(LLAMA / "build" / "bin" / program), *rest], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
        return done.stdout
