"""What a late-interaction model learns by: its own passage above all others, or a teacher's order of them.

Sources: Khattab and Zaharia 2020 (ColBERT), section 3.3, with all other passages of a pass as negatives (Karpukhin et
al. 2020, DPR, section 3.2); Santhanam et al. 2022 (ColBERTv2), section 3.2, the divergence from a teacher's scores. The
scores of a query are put between 0 and 1 there, as PyLate does.
"""

from __future__ import annotations

from typing import Any

from pilotfish._extras import need

__all__ = ["contrastive_loss", "distillation_loss", "maxsim_scores", "scaled"]


def maxsim_scores(queries: Any, queries_kept: Any, documents: Any, documents_kept: Any) -> Any:
    """Return the score of each query for each document: (queries, documents).

    Args:
        queries: (queries, tokens, d).
        queries_kept: (queries, tokens) True where a token is matched.
        documents: (documents, tokens, d), or (queries, documents, tokens, d) where each query has its own.
        documents_kept: the same without d: True where a token may be the match.
    """
    own = documents.dim() == 4
    matches = need("torch", "train").einsum("bqd,bntd->bnqt" if own else "bqd,ntd->bnqt", queries, documents)
    hidden = ~documents_kept[:, :, None, :] if own else ~documents_kept[None, :, None, :]
    best = matches.masked_fill(hidden, -10.0).amax(-1)
    return (best * queries_kept[:, None, :]).sum(-1)


def contrastive_loss(scores: Any, positive: Any, temperature: float) -> Any:
    """Return (queries,): -log of the softmax of each query's own document.

    Args:
        scores: (queries, documents).
        positive: (queries,) the number of its own.
        temperature: what scores are divided by.
    """
    torch = need("torch", "train")
    return torch.nn.functional.cross_entropy(scores / temperature, positive, reduction="none")


def distillation_loss(scores: Any, teacher: Any, there: Any, temperature: float) -> Any:
    """Return (queries,): the divergence of the softmax of the scores from that of the teacher's, in nats.

    Args:
        scores: (queries, candidates), between 0 and 1 where they were `scaled`.
        teacher: the same of the teacher.
        there: (queries, candidates) False where a query has fewer.
        temperature: what both are divided by.
    """
    torch = need("torch", "train")
    mine, theirs = (
        torch.log_softmax(one.masked_fill(~there, -torch.inf) / temperature, dim=-1) for one in (scores, teacher)
    )
    apart = torch.where(there, theirs.exp() * (theirs - mine), torch.zeros_like(mine))
    return apart.sum(-1)


def scaled(scores: Any, there: Any) -> Any:
    """Return each query's scores between 0 and 1."""
    torch = need("torch", "train")
    low = scores.masked_fill(~there, torch.inf).amin(-1, keepdim=True)
    high = scores.masked_fill(~there, -torch.inf).amax(-1, keepdim=True)
    return (scores - low) / (high - low + 1e-8)
