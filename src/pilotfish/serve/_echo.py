"""What a completion says of tokens, its own and those of the prompt that it echoes.

The form is OpenAI's: parallel lists of tokens, log-probabilities, likeliest rivals and offsets. The first token of a
prompt has nothing before it, so its log-probability is null.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pilotfish.model import Reply
from pilotfish.serve._chat import LEAST, finite
from pilotfish.serve._prompts import Prompt, decoded

__all__ = ["Told", "echoed", "told_of"]


@dataclass(frozen=True)
class Told:
    """A text, and what is said of each of its tokens; all lists have the length of `tokens`."""

    text: str
    tokens: tuple[str, ...] = ()
    logprobs: tuple[float | None, ...] = ()
    tops: tuple[dict[str, float] | None, ...] = ()

    def __add__(self, later: Told) -> Told:
        return Told(
            self.text + later.text, self.tokens + later.tokens, self.logprobs + later.logprobs, self.tops + later.tops
        )

    def to_json(self) -> dict[str, Any]:
        """Return OpenAI's form."""
        offsets, at = [], 0
        for token in self.tokens:
            offsets.append(at)
            at += len(token)
        return {
            "tokens": list(self.tokens),
            "token_logprobs": list(self.logprobs),
            "top_logprobs": list(self.tops),
            "text_offset": offsets,
        }


def told_of(reply: Reply) -> Told:
    """Return what a reply says of its own tokens."""
    rows = reply.logprobs or ()
    return Told(
        reply.text,
        tuple(row.token for row in rows),
        tuple(finite(row.logprob) for row in rows),
        tuple({token: finite(value) for token, value in row.top} or None for row in rows),
    )


def echoed(model: Any, prompts: Sequence[Prompt], top: int | None) -> list[Told]:
    """Return what a local model says of the tokens of prompts: of each the `top` likeliest in its place, and itself.

    Raises:
        ModelError: a prompt is empty, or longer than the model takes.
    """
    tokenizer = model.tokenizer
    names: dict[int, str] = {}

    def name(token: int) -> str:
        if token not in names:
            names[token] = decoded(tokenizer, [token])
        return names[token]

    found = []
    rows = [prompt.ids or () for prompt in prompts]
    for prompt, ids, positions in zip(prompts, rows, model.prompt_logprobs(rows, top or 0), strict=True):
        tops: list[dict[str, float] | None] = [None]
        for token, (logprob, rivals) in zip(ids[1:], positions, strict=True):
            # Two tokens may look alike (halves of a character): the likelier of them stands.
            ranked = {name(rival): finite(value) for rival, value in reversed(rivals)}
            tops.append(ranked | {name(token): max(finite(logprob), ranked.get(name(token), LEAST))})
        logprobs = (None, *(finite(value) for value, _ in positions))
        found.append(Told(prompt.text, tuple(name(token) for token in ids), logprobs, tuple(tops)))
    return found
