"""Faster products with the same numbers, and layers that may be copied, trained and moved as any other."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from pilotfish.models import _fast_linear
from pilotfish.models._fast_linear import FastLinear, fast_linears, lower_linears
from pilotfish.models.encoder import Encoder

torch = pytest.importorskip("torch")


def _fast_linear_or_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this torch has no such product")
    monkeypatch.setattr(_fast_linear, "lays_out", lambda: True)


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lay weights out on any processor: it is right everywhere, and faster on some."""
    _fast_linear_or_skip(monkeypatch)
    monkeypatch.setattr(_fast_linear, "_worth_it", lambda layer: bool(layer.weight.numel()))


def network() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(40, 72), torch.nn.GELU(), torch.nn.Linear(72, 9, bias=False))


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("shape", [(1, 40), (7, 3, 40), (300, 40)])
def test_products_are_those_of_float32(everywhere: None, keep: bool, shape: tuple[int, ...]) -> None:
    plain = network()
    rows = torch.randn(*shape)
    wanted = copy.deepcopy(plain).double()(rows.double()).detach()
    fast = fast_linears(copy.deepcopy(plain), keep=keep)
    assert [type(part) is FastLinear for part in fast] == [True, False, True]
    with torch.no_grad():
        torch.testing.assert_close(fast(rows).double(), wanted, atol=2e-6, rtol=2e-6)
        torch.testing.assert_close(plain(rows).double(), wanted, atol=2e-6, rtol=2e-6)


def test_a_weight_that_changes_is_laid_out_anew(everywhere: None) -> None:
    fast, rows = fast_linears(network()), torch.randn(5, 40)
    with torch.no_grad():
        before = fast(rows)
        fast[0].weight.mul_(-1.0)
        after = fast(rows)
    wanted = fast(rows).detach()  # with gradients: by the weights themselves
    torch.testing.assert_close(after, wanted, atol=2e-6, rtol=2e-6)
    assert float((before - after).abs().max()) > 0.1


def test_copies_are_plain_and_learn(everywhere: None) -> None:
    fast, rows = fast_linears(network()), torch.randn(5, 40)
    again = copy.deepcopy(fast)
    assert [type(part) for part in again] == [torch.nn.Linear, torch.nn.GELU, torch.nn.Linear]
    again(rows).sum().backward()
    assert again[0].weight.grad is not None and fast[0].weight.grad is None
    moved = pickle.loads(pickle.dumps(fast))
    with torch.no_grad():
        torch.testing.assert_close(moved(rows), fast(rows), atol=2e-6, rtol=2e-6)


def test_half_precision_leaves_a_shared_weight_alone(everywhere: None) -> None:
    shared = torch.nn.ModuleDict({"in": torch.nn.Embedding(20, 8), "head": torch.nn.Linear(8, 20, bias=False)})
    shared["head"].weight = shared["in"].weight
    lower_linears(shared, torch.bfloat16)
    assert shared["in"].weight.dtype == torch.float32 and shared["head"].weight.dtype == torch.bfloat16
    assert shared["head"](torch.randn(3, 8)).dtype == torch.float32
    tied = torch.nn.ModuleDict({"in": torch.nn.Embedding(20, 8), "head": torch.nn.Linear(8, 20, bias=False)})
    tied["head"].weight = tied["in"].weight
    fast_linears(tied, keep=False)
    assert tied["in"].weight.shape == (20, 8)


def test_an_encoder_has_the_same_vectors(everywhere: None, tiny_encoder_folder: Any) -> None:
    texts = ["the cat sat on the mat", "where is my card", "a refund"]
    encoder = Encoder(tiny_encoder_folder, device="cpu").load()
    assert any(type(part) is FastLinear for part in encoder.model.modules())
    copied = encoder.copied()
    assert not any(type(part) is FastLinear for part in copied.model.modules())
    np.testing.assert_allclose(encoder.encode(texts), copied.encode(texts), atol=2e-6)


@pytest.mark.parametrize(("instructions", "laid"), [("AVX2", [True, False, False]), ("AVX512", [True, True, True])])
def test_with_avx2_wide_weights_alone_are_laid_out(
    monkeypatch: pytest.MonkeyPatch, instructions: str, laid: list[bool]
) -> None:
    _fast_linear_or_skip(monkeypatch)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: instructions)
    layers = fast_linears(
        torch.nn.Sequential(*(torch.nn.Linear(*shape) for shape in ((512, 1536), (1536, 512), (8, 9))))
    )
    assert [type(layer) is FastLinear for layer in layers] == laid
