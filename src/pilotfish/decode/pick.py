"""Which decoder computes a model: native where it can, torch for families it knows, else transformers' forward."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from pilotfish.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from pilotfish.decode.decoder import Decoder

__all__ = ["Backend", "Quantize", "decoder_for"]

Backend = Literal["auto", "native", "torch", "transformers"]
Quantize = Literal["none", "int8", "int4"]

log = logging.getLogger("pilotfish.decode")


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
        quantize: "none" computes in the module's dtype; "int8" and "int4" hold the linear layers in as many bits.
        backend: "auto", or the decoder to take.
        exits: layers whose early-exit logits are wanted (0: the embedding).
        layers: only the first so many layers, the final norm and the head after them.

    Raises:
        ConfigError: an unknown name, or a backend that cannot do what is asked.
        ModelError: the model cannot be decoded.
    """
    for word, known, what in ((quantize, Quantize, "quantize"), (backend, Backend, "backend")):
        if word not in get_args(known):
            raise ConfigError(f"{what} = {word!r} is not known{did_you_mean(word, get_args(known))}")
    if quantize != "none":
        raise ConfigError("quantize: transformers' own forward computes in the module's dtype")
    from pilotfish.decode._transformers_cut import truncated
    from pilotfish.decode.transformers_decoder import TransformersDecoder

    return TransformersDecoder(module if layers is None else truncated(module, layers), exits)
