"""The training loop of an expert: low-rank adapters or all weights, with checkpoints that survive `kill -9`."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import DataError
from pilotfish.models.local import LocalModel
from pilotfish.rows._atomic import atomic
from pilotfish.rows._progress import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.adapt.expert import Tuning
    from pilotfish.models.catalog import Catalog


class Trainer:
    """Holds a model in training.

    The order of pieces is drawn once from the seed and a step is a slice of it, so a run that resumes at step n sees
    what the unbroken run would have seen.
    """

    def __init__(self, weights: str, tuning: Tuning, *, dtype: str, device: str, catalog: Catalog | None) -> None:
        torch = need("torch", "train")
        self.tuning = tuning
        local = LocalModel(weights, dtype=dtype if tuning.rank else "float32", device=device, catalog=catalog).load()
        self.model, self.tokenizer = local.model, local.tokenizer
        self.saved_dtype = self.model.dtype
        self.licence = local.licence
        self.length = min(tuning.length, local.max_length)
        self.tokens = self.steps = 0
        self.seconds = 0.0
        torch.manual_seed(tuning.seed)
        if tuning.rank:
            peft = need("peft", "train")
            config = peft.LoraConfig(
                r=tuning.rank,
                lora_alpha=tuning.scale,
                target_modules="all-linear",
                task_type="CAUSAL_LM",
                fan_in_fan_out=self.model.config.model_type == "gpt2",  # its linears are stored (in, out)
            )
            self.model = peft.get_peft_model(self.model, config)

    def pieces(self, texts: Sequence[str]) -> list[tuple[int, list[int]]]:
        """Return (text, ids) pieces of at most `length` tokens; each text ends with the end token."""
        end = self.tokenizer.eos_token_id
        out = []
        for number, text in enumerate(texts):
            ids = list(self.tokenizer(text, verbose=False)["input_ids"])
            if end is not None and ids[-1:] != [end]:
                ids.append(end)
            for start in range(0, max(1, len(ids) - 1), self.length - 1):
                # Pieces overlap by one token, so that every token but the first is predicted once.
                piece = ids[start : start + self.length]
                if len(piece) > 1:
                    out.append((number, piece))
        return out

    def losses(self, texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return each text's summed loss in nats, and how many tokens were predicted: two arrays (texts,)."""
        torch = need("torch", "train")
        pieces = self.pieces(texts)
        losses, counts = np.zeros(len(texts)), np.zeros(len(texts))
        self.model.eval()
        with torch.inference_mode():
            for batch in _batches(pieces, self.tuning.batch_tokens):
                each = _token_losses(self.model, [ids for _, ids in batch])
                for (number, ids), row in zip(batch, each, strict=True):
                    losses[number] += float(row.double().sum())
                    counts[number] += len(ids) - 1
        return losses, counts

    def train(self, texts: Sequence[str], checkpoints: Path, identity: str, *, progress: bool) -> None:
        """Train on the texts, going on from a checkpoint of the same identity where one is there."""
        torch = need("torch", "train")
        tuning = self.tuning
        plan = self._plan(texts)
        if not plan:
            raise DataError("the training texts have no two tokens in a row; nothing can be learnt from them")
        weights = {name: value for name, value in self.model.named_parameters() if value.requires_grad}
        optimizer = torch.optim.AdamW(weights.values(), lr=tuning.rate, weight_decay=tuning.decay)
        self._restore(checkpoints, identity, weights, optimizer)
        total = sum(len(ids) - 1 for batch in plan for _, ids in batch)
        started, spent = time.perf_counter(), self.seconds
        with Progress(total, self.tokens, shown=progress, unit="tokens") as bar:
            while self.steps < len(plan):
                batch = [ids for _, ids in plan[self.steps]]
                for group in optimizer.param_groups:
                    group["lr"] = tuning.rate * _schedule(self.steps, len(plan), tuning.warmup)
                self.model.train()
                count = sum(len(ids) - 1 for ids in batch)
                loss = sum(row.sum() for row in _token_losses(self.model, batch)) / count
                loss.backward()
                torch.nn.utils.clip_grad_norm_(list(weights.values()), tuning.clip)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                self.steps += 1
                self.tokens += count
                self.seconds = spent + time.perf_counter() - started
                bar.add(count)
                if self.steps % tuning.every == 0:
                    self._checkpoint(checkpoints, identity, weights, optimizer)

    def save(self, out: Path) -> None:
        """Merge the adapters and write a folder that transformers loads, in the dtype the model came in."""
        if self.tuning.rank:
            # Merged in float32: a small update added in bfloat16 would be rounded away twice.
            self.model = self.model.float().merge_and_unload()
        self.model = self.model.to(self.saved_dtype).eval()
        out.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(out, safe_serialization=True)
        self.tokenizer.save_pretrained(out)

    def _plan(self, texts: Sequence[str]) -> list[list[tuple[int, list[int]]]]:
        """Return the batch of every step, all epochs, cut off at `max_tokens`."""
        pieces = self.pieces(texts)
        random = np.random.default_rng(self.tuning.seed)
        plan: list[list[tuple[int, list[int]]]] = []
        seen = 0
        for _ in range(self.tuning.epochs):
            shuffled = [pieces[i] for i in random.permutation(len(pieces))]
            for batch in _batches(shuffled, self.tuning.batch_tokens):
                if self.tuning.max_tokens is not None and seen >= self.tuning.max_tokens:
                    return plan
                plan.append(batch)
                seen += sum(len(ids) - 1 for _, ids in batch)
        return plan

    def _checkpoint(self, folder: Path, identity: str, weights: dict[str, Any], optimizer: Any) -> None:
        from safetensors.torch import save

        tensors = {f"weight/{name}": value.detach().contiguous() for name, value in weights.items()}
        for name, value in weights.items():
            for key, held in optimizer.state[value].items():
                tensors[f"{key}/{name}"] = held.detach().reshape(held.shape or (1,)).contiguous()
        folder.mkdir(parents=True, exist_ok=True)
        name = f"step-{self.steps}.safetensors"
        with atomic(folder / name) as file:
            file.write(save(tensors))
        told = {"identity": identity, "file": name, "steps": self.steps, "tokens": self.tokens, "seconds": self.seconds}
        # The marker is renamed into place after the tensors are on the disk, so it never names half a file.
        with atomic(folder / "checkpoint.json") as file:
            file.write(json.dumps(told).encode())
        for old in folder.glob("step-*.safetensors"):
            if old.name != name:
                old.unlink()

    def _restore(self, folder: Path, identity: str, weights: dict[str, Any], optimizer: Any) -> None:
        torch = need("torch", "train")
        from safetensors.torch import load_file

        marker = folder / "checkpoint.json"
        if not marker.exists():
            return
        told = json.loads(marker.read_text())
        if told["identity"] != identity:
            raise DataError(f"{folder} holds the checkpoint of another tuning; remove it, or give a new folder")
        tensors = load_file(folder / told["file"])
        with torch.no_grad():
            for name, value in weights.items():
                value.copy_(tensors[f"weight/{name}"])
                optimizer.state[value] = {
                    "step": tensors[f"step/{name}"].reshape(()),
                    "exp_avg": tensors[f"exp_avg/{name}"].to(value.device).reshape(value.shape),
                    "exp_avg_sq": tensors[f"exp_avg_sq/{name}"].to(value.device).reshape(value.shape),
                }
        self.steps, self.tokens, self.seconds = told["steps"], told["tokens"], told["seconds"]


def _schedule(step: int, steps: int, warmup: float) -> float:
    """Return the share of the highest learning rate at a step: a linear rise, then a cosine to 0."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _batches(pieces: Sequence[tuple[int, list[int]]], budget: int) -> list[list[tuple[int, list[int]]]]:
    """Group pieces, in their order, so that rows x longest stays within the budget (a single piece may exceed it)."""
    out: list[list[tuple[int, list[int]]]] = []
    longest = 0
    for piece in pieces:
        longest = max(longest, len(piece[1]))
        if not out or (len(out[-1]) + 1) * longest > budget:
            out.append([])
            longest = len(piece[1])
        out[-1].append(piece)
    return out


def _token_losses(model: Any, rows: Sequence[list[int]]) -> list[Any]:
    """Return -log p of each row's tokens after its first, in nats: one tensor (length - 1,) a row."""
    torch = need("torch", "train")
    width = max(len(row) for row in rows)
    # Padded at the end and cut off by length: causal attention keeps real tokens from seeing what comes after them.
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
    ids = ids.to(model.device)
    logits = model(input_ids=ids, use_cache=False).logits
    return [
        torch.nn.functional.cross_entropy(logits[i, : len(row) - 1].float(), ids[i, 1 : len(row)], reduction="none")
        for i, row in enumerate(rows)
    ]
