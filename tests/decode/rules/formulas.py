"""The rules once more, token by token in float64, from the papers' formulas over probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence

Row = Sequence[float]


def softmax(row: Row) -> list[float]:
    most = max(row)
    if most == -math.inf:
        raise ValueError("no token left")
    powers = [math.exp(x - most) for x in row]
    total = math.fsum(powers)
    return [power / total for power in powers]


def logs(row: Row) -> list[float]:
    return [math.log(p) if p > 0 else -math.inf for p in row]


def normalised(scores: Row) -> list[float]:
    """Log-probabilities of unnormalised logarithms."""
    return logs(softmax(scores))


def proxy_tuning(base: Row, pairs: Sequence[tuple[Row, Row]], alphas: Row) -> list[float]:
    """Liu et al. 2024, equation (1), one term a pair: softmax[s_M + Σ alpha (s_M+ - s_M-)]."""
    scores = [
        base[x] + math.fsum(a * (expert[x] - anti[x]) for a, (expert, anti) in zip(alphas, pairs, strict=True))
        for x in range(len(base))
    ]
    return normalised(scores)


def product(rows: Sequence[Row], weights: Row) -> list[float]:
    """p(x) ∝ Π p_i(x)^w_i."""
    probabilities = [softmax(row) for row in rows]
    scores = [
        math.fsum(w * math.log(p[x]) for w, p in zip(weights, probabilities, strict=True)) for x in range(len(rows[0]))
    ]
    return normalised(scores)


def mixture(rows: Sequence[Row], weights: Row) -> list[float]:
    """p(x) = Σ w_i p_i(x)."""
    probabilities = [softmax(row) for row in rows]
    return logs([math.fsum(w * p[x] for w, p in zip(weights, probabilities, strict=True)) for x in range(len(rows[0]))])


def gated_mixture(rows: Sequence[Row], gate: Sequence[Row]) -> list[float]:
    """A mixture whose weights are the softmax of linear functions of the models' entropies."""
    probabilities = [softmax(row) for row in rows]
    entropy = [-math.fsum(x * math.log(x) for x in p if x > 0) for p in probabilities]
    weights = softmax([math.fsum(f * e for f, e in zip(row[:-1], entropy, strict=True)) + row[-1] for row in gate])
    return mixture(rows, weights)


def head(p: Row, alpha: float) -> list[bool]:
    """Li et al. 2023, equation (3): V_head = {x: p(x) >= alpha max p}."""
    return [x >= alpha * max(p) for x in p]


def contrastive(expert: Row, amateur: Row, alpha: float, temperature: float) -> list[float]:
    """Li et al. 2023, equations (2), (3): log p_EXP / p_AMA inside V_head, -inf outside."""
    strong, weak = softmax(expert), softmax([x / temperature for x in amateur])
    inside = head(strong, alpha)
    return normalised(
        [math.log(p) - math.log(q) if i else -math.inf for p, q, i in zip(strong, weak, inside, strict=True)]
    )


def contrastive_logits(expert: Row, amateur: Row, beta: float, alpha: float) -> list[float]:
    """O'Brien and Lewis 2023, section 2.2: (1 + beta) s_e - beta s_a where s_e >= log alpha + max s_e."""
    least = math.log(alpha) + max(expert)
    return normalised(
        [(1 + beta) * e - beta * a if e >= least else -math.inf for e, a in zip(expert, amateur, strict=True)]
    )


def context_aware(informed: Row, uninformed: Row, alpha: float) -> list[float]:
    """Shi et al. 2024, equation (2): softmax[(1 + alpha) logit(y | c, x) - alpha logit(y | x)]."""
    return normalised([(1 + alpha) * c - alpha * n for c, n in zip(informed, uninformed, strict=True)])


def jsd(p: Row, q: Row) -> float:
    """½ KL(p ‖ m) + ½ KL(q ‖ m), m = (p + q) / 2."""
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return 0.5 * math.fsum(x * math.log(x / m) for r in (p, q) for x, m in zip(r, middle, strict=True) if x > 0)


def dola(last: Row, candidates: Sequence[Row], alpha: float) -> list[float]:
    """Chuang et al. 2024: M = argmax JSD(q_N ‖ q_j); F = log q_N / q_M inside V_head; softmax."""
    q = softmax(last)
    others = [softmax(row) for row in candidates]
    early = max(others, key=lambda other: jsd(q, other))
    inside = head(q, alpha)
    return normalised([math.log(a) - math.log(b) if i else -math.inf for a, b, i in zip(q, early, inside, strict=True)])


def nudging(base: Row, nudge: Row, gamma: float) -> list[float]:
    """Fei et al. 2025: the base's distribution where its largest probability reaches gamma, else the other's."""
    return normalised(base if max(softmax(base)) >= gamma else nudge)
