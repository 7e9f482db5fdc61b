"""Which decoder computes a model: native where it can, torch for families it knows, else transformers' forward."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from pilotfish._extras import need
from pilotfish.decode.quantize import Quantize, changes_numbers
from pilotfish.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from pilotfish.decode._cached import CachedDecoder
    from pilotfish.decode.arch import Architecture
    from pilotfish.decode.decoder import Decoder

__all__ = ["Backend", "Quantize", "decoder_for"]

Backend = Literal["auto", "native", "torch", "transformers"]

log = logging.getLogger("pilotfish.decode")
# A module's weights as the native decoder packs them, shared by its decoders while the module lives.
_packed: weakref.WeakKeyDictionary[Any, dict[tuple[str, int], Any]] = weakref.WeakKeyDictionary()


def decoder_for(
    module: Any,
    *,
    quantize: str = "none",
    backend: str = "auto",
    exits: Sequence[int] = (),
    layers: int | None = None,
) -> Decoder:
    """Return a decoder for a transformers causal language model; it shares the module's weights where it can.

    Which one was taken and why is its `why`, and one line in the log `pilotfish.decode`: a warning where the choice
    costs speed.

    Args:
        module: the transformers model, in evaluation mode, on its device.
        quantize: "none" computes in the module's dtype; "lossless" does too, and holds bfloat16 weights of linear
            layers in 12 bits where the decoder is the native one; "int8" and "int4" hold them in as many bits.
        backend: "auto", or the decoder to take.
        exits: layers whose early-exit logits are wanted (0: the embedding).
        layers: only the first so many layers, the final norm and the head after them.

    Raises:
        ConfigError: an unknown name, or a backend that cannot do what is asked.
        ModelError: the model cannot be decoded, or the native decoder was asked for and cannot be built.
    """
    for word, known, what in ((quantize, Quantize, "quantize"), (backend, Backend, "backend")):
        if word not in get_args(known):
            raise ConfigError(f"{what} = {word!r} is not known{did_you_mean(word, get_args(known))}")
    decoder, why, slow = _choose(module, cast("Quantize", quantize), backend, tuple(exits), layers)
    decoder.why = why
    log.log(logging.WARNING if slow else logging.INFO, "%s is decoded by %s", type(module).__name__, why)
    return decoder


def _choose(
    module: Any, quantize: Quantize, backend: str, exits: tuple[int, ...], layers: int | None
) -> tuple[CachedDecoder, str, bool]:
    """Return the decoder, what it is and why, and whether speed was lost to something that could be helped."""
    name = type(module).__name__
    # For decoders that have no other form of the same weights.
    plain: Quantize = quantize if changes_numbers(quantize) else "none"
    if backend == "transformers":
        return _forward(module, plain, exits, layers), "transformers' own forward, as asked", False
    arch = _read(module)
    if arch is None:
        if backend != "auto":
            raise ConfigError(f"backend = {backend!r} knows no {name} as it is here; use 'auto' or 'transformers'")
        why = f"transformers' own forward, since {name} is not one of the families known here, or not in its plain form"
        return _forward(module, plain, exits, layers), why, True
    from pilotfish.decode.torch_decoder import TorchDecoder

    if backend == "torch":
        return TorchDecoder(arch, exits, layers, plain), "torch, as asked", False
    fault = _not_native(module)
    if fault is None:
        from pilotfish.decode.native.build import NativeUnavailable

        try:
            why = "the native decoder, compiled for this CPU"
            return _native(module, arch, quantize, exits, layers), why, False
        except NativeUnavailable as error:
            if backend == "native":
                raise
            return TorchDecoder(arch, exits, layers, plain), f"torch, since {error}", True
    if backend == "native":
        raise ConfigError(f"backend = 'native' {fault}; use 'auto' or 'torch'")
    return TorchDecoder(arch, exits, layers, plain), f"torch, since the native decoder {fault}", False


def _read(module: Any) -> Architecture | None:
    from pilotfish.decode._arch_read import read

    return read(module)


def _not_native(module: Any) -> str | None:
    """Say why the native decoder does not take the module's device or dtype, or None where it does."""
    torch = need("torch", "local")
    if module.device.type != "cpu":
        return f"runs on the CPU and the model is on {module.device.type}"
    if module.dtype not in (torch.float32, torch.bfloat16):
        return f"takes float32 and bfloat16, not {module.dtype}".replace("torch.", "")
    return None


def _native(
    module: Any, arch: Architecture, quantize: Quantize, exits: tuple[int, ...], layers: int | None
) -> CachedDecoder:
    from pilotfish.decode.native.decoder import NativeDecoder

    # In-place changes of the weights (training) count up the versions, and then they are packed again.
    version = sum(0 if weight.is_inference() else weight._version for weight in module.parameters())
    packed = _packed.setdefault(module, {})
    for old in [key for key in packed if key[1] != version]:
        del packed[old]
    made = NativeDecoder(packed.get((quantize, version), arch), quantize, exits, layers)
    packed[quantize, version] = made.weights
    return made


def _forward(module: Any, quantize: str, exits: tuple[int, ...], layers: int | None) -> CachedDecoder:
    """Return the decoder that knows every family.

    Raises:
        ConfigError: weights were to be quantised, which it does not do.
    """
    if quantize != "none":
        name = type(module).__name__
        raise ConfigError(f"quantize = {quantize!r} needs a known family; {name} is run by transformers' own forward")
    from pilotfish.decode._transformers_cut import truncated
    from pilotfish.decode.transformers_decoder import TransformersDecoder

    return TransformersDecoder(module if layers is None else truncated(module, layers), exits)
