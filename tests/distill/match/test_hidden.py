"""Hidden-state matching: exact where it can be, blind to padding, its projection apart from the student."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.distill.match import HiddenMatch, layer_map
from pilotfish.errors import ConfigError
from tests.distill.init.models import tiny

LENGTHS = torch.tensor([5, 2, 0])


def _states(layers: int, width: int, seed: int = 0, dtype: Any = torch.float32) -> tuple[Any, ...]:
    made = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(3, 5, width, generator=made, dtype=torch.float64).to(dtype) for _ in range(layers + 1))


def test_mse_is_that_of_the_paper() -> None:
    match = HiddenMatch({0: 0, 1: 2}, 4, 6)
    ours, theirs = _states(1, 4), _states(2, 6, 1)
    expected = torch.zeros(())
    for layer, of, name in ((0, 0, "embedding"), (1, 2, "layers")):
        projected = ours[layer] @ match.projections[name].weight.T
        rows = [(b, t) for b in range(3) for t in range(int(LENGTHS[b]))]
        expected += sum(((projected[r] - theirs[of][r]) ** 2).mean() for r in rows) / len(rows) / 2
    assert torch.allclose(match(ours, theirs, LENGTHS), expected)


@pytest.mark.parametrize(("loss", "normalise"), [("mse", False), ("mse", True), ("cosine", False)])
def test_gradients(loss: Any, normalise: bool) -> None:
    match = HiddenMatch({0: 0, 1: 2}, 4, 6, loss=loss, normalise=normalise).double()
    ours = [state.requires_grad_() for state in _states(1, 4, dtype=torch.float64)]
    theirs = [state.requires_grad_() for state in _states(2, 6, 1, torch.float64)]
    assert torch.autograd.gradcheck(lambda *states: match(states, theirs, LENGTHS), ours)
    weights = list(match.parameters())
    assert len(weights) == 2
    match(ours, theirs, LENGTHS).backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in weights)
    assert all(state.grad is None for state in theirs)


@pytest.mark.parametrize(("loss", "normalise"), [("mse", False), ("mse", True), ("cosine", False)])
@pytest.mark.parametrize("side", ["student", "teacher", "both"])
@pytest.mark.parametrize("content", [1e9, float("inf"), float("nan")])
def test_padding_does_not_count(loss: Any, normalise: bool, side: str, content: float) -> None:
    match = HiddenMatch({0: 0, 1: 2}, 4, 6, loss=loss, normalise=normalise)
    mask = torch.arange(5) < LENGTHS[:, None]
    states = {"student": _states(1, 4), "teacher": _states(2, 6, 1)}
    ours = [state.clone().requires_grad_() for state in states["student"]]
    before = match(ours, states["teacher"], LENGTHS)
    before.backward()
    for whose in ("student", "teacher") if side == "both" else (side,):
        for state in states[whose]:
            state[~mask] = content
    again = [state.clone().requires_grad_() for state in states["student"]]
    for real in (LENGTHS, mask, mask.long()):
        assert torch.equal(match(again, states["teacher"], real), before)
    match(again, states["teacher"], LENGTHS).backward()
    for one, other in zip(ours, again, strict=True):
        assert torch.equal(one.grad, other.grad)


def test_padding_on_the_left_is_told_by_a_mask() -> None:
    match = HiddenMatch({1: 1}, 4, 4)
    ours, theirs = _states(1, 4), _states(1, 4, 1)
    mask = torch.arange(5) < LENGTHS[:, None]
    flipped = [tuple(state.flip(1) for state in states) for states in (ours, theirs)]
    assert torch.allclose(match(*flipped, mask.flip(1)), match(ours, theirs, LENGTHS))


@pytest.mark.parametrize("loss", ["mse", "cosine"])
def test_a_fully_masked_batch_gives_0_and_no_gradient(loss: Any) -> None:
    match = HiddenMatch({0: 0, 1: 1}, 4, 6, loss=loss)
    ours = [state.requires_grad_() for state in _states(1, 4)]
    value = match(ours, _states(1, 6), torch.zeros(3, dtype=torch.long))
    value.backward()
    assert value == 0
    assert all((weight.grad == 0).all() for weight in match.parameters())


@settings(max_examples=20)
@given(st.permutations(range(3)), st.integers(1, 2))
def test_parts_of_a_step_add_up_to_the_whole(order: Any, cut: int) -> None:
    match = HiddenMatch({0: 0, 1: 1}, 4, 6)
    ours, theirs = _states(1, 4), _states(1, 6, 1)
    whole = match(ours, theirs, LENGTHS)
    parts = [list(order[:cut]), list(order[cut:])]
    total = sum(
        match([s[part] for s in ours], [s[part] for s in theirs], LENGTHS[part], count=float(LENGTHS.sum()))
        for part in parts
    )
    assert torch.allclose(total, whole)


def test_a_rotated_teacher_is_matched_to_0_by_a_trained_projection() -> None:
    torch.manual_seed(0)
    for teacher_dim in (8, 12):
        rotation = torch.linalg.qr(torch.randn(12, 12)).Q[:8, :teacher_dim]
        if teacher_dim == 12:
            rotation = torch.linalg.qr(torch.randn(12, 8)).Q.T
        ours = torch.randn(3, 5, 8)
        theirs = ours @ (torch.linalg.qr(torch.randn(8, 8)).Q if teacher_dim == 8 else rotation)
        match = HiddenMatch({1: 1}, 8, teacher_dim, project=True)
        assert match((ours, ours), (theirs, theirs), LENGTHS) > 0.1
        optimizer = torch.optim.LBFGS(match.parameters(), max_iter=300, tolerance_grad=1e-12, tolerance_change=1e-16)

        def step(m: Any = match, o: Any = ours, t: Any = theirs, opt: Any = optimizer) -> Any:
            opt.zero_grad()
            value = m((o, o), (t, t), LENGTHS)
            value.backward()
            return value

        optimizer.step(step)
        assert match((ours, ours), (theirs, theirs), LENGTHS) < 1e-9


def test_equal_sizes_need_no_projection() -> None:
    match = HiddenMatch({1: 1}, 4, 4)
    assert not list(match.parameters())
    states = _states(1, 4)
    assert match(states, states, LENGTHS) == 0
    assert HiddenMatch({1: 1, 2: 2}, 4, 6, shared=False).projections.keys() == {"layer1", "layer2"}
    assert HiddenMatch({0: 0, 1: 1, 2: 2}, 4, 6).projections.keys() == {"embedding", "layers"}


def test_normalised_mse_is_twice_one_minus_cosine() -> None:
    ours, theirs = _states(1, 4), _states(1, 4, 1)
    mse = HiddenMatch({1: 1}, 4, 4, normalise=True)(ours, theirs, LENGTHS)
    cosine = HiddenMatch({1: 1}, 4, 4, loss="cosine")(ours, theirs, LENGTHS)
    assert torch.allclose(mse, 2 * cosine)


def test_half_types_are_computed_in_float32() -> None:
    match = HiddenMatch({0: 0, 1: 1}, 4, 6)
    ours, theirs = _states(1, 4, dtype=torch.bfloat16), _states(1, 6, 1, torch.bfloat16)
    value = match(ours, theirs, LENGTHS)
    assert value.dtype == torch.float32
    wide = [[state.float() for state in states] for states in (ours, theirs)]
    assert torch.equal(value, match(*wide, LENGTHS))


def test_the_projection_learns_with_the_student_and_is_not_saved_with_it(tmp_path: Path) -> None:
    teacher, student = tiny("llama", 6), tiny("llama", 2, hidden_act="silu")
    match = HiddenMatch(layer_map(2, 6), 32, 32, project=True)
    optimizer = torch.optim.Adam([*student.parameters(), *match.parameters()], lr=1e-2)
    ids = torch.randint(0, 400, (4, 12), generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([12, 9, 4, 12])
    with torch.no_grad():
        theirs = teacher(input_ids=ids, output_hidden_states=True).hidden_states
    assert len(theirs) == 7
    losses = []
    for _ in range(30):
        ours = student(input_ids=ids, output_hidden_states=True).hidden_states
        value = match(ours, theirs, lengths)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert losses[-1] < 0.5 * losses[0]
    student.save_pretrained(tmp_path)
    from safetensors.torch import load_file

    saved = load_file(tmp_path / "model.safetensors")
    assert set(saved) <= set(tiny("llama", 2).state_dict())


def test_what_cannot_be_matched_is_said() -> None:
    with pytest.raises(ConfigError, match="mse or cosine"):
        HiddenMatch({1: 1}, 4, 4, loss="l1")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="need a projection"):
        HiddenMatch({1: 1}, 4, 6, project=False)
    with pytest.raises(ConfigError, match="no layers"):
        HiddenMatch({}, 4, 6)
    with pytest.raises(ConfigError, match="teacher gave nothing for layer 9"):
        HiddenMatch({1: 9}, 4, 4)(_states(1, 4), _states(1, 4), LENGTHS)
    for wrong in (torch.ones(3, dtype=torch.bool), torch.ones(3, 4), torch.ones(2, dtype=torch.long)):
        with pytest.raises(ConfigError, match=r"lengths \(3,\)"):
            HiddenMatch({1: 1}, 4, 4)(_states(1, 4), _states(1, 4), wrong)
