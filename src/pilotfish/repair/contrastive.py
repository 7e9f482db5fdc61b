"""Contrastive decoding: a model repaired by what it says and a weaker view does not.

The weaker view is a small model (Li et al. 2023; O'Brien and Lewis 2023), the same model without its context
(context-aware decoding, Shi et al. 2024), or the same model's earlier layers (DoLa, Chuang et al. 2024). The rules are
in `decode.rules.contrast` and `decode.rules.dola`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

from pilotfish.decode.lockstep_model import LockstepModel, Part, named_parts
from pilotfish.decode.rules import context_aware, contrastive, contrastive_logits, dola
from pilotfish.decode.rules.dola import bucket
from pilotfish.errors import ConfigError
from pilotfish.model import Request
from pilotfish.repair._context import Where, check_where, placed, with_context, without_context

__all__ = ["ContextAware", "Contrastive", "Dola"]


class Contrastive(LockstepModel):
    """The expert's distribution less the amateur's, among the tokens that the expert finds plausible.

    Args:
        expert: the model that is to be repaired.
        amateur: a smaller one of the same vocabulary (padding rows aside), which makes its faults more often.
        alpha: how much less likely than the likeliest a plausible token may be.
        beta: how much of the amateur is taken off; of the form "logits" only.
        form: "logits", (1 + beta) expert - beta amateur (O'Brien and Lewis), or "ratio", log p_expert / p_amateur (Li
            et al.).
        temperature: the amateur's; of the form "ratio" only.
        system: system turns of their own, by role: "expert", "amateur".
        name: the name in traces.
        settings: `max_tokens`, `max_rows` (see `LockstepModel`).

    Raises:
        ConfigError: a setting out of its range or of the other form, or a model that is a black box.
    """

    def __init__(
        self,
        expert: Any,
        amateur: Any,
        *,
        alpha: float = 0.1,
        beta: float | None = None,
        form: Literal["logits", "ratio"] = "logits",
        temperature: float | None = None,
        system: Mapping[str, str] | None = None,
        name: str = "contrastive",
        **settings: Any,
    ) -> None:
        _check_alpha(alpha, name)
        if form == "logits":
            if temperature is not None:
                raise ConfigError(f'{name}: temperature (the amateur\'s) belongs to form = "ratio"')
            if beta is not None and beta < 0:
                raise ConfigError(f"{name}: beta must not be negative, as {beta} is")
            rule = partial(contrastive_logits, beta=0.5 if beta is None else beta, alpha=alpha)
        elif form == "ratio":
            if beta is not None:
                raise ConfigError(f'{name}: beta belongs to form = "logits"')
            if temperature is not None and temperature <= 0:
                raise ConfigError(f"{name}: temperature must be above 0, not {temperature}")
            rule = partial(contrastive, alpha=alpha, temperature=1.0 if temperature is None else temperature)
        else:
            raise ConfigError(f'{name}: form is "logits" or "ratio", not {form!r}')
        super().__init__(name, named_parts([("expert", expert), ("amateur", amateur)], system, name), rule, **settings)


class ContextAware(LockstepModel):
    """A model that trusts the context it is given more than what it remembers.

    Both distributions, with the context and without, come of one pass over the weights. The context is what the request
    has as its extra field `context` (a text, put before the last user turn), or what is found in its messages (see
    `context`). A request without any is answered as the model alone would.

    Args:
        model: the model.
        alpha: how strongly the context outweighs the rest; 0 is the model alone, 0.5 the paper's for summaries, 1 where
            context and memory are at odds.
        context: where in the messages it stands: "named", in messages with the name "context"; "system", in the system
            turns; or two markers such as ("<context>", "</context>"), between which it stands in any turn.
        name: the name in traces.
        settings: `max_tokens`, `max_rows` (see `LockstepModel`).

    Raises:
        ConfigError: alpha is negative, `context` is neither of these, or the model is a black box.
    """

    def __init__(
        self, model: Any, *, alpha: float = 0.5, context: Where = "named", name: str = "context-aware", **settings: Any
    ) -> None:
        if alpha < 0:
            raise ConfigError(f"{name}: alpha must not be negative, as {alpha} is")
        where = check_where(context, name)
        self.alpha = alpha
        super().__init__(
            name,
            [
                Part(model, "with context", view=with_context),
                Part(model, "without context", view=partial(without_context, where=where)),
            ],
            partial(context_aware, alpha=alpha),
            **settings,
        )

    def asked(self, request: Request) -> Request:
        """Return the request with its extra `context` as a message of that name.

        Raises:
            ModelError: the context is not a text.
        """
        return placed(request, self.name)


class Dola(LockstepModel):
    """A model whose last layer is contrasted with the earlier layer that differs most from it, token by token.

    Args:
        model: a model with weights that are here; no collaboration, since those have no layers.
        layers: the candidates: "low" or "high" (every second layer of that half), or numbers as in `hidden_states` (0
            is the embedding). The authors take high layers for short answers, low ones for reasoning.
        alpha: how much less likely than the likeliest a plausible token may be.
        repetition_penalty: where the request sets none; 1.2 as the authors have it, 1 for none.
        name: the name in traces.
        settings: `max_tokens`, `max_rows` (see `LockstepModel`).

    Raises:
        ConfigError: a setting out of its range, or the model is a black box or a collaboration.
    """

    def __init__(
        self,
        model: Any,
        *,
        layers: str | Sequence[int] = "high",
        alpha: float = 0.1,
        repetition_penalty: float = 1.2,
        name: str = "dola",
        **settings: Any,
    ) -> None:
        _check_alpha(alpha, name)
        if isinstance(layers, str):
            if layers not in ("low", "high"):
                raise ConfigError(f'{name}: layers are "low", "high" or a list of numbers, not {layers!r}')
        elif not layers or any(layer < 0 for layer in layers):
            raise ConfigError(f"{name}: layers are numbers from 0 (the embedding) on, at least one: {list(layers)}")
        self.layers = layers
        self.repetition_penalty = repetition_penalty
        super().__init__(name, [Part(model, "model", exits=self.exits)], partial(dola, alpha=alpha), **settings)
        if "exits" not in inspect.signature(type(model).decoder).parameters:
            raise ConfigError(f'{name}: {model.name!r} has no layers to contrast; give one local model (use = "local")')

    def exits(self) -> tuple[int, ...]:
        """Return the candidate layers, as numbers.

        Raises:
            ConfigError: the model has no such layers before its last.
        """
        config = self.parts[0].model.model.config.get_text_config()  # type: ignore[attr-defined]
        last = int(config.num_hidden_layers)
        if isinstance(self.layers, str):
            return bucket(last, self.layers, bool(config.tie_word_embeddings))
        if max(self.layers) >= last:
            raise ConfigError(f"{self.name}: layer {max(self.layers)} is not before the last of {last}")
        return tuple(self.layers)

    def asked(self, request: Request) -> Request:
        """Return the request with the repetition penalty, where it sets none."""
        if self.repetition_penalty == 1 or "repetition_penalty" in request.extra:
            return request
        return request.with_(extra={**request.extra, "repetition_penalty": self.repetition_penalty})


def _check_alpha(alpha: float, name: str) -> None:
    if not 0 <= alpha <= 1:
        raise ConfigError(f"{name}: alpha is a share, from 0 to 1, not {alpha}")
