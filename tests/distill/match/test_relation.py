"""Relations among queries, keys and values."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from pilotfish.distill.match import Projections, RelationMatch
from pilotfish.errors import ConfigError
from tests.distill.init.models import tiny

LENGTHS = torch.tensor([5, 2, 0])


def _vectors(width: int, seed: int = 0) -> dict[str, dict[int, Any]]:
    made = torch.Generator().manual_seed(seed)
    return {
        name: {layer: torch.randn(3, 5, width, generator=made, dtype=torch.float64) for layer in (1, 2)}
        for name in "qkv"
    }


def _brute(ours: Any, theirs: Any, heads: int, causal: bool) -> Any:
    total, rows = torch.zeros((), dtype=torch.float64), 0
    for b in range(3):
        n = int(LENGTHS[b])
        for t in range(n):
            rows += 1
            for h in range(heads):
                both = []
                for x in (ours, theirs):
                    d = x.shape[-1] // heads
                    cut = x[b, :n, h * d : (h + 1) * d]
                    both.append((cut[t] @ cut[: t + 1 if causal else n].T / math.sqrt(d)).softmax(-1))
                p, q = both
                total += (q * (q / p).log()).sum() / heads
    return total / rows


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("ours", "theirs", "heads"), [(8, 12, 4), (8, 8, 1), (6, 24, 2)])
def test_it_is_that_of_the_definition(ours: int, theirs: int, heads: int, causal: bool) -> None:
    student, teacher = _vectors(ours), _vectors(theirs, 1)
    for relations in (("v",), ("q", "k", "v")):
        match = RelationMatch({1: 2}, heads, relations=relations, causal=causal)
        expected = [_brute(student[name][1], teacher[name][2], heads, causal) for name in relations]
        assert torch.allclose(match(student, teacher, LENGTHS), sum(expected) / len(expected))


def test_gradients() -> None:
    match = RelationMatch({1: 2}, 2, relations=("v",))
    teacher = _vectors(8, 1)
    value = _vectors(6)["v"][1].requires_grad_()
    assert torch.autograd.gradcheck(lambda given: match({"v": {1: given}}, teacher, LENGTHS), value)


@pytest.mark.parametrize("content", [1e9, float("nan")])
def test_padding_does_not_count(content: float) -> None:
    match = RelationMatch({1: 2}, 2)
    mask = torch.arange(5) < LENGTHS[:, None]
    student, teacher = _vectors(6), _vectors(8, 1)
    before = match(student, teacher, LENGTHS)
    for states in (student, teacher):
        for layers in states.values():
            for state in layers.values():
                state[~mask] = content
    value = student["v"][1].requires_grad_()
    after = match(student, teacher, mask)
    assert torch.equal(after, before)
    after.backward()
    assert value.grad is not None and value.grad.isfinite().all() and (value.grad[~mask] == 0).all()
    assert match(student, teacher, torch.zeros(3, dtype=torch.long)) == 0


@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt2"])
def test_a_models_own_projections(family: str) -> None:
    model = tiny(family, 3)
    model.set_attn_implementation("eager")
    ids = torch.randint(0, 400, (2, 7), generator=torch.Generator().manual_seed(1))
    with Projections(model, [1, 3]) as seen:
        out = model(input_ids=ids, output_attentions=True)
    assert {name: sorted(layers) for name, layers in seen.states.items()} == {name: [1, 3] for name in "qkv"}
    groups = 4 if family == "gpt2" else 2
    assert seen.states["q"][3].shape == (2, 7, 32) and seen.states["v"][3].shape == (2, 7, groups * 8)
    # The first token sees itself alone, so what attention gives there is its value.
    block = model.base_model.h[2] if family == "gpt2" else model.base_model.layers[2]
    linear = block.attn.c_proj if family == "gpt2" else block.self_attn.o_proj
    given: list[Any] = []
    hook = linear.register_forward_pre_hook(lambda _, args: given.append(args[0]))
    model(input_ids=ids)
    hook.remove()
    value = seen.states["v"][3][:, 0].unflatten(-1, (groups, 8)).repeat_interleave(4 // groups, 1).flatten(1)
    assert torch.allclose(given[0][:, 0], value, atol=1e-6)
    assert out.attentions is not None
    seen.states["v"].clear()
    model(input_ids=ids)
    assert not seen.states["v"]  # the hooks are gone


def test_a_student_with_other_heads_learns_relations() -> None:
    teacher, student = tiny("llama", 3), tiny("gpt2", 2)
    ids = torch.randint(0, 400, (3, 5), generator=torch.Generator().manual_seed(1))
    match = RelationMatch({2: 3}, 4)
    optimizer = torch.optim.Adam(student.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        with Projections(teacher, [3]) as theirs, torch.no_grad():
            teacher(input_ids=ids)
        with Projections(student, [2]) as ours:
            student(input_ids=ids)
        value = match(ours.states, theirs.states, LENGTHS)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert losses[-1] < 0.5 * losses[0]


def test_what_cannot_be_matched_is_said() -> None:
    with pytest.raises(ConfigError, match="do not divide vectors of 6"):
        RelationMatch({1: 2}, 4)(_vectors(6), _vectors(8), LENGTHS)
    with pytest.raises(ConfigError, match="some of q, k and v"):
        RelationMatch({1: 2}, 4, relations=("o",))
    with pytest.raises(ConfigError, match="no queries"):
        RelationMatch({0: 0}, 4)
    with pytest.raises(ConfigError, match="need a head"):
        RelationMatch({1: 1}, 0)
    with pytest.raises(ConfigError, match="layers 1 to 3, not 4"):
        Projections(tiny("llama", 3), [4])
