"""The loss of aligned texts: against its definition by loops, and against the plain loss of one tokenizer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.distill.cross import ULD, Hybrid, Pieces, Shared, align, cross_loss, plan_of, shared_vocabulary, uld
from pilotfish.distill.divergence import DIVERGENCES
from tests.distill.cross.brute import HalfAndHalf, hybrid_of, uld_of
from tests.distill.cross.tokenizers import ids, sentencepiece
from tests.distill.init.models import tiny
from tests.tiny import TEXTS, tokenizer


class Spelt:
    """A tokenizer whose tokens are the given bytes."""

    def __init__(self, *tokens: bytes) -> None:
        self.tokens = tokens

    def __call__(self, given: Any) -> list[bytes]:
        return [self.tokens[token] for token in given]


STUDENT = Spelt(b"", b"a", b"b", b"c", b"ab", b"abc", b"d", b"dd", b"x")
TEACHER = Spelt(b"", b"a", b"b", b"c", b"bc", b"ab", b"d", b"cd", b"y", b"cc")
COMMON = [b"a", b"b", b"c", b"ab", b"d"]


def _shared(ours: Spelt = STUDENT, theirs: Spelt = TEACHER, common: Any = COMMON) -> Shared:
    mine = [ours.tokens.index(piece) for piece in common]
    other = [theirs.tokens.index(piece) for piece in common]
    rest = [
        torch.tensor([i for i in range(len(side.tokens)) if i not in used], dtype=torch.long)
        for side, used in ((ours, mine), (theirs, other))
    ]
    return Shared(
        torch.tensor(mine), torch.tensor(other), rest[0], rest[1], {piece: i for i, piece in enumerate(common)}
    )


def _readings(seed: int, length: int) -> tuple[list[int], list[int]]:
    """A random text over a, b, c and d, cut at random by both."""
    made = torch.Generator().manual_seed(seed)
    text = bytes(int(byte) for byte in torch.randint(97, 101, (length,), generator=made))
    readings = []
    for side in (STUDENT, TEACHER):
        out, at = [0], 0
        while at < len(text):
            fitting = [i for i, piece in enumerate(side.tokens) if piece and text.startswith(piece, at)]
            out.append(fitting[int(torch.randint(len(fitting), (1,), generator=made))])
            at += len(side.tokens[out[-1]])
        readings.append(out)
    return readings[0], readings[1]


def _logits(rows: int, width: int, seed: int) -> Any:
    return 2 * torch.randn(rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("which", ["uld", "hybrid", "all shared"])
@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 9), st.sampled_from([1.0, 2.5]))
def test_loss_and_gradient_are_those_of_the_definition(which: str, seed: int, length: int, temperature: float) -> None:
    ours, theirs = _readings(seed, length)
    shared = _shared()
    if which == "all shared":  # the student has no token of its own: its teacher's are left out
        everything = torch.arange(len(STUDENT.tokens))
        shared = Shared(everything, everything, everything[:0], torch.tensor([9]), {b"abc": 5, b"a": 1})
    kind: Any = ULD() if which == "uld" else Hybrid(shared, HalfAndHalf(), matched=0.7, unmatched=0.3)
    plan = plan_of(ours, theirs, STUDENT, TEACHER, shared)  # type: ignore[arg-type]
    z = _logits(len(ours), len(STUDENT.tokens), seed).requires_grad_()
    q = _logits(len(theirs), len(TEACHER.tokens), seed + 1)
    dz = torch.full_like(z, float("nan"))
    found = cross_loss(z.detach(), q, plan, kind, dz, temperature=temperature)
    groups = align(STUDENT(ours), TEACHER(theirs))
    assert len(groups) == len(plan) > 0
    expected = []
    for group, at in zip(groups, plan.group_class.tolist(), strict=True):
        pair = (z / temperature, q / temperature)
        expected.append(
            uld_of(*pair, ours, theirs, group)
            if which == "uld"
            else hybrid_of(*pair, ours, theirs, group, shared, at, (0.7, 0.3))
        )
    whole = torch.stack(expected)
    assert torch.allclose(found, whole.detach(), atol=1e-10)
    whole.sum().backward()
    assert z.grad is not None and torch.allclose(dz, z.grad, atol=1e-8)


# The adaptive KL's weights are constants to its gradient, which so is none of the loss as a whole.
@pytest.mark.parametrize("name", sorted({*DIVERGENCES} - {"adaptive-kl"}))
def test_every_divergence_has_the_gradient_of_its_loss(name: str) -> None:
    ours, theirs = [0, 5, 1, 2, 6, 3], [0, 1, 4, 5, 6, 3]  # abc|a b|d|c and a bc|ab|d|c
    kind = Hybrid(_shared(), DIVERGENCES[name]())
    plan = plan_of(ours, theirs, STUDENT, TEACHER, _shared())  # type: ignore[arg-type]
    assert [len(plan), plan.tokens, plan.group_class.tolist()] == [4, 5, [-1, 3, 4, 2]]
    z, q = _logits(6, 9, 5), _logits(6, 10, 6)
    dz = torch.empty_like(z)
    cross_loss(z, q, plan, kind, dz)
    step = 1e-6
    for row, column in [(0, 5), (0, 1), (1, 1), (1, 7), (2, 2), (3, 0), (4, 8), (5, 2)]:
        sides = []
        for sign in (1, -1):
            moved = z.clone()
            moved[row, column] += sign * step
            sides.append(cross_loss(moved, q, plan, kind, torch.empty_like(z)).sum())
        assert dz[row, column].item() == pytest.approx((sides[0] - sides[1]).item() / (2 * step), abs=1e-6)


@pytest.mark.parametrize("name", ["uld", "forward-kl", "reverse-kl", "jsd", "tv"])
@pytest.mark.parametrize("text", TEXTS)
def test_with_one_tokenizer_it_is_the_plain_loss_of_every_token(name: str, text: str) -> None:
    pieces = Pieces(tokenizer())
    tokens = [*ids(pieces.tokenizer, text), pieces.tokenizer.eos_token_id]
    shared = shared_vocabulary(pieces, Pieces(tokenizer()), 400, 400)
    plan = plan_of(tokens, tokens, pieces, Pieces(tokenizer()), shared)
    assert plan.student_row.tolist() == plan.teacher_row.tolist() == list(range(len(tokens) - 1))
    assert not len(plan.student_later.row) and not len(plan.teacher_later.row)
    z, q = _logits(len(tokens), 400, 3).float(), _logits(len(tokens), 400, 4).float()
    kind: Any = ULD() if name == "uld" else Hybrid(shared, DIVERGENCES[name]())
    dz, plain = torch.empty_like(z), torch.zeros_like(z)
    found = cross_loss(z, q, plan, kind, dz)
    p, t = z[:-1].softmax(-1), q[:-1].softmax(-1)
    by_token = None if name == "uld" else DIVERGENCES[name]()
    expected = by_token(p, t, p.log(), t.log(), plain[:-1]) if by_token else uld(z[:-1], t, plain[:-1])
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert torch.allclose(dz, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("which", ["uld", "hybrid"])
def test_extreme_logits_give_finite_gradients(which: str) -> None:
    ours, theirs = [0, 5, 1, 2, 6, 3], [0, 1, 4, 5, 6, 3]
    for name in DIVERGENCES:
        kind: Any = ULD() if which == "uld" else Hybrid(_shared(), DIVERGENCES[name]())
        plan = plan_of(ours, theirs, STUDENT, TEACHER, _shared())  # type: ignore[arg-type]
        for scale in (0.0, 30.0, 100.0, 1000.0):
            z, q = (scale * _logits(6, width, seed).float() for width, seed in ((9, 5), (10, 6)))
            dz = torch.empty_like(z)
            assert cross_loss(z, q, plan, kind, dz).isfinite().all()
            assert dz.isfinite().all(), (name, scale)


def test_positions_that_do_not_count_get_nothing() -> None:
    ours, theirs = [0, 5, 1, 2, 6, 3], [0, 1, 4, 5, 6, 3]
    counts = [False, False, False, True, True, True]  # the group "ab" counts in part, so it does not
    plan = plan_of(ours, theirs, STUDENT, TEACHER, student_counts=counts)  # type: ignore[arg-type]
    assert plan.student_row.tolist() == [3, 4]
    z, q = _logits(6, 9, 5), _logits(6, 10, 6)
    dz = torch.full_like(z, float("nan"))
    cross_loss(z, q, plan, ULD(), dz)
    assert (dz[[0, 1, 2, 5]] == 0).all() and (dz[[3, 4]].abs().sum(-1) > 0).all()
    counts = [True, True, True, False, True, True]
    assert len(plan_of(ours, theirs, STUDENT, TEACHER, teacher_counts=counts)) == 3  # type: ignore[arg-type]
    nothing = plan_of([1], [1], STUDENT, TEACHER)  # type: ignore[arg-type]
    assert len(nothing) == 0 and nothing.tokens == 0
    assert cross_loss(z, q, nothing, ULD(), dz).shape == (0,) and (dz == 0).all()


@pytest.mark.parametrize("which", ["uld", "hybrid"])
def test_a_student_learns_from_a_teacher_with_another_tokenizer(which: str) -> None:
    ours, theirs = Pieces(tokenizer()), Pieces(sentencepiece())
    teacher, student = tiny("llama", 2), tiny("llama", 2)
    shared = shared_vocabulary(ours, theirs, 400, 400)
    kind: Any = ULD() if which == "uld" else Hybrid(shared, DIVERGENCES["jsd"]())
    readings = [(ids(ours.tokenizer, text)[:40], ids(theirs.tokenizer, text)[:60]) for text in TEXTS]
    plans = [plan_of(one, other, ours, theirs, shared) for one, other in readings]
    assert any(len(plan.student_later.row) for plan in plans) and any(len(plan.teacher_later.row) for plan in plans)
    optimizer = torch.optim.Adam(student.parameters(), lr=3e-3)
    losses = []
    for _ in range(25):
        total, count = 0.0, sum(len(plan) for plan in plans)
        for (one, other), plan in zip(readings, plans, strict=True):
            with torch.no_grad():
                q = teacher(input_ids=torch.tensor([other])).logits[0]
            z = student(input_ids=torch.tensor([one])).logits[0]
            dz = torch.empty_like(z)
            total += float(cross_loss(z.detach(), q, plan, kind, dz).sum())
            z.backward(dz / count)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(total / count)
    assert losses[-1] < 0.7 * losses[0]
