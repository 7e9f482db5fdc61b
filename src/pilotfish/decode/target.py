"""What draft-and-verify may have as its target, and what a lockstep may have as a member: a model with a decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.decode.decoder import Decoder, Prompt
    from pilotfish.model import Request

__all__ = ["WhiteBoxTarget", "white_box"]

WANTED = ("decoder", "prompt", "tokenizer", "ends")


class WhiteBoxTarget(Protocol):
    """A model whose next-token logits can be read: one local model, or several in lockstep.

    All but `name` may load weights when first used. Where it has `asked` (see `DecodedModel`), requests go through that
    before anything else is made of them.
    """

    @property
    def name(self) -> str:
        """The name that traces and reports show."""

    @property
    def tokenizer(self) -> Any:
        """The transformers tokenizer of the tokens that the decoder is fed and whose logits it gives."""

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that end an answer."""

    def decoder(self) -> Decoder:
        """Return a decoder over the model's weights, with rows of its own."""

    def prompt(self, request: Request) -> Prompt:
        """Return what the decoder's `start` takes for a request: one list of ids a member."""


def white_box(model: Any, where: str) -> WhiteBoxTarget:
    """Return the model where it is a `WhiteBoxTarget`; `where` names the setting it stands in, for the error.

    Nothing is loaded: the class is looked at, not the values. A model that has a decoder in some settings only says why
    not in `no_decoder`.

    Raises:
        ConfigError: the model gives answers only, or has a `no_decoder`.
    """
    name = getattr(model, "name", type(model).__name__)
    if getattr(model, "no_decoder", None):
        raise ConfigError(f"{where}: {name!r} gives no next-token logits: {model.no_decoder}")
    missing = [name for name in WANTED if not hasattr(type(model), name)]
    if missing:
        raise ConfigError(
            f"{where}: {name!r} ({type(model).__name__}) gives answers, not next-token logits; "
            f'give a model whose weights are here (use = "local")'
        )
    return model  # type: ignore[no-any-return]
