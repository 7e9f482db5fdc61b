"""Several models in lockstep as one model: what the faces of the white-box roles are made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pilotfish.decode.face import DecodedModel
from pilotfish.decode.target import WhiteBoxTarget, white_box
from pilotfish.errors import ConfigError
from pilotfish.model import Message, Request

if TYPE_CHECKING:
    from pilotfish.decode.decoder import Decoder, Prompt
    from pilotfish.decode.lockstep import Lockstep, Rule
    from pilotfish.decode.strategy import Strategy

__all__ = ["LockstepModel", "Part", "named_parts", "with_system"]


@dataclass(frozen=True)
class Part:
    """One model of a lockstep.

    Attributes:
        model: its weights, tokenizer and chat template.
        role: what it is called in traces and errors.
        system: what it alone is told first, in place of the request's own system turns; None leaves them.
        view: what it is shown of a request; all of it by default.
        exits: layers whose early-exit logits the rule gets too, called once the model may be loaded.
    """

    model: WhiteBoxTarget
    role: str
    system: str | None = None
    view: Callable[[Request], Request] | None = None
    exits: Callable[[], Sequence[int]] | None = None

    def decoder(self) -> Decoder:
        """Return a decoder over the model's weights."""
        if self.exits is None:
            return self.model.decoder()
        return self.model.decoder(exits=self.exits())  # type: ignore[call-arg]

    def prompt(self, request: Request) -> Prompt:
        """Return the model's own prompt."""
        if self.view is not None:
            request = self.view(request)
        return self.model.prompt(request if self.system is None else with_system(request, self.system))


class LockstepModel(DecodedModel):
    """A model whose next token comes of several models' logits by a rule; a `WhiteBoxTarget` itself.

    It samples, streams and stops like a single local model, and may be the target of draft-and-verify or a part of
    another lockstep. The trace has one call for each part, with its role, tokens and seconds. Parts with the same model
    run together, in one pass over its weights. The first part's tokenizer cuts and shows the text.

    Args:
        name: the name in traces.
        parts: the models, in the order in which the rule takes them.
        rule: from their logits to one distribution's (see `decode.rules`).
        max_tokens: how many tokens an answer may have where the request does not say.
        max_rows: how many answers run together.

    Attributes:
        no_decoder: why this model has no decoder of its own, where its settings leave it none; None elsewhere.

    Raises:
        ConfigError: a part is a black box.
    """

    no_decoder: str | None = None

    def __init__(
        self, name: str, parts: Sequence[Part], rule: Rule, *, max_tokens: int = 256, max_rows: int = 32
    ) -> None:
        for part in parts:
            white_box(part.model, f"{name}: {part.role}")
        self.parts = tuple(parts)
        self.rule = rule
        super().__init__(
            name,
            strategy=self._strategy_now,
            prompt=self.prompt,
            tokenizer=lambda: self.tokenizer,
            ends=lambda: self.ends,
            max_tokens=max_tokens,
            max_rows=max_rows,
        )

    def decoder(self) -> Lockstep:
        """Return the models in lockstep, with rows of their own.

        Raises:
            ConfigError: their vocabularies differ (the first differing token is named), or there is a `no_decoder`.
            ModelError: a model does not load.
        """
        from pilotfish.decode.lockstep import Lockstep

        if self.no_decoder:
            raise ConfigError(f"{self.name} gives no next-token logits: {self.no_decoder}")
        made: dict[int, Decoder] = {}
        decoders = []
        for part in self.parts:
            # One decoder for all parts of one model; its exits are for the one that asked for them.
            key = id(part.model) if part.exits is None else id(part)
            if key not in made:
                made[key] = part.decoder()
            decoders.append(made[key])
        return Lockstep(
            decoders,
            self.rule,
            tokenizers=[part.model.tokenizer for part in self.parts],
            roles=[part.role for part in self.parts],
            names=[part.model.name for part in self.parts],
        )

    @property
    def tokenizer(self) -> Any:
        """The first part's transformers tokenizer."""
        return self.parts[0].model.tokenizer

    @property
    def ends(self) -> frozenset[int]:
        """Every token that ends an answer of any part."""
        return frozenset().union(*(part.model.ends for part in self.parts))

    def prompt(self, request: Request) -> Prompt:
        """Return the parts' prompts one after the other, each by its own chat template and system turn.

        Raises:
            ModelError: it does not fit one of them.
        """
        return [ids for part in self.parts for ids in part.prompt(request)]

    def _strategy_now(self) -> Strategy:
        from pilotfish.decode.strategy import Plain

        return Plain(self.decoder())


def with_system(request: Request, system: str) -> Request:
    """Return the request with one system turn, this one, in place of its own; with none where the text is empty."""
    rest = tuple(message for message in request.messages if message.role not in ("system", "developer"))
    first = (Message("system", system),) if system else ()
    return dataclasses.replace(request, messages=first + rest)


def named_parts(models: Sequence[tuple[str, Any]], system: Mapping[str, str] | None, name: str) -> list[Part]:
    """Return a part for each (role, model), with the system turn of its role.

    Raises:
        ConfigError: a system turn for a role that is not there.
    """
    told = dict(system or {})
    parts = [Part(model, role, told.pop(role, None)) for role, model in models]
    if told:
        raise ConfigError(f"{name}: system: no {min(told)!r} here; there are {', '.join(role for role, _ in models)}")
    return parts
