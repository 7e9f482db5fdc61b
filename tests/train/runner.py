"""A run in a process of its own, for tests that kill it or start several: python -m tests.train.runner JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pilotfish.distill.divergence import ForwardKL
from pilotfish.models.local import LocalModel
from pilotfish.train.examples import pieces
from pilotfish.train.loop import fit
from pilotfish.train.processes import in_turn, join
from pilotfish.train.settings import Fit
from pilotfish.train.sharded import mesh_of, sharded
from tests.tiny import TEXTS


def main() -> None:
    """Train a tiny student as told, and write where it ended."""
    import torch

    from pilotfish.distill.whitebox import Weighing, WhiteBox

    job = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    student, teacher = (
        LocalModel(job[name], dtype="float32", device="cpu").load().model for name in ("student", "teacher")
    )
    tokenizer = LocalModel(job["student"], dtype="float32", device="cpu").tokenizer
    examples = pieces(tokenizer, TEXTS * 3, 24)
    for module in student.modules():  # dropout too must come out alike
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.1
    if job.get("dropout"):
        student.config.attention_dropout = 0.1
    if job.get("shard"):
        join("cpu")
        mesh = mesh_of("cpu")
        with in_turn():
            sharded(teacher, mesh)
        layers = list(teacher.transformer.h.parameters())
        told = {"held": sum(one.to_local().numel() for one in layers), "of": sum(one.numel() for one in layers)}
        sys.stdout.write(json.dumps(told) + "\n")  # in one piece: both processes write here
    task = WhiteBox(student, teacher, Weighing(ForwardKL(), 0.5, 1.0))
    done = fit(task, examples, examples[:4], Fit(**job["fit"]), Path(job["out"]), "a run", progress=False)
    sys.stdout.write(json.dumps({"steps": done.steps, "looks": done.looks[done.steps]}) + "\n")


if __name__ == "__main__":
    main()
