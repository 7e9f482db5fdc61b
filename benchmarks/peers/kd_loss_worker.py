"""One side of `benchmarks kd-loss`, in a process of its own: ours, or TRL's, in whichever environment runs this.

The first line of JSON says the shape {which, tokens, vocabulary, student, teacher, threads, dtype}; each further line
{beta, grads} is one forward and backward pass through both LM heads, answered with its seconds, the peak of resident
memory above what there was before it, and, where `grads` names a folder, the loss and the gradients written there.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch


def main() -> None:
    """Serve one shape."""
    out = sys.stdout
    sys.stdout = sys.stderr
    job = json.loads(sys.stdin.readline())
    torch.set_num_threads(job["threads"])
    random = np.random.default_rng(0)
    n, v, s, t = (job[name] for name in ("tokens", "vocabulary", "student", "teacher"))

    def drawn(rows: int, width: int, scale: float) -> Any:
        made = random.standard_normal((rows, width), dtype=np.float32)
        made *= scale
        return torch.from_numpy(made).to(getattr(torch, job.get("dtype", "float32")))

    # Logits of student and teacher with a spread of 2.5, as language models' have, and half of it shared.
    hidden, weight = drawn(n, s, 1.0), drawn(v, s, 2.5 * s**-0.5)
    hidden_teacher, weight_teacher = drawn(n, t, 1.0), drawn(v, t, 2.5 * t**-0.5)
    both = min(s, t)
    hidden_teacher[:, :both] += hidden[:, :both]
    weight_teacher[:, :both] += weight[:, :both]
    hidden_teacher *= 0.5
    run = {"ours": ours, "full": full, "chunked": chunked}[job["which"]]()
    print(json.dumps({"ready": True}), file=out, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        own_hidden, own_weight = hidden.detach().requires_grad_(), weight.detach().requires_grad_()
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = _kilobytes("VmRSS")
        start = time.perf_counter()
        loss = run(own_hidden, own_weight, hidden_teacher, weight_teacher, asked["beta"]) / n
        loss.backward()
        seconds = time.perf_counter() - start
        peak = _kilobytes("VmHWM") - before
        if asked.get("grads"):
            folder = Path(asked["grads"])
            np.save(folder / "hidden.npy", own_hidden.grad.float().numpy())
            np.save(folder / "weight.npy", own_weight.grad.float().numpy())
        told = {"seconds": seconds, "bytes": 1024 * peak, "loss": float(loss)}
        del loss, own_hidden, own_weight
        print(json.dumps(told), file=out, flush=True)


def _kilobytes(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise KeyError(name)


Pass = Callable[[Any, Any, Any, Any, float], Any]


def ours() -> Pass:
    """Return Pilotfish's fused loss."""
    from pilotfish.distill.divergence import JSD
    from pilotfish.models.head import Head
    from pilotfish.train.fused import FromHead, fused_loss

    def run(hidden: Any, weight: Any, hidden_teacher: Any, weight_teacher: Any, beta: float) -> Any:
        return fused_loss(hidden, Head(weight), FromHead(hidden_teacher, Head(weight_teacher)), JSD(beta)).total

    return run


def full() -> Pass:
    """Return TRL's loss over whole logits, made by both heads."""
    from trl.experimental.gkd.gkd_trainer import GKDTrainer  # type: ignore[import-not-found]

    def run(hidden: Any, weight: Any, hidden_teacher: Any, weight_teacher: Any, beta: float) -> Any:
        with torch.no_grad():
            teacher = hidden_teacher @ weight_teacher.T
        return GKDTrainer.generalized_jsd_loss(hidden @ weight.T, teacher, beta=beta, reduction="sum")

    return run


def chunked() -> Pass:
    """Return TRL's loss in tiles, the one its DistillationTrainer uses."""
    from trl.kernels.chunked_divergence import ChunkedDivergenceFunction  # type: ignore[import-not-found]

    def run(hidden: Any, weight: Any, hidden_teacher: Any, weight_teacher: Any, beta: float) -> Any:
        function = ChunkedDivergenceFunction
        return function.apply(hidden, weight, None, hidden_teacher, weight_teacher, None, beta)[0].sum()

    return run


if __name__ == "__main__":
    main()
