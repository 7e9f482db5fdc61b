"""The cross-tokenizer target of the fused loss: what `cross_loss` gives, whatever the chunks."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pilotfish.distill.cross import ULD, CrossTarget, Hybrid, Pieces, cross_loss, join, plan_of, shared_vocabulary
from pilotfish.distill.divergence import DIVERGENCES
from pilotfish.models.head import Head
from pilotfish.train.fused import fused_loss
from tests.distill.cross.tokenizers import ids, sentencepiece
from tests.tiny import TEXTS, tokenizer

OURS, THEIRS = Pieces(tokenizer()), Pieces(sentencepiece())
SHARED = shared_vocabulary(OURS, THEIRS, 400, 360)


def _random(*size: int, seed: int) -> Any:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("which", ["uld", "forward-kl", "jsd"])
@pytest.mark.parametrize("chunk", [1, 7 * 400 * 4, 1 << 30])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_it_is_the_loss_over_logits(which: str, chunk: int, temperature: float) -> None:
    kind: Any = ULD() if which == "uld" else Hybrid(SHARED, DIVERGENCES[which](), matched=0.8, unmatched=0.4)
    readings = [(ids(OURS.tokenizer, text), ids(THEIRS.tokenizer, text)) for text in TEXTS[:3]]
    plans = [plan_of(one, other, OURS, THEIRS, SHARED) for one, other in readings]
    # The fused loss is given the rows in the loss alone: here those of the last text first, and every position.
    sizes = [[len(reading[side]) for reading in readings] for side in (0, 1)]
    starts = [[sum(own[i + 1 :]) for i in range(len(own))] for own in sizes]
    rows = [
        [start + torch.arange(n) for start, n in zip(*both, strict=True)] for both in zip(starts, sizes, strict=True)
    ]
    plan = join(plans, rows[0], rows[1])
    assert len(plan) == sum(map(len, plans)) and plan.tokens == sum(one.tokens for one in plans)
    assert len(plan.student_later.row) and len(plan.teacher_later.row)
    hidden, weight = _random(sum(sizes[0]), 8, seed=1).requires_grad_(), _random(400, 8, seed=2).requires_grad_()
    q = _random(sum(sizes[1]), 360, seed=3)
    with torch.no_grad():
        z = hidden @ weight.T
    dz = torch.empty_like(z)
    each = cross_loss(z, q, plan, kind, dz, temperature=temperature)
    alone = [
        cross_loss(z[own], q[other], one, kind, torch.empty_like(z[own]), temperature=temperature)
        for own, other, one in zip(rows[0], rows[1], plans, strict=True)
    ]
    assert torch.allclose(torch.cat(alone), each, atol=1e-12)
    target = CrossTarget(plan, kind, lambda at: z[at], lambda at: q[at])
    found = fused_loss(hidden, Head(weight), target, DIVERGENCES["tv"](), temperature=temperature, chunk_bytes=chunk)
    assert torch.allclose(found.total, temperature**2 * each.sum(), atol=1e-9)
    assert torch.allclose(found.divergence[plan.student_row], each, atol=1e-9)
    found.total.backward()
    assert hidden.grad is not None and weight.grad is not None
    assert torch.allclose(hidden.grad, temperature**2 * dz @ weight.detach(), atol=1e-8)
    assert torch.allclose(weight.grad, temperature**2 * dz.T @ hidden.detach(), atol=1e-8)


def test_the_teachers_likeliest_tokens_in_the_students_words() -> None:
    text = TEXTS[0]
    one, other = ids(OURS.tokenizer, text), ids(THEIRS.tokenizer, text)
    plan = plan_of(one, other, OURS, THEIRS, SHARED)
    q = _random(len(other), 360, seed=3)
    target = CrossTarget(
        plan, Hybrid(SHARED, DIVERGENCES["jsd"]()), lambda at: torch.zeros(len(at), 400), lambda at: q[at]
    )
    target.begin(0, len(one), 400, 1.0)
    p = _random(len(one), 400, seed=4).softmax(-1)
    target.compare(slice(0, len(one)), p.log(), p, None, torch.empty_like(p))
    found = target.likeliest(slice(0, len(one)))
    for row, of in zip(plan.student_row.tolist(), plan.teacher_row.tolist(), strict=True):
        best = int(q[of].argmax())
        if best in SHARED.teacher.tolist():
            assert OURS.one(int(found[row])) == THEIRS.one(best)
        else:
            assert found[row] == -1
    rest = sorted({*range(len(one))} - {*plan.student_row.tolist()})
    assert (found[rest] == -1).all()
