"""The training loop: steps of several passes, one denominator over all their tokens, checkpoints, looks, a log.

Where `accelerate launch` starts several processes, each takes its share of every step's passes; a step's gradient is
the mean over all tokens in the loss of all processes, whatever share of them a process had.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pilotfish._extras import need
from pilotfish.errors import ConfigError, ModelError
from pilotfish.rows._progress import Progress
from pilotfish.train.checkpoint import Checkpoint
from pilotfish.train.examples import Learnable
from pilotfish.train.log import Log
from pilotfish.train.plan import planned, rate_at
from pilotfish.train.processes import count as started
from pilotfish.train.settings import Fit

__all__ = ["Batch", "Fitted", "Task", "fit"]


class Batch(Protocol):
    """Examples that are ready for a pass."""

    @property
    def count(self) -> float:
        """What the loss's sum is divided by: the weighted tokens in the loss."""


class Task(Protocol):
    """What is learnt, as a torch module: called with a batch it returns the loss's sum and figures.

    Its trainable parameters are what the loop trains and checkpoints.
    """

    def prepare(self, examples: Sequence[Any], step: int) -> Any:
        """Return examples as a `Batch`; without gradients. A task that samples does it here."""

    def looked(self, examples: Sequence[Any]) -> dict[str, float]:
        """Return figures of held-out examples; "loss", the less the better, decides which weights are best."""


@dataclass
class Fitted:
    """What a run did.

    Attributes:
        steps: steps taken, those before a stop included.
        planned: steps there were to take.
        tokens: tokens in the loss.
        seconds: spent in steps and looks.
        looks: the figures of the held-out examples by step.
        best: the step whose weights were taken.
        processes: that shared the steps.
    """

    steps: int = 0
    planned: int = 0
    tokens: int = 0
    seconds: float = 0.0
    looks: dict[int, dict[str, float]] = field(default_factory=dict)
    best: int = 0
    processes: int = 1


def fit(
    task: Any,
    examples: Sequence[Learnable],
    held_out: Sequence[Learnable],
    settings: Fit,
    folder: Path,
    identity: str,
    *,
    marks: Collection[int] = (),
    progress: bool = True,
) -> Fitted:
    """Train a task's module on examples, going on from a checkpoint of the same identity in the folder.

    Args:
        task: a torch module that is a `Task`; its weights are changed in place.
        examples: what is learnt from.
        held_out: what is looked at in between and at the end; may be empty.
        settings: how.
        folder: of the log and the checkpoints.
        identity: a digest of everything that decides the result.
        marks: steps after which weights and moments are kept for good, in `checkpoints/mark-{step}.safetensors`.
        progress: show a bar.

    Raises:
        DataError: nothing to learn from, or the checkpoint is another run's.
        ConfigError: the passes of a step can't be shared by the processes evenly.
        ModelError: the loss is not finite.
    """
    return _Run(task, examples, held_out, settings, folder, identity).go(progress, frozenset(marks))


class _Run:
    def __init__(
        self, task: Any, examples: Sequence[Learnable], held: Sequence[Learnable], fit: Fit, folder: Path, identity: str
    ) -> None:
        self.torch = need("torch", "train")
        accelerate = need("accelerate", "train")
        device = next(task.parameters()).device
        # Processes and devices only: its precision is one for the whole process, and ours one for each run.
        self.machine = accelerate.Accelerator(cpu=device.type == "cpu")
        self.lowered = _lowered(fit, self.machine.device)
        processes = self.machine.num_processes
        if processes != started():
            # Each would do the whole work, and all would write to one folder.
            raise ConfigError(f"{started()} processes were started, of which this one meets {processes}")
        if fit.accumulate % processes:
            raise ConfigError(f"accumulate is {fit.accumulate}: {processes} processes need a multiple of {processes}")
        self.task, self.examples, self.held, self.fit = task, examples, held, fit
        self.plan = planned(examples, fit)
        self.weights = {name: value for name, value in task.named_parameters() if value.requires_grad}
        self.optimizer = self.torch.optim.AdamW(_groups(self.weights, fit), lr=fit.rate, betas=fit.betas)
        self.module = task.to(self.machine.device)
        if self.machine.num_processes > 1:
            self.module = self.machine.prepare(task)
        self.checkpoint = Checkpoint(folder / "checkpoints", identity)
        self.folder = folder
        self.state = Fitted(planned=len(self.plan), processes=processes)

    def go(self, progress: bool, marks: frozenset[int] = frozenset()) -> Fitted:
        fit, state = self.fit, self.state
        told = self.checkpoint.read(self.weights, self.optimizer)
        if told is not None:
            state.steps, state.tokens, state.seconds = told["step"], told["tokens"], told["seconds"]
            state.looks = {int(step): look for step, look in told["looks"].items()}
        first = self.machine.is_main_process
        log = Log(self.folder, state.steps, tensorboard=fit.tensorboard) if first else None
        spent, began = state.seconds, time.perf_counter()
        with Progress(len(self.plan), state.steps, shown=progress and first, unit="steps") as bar:
            while state.steps < len(self.plan) and not self._patience_is_over():
                rate = rate_at(state.steps, len(self.plan), fit)
                for group in self.optimizer.param_groups:
                    group["lr"] = rate
                figures = self._step(state.steps)
                state.steps += 1
                state.tokens += round(figures["tokens"])
                look = self._look() if fit.evaluate_every and state.steps % fit.evaluate_every == 0 else {}
                state.seconds = spent + time.perf_counter() - began
                if log is not None:
                    log.put(state.steps, {**figures, "rate": rate, "seconds": state.seconds, **look})
                bar.add(1)
                if state.steps in marks and first:
                    self.checkpoint.mark(self.weights, self.optimizer, state.steps)
                if state.steps % fit.every == 0:
                    self._keep()
        if self.held and state.steps not in state.looks:
            look = self._look()
            if log is not None:
                log.put(state.steps, look)
        state.best = state.steps
        if fit.patience is not None and state.looks:
            state.best = min(state.looks, key=lambda step: state.looks[step]["loss"])
            if state.best != state.steps:
                self.checkpoint.take_best(self.weights)
        state.seconds = spent + time.perf_counter() - began
        self._keep()
        if log is not None:
            log.close()
        return state

    def _step(self, step: int) -> dict[str, float]:
        """Take one step; return its figures."""
        torch, machine, fit = self.torch, self.machine, self.fit
        passes = self.plan[step]
        self.module.train()
        mine = list(enumerate(passes))[machine.process_index :: machine.num_processes]
        ready = []
        for number, rows in mine:
            torch.manual_seed(_seed(fit.seed, step, number, "prepare"))
            ready.append((number, self.task.prepare([self.examples[i] for i in rows], step)))
        count = self._sum(sum(batch.count for _, batch in ready))
        sums: dict[str, Any] = {}
        while len(ready) < -(-len(passes) // machine.num_processes):
            # In the last step: without a pass of its own it takes part in what all processes do together, the
            # gradients' sum and the gathering of a shared teacher's weights, as often as the others.
            idle = self.examples[passes[0][0]]
            ready.append((0, self.task.prepare([idle.emptied()], step)))
        for at, (number, batch) in enumerate(ready):
            torch.manual_seed(_seed(fit.seed, step, number, "pass"))
            last = at == len(ready) - 1
            with self._products(), _quiet(machine, self.module, last):
                loss, figures = self.module(batch)
                # The processes' gradients are averaged: times their number it is their sum.
                machine.backward(loss * (machine.num_processes / max(count, 1e-9)))
            for name, value in {"loss": loss.detach(), **figures}.items():
                sums[name] = sums.get(name, 0.0) + value
        norm = torch.nn.utils.clip_grad_norm_(list(self.weights.values()), fit.clip or math.inf)
        totals = {name: self._sum(float(value)) / max(count, 1e-9) for name, value in sums.items()}
        if not math.isfinite(totals["loss"]) or not math.isfinite(float(norm)):
            raise ModelError(f"step {step + 1}: the loss or its gradient is not finite; a lower rate may help")
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return {**totals, "tokens": count, "norm": float(norm)}

    def _look(self) -> dict[str, float]:
        """Look at the held-out examples, and keep the weights where they are the best so far."""
        if not self.held:
            return {}
        self.module.eval()
        with self.torch.no_grad(), self._products():
            found = self.task.looked(self.held)
        looks = self.state.looks
        best = all(found["loss"] < other["loss"] for other in looks.values())
        looks[self.state.steps] = found
        if self.fit.patience is not None and best and self.machine.is_main_process:
            self.checkpoint.keep_best(self.weights)
        return {f"held-out/{name}": value for name, value in found.items()}

    def _patience_is_over(self) -> bool:
        looks = list(self.state.looks.values())
        if self.fit.patience is None or not looks:
            return False
        best = min(range(len(looks)), key=lambda i: looks[i]["loss"])
        return len(looks) - 1 - best >= self.fit.patience

    def _keep(self) -> None:
        state = self.state
        told = {"step": state.steps, "tokens": state.tokens, "seconds": state.seconds, "looks": state.looks}
        if self.machine.is_main_process:
            self.checkpoint.write(self.weights, self.optimizer, told)
        self.machine.wait_for_everyone()

    def _products(self) -> Any:
        """Return the context in which products are made in bfloat16, where they are."""
        kind = self.machine.device.type
        return self.torch.autocast(kind, dtype=self.lowered or self.torch.bfloat16, enabled=self.lowered is not None)

    def _sum(self, value: float) -> float:
        """Return the sum over all processes."""
        if self.machine.num_processes == 1:
            return float(value)
        held = self.torch.tensor([value], dtype=self.torch.float64, device=self.machine.device)
        return float(self.machine.reduce(held, "sum"))


def _groups(weights: Mapping[str, Any], fit: Fit) -> list[dict[str, Any]]:
    """Return AdamW's groups: norms and biases, which have one dimension, do not decay."""
    flat = [value for value in weights.values() if value.dim() < 2]
    deep = [value for value in weights.values() if value.dim() >= 2]
    return [{"params": deep, "weight_decay": fit.decay}, {"params": flat, "weight_decay": 0.0}]


def _lowered(fit: Fit, device: Any) -> Any:
    """Return the dtype of products; None for that of the weights. Gradients in float16 would need scaling: not that."""
    from pilotfish.models._weights import pick_dtype

    found = pick_dtype(fit.dtype, device.type)
    return found if found == need("torch", "train").bfloat16 else None


def _quiet(machine: Any, module: Any, last: bool) -> Any:
    """Return the context in which gradients are not summed over processes, but for a step's last pass."""
    import contextlib

    return contextlib.nullcontext() if last or machine.num_processes == 1 else machine.no_sync(module)


def _seed(*parts: object) -> int:
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
