"""The LM head fused with the loss: a chunk of tokens at a time, gradients at once, so no sequence's logits ever exist.

A chunk's logits of student and teacher are made, turned into the loss and its gradient by the logits, multiplied back
into gradients of the hidden states and of the head, and overwritten by the next chunk's. What remains is the size of
the head and of the hidden states. The idea is that of Liger's fused linear cross-entropy (Hsu et al. 2024); the
gradients of the divergences are those of `pilotfish.distill.divergence`.

The loss of a token is α T² D(q ‖ p at temperature T) + (1 − α) (−log p of the token that stands there, at temperature
1). T² keeps the gradients' size as T grows (Hinton et al. 2015, section 2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch

from pilotfish.errors import ConfigError
from pilotfish.models.head import Head
from pilotfish.train.divergence import Divergence

__all__ = ["FromHead", "FromLogits", "Losses", "Target", "fused_loss"]

CHUNK_BYTES = 48 << 20  # of one chunk's logits; a smaller chunk reads the head more often, a larger one needs room
_CHUNK_TOKENS = 128  # at least: with fewer, products over a large vocabulary spend their time reading the head
_TILE_BYTES = 1 << 20  # of the rows that are worked on together: as large as stays in the processor's cache


class Target(Protocol):
    """What the student's distributions are compared with, token by token."""

    rows: int | None

    def begin(self, start: int, end: int, rows: int, temperature: float) -> None:
        """Make ready the tokens of a chunk."""

    def compare(self, within: slice, log_p: Any, p: Any, divergence: Divergence, grad: Any) -> Any:
        """Return (tokens,) nats of tokens of the chunk, and write the gradient into `grad`.

        Args:
            within: the tokens, counted from the chunk's first.
            log_p: the student's log-probabilities, (tokens, rows).
            p: its probabilities.
            divergence: what is computed.
            grad: (tokens, rows).
        """

    def likeliest(self, within: slice) -> Any:
        """Return the teacher's likeliest token of each that was just compared: (tokens,)."""


class FromLogits:
    """A teacher whose logits are there.

    Args:
        logits: (tokens, vocabulary).
    """

    def __init__(self, logits: Any) -> None:
        self._logits = logits
        self.rows: int | None = logits.shape[1]
        self._held: Any = None

    def begin(self, start: int, end: int, rows: int, temperature: float) -> None:
        """See `Target`."""
        self._held = self._logits[start:end, :rows] / temperature

    def compare(self, within: slice, log_p: Any, p: Any, divergence: Divergence, grad: Any) -> Any:
        """See `Target`."""
        log_q = self._held[within]
        q = log_softmax_(log_q)
        return divergence(p, q, log_p, log_q, grad)

    def likeliest(self, within: slice) -> Any:
        """See `Target`."""
        return self._held[within].argmax(-1)


class FromHead(FromLogits):
    """A teacher whose hidden states and head are there: its logits are made chunk by chunk.

    Args:
        hidden: (tokens, dimension), without gradients.
        head: its LM head.
    """

    def __init__(self, hidden: Any, head: Head) -> None:
        self._hidden, self._head = hidden, head
        self.rows = len(head)
        self._room: Any = None

    def begin(self, start: int, end: int, rows: int, temperature: float) -> None:
        """See `Target`."""
        if self._room is None or self._room.shape[1] != rows or len(self._room) < end - start:
            exact = torch.float64 if self._hidden.dtype == torch.float64 else torch.float32
            self._room = torch.empty((end - start, rows), dtype=exact, device=self._hidden.device)
        self._held = self._head.raw(self._hidden[start:end], rows, self._room[: end - start])
        self._head.shape_(self._held, temperature)


@dataclass(frozen=True)
class Losses:
    """What a pass gives.

    Attributes:
        total: Σ weight · (α T² divergence + (1 − α) cross-entropy), a scalar with gradients. The caller divides it by
            how many tokens count, over all parts of a step.
        divergence: (tokens,) D without T², no gradient; zeros where α is 0.
        cross_entropy: (tokens,) −log p, no gradient; zeros where α is 1.
    """

    total: Any
    divergence: Any
    cross_entropy: Any


def fused_loss(
    hidden: Any,
    head: Head,
    target: Target | None,
    divergence: Divergence | None,
    labels: Any = None,
    *,
    alpha: float = 1.0,
    temperature: float = 1.0,
    weights: Any = None,
    advantages: Any = None,
    chunk_bytes: int | None = None,
) -> Losses:
    """Return the loss of tokens whose hidden states are given; `total.backward()` reaches `hidden` and the head.

    Args:
        hidden: (tokens, dimension), the student's, at the positions that predict the tokens in the loss, and no other.
        head: the student's LM head.
        target: the teacher; None where α is 0.
        divergence: of student and teacher; None where α is 0.
        labels: (tokens,) ids of the tokens that stand there; None where α is 1.
        alpha: the divergence's share.
        temperature: of both distributions in the divergence.
        weights: (tokens,) each token's weight; None for 1.
        advantages: (tokens,) what each token's cross-entropy counts beside (1 − α), below 0 too: with them its gradient
            is a policy gradient. None for 1.
        chunk_bytes: how much of the logits exists at a time; None for 48 MiB, or 128 tokens where that is more.

    Raises:
        ConfigError: α is no share, the temperature is not above 0, or what they need is missing.
    """
    if not 0 <= alpha <= 1 or not temperature > 0:
        raise ConfigError(f"alpha is a share and the temperature above 0, not {alpha} and {temperature}")
    if (alpha > 0 and (target is None or divergence is None)) or (alpha < 1 and labels is None):
        raise ConfigError("the divergence needs a teacher, and the cross-entropy needs labels")
    kind = hidden.device.type
    if torch.is_autocast_enabled(kind) and head.weight.dtype == torch.float32:
        low = replace(head, weight=head.weight.detach().to(torch.get_autocast_dtype(kind)))  # once, not at each chunk
    else:
        low = head
    if not alpha:
        target = None
    work = _Work(low, target, divergence, labels, alpha, temperature, weights, advantages, chunk_bytes)
    total, apart, crossed = _Fused.apply(hidden, head.weight, head.bias, work)
    return Losses(total, apart, crossed)


@dataclass(frozen=True)
class _Work:
    head: Head
    target: Target | None
    divergence: Divergence | None
    labels: Any
    alpha: float
    temperature: float
    weights: Any
    advantages: Any
    chunk_bytes: int | None

    @property
    def shared(self) -> int:
        """The rows of the vocabulary that both have: models of one family may differ by rows of padding."""
        return min(len(self.head), (self.target.rows if self.target is not None else None) or len(self.head))


class _Fused(torch.autograd.Function):  # type: ignore[misc]
    """The gradients are made in the forward pass; the backward pass only scales them."""

    @staticmethod
    def forward(ctx: Any, hidden: Any, weight: Any, bias: Any, work: _Work) -> tuple[Any, Any, Any]:
        with torch.autocast(hidden.device.type, enabled=False):
            return _Fused._forward(ctx, hidden, weight, bias, work)

    @staticmethod
    def _forward(ctx: Any, hidden: Any, weight: Any, bias: Any, work: _Work) -> tuple[Any, Any, Any]:
        tokens, rows = len(hidden), len(work.head) if work.alpha < 1 else work.shared
        exact = torch.float64 if hidden.dtype == torch.float64 else torch.float32
        apart = torch.zeros(tokens, dtype=exact, device=hidden.device)
        crossed = torch.zeros_like(apart)
        needs = ctx.needs_input_grad[:3]
        # The head's in float32 whatever its weights are: a chunk's share added to a sum in bfloat16 would be lost.
        into = [
            torch.zeros(of.shape, dtype=of.dtype if of is hidden else exact, device=of.device) if need else None
            for of, need in zip((hidden, weight, bias), needs, strict=True)
        ]
        room_for, least = (CHUNK_BYTES, _CHUNK_TOKENS) if work.chunk_bytes is None else (work.chunk_bytes, 1)
        size = max(1, min(tokens, max(least, room_for // (4 * rows))))
        room = torch.empty((size, rows), dtype=exact, device=hidden.device) if tokens else None
        for start in range(0, tokens, size):
            end = min(tokens, start + size)
            assert room is not None
            logits = work.head.raw(hidden[start:end], rows, room[: end - start])
            _chunk(work, logits, start, apart, crossed)
            if any(needs):
                _back(logits, hidden[start:end], work.head.weight[:rows], into, slice(start, end))
        of_labels = crossed if work.advantages is None else crossed * work.advantages
        loss = work.alpha * work.temperature**2 * apart + (1 - work.alpha) * of_labels
        if work.weights is not None:
            loss.mul_(work.weights)
        ctx.grads = [
            None if grad is None else grad.to(of.dtype) for grad, of in zip(into, (hidden, weight, bias), strict=True)
        ]
        ctx.mark_non_differentiable(apart, crossed)
        return loss.double().sum().to(exact), apart, crossed

    @staticmethod
    def backward(ctx: Any, scale: Any, *_: Any) -> tuple[Any, ...]:
        grads, ctx.grads = ctx.grads, None
        if grads is None:
            raise RuntimeError("a fused loss goes back once: make it again")
        return (*(None if grad is None else grad.mul_(scale.to(grad.dtype)) for grad in grads), None)


def _chunk(work: _Work, logits: Any, start: int, apart: Any, crossed: Any) -> None:
    """Turn a chunk's raw logits into the gradient of the loss by them, in place, and note the losses."""
    tokens = len(logits)
    if work.target is not None:
        work.target.begin(start, start + tokens, work.shared, work.temperature)
    height = max(1, _TILE_BYTES // (4 * logits.shape[1])) if logits.device.type == "cpu" else tokens
    for top in range(0, tokens, height):
        low = min(tokens, top + height)
        tile, at = logits[top:low], slice(start + top, start + low)
        grad = _tile(work, tile, slice(top, low), at, apart, crossed)
        if work.weights is not None:
            grad.mul_(work.weights[at, None])
        tile.copy_(grad)


def _tile(work: _Work, logits: Any, within: slice, at: slice, apart: Any, crossed: Any) -> Any:
    """Return the gradient of some tokens' losses by their raw logits: (tokens, rows).

    Args:
        work: what is asked for.
        logits: the raw logits, (tokens, rows); overwritten.
        within: where the tokens stand in the chunk.
        at: where they stand in all.
        apart: where the divergences go.
        crossed: where the cross-entropies go.
    """
    head, alpha, temperature, shared = work.head, work.alpha, work.temperature, work.shared
    if alpha == 1:
        return _divergence(work, logits, within, at, apart)[0]
    grad = None
    if alpha > 0:
        same = temperature == 1 and shared == logits.shape[1]
        grad, log_p, p, slope = _divergence(work, logits if same else logits[:, :shared].clone(), within, at, apart)
    if alpha == 0 or not same:
        log_p = logits
        slope = head.shape_(log_p, 1.0, slope=True)
        p = log_softmax_(log_p)
    labels = work.labels[at, None]
    crossed[at] = -log_p.gather(1, labels)[:, 0]
    p.scatter_add_(1, labels, torch.full_like(labels, -1, dtype=p.dtype))
    p.mul_((1 - alpha) * head.scale)
    if work.advantages is not None:
        p.mul_(work.advantages[at, None])
    if slope is not None:
        p.mul_(slope)
    if grad is not None:
        p[:, :shared].add_(grad)
    return p


def _divergence(work: _Work, logits: Any, within: slice, at: slice, apart: Any) -> tuple[Any, Any, Any, Any]:
    """Return the gradient of α T² D by the raw logits, log p and p at the temperature, and the head's slope."""
    assert work.target is not None and work.divergence is not None
    slope = work.head.shape_(logits, work.temperature, slope=True)
    p = log_softmax_(logits)
    grad = torch.empty_like(p)
    apart[at] = work.target.compare(within, logits, p, work.divergence, grad)
    grad.mul_(work.alpha * work.temperature * work.head.scale)  # T² of the loss, over T of the logits
    if slope is not None:
        grad.mul_(slope)
    return grad, logits, p, slope


def log_softmax_(logits: Any) -> Any:
    """Turn logits (tokens, rows) into log-probabilities in place, and return the probabilities."""
    logits.sub_(logits.amax(-1, keepdim=True))
    p = logits.exp()
    total = p.sum(-1, keepdim=True)
    logits.sub_(total.log())
    return p.div_(total)


def _back(grad: Any, hidden: Any, weight: Any, into: list[Any], at: slice) -> None:
    """Add a chunk's gradient by its raw logits to those of hidden states, head and bias."""
    of_hidden, of_weight, of_bias = into
    low = grad.to(weight.dtype)
    if of_hidden is not None:
        of_hidden[at] = torch.mm(low, weight)
    if of_weight is not None:
        held = of_weight[: len(weight)]
        if low.dtype == held.dtype == hidden.dtype:
            held.addmm_(low.T, hidden)
        else:
            held += torch.mm(low.T, hidden.to(low.dtype))
    if of_bias is not None:
        of_bias[: len(weight)] += grad.sum(0)
