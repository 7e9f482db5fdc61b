"""The transformer and its projection as one torch module, and the tokens that mark queries and documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import ConfigError, ModelError
from pilotfish.models import _weights
from pilotfish.retrieve.late._layout import Dense
from pilotfish.retrieve.late.settings import LateSettings

__all__ = ["late_module", "loaded", "marked", "projected"]


def loaded(folder: Any, name: str) -> tuple[Any, Any]:
    """Return the transformer of a folder and its tokenizer.

    Raises:
        ModelError: it does not load, or is no encoder.
    """
    transformers = need("transformers", "local")
    try:
        body = transformers.AutoModel.from_pretrained(str(folder), use_safetensors=True, trust_remote_code=False)
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
    except Exception as error:  # each library on the way raises its own kinds
        raise ModelError(f"{name}: not an encoder that loads: {_weights.first_line(error)}") from error
    if body.config.is_encoder_decoder:
        raise ModelError(f"{name}: an encoder with a decoder; late interaction takes an encoder alone")
    return body, tokenizer


def marked(body: Any, tokenizer: Any, settings: LateSettings, seed: int) -> dict[str, int | None]:
    """Return the tokens that mark queries and documents, None for none, and the one that fills queries up.

    A marker that the tokenizer does not know is added; its embedding begins as the mean of all, with noise of their own
    spread, so that the two differ.

    Raises:
        ModelError: no token to fill queries up with.
    """
    wanted = [mark for mark in (settings.query_prefix, settings.document_prefix) if mark]
    tokenizer.add_tokens([mark for mark in wanted if mark not in tokenizer.get_vocab()])
    table = body.get_input_embeddings().weight
    known = len(table)
    if len(tokenizer) > known:
        torch = need("torch", "local")
        mean, spread = table.detach().float().mean(0), table.detach().float().std(0)
        new = body.resize_token_embeddings(len(tokenizer), mean_resizing=False).weight
        noise = torch.randn((len(new) - known, new.shape[1]), generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            new[known:] = (mean + spread * noise).to(new.dtype)
    fill = next((one for one in (tokenizer.mask_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) if one), None)
    if fill is None and settings.do_query_expansion:
        raise ModelError("this tokenizer has no [MASK], end or padding token to expand queries with")
    return {
        "query": tokenizer.convert_tokens_to_ids(settings.query_prefix) if settings.query_prefix else None,
        "document": tokenizer.convert_tokens_to_ids(settings.document_prefix) if settings.document_prefix else None,
        "fill": fill,
    }


def projected(dense: Sequence[Dense], hidden: int, dimension: int | None, seed: int, name: str) -> tuple[Dense, ...]:
    """Return the layers on the transformer: its own, or, where another dimension is wanted of one without, a new one.

    Raises:
        ConfigError: the model's own have another dimension.
    """
    if dense:
        own = len(dense[-1].weight)
        if dimension not in (None, own):
            raise ConfigError(f"{name}: its vectors have {own} numbers, not {dimension}; leave dimension out")
        return tuple(dense)
    if dimension in (None, hidden):
        return ()
    # Directions that are drawn by chance keep products of vectors as they are, up to noise.
    weight = np.random.default_rng(seed).normal(size=(dimension, hidden)) / np.sqrt(dimension)
    return (Dense(weight.astype(np.float32)),)


def late_module(body: Any, dense: Sequence[Dense]) -> Any:
    """Return a module: (ids, mask or None) in, vectors of length 1 out, (texts, tokens, dimension) float32."""
    torch = need("torch", "local")

    class Layer(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, one: Dense) -> None:
            super().__init__()
            self.linear = _linear(one.weight, one.bias)
            self.activation, self.act = one.activation, getattr(torch.nn, one.activation)()
            self.with_residual = one.residual is not None
            self.residual = _linear(one.residual) if one.residual is not None and one.residual.size else None

        def forward(self, states: Any) -> Any:
            found = self.act(self.linear(states))
            if self.with_residual:
                found = found + (states if self.residual is None else self.residual(states))
            return found

        def told(self) -> Dense:
            bias = None if self.linear.bias is None else _array(self.linear.bias)
            residual = None
            if self.with_residual:
                residual = np.zeros((0, 0), np.float32) if self.residual is None else _array(self.residual.weight)
            return Dense(_array(self.linear.weight), bias, self.activation, residual)

    class LateModule(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.body = body
            self.dense = torch.nn.ModuleList([Layer(one) for one in dense])

        @property
        def dimension(self) -> int:
            return int(self.dense[-1].linear.out_features if len(self.dense) else self.body.config.hidden_size)

        @property
        def device(self) -> Any:
            return self.body.get_input_embeddings().weight.device

        def layers(self) -> list[Dense]:
            return [layer.told() for layer in self.dense]

        def forward(self, ids: Any, mask: Any = None) -> Any:
            given = {} if mask is None else {"attention_mask": mask}
            states = self.body(input_ids=ids, **given).last_hidden_state
            for layer in self.dense:
                states = layer(states)
            return torch.nn.functional.normalize(states.float(), dim=-1)

    def _linear(weight: Any, bias: Any = None) -> Any:
        made = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
        with torch.no_grad():
            made.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
            if bias is not None:
                made.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias)))
        return made

    return LateModule()


def _array(tensor: Any) -> Any:
    return tensor.detach().float().cpu().numpy()
