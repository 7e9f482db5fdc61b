"""How far a student's next-token distribution is from its teacher's, with the gradient in closed form.

All are in nats, over any classes: a whole vocabulary, or some tokens and a bucket for the rest. p is the student's
distribution, q the teacher's. The gradient is that with respect to the student's logits (after the temperature): with
g_i = ∂D/∂p_i it is p_i (g_i − Σ_j p_j g_j), since p is a softmax.

Sources: forward KL, Hinton et al. 2015; reverse KL, Gu et al. 2024 (MiniLLM), eq. 1; generalised JSD, Agarwal et al.
2024 (GKD), eq. 1; total variation, Wen et al. 2023 (f-distill), section 3.2; skew KL and skew reverse KL, Ko et al.
2024 (DistiLLM), eq. 3; adaptive KL, Wu et al. 2025 (Rethinking Kullback-Leibler Divergence in Knowledge Distillation
for Large Language Models), section 4.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from pilotfish._extras import need
from pilotfish.errors import ConfigError, did_you_mean
from pilotfish.train.divergence import Divergence

__all__ = ["DIVERGENCES", "Divergence", "divergence"]

_TINY = 1e-38  # below every float32 probability that a logarithm is taken of
_HEAD = 512  # the likeliest classes among which the adaptive KL first looks for the head of a distribution


@dataclass(frozen=True)
class ForwardKL:
    """KL(q ‖ p) = Σ q (log q − log p): the student must cover all that its teacher does."""

    name: ClassVar[str] = "forward-kl"

    def __call__(self, p: Any, q: Any, log_p: Any, log_q: Any, grad: Any) -> Any:
        """See `Divergence`; the gradient is p − q."""
        torch = need("torch", "train")
        torch.sub(log_q, log_p, out=grad)
        loss = grad.mul_(q).sum(-1)
        torch.sub(p, q, out=grad)
        return loss


@dataclass(frozen=True)
class ReverseKL:
    """KL(p ‖ q) = Σ p (log p − log q): the student may leave out, but not make up."""

    name: ClassVar[str] = "reverse-kl"

    def __call__(self, p: Any, q: Any, log_p: Any, log_q: Any, grad: Any) -> Any:
        """See `Divergence`; g = log p − log q + 1."""
        torch = need("torch", "train")
        torch.sub(log_p, log_q, out=grad)
        return _through_softmax(p, grad)


@dataclass(frozen=True)
class JSD:
    """β KL(q ‖ m) + (1 − β) KL(p ‖ m), m = β q + (1 − β) p.

    β = 0 is the forward KL and β = 1 the reverse KL: what the two limits are in proportion to (Agarwal et al. 2024).
    """

    name: ClassVar[str] = "jsd"
    beta: float = 0.5

    def __post_init__(self) -> None:
        _share(self, "beta", 0, 1)

    def __call__(self, p: Any, q: Any, log_p: Any, log_q: Any, grad: Any) -> Any:
        """See `Divergence`; g = (1 − β) log(p / m)."""
        if self.beta in (0, 1):
            return (ReverseKL() if self.beta else ForwardKL())(p, q, log_p, log_q, grad)
        torch = need("torch", "train")
        torch.lerp(p, q, self.beta, out=grad)
        grad.clamp_min_(_TINY).log_()
        of_teacher = (log_q - grad).mul_(q).sum(-1)
        torch.sub(log_p, grad, out=grad)
        of_student = _through_softmax(p, grad)
        grad.mul_(1 - self.beta)
        return self.beta * of_teacher + (1 - self.beta) * of_student


@dataclass(frozen=True)
class TotalVariation:
    """½ Σ |p − q|: at most 1, and blind to how unlikely the unlikely is."""

    name: ClassVar[str] = "tv"

    def __call__(self, p: Any, q: Any, log_p: Any, log_q: Any, grad: Any) -> Any:
        """See `Divergence`; g = ½ sign(p − q)."""
        torch = need("torch", "train")
        torch.sub(p, q, out=grad)
        loss = 0.5 * grad.abs().sum(-1)
        grad.sign_().mul_(0.5)
        _through_softmax(p, grad)
        return loss


@dataclass(frozen=True)
class SkewKL:
    """KL(q ‖ λ q + (1 − λ) p): the forward KL with bounded gradients. λ = 0 is the forward KL."""

    name: ClassVar[str] = "skew-kl"
    skew: float = 0.1

    def __post_init__(self) -> None:
        _share(self, "skew", 0, 1, open_end=True)

    def __call__(self, p: Any, q: Any, log_p: Any, log_q: Any, grad: Any) -> Any:
        """See `Divergence`; g = −(1 − λ) q / m, so p g = −q where λ = 0."""
        torch = need("torch", "train")
        mixed = torch.lerp(p, q, self.skew).clamp_min_(_TINY)
        torch.log(mixed, out=grad)
        loss = torch.sub(log_q, grad, out=grad).mul_(q).sum(-1)
        torch.div(q, mixed, out=grad).mul_(self.skew - 1)
        _through_softmax(p, grad)
        return loss


@dataclass(frozen=True)
class SkewReverseKL:
    """KL(p ‖ λ p + (1 − λ) q): the reverse KL with bounded gradients. λ = 0 is the reverse KL."""

    name: ClassVar[str] = "skew-rkl"
    skew: float = 0.1

    def __post_init__(self) -> None:
        _share(self, "skew", 0, 1, open_end=True)

    def __call__(self, p: Any, q: Any, log_p: Any, log_q: Any, grad: Any) -> Any:
        """See `Divergence`; g = log(p / m) + 1 − λ p / m."""
        torch = need("torch", "train")
        mixed = torch.lerp(q, p, self.skew).clamp_min_(_TINY)
        torch.log(mixed, out=grad)
        torch.sub(log_p, grad, out=grad)
        loss = (grad * p).sum(-1)
        grad.sub_(torch.div(p, mixed, out=mixed), alpha=self.skew)
        _through_softmax(p, grad)
        return loss


@dataclass(frozen=True)
class AdaptiveKL:
    """The forward KL where the student misses the teacher's head, the reverse KL where it misses the tail.

    The head is the fewest likeliest classes that hold `head` of the teacher's mass. The two KLs are weighted by the
    share of Σ |q − p| that lies in the head and in the tail; the weights are constants to the gradient.
    """

    name: ClassVar[str] = "adaptive-kl"
    head: float = 0.5

    def __post_init__(self) -> None:
        _share(self, "head", 0, 1, open_end=True)

    def __call__(self, p: Any, q: Any, log_p: Any, log_q: Any, grad: Any) -> Any:
        """See `Divergence`."""
        torch = need("torch", "train")
        apart = _differences(q, p).abs_()
        whole = apart.sum(-1)
        least = self._least(q)
        of_head = apart.masked_fill_(q < least, 0).sum(-1)
        forward_share = torch.where(whole > 0, of_head / whole.clamp_min(_TINY), 0.5)
        reverse = ReverseKL()(p, q, log_p, log_q, grad)
        forward = (log_q - log_p).mul_(q).sum(-1)
        grad.mul_(1 - forward_share[:, None])
        grad.add_(torch.sub(p, q, out=apart).mul_(forward_share[:, None]))
        return forward_share * forward + (1 - forward_share) * reverse

    def _least(self, q: Any) -> Any:
        """Return the smallest probability in the head: (rows, 1)."""
        torch = need("torch", "train")
        count = min(_HEAD, q.shape[-1])
        top = q.topk(count, dim=-1).values
        if bool((top.double().sum(-1) < self.head).any()):  # flat rows: their head is longer
            top = q.sort(dim=-1, descending=True).values
        reached = top.double().cumsum(-1) >= self.head
        # Where rounding keeps the sum below the share, all classes are the head.
        at = torch.where(reached.any(-1), reached.int().argmax(-1), top.shape[-1] - 1)
        return top.gather(-1, at[:, None])


def _differences(q: Any, p: Any) -> Any:
    """Return q − p, the entry of a class that has most of q as the others' sum: near 1 a float is known to 6e-8 only.

    Both sum to 1, so that what this class has more the others have less, and those are small and well known.
    """
    torch = need("torch", "train")
    out = q - p
    most, at = q.max(-1, keepdim=True)
    own = out.gather(-1, at)
    others = out.scatter_(-1, at, 0).sum(-1, keepdim=True)
    return out.scatter_(-1, at, torch.where(most > 0.5, -others, own))


def _through_softmax(p: Any, grad: Any) -> Any:
    """Turn g into p (g − Σ p g) in place, and return Σ p g: (rows,)."""
    grad.mul_(p)
    mean = grad.sum(-1)
    grad.addcmul_(p, mean[:, None], value=-1)
    return mean


def _share(of: Any, name: str, low: float, high: float, *, open_end: bool = False) -> None:
    value = getattr(of, name)
    if not low <= value <= high or (open_end and value == high):
        end = f"below {high:g}" if open_end else f"{high:g} at most"
        raise ConfigError(f"{of.name}: {name} must be {low:g} or more and {end}, not {value}")


_KINDS: tuple[type[Any], ...] = (ForwardKL, ReverseKL, JSD, TotalVariation, SkewKL, SkewReverseKL, AdaptiveKL)
DIVERGENCES: dict[str, type[Any]] = {kind.name: kind for kind in _KINDS}


def divergence(name: str, **settings: float) -> Divergence:
    """Return a divergence by its name, such as "jsd" with `beta`.

    Raises:
        ConfigError: no such name, or a setting that it does not have.
    """
    if name not in DIVERGENCES:
        known = did_you_mean(name, DIVERGENCES) or f"; one of {', '.join(DIVERGENCES)}"
        raise ConfigError(f"no divergence is called {name!r}{known}")
    kind = DIVERGENCES[name]
    known_settings = [field.name for field in fields(kind)]
    for setting in settings:
        if setting not in known_settings:
            has = f"it has {', '.join(known_settings)}" if known_settings else "it has none"
            raise ConfigError(f"{name} has no setting {setting!r}; {has}")
    made: Divergence = kind(**settings)
    return made
