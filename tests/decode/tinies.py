"""Several tiny models that share a tokenizer, and what they give, by brute force."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from pilotfish.decode.decoder import Prompt
from tests.decode.reference import ReferenceDecoder
from tests.tiny import Family, tokenizer, write_lm


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
