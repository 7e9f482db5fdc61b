"""What several models say of the tokens of a text: the evidence that weights are fitted on and judged by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pilotfish.decode.decoder import Decoder
from pilotfish.errors import DataError

if TYPE_CHECKING:
    from pilotfish.decode.lockstep import Rule

__all__ = ["Evidence", "gather", "perplexity"]

# Tokens in one pass over a text.
CHUNK = 128


@dataclass(frozen=True)
class Evidence:
    """The models' log-probabilities of every next token of a domain's texts, and the token that came.

    Attributes:
        domain: what the texts have in common.
        logps: (models, tokens, vocabulary) in float32; models x tokens x vocabulary x 4 bytes.
        targets: (tokens,) ids.
    """

    domain: str
    logps: Tensor
    targets: Tensor

    @property
    def gold(self) -> Tensor:
        """Log-probabilities of the tokens that came: (models, tokens), float64."""
        ids = self.targets[None, :, None].expand(len(self.logps), -1, 1)
        return self.logps.gather(-1, ids)[..., 0].double()


def gather(
    decoders: Sequence[Decoder], texts: Sequence[Sequence[int]], domain: str, *, limit: int = 2000, width: int = 0
) -> Evidence:
    """Run every text through every model and return what they say of each token but the first.

    Args:
        decoders: models of one vocabulary, each with one member.
        texts: token ids; those with fewer than two tokens say nothing.
        domain: what to call them.
        limit: how many tokens are kept at most, the first ones.
        width: how many logits to keep; 0 for the least of the models'.

    Raises:
        DataError: no text has two tokens.
        ModelError: a text is longer than a model takes.
    """
    width = width or min(decoder.vocabulary for decoder in decoders)
    said: list[list[Tensor]] = [[] for _ in decoders]
    targets: list[int] = []
    for text in texts:
        ids = text[: limit - len(targets) + 1]
        if len(ids) < 2:
            continue
        targets += ids[1:]
        for decoder, into in zip(decoders, said, strict=True):
            (row,), first = decoder.start([[ids[:1]]])
            into.append(first[:, :width].log_softmax(-1).cpu())
            for at in range(1, len(ids) - 1, CHUNK):
                (more,) = decoder.feed([row], [ids[at : min(at + CHUNK, len(ids) - 1)]])
                into.append(more[:, :width].log_softmax(-1).cpu())
            decoder.close(row)
    if not targets:
        raise DataError(f"{domain}: no text of two tokens or more, so there is nothing to fit weights on")
    return Evidence(domain, torch.stack([torch.cat(parts) for parts in said]), torch.tensor(targets))


def perplexity(rule: Rule, evidence: Evidence) -> float:
    """Return exp of the mean negative log-probability that a rule gives the tokens that came; inf where one is out."""
    total = 0.0
    for at in range(0, len(evidence.targets), CHUNK):
        logits = rule(list(evidence.logps[:, at : at + CHUNK])).double().log_softmax(-1)
        total -= float(logits.gather(-1, evidence.targets[at : at + CHUNK, None]).sum())
    mean = total / len(evidence.targets)
    return math.exp(mean) if mean < 700 else math.inf
