"""One side of `benchmarks kd-train`'s speed, in a process of its own: our training loop, or TRL's GKDTrainer.

The one line of JSON is {which, student, teacher, ids, beta, steps, rate, threads, folder}: both take the same batch,
the rows of `ids` (a file of numpy's), at every step, in float32, so that losses can be compared. The answer has the
loss of every step, the seconds of every step, and the peak of resident memory above that of the two loaded models.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM


def main() -> None:
    """Train as told, and say how it went."""
    out, sys.stdout = sys.stdout, sys.stderr
    job = json.loads(sys.stdin.readline())
    torch.set_num_threads(job["threads"])
    student, teacher = (
        AutoModelForCausalLM.from_pretrained(job[name], dtype=torch.float32) for name in ("student", "teacher")
    )
    ids = np.load(job["ids"])
    run = {"ours": ours, "trl": trl}[job["which"]]
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _kilobytes("VmRSS")
    losses, ends = run(job, student, teacher, ids)
    told = {"losses": losses, "seconds": np.diff(ends).tolist(), "bytes": 1024 * (_kilobytes("VmHWM") - before)}
    print(json.dumps(told), file=out, flush=True)


def _kilobytes(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise KeyError(name)


def ours(job: dict[str, Any], student: Any, teacher: Any, ids: Any) -> tuple[list[float], list[float]]:
    """Train by Pilotfish's loop."""
    from pilotfish.distill.divergence import JSD
    from pilotfish.distill.whitebox import Weighing, WhiteBox
    from pilotfish.train.examples import Example
    from pilotfish.train.log import read_log
    from pilotfish.train.loop import fit
    from pilotfish.train.settings import Fit

    examples = [Example(tuple(row), 1, row=i) for i, row in enumerate(ids.tolist())]
    how = Fit(
        steps=job["steps"],
        batch_tokens=int(ids.size),
        rate=job["rate"],
        schedule="constant",
        warmup=0.0,
        dtype="float32",
        every=10**6,
    )
    folder = Path(job["folder"])
    fit(WhiteBox(student, teacher, Weighing(JSD(job["beta"]))), examples, [], how, folder, "speed", progress=False)
    rows = [row for row in read_log(folder) if "rate" in row]
    return [row["loss"] for row in rows], [row["seconds"] for row in rows]


def trl(job: dict[str, Any], student: Any, teacher: Any, ids: Any) -> tuple[list[float], list[float]]:
    """Train by TRL's trainer for teachers whose answers are given."""
    from datasets import Dataset
    from transformers import AutoTokenizer, TrainerCallback
    from trl.experimental.gkd import GKDConfig, GKDTrainer  # type: ignore[import-not-found]

    ends: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(time.perf_counter())

    def collated(rows: list[dict[str, Any]]) -> dict[str, Any]:
        made = torch.tensor([row["ids"] for row in rows])
        labels = made.clone()
        labels[:, 0] = -100  # nothing predicts a text's first token, and it should not count among those in the loss
        return {"input_ids": made, "attention_mask": torch.ones_like(made), "labels": labels}

    how = GKDConfig(
        output_dir=job["folder"],
        max_steps=job["steps"],
        per_device_train_batch_size=len(ids),
        learning_rate=job["rate"],
        lr_scheduler_type="constant",
        weight_decay=0.0,
        max_grad_norm=1.0,
        adam_beta1=0.9,
        adam_beta2=0.999,
        lmbda=0.0,
        beta=job["beta"],
        bf16=False,
        use_cpu=True,
        gradient_checkpointing=False,
        save_strategy="no",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
    )
    trainer = GKDTrainer(
        model=student,
        teacher_model=teacher,
        args=how,
        data_collator=collated,
        train_dataset=Dataset.from_list([{"ids": row} for row in ids.tolist()]),
        processing_class=AutoTokenizer.from_pretrained(job["teacher"]),
        callbacks=[Clock()],
    )
    trainer.train()
    return [row["loss"] for row in trainer.state.log_history if "loss" in row], ends


if __name__ == "__main__":
    main()
