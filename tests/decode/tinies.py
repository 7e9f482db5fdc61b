"""Several tiny models that share a tokenizer, and what they give, by brute force."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from pilotfish.decode.decoder import Prompt
from pilotfish.models.local import LocalModel
from tests.decode.reference import ReferenceDecoder
from tests.tiny import Cut, Family, tokenizer, write_lm


@cache
def tiny(seed: int = 7, family: Family = "llama") -> Any:
    """A tiny transformers model in float32; another one for every seed."""
    import transformers

    with TemporaryDirectory() as folder:
        write_lm(Path(folder), family, seed=seed)
        return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@cache
def cutter() -> Any:
    """The tokenizer of them all."""
    return tokenizer()


def logits_of(model: Any, ids: Sequence[int]) -> torch.Tensor:
    """Logits after each of the ids: (ids, vocabulary)."""
    with torch.inference_mode():
        return model(input_ids=torch.tensor([list(ids)])).logits[0].float()


def random_prompts(members: int, rows: int = 3) -> list[Prompt]:
    """Prompts of several lengths, other ones for each member."""
    return [
        [[(7 * r + 3 * m + i) % 380 + 4 for i in range(2 + 3 * r + m)] for m in range(members)] for r in range(rows)
    ]


class Counting(ReferenceDecoder):
    """A reference that counts its passes."""

    passes = 0

    def start(self, prompts: Sequence[Prompt]) -> Any:
        self.passes += 1
        return super().start(prompts)

    def feed(self, rows: Any, tokens: Any, parents: Any = None) -> list[torch.Tensor]:
        self.passes += 1
        return super().feed(rows, tokens, parents)


@cache
def local(seed: int = 1, cut: Cut = "plain", name: str = "") -> LocalModel:
    """A tiny `LocalModel`, loaded; another one for every seed."""
    with TemporaryDirectory() as folder:
        write_lm(Path(folder), "llama", cut, seed=seed)
        return LocalModel(folder, name=name or f"tiny-{seed}", dtype="float32", device="cpu").load()


def last_logits(model: LocalModel, ids: Sequence[int]) -> torch.Tensor:
    """Logits (vocabulary,) after these ids, by a whole forward pass."""
    return logits_of(model.model, ids)[-1]


def greedy(
    rule: Callable[[list[torch.Tensor]], torch.Tensor],
    models: Sequence[LocalModel],
    prompts: Sequence[Sequence[int]],
    limit: int,
) -> tuple[list[int], list[float]]:
    """What models in lockstep say, token by token, every time from the beginning; and the log-probabilities."""
    ends = frozenset().union(*(model.ends for model in models))
    tokens: list[int] = []
    logprobs: list[float] = []
    while len(tokens) < limit:
        given = [last_logits(model, [*ids, *tokens])[None] for model, ids in zip(models, prompts, strict=True)]
        after = rule(given)[0].log_softmax(-1)
        token = int(after.argmax())
        if token in ends:
            break
        tokens.append(token)
        logprobs.append(float(after[token]))
    return tokens, logprobs


def shown(model: LocalModel, tokens: Sequence[int]) -> str:
    """The text of an answer's tokens."""
    return str(model.tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False))
