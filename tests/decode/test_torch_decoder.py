"""The torch decoder beyond what every decoder must do: quantised weights, prompts in pieces, slots, fixed shapes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers

from pilotfish.decode import torch_decoder
from pilotfish.decode._arch_read import read
from pilotfish.decode._torch_linear import GROUP, check_kernels, matrix
from pilotfish.decode._torch_plan import plan_of, plan_of_one_each
from pilotfish.decode._torch_slots import Slot
from pilotfish.decode.arch import Architecture, Linear
from pilotfish.decode.pick import decoder_for
from pilotfish.decode.torch_decoder import TorchDecoder
from pilotfish.errors import ConfigError
from tests.decode.conformance import same
from tests.decode.reference import ReferenceDecoder

if TYPE_CHECKING:
    from pilotfish.models.local import LocalModel
    from tests.conftest import TinyFolder

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def module(tiny_folder: TinyFolder) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(tiny_folder("mistral")).eval()


@pytest.fixture(scope="module")
def arch(module: Any) -> Architecture:
    found = read(module)
    assert found is not None
    return found


def _rounded(weight: torch.Tensor, bits: str) -> torch.Tensor:
    """Round each weight to its grid, by hand."""
    if bits == "int8":
        step = (weight.abs().amax(1, keepdim=True) / 127).bfloat16().float()
        return (weight / step).round() * step
    groups = weight.view(len(weight), -1, GROUP)
    low = groups.amin(2, keepdim=True)
    step = ((groups.amax(2, keepdim=True) - low) / 15).bfloat16().float()
    zero = (low + 8 * step).bfloat16().float()
    return ((((groups - zero) / step + 8).round().clamp(0, 15) - 8) * step + zero).view(weight.shape)


@pytest.mark.parametrize("tokens", [1, 5, 40])
@pytest.mark.parametrize("bits", ["int8", "int4"])
def test_a_quantised_matrix_is_its_rounded_weights(bits: str, tokens: int) -> None:
    torch.manual_seed(0)
    parts = [Linear(torch.randn(16, 64), torch.randn(16)), Linear(torch.randn(32, 64))]
    x = torch.randn(tokens, 64)
    exact = torch.cat([torch.nn.functional.linear(x, part.weight, part.bias) for part in parts], dim=1)
    made = matrix(parts, bits)
    rounded = _rounded(torch.cat([part.weight for part in parts]), bits)
    bias = torch.cat([torch.as_tensor(parts[0].bias), torch.zeros(32)])
    expected = torch.nn.functional.linear(x.bfloat16().float(), rounded, bias)
    # The kernels round to bfloat16 on the way out: 8 bits of mantissa.
    assert float((made(x) - expected).abs().max()) < 0.01 * float(expected.abs().max())
    assert float((made(x) - exact).abs().mean() / exact.abs().mean()) < {"int8": 0.02, "int4": 0.15}[bits]
    assert made.bytes == {"int8": 48 * 64 + 2 * 48, "int4": 48 * 64 // 2 + 4 * 48 * 2}[bits]


def test_int4_leaves_shapes_its_kernel_does_not_take_to_int8() -> None:
    weight = torch.randn(10, 48)
    made = matrix([Linear(weight)], "int4")
    assert made.bytes == 480 + 20
    assert made(weight[:1]).shape == (1, 10)


@pytest.mark.parametrize("bits", ["int8", "int4"])
def test_a_quantised_decoder_is_the_model_with_rounded_weights(bits: str, arch: Architecture) -> None:
    def rounded(linear: Linear, by: str = bits) -> Linear:
        return Linear(_rounded(linear.weight, by), linear.bias)

    layers = []
    for layer in arch.layers:
        parts: dict[str, Any] = {name: rounded(p) for name, p in vars(layer).items() if isinstance(p, Linear)}
        layers.append(replace(layer, **parts))
    coarse = replace(arch, layers=tuple(layers), head=rounded(arch.head, "int8"))
    exact, decoder = TorchDecoder(coarse), TorchDecoder(arch, quantize=bits)
    prompt = [[[5, 17, 300, 42, 9, 8, 7, 211, 12, 13, 14, 15, 16, 77, 78]]]
    (row,), logits = decoder.start(prompt)
    (other,), expected = exact.start(prompt)
    for more in ([1], [2, 3, 4]):
        logits = torch.cat([logits, decoder.feed([row], [more])[0]])
        expected = torch.cat([expected, exact.feed([other], [more])[0]])
    near = torch.corrcoef(torch.stack([logits.flatten(), expected.flatten()]))[0, 1]
    assert float(near) > 0.999
    assert decoder.weight_bytes < 0.4 * exact.weight_bytes


def test_a_kernel_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Without:
        def __getattr__(self, name: str) -> Any:
            raise NotImplementedError(f"no {name} here")

    monkeypatch.setattr("pilotfish.decode._torch_linear.aten", Without())
    with pytest.raises(ConfigError, match=r"int8.*no kernel for it on cpu: no _weight_int8pack_mm here"):
        check_kernels("int8", CPU)


def test_a_prompt_in_pieces_is_the_prompt(module: Any, arch: Architecture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_decoder, "PIECE", 8)
    prompts = [[list(range(20, 20 + n))] for n in (3, 40, 17, 5, 8)]
    decoder, reference = TorchDecoder(arch), ReferenceDecoder(module)
    rows, logits = decoder.start(prompts)
    theirs, expected = reference.start(prompts)
    same(logits, expected)
    more = [[1, 2], [3], [4], [5], [6]]
    for mine, other in zip(decoder.feed(rows, more), reference.feed(theirs, more), strict=True):
        same(mine, other)


def test_slots_are_used_again_and_given_back(module: Any, arch: Architecture) -> None:
    decoder, reference = TorchDecoder(arch), ReferenceDecoder(module)
    prompts = [[[7, 8, 9]], [[1] * 200], [[3, 4]], [[5]]]
    rows, _ = decoder.start(prompts)
    decoder.close(rows[1])
    (new,), logits = decoder.start([[[9, 9, 2]]])
    (other,), expected = reference.start([[[9, 9, 2]]])
    same(logits, expected)
    assert decoder._slots.slots == 4
    # Rows whose slots do not follow each other, beside one in a slot that was used before.
    theirs, _ = reference.start([prompts[0], prompts[3]])
    ours = decoder.feed([rows[3], new, rows[0]], [[11, 12], [13], [14]])
    for mine, his in zip(ours, reference.feed([theirs[1], other, theirs[0]], [[11, 12], [13], [14]]), strict=True):
        same(mine, his)
    for row in (rows[0], rows[2], rows[3], new):
        decoder.close(row)
    assert decoder._slots.buffers[0].numel() == 0
    same(decoder.start([prompts[0]])[1], reference.start([prompts[0]])[1])


def test_fused_matrices_change_nothing(arch: Architecture) -> None:
    prompt = [[[5, 17, 300]]]
    same(TorchDecoder(arch, fused=True).start(prompt)[1], TorchDecoder(arch).start(prompt)[1])


def test_a_step_of_fixed_shape_is_the_step(arch: Architecture) -> None:
    """What CUDA graphs record, run without them: padded rows and columns change nothing."""
    decoder = TorchDecoder(arch)
    rows, _ = decoder.start([[list(range(20, 40))], [[5]], [[6, 7, 8]]])
    slots = [row.state.cache for row in rows]
    spare = decoder._slots.open()
    ids = torch.tensor([1, 2, 3, 0])
    index = torch.tensor([*(slot.index for slot in slots), spare.index])
    positions = torch.tensor([*(slot.length for slot in slots), 63])
    with torch.inference_mode():
        decoder._network.reserve(64)
        plan = plan_of_one_each(index, positions, 64, decoder._network.windows, decoder._group)
        fixed = decoder._network(ids, plan, decoder._slots.buffers, (), None)[0]
    usual = decoder.feed(rows, [[1], [2], [3]])
    same(fixed[:3], torch.cat(usual))


def test_a_plan_says_where_tokens_stand() -> None:
    plan = plan_of([Slot(2, 3), Slot(0, 1)], [3, 1], [[-1, 0, 0], [-1]], [0, 2], 1, CPU)
    assert plan.positions.tolist() == [3, 4, 4, 1]
    assert plan.columns.tolist() == [3, 4, 5, 1]
    assert plan.token_slots.tolist() == [2, 2, 2, 0]
    full, near = plan.masks[0], plan.masks[2]
    assert full is not None
    assert near is not None
    assert full[0, 0, 2].tolist() == [True, True, True, True, False, True]
    # A window of two: the node itself and its parent.
    assert near[0, 0, 2].tolist() == [False, False, False, True, False, True]
    assert full[1, 0, 0].tolist() == [True, True, False, False, False, False]


def test_bfloat16_is_no_further_from_float32_than_transformers_own(module: Any, tiny_folder: TinyFolder) -> None:
    half = transformers.AutoModelForCausalLM.from_pretrained(tiny_folder("mistral"), dtype=torch.bfloat16).eval()
    arch = read(half)
    assert arch is not None
    decoder = TorchDecoder(arch)
    ids = [5, 17, 300, 42, 9, 8, 7, 211, *range(100, 140)]
    (row,), first = decoder.start([[ids[:8]]])
    ours = torch.cat([first, decoder.feed([row], [ids[8:]])[0]])
    with torch.inference_mode():
        exact, theirs = (each(torch.tensor([ids])).logits[0, 7:].float() for each in (module, half))
    assert ours.dtype == torch.float32
    assert decoder._slots.buffers[0].dtype == torch.bfloat16
    assert float((ours - exact).abs().mean()) < float((theirs - exact).abs().mean())


def test_layers_out_of_range_are_refused(arch: Architecture) -> None:
    for layers in (0, 3):
        with pytest.raises(ConfigError, match="layers"):
            TorchDecoder(arch, layers=layers)


@pytest.mark.models
@pytest.mark.parametrize("backend", ["torch", "transformers"])
def test_greedy_tokens_are_those_of_transformers(backend: str, smollm2: LocalModel) -> None:
    decoder = decoder_for(smollm2.model, backend=backend)
    prompts = [smollm2.tokenizer(text)["input_ids"] for text in ("The sea is", "def quicksort(items):\n")]
    rows, logits = decoder.start([[ids] for ids in prompts])
    picked = [logits.argmax(-1).tolist()]
    while len(picked) < 32:
        picked.append([int(one.argmax()) for one in decoder.feed(rows, [[token] for token in picked[-1]])])
    for ids, ours in zip(prompts, zip(*picked, strict=True), strict=True):
        with torch.inference_mode():
            out = smollm2.model.generate(torch.tensor([ids]), do_sample=False, min_new_tokens=32, max_new_tokens=32)
        assert out[0, len(ids) :].tolist() == list(ours)
