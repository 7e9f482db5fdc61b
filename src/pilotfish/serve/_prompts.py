"""The prompts of a completions request: texts or token ids, as the model that is asked can take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pilotfish.model import Message, Request
from pilotfish.models._tokens import encode
from pilotfish.serve._faults import Fault

__all__ = ["Prompt", "prompts_of", "white_box"]


@dataclass(frozen=True)
class Prompt:
    """One prompt; `ids` are None for a model that does not show its tokens."""

    text: str
    ids: tuple[int, ...] | None

    def request(self, settings: Request) -> Request:
        """Return the request for it: the text as the user's turn, and for a local model the tokens to go on from."""
        metadata = settings.metadata if self.ids is None else {**settings.metadata, "prompt_ids": self.ids}
        return settings.with_(messages=(Message("user", self.text),), metadata=metadata)


def white_box(model: Any) -> Any | None:
    """Return the local model whose tokens `model` goes on from: itself, or a speculative model's target; else None."""
    target = getattr(model, "target", model)
    return target if hasattr(target, "prompt_logprobs") else None


def prompts_of(given: Any, model: Any, most: int) -> list[Prompt]:
    """Return the prompts of `prompt`: a text, texts, token ids, or lists of them.

    Not on the event loop: a local model's tokenizer may have to be loaded.

    Raises:
        Fault: 400, it is none of these, or has ids where the model does not show its tokens.
        ModelError: the model does not load.
    """
    if isinstance(given, str) or (isinstance(given, list) and given and all(_is_id(one) for one in given)):
        given = [given]
    if not isinstance(given, list) or not given:
        raise _wrong("prompt must be a text, a list of texts, or token ids")
    if len(given) > most:
        raise _wrong(f"prompt has {len(given)} prompts; this gateway takes {most}")
    local = white_box(model)
    tokenizer = None if local is None else local.tokenizer
    return [_prompt(one, tokenizer) for one in given]


def _prompt(given: Any, tokenizer: Any) -> Prompt:
    if isinstance(given, str):
        return Prompt(given, None if tokenizer is None else tuple(encode(tokenizer, given)))
    if not isinstance(given, list) or not given or not all(_is_id(one) for one in given):
        raise _wrong("each prompt must be a text or a list of token ids, not empty")
    if tokenizer is None:
        raise _wrong("token ids are for a model on this machine: send the text")
    if max(given) >= len(tokenizer):
        raise _wrong(f"token id {max(given)} is not in the vocabulary of {len(tokenizer)}")
    return Prompt(decoded(tokenizer, given), tuple(given))


def decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    """Return the text of tokens, special ones too."""
    return str(tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _wrong(message: str) -> Fault:
    return Fault(400, message, "invalid_value", param="prompt")
