"""Which decoder computes a model, and that it is said."""

from __future__ import annotations

import gc
import logging
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers

from pilotfish.decode import pick
from pilotfish.decode.native import build
from pilotfish.decode.native.build import NativeUnavailable
from pilotfish.decode.native.decoder import NativeDecoder
from pilotfish.decode.pick import decoder_for
from pilotfish.decode.torch_decoder import TorchDecoder
from pilotfish.decode.transformers_decoder import TransformersDecoder
from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from tests.conftest import TinyFolder


@pytest.fixture
def llama(tiny_folder: TinyFolder) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(tiny_folder("llama"), dtype=torch.float32).eval()


@pytest.fixture
def unknown() -> Any:
    config = transformers.GPTNeoXConfig(
        vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48
    )
    return transformers.AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize(
    ("backend", "kind"), [("native", NativeDecoder), ("torch", TorchDecoder), ("transformers", TransformersDecoder)]
)
def test_what_is_asked_for_is_taken(backend: str, kind: type[Any], llama: Any) -> None:
    decoder: Any = decoder_for(llama, backend=backend, exits=(1,), layers=1)
    assert isinstance(decoder, kind)
    assert decoder.exits == (1,)
    rows, logits = decoder.start([[[1, 2, 3]]])
    assert torch.allclose(logits, decoder.early[0][:, 0], atol=1e-4)
    assert decoder.room(rows[0]) == 509


def test_auto_is_native_on_a_cpu(llama: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "pilotfish.decode"):
        decoder: Any = decoder_for(llama)
    assert isinstance(decoder, NativeDecoder)
    assert [(r.levelname, r.message) for r in caplog.records] == [
        ("INFO", "LlamaForCausalLM is decoded by the native decoder, compiled for this CPU")
    ]


@pytest.mark.parametrize("quantize", ["none", "lossless", "int8"])
def test_without_a_compiler_it_is_torch_and_a_warning(
    quantize: str, llama: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PILOTFISH_NATIVE", "0")
    build.library.cache_clear()
    decoder: Any = decoder_for(llama, quantize=quantize)
    assert isinstance(decoder, TorchDecoder)
    assert "PILOTFISH_NATIVE=0" in decoder.why
    assert caplog.records[0].levelname == "WARNING"
    with pytest.raises(NativeUnavailable, match="PILOTFISH_NATIVE=0"):
        decoder_for(llama, backend="native")


def test_a_dtype_the_native_decoder_does_not_take_goes_to_torch(llama: Any) -> None:
    half = llama.half()
    decoder: Any = decoder_for(half)
    assert isinstance(decoder, TorchDecoder)
    assert "float16" in decoder.why
    with pytest.raises(ConfigError, match="float32 and bfloat16, not float16"):
        decoder_for(half, backend="native")


def test_an_unknown_family_goes_to_transformers_and_a_warning(unknown: Any, caplog: pytest.LogCaptureFixture) -> None:
    decoder: Any = decoder_for(unknown)
    assert isinstance(decoder, TransformersDecoder)
    assert "GPTNeoXForCausalLM is not one of the families" in decoder.why
    assert caplog.records[0].levelname == "WARNING"
    for backend in ("native", "torch"):
        with pytest.raises(ConfigError, match=f"'{backend}' knows no GPTNeoXForCausalLM"):
            decoder_for(unknown, backend=backend)
    with pytest.raises(ConfigError, match=r"int8.*needs a known family"):
        decoder_for(unknown, quantize="int8")


def test_names_that_are_not_known_are_refused(llama: Any) -> None:
    with pytest.raises(ConfigError, match="backend = 'nativ' is not known; did you mean 'native'"):
        decoder_for(llama, backend="nativ")
    with pytest.raises(ConfigError, match="quantize = 'int3' is not known; did you mean 'int"):
        decoder_for(llama, quantize="int3")


def test_decoders_of_one_module_share_packed_weights_until_it_is_trained(llama: Any) -> None:
    first: Any = decoder_for(llama, quantize="int8")
    second: Any = decoder_for(llama, quantize="int8", layers=1)
    assert second.weights is first.weights
    before = first.start([[[1, 2, 3]]])[1]
    with torch.no_grad():
        llama.model.layers[0].mlp.down_proj.weight.mul_(3)
    third: Any = decoder_for(llama, quantize="int8")
    assert third.weights is not first.weights
    assert not torch.allclose(third.start([[[1, 2, 3]]])[1], before, atol=0.1)


def test_what_is_shared_goes_with_the_module(llama: Any, tiny_folder: TinyFolder) -> None:
    module = transformers.AutoModelForCausalLM.from_pretrained(tiny_folder("qwen2"), dtype=torch.float32).eval()
    gone = weakref.ref(module)
    decoder_for(module, quantize="int8")
    assert module in pick._packed
    del module
    gc.collect()
    assert gone() is None
