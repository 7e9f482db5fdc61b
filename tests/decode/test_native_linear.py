"""The native kernels one by one, on this CPU's instructions and on those of lesser ones, against plain arithmetic."""

from __future__ import annotations

import ctypes
import platform
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.decode.native import _structs, build
from pilotfish.decode.native.pack import Packed, Store, pack, shorten
from pilotfish.measure.meters import machine

KINDS = ("float32", "bfloat16", "short", "int8", "int4")
# Each build leaves a level of instructions out, down to none at all.
BUILDS = {
    "this": [],
    "no bf16, no vnni": ["-mno-avx512bf16", "-mno-avx512vnni"],
    "avx2": ["-mno-avx512f"],
    "none": ["-mno-avx512f", "-mno-avx2", "-mno-fma", "-mno-f16c", "-mno-avx"],
}


LEAVES_OUT = {"no bf16, no vnni": {"avx512_bf16", "avx512_vnni"}, "avx2": {"avx512f"}}


@pytest.fixture(scope="module", params=BUILDS)
def lib(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    flags = BUILDS[request.param]
    if flags and platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("flags of x86")
    if request.param in LEAVES_OUT and not LEAVES_OUT[request.param] & set(machine()["instructions"]):
        pytest.skip("this processor has none of what the build leaves out: the code is that of another build")
    folder = tmp_path_factory.mktemp("native")
    return build.load(build.compile_library([*flags, "-O1"], folder=folder))


def run(lib: Any, kind: Any, weight: torch.Tensor, x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """One linear through the library."""
    linear = _structs.Linear(n=weight.shape[0], k=weight.shape[1], kind=_structs.KINDS[kind])
    kept: Any = None
    if kind == "short":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pilotfish.decode.native.pack._WORTH", 9999)  # padding included
            kept = shorten(weight.bfloat16(), Store())
        linear.w, linear.misses, linear.miss_count = kept.weight, kept.misses, kept.miss_count
    elif kind in ("int8", "int4"):
        kept = pack(weight, kind, Store())
        linear.w, linear.scale = kept.weight, kept.scale
    else:
        kept = weight.to(getattr(torch, kind)).contiguous()
        linear.w = kept.data_ptr()
    if bias is not None:
        linear.bias = bias.data_ptr()
    y = torch.full((len(x), len(weight)), torch.nan)
    x = x.contiguous()
    assert lib.pf_linear(ctypes.byref(linear), x.data_ptr(), len(x), y.data_ptr(), 1, 1) == 0
    return y


def unpacked(packed: Packed, n: int, k: int) -> torch.Tensor:
    """The weights that a packed copy stands for, read as `csrc/quant.h` describes it."""
    memory, scale = packed.memory
    units, padded = -(-n // 16), -(-k // 32) * 32
    if packed.kind == _structs.KINDS["int8"]:
        quads = np.asarray(memory).reshape(units, padded // 4, 16, 4).astype(np.float32) - 128
        rows = quads.transpose(0, 2, 1, 3).reshape(units * 16, padded) * scale[:, None]
    else:
        groups = np.asarray(memory).reshape(units, padded // 32, 320)
        nibbles = groups[:, :, :256].reshape(units, padded // 32, 4, 16, 4)
        both = np.stack([nibbles & 15, nibbles >> 4], axis=3)  # (units, groups, 4, 2 quads, 16 rows, 4)
        q = both.transpose(0, 4, 1, 2, 3, 5).reshape(units, 16, padded // 32, 32).astype(np.float32)
        d = groups[:, :, 256:288].copy().view(np.float16).astype(np.float32).transpose(0, 2, 1)[..., None]
        m = groups[:, :, 288:320].copy().view(np.float16).astype(np.float32).transpose(0, 2, 1)[..., None]
        rows = (q * d + m).reshape(units * 16, padded)
    return torch.from_numpy(np.ascontiguousarray(rows[:n, :k]))


def eight_bits(x: torch.Tensor) -> torch.Tensor:
    """Activations as quantised weights read them: signed bytes by groups of 32."""
    k = x.shape[1]
    grouped = torch.nn.functional.pad(x, (0, -k % 32)).reshape(len(x), -1, 32)
    scale = grouped.abs().amax(dim=2, keepdim=True) / 127
    q = torch.where(scale > 0, torch.round(grouped / scale), torch.zeros(()))
    return (q * scale).reshape(len(x), -1)[:, :k]


def expected(kind: Any, weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    if kind in ("bfloat16", "short"):
        weight, x = weight.bfloat16(), x.bfloat16()
    elif kind != "float32":
        weight, x = unpacked(pack(weight, kind, Store()), *weight.shape), eight_bits(x)
    return x.double() @ weight.double().T


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(48, 64), (33, 576), (5, 20), (130, 97)])
def test_a_linear_is_a_matrix_product(lib: Any, kind: str, shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(1)
    n, k = shape
    weight = torch.randn(n, k, generator=generator) * 0.1
    bias = torch.randn(n, generator=generator)
    for tokens in (1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 40):
        x = torch.randn(tokens, k, generator=generator) * torch.logspace(-1, 1, k)
        theirs = expected(kind, weight, x) + bias
        ours = run(lib, kind, weight, x, bias)
        # A value that lies between two bytes may be rounded either way: one step of one activation.
        slack = 2e-3 if kind.startswith("int") else 2e-6
        assert (ours - theirs).abs().max() < slack * x.abs().max() * k**0.5, tokens


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_does_not_see_the_tokens_beside_it(lib: Any, kind: str) -> None:
    generator = torch.Generator().manual_seed(2)
    weight = torch.randn(140, 9000, generator=generator)  # so long that activations are cut in pieces
    x = torch.randn(23, 9000, generator=generator)
    whole = run(lib, kind, weight, x)
    for a, b in ((0, 1), (1, 3), (3, 8), (8, 15), (15, 23), (0, 12)):
        assert torch.equal(run(lib, kind, weight, x[a:b]), whole[a:b])


def opened(packed: Packed, n: int, k: int) -> torch.Tensor:
    """The bfloat16 weights that a 12-bit copy stands for, read as `csrc/short.h` describes it: bits, (n, k) int32."""
    memory, listed = packed.memory
    units, blocks = -(-n // 16), -(-k // 64)
    raw = np.asarray(memory).reshape(units, 64 + 16 * blocks * 96)
    high, low = raw[:, None, :16].astype(int), raw[:, None, 16:32].astype(int)
    rows = raw[:, 64:].reshape(units, 16 * blocks, 96)
    rest, codes = rows[..., :64].astype(int), np.concatenate([rows[..., 64:] & 15, rows[..., 64:] >> 4], axis=2)
    unit = np.arange(units)[:, None, None]
    bits = ((rest & 128) | high[unit, 0, codes]) << 8 | (rest & 127) | low[unit, 0, codes]
    b = np.arange(64)
    order = np.where(b % 16 < 8, b // 16 * 8 + b % 16, 24 + b // 16 * 8 + b % 16)
    found = np.empty_like(bits)
    found[..., order] = bits
    found = found.reshape(units * 16, blocks * 64)[:n, :k]
    weights = torch.tensor(listed["weight"]).bfloat16().view(torch.int16).numpy().astype(int) & 0xFFFF
    found[listed["row"], listed["column"]] = weights
    assert (np.diff(listed["row"].astype(np.int64) * k + listed["column"]) > 0).all()
    return torch.tensor(found)


def odd_weights(n: int, k: int) -> torch.Tensor:
    """Weights of many magnitudes, with zeros of both signs, subnormals and the largest: some rows have misses."""
    generator = torch.Generator().manual_seed(9)
    weight = torch.randn(n, k, generator=generator) * 0.02
    weight[::3] *= torch.logspace(-30, 30, len(weight[::3]))[:, None]
    weight[5 % n, :: max(1, k // 7)] *= 1e-20
    weight[1, 0], weight[2, k - 1], weight[3, k // 2], weight[4, 1] = -0.0, 0.0, -1e-40, 3e38
    return weight.bfloat16()


@pytest.mark.parametrize("shape", [(48, 640), (33, 577), (5, 20), (130, 1000)])
def test_twelve_bits_lose_nothing(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pilotfish.decode.native.pack._WORTH", 9999)
    weight = odd_weights(*shape)
    packed = shorten(weight, Store())
    assert packed is not None
    assert len(packed.memory[1]) > 0
    assert torch.equal(opened(packed, *shape), weight.view(torch.int16).int() & 0xFFFF)


@given(st.integers(1, 40), st.integers(1, 200), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_any_bits_come_back(n: int, k: int, seed: int) -> None:
    bits = np.random.default_rng(seed).integers(0, 65536, (n, k), dtype=np.uint16)
    bits[:, : k // 2] = bits[:, : k // 2] & 0x87FF | 0x3800  # half of them with few exponents
    weight = torch.from_numpy(bits.view(np.int16)).view(torch.bfloat16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pilotfish.decode.native.pack._WORTH", 9999)
        packed = shorten(weight, Store())
    assert packed is not None
    found = opened(packed, n, k).numpy()
    # Of what is not a number only that it is none is kept: a miss passes through a float.
    number = bits & 0x7FFF <= 0x7F80
    np.testing.assert_array_equal(found[number], bits[number])
    assert (found[~number] & 0x7FFF > 0x7F80).all()


def test_too_many_exponents_are_left_as_they_are() -> None:
    store = Store()
    wide = torch.logspace(-30, 30, 64 * 128).reshape(64, 128)[:, torch.randperm(128)].T.contiguous().bfloat16()
    assert shorten(wide, store) is None
    assert shorten(torch.randn(64, 65).bfloat16(), store) is None  # two blocks for little more than one
    piece = store.take(64 << 10)
    assert not piece.any()  # what was tried is wiped


@pytest.mark.parametrize("shape", [(48, 576), (130, 97), (40, 9000)])
def test_twelve_bits_multiply_as_sixteen_do(lib: Any, shape: tuple[int, int]) -> None:
    """To the last bit, but for rows with misses, whose products are added at the end."""
    generator = torch.Generator().manual_seed(10)
    weight = torch.randn(*shape, generator=generator) * 0.02
    weight[weight.abs() < 1e-4] = 1e-4  # no misses
    some = weight.clone()
    some[7, ::9] *= torch.logspace(-9, -5, len(some[7, ::9]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pilotfish.decode.native.pack._WORTH", 9999)
        packed = shorten(some.bfloat16(), Store())
    assert packed is not None
    assert packed.miss_count > 0
    for tokens in (1, 2, 7, 30):
        x = torch.randn(tokens, shape[1], generator=generator)
        assert torch.equal(run(lib, "short", weight, x), run(lib, "bfloat16", weight, x))
        ours, plain = run(lib, "short", some, x), run(lib, "bfloat16", some, x)
        assert (ours - plain).abs().max() < 1e-5
        assert torch.equal(ours[:, :7], plain[:, :7])
        assert torch.equal(ours[:, 8:], plain[:, 8:])


def test_int8_is_within_half_a_step() -> None:
    weight = torch.randn(20, 70, generator=torch.Generator().manual_seed(3)) * torch.logspace(-3, 3, 20)[:, None]
    step = weight.abs().amax(dim=1, keepdim=True) / 127
    gap = (unpacked(pack(weight, "int8", Store()), 20, 70) - weight).abs()
    assert (gap <= step * 0.5001).all()


@pytest.mark.parametrize("levels", [16, 13, 9])
def test_int4_finds_the_grid_that_weights_lie_on(levels: int) -> None:
    """Weights from a 4-bit file come back, though they passed through bfloat16."""
    generator = torch.Generator().manual_seed(4)
    q = torch.randint(0, levels, (32, 8, 32), generator=generator).float()
    q[..., 0], q[..., 1] = 0, levels - 1
    d = torch.rand(32, 8, 1, generator=generator).half().float() * 0.02 + 0.01
    m = -torch.rand(32, 8, 1, generator=generator).half().float() * 0.1
    weight = (q * d + m).reshape(32, 256)
    packed = pack(weight.bfloat16(), "int4", Store())
    gap = (unpacked(packed, 32, 256) - weight).reshape(32, 8, 32).abs() / d
    assert float(gap.max()) < 0.1  # of a step
    assert packed.error < 0.005


def test_int4_beats_rounding_between_the_extremes() -> None:
    weight = torch.randn(64, 256, generator=torch.Generator().manual_seed(5))
    grouped = weight.reshape(64, 8, 32)
    low, high = grouped.amin(dim=2, keepdim=True), grouped.amax(dim=2, keepdim=True)
    step = (high - low) / 15
    plain = torch.round((grouped - low) / step) * step + low
    packed = pack(weight, "int4", Store())
    ours = unpacked(packed, 64, 256)
    assert (ours - weight).pow(2).sum() < 0.97 * (plain - grouped).pow(2).sum()
    assert packed.error == pytest.approx(float((ours - weight).norm() / weight.norm()), rel=0.05)


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_constant_and_zero_weights(lib: Any, kind: Literal["int8", "int4"]) -> None:
    for value in (0.0, 0.5, -3.0):
        y = run(lib, kind, torch.full((17, 64), value), torch.ones(2, 64))
        assert torch.allclose(y, torch.full((2, 17), 64 * value), rtol=1e-3)
    assert torch.equal(run(lib, kind, torch.randn(17, 64), torch.zeros(1, 64)), torch.zeros(1, 17))


def test_packed_bytes_are_what_they_should_be() -> None:
    weight = torch.randn(64, 1024)
    assert pack(weight, "int8", Store()).bytes == 64 * 1024 + 64 * 4
    assert pack(weight, "int4", Store()).bytes == 64 * 1024 * 5 // 8
