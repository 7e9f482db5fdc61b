"""One answer as its tokens come: text, log-probabilities, and why it ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from pilotfish.decode.strategy import Step
from pilotfish.decode.text import Detokenizer, Stops
from pilotfish.decode.tools import ToolText
from pilotfish.model import TokenLogprob, ToolCall

__all__ = ["Answer", "token_logprob"]


class Answer:
    """Takes steps until an end token, a stop string or the limit.

    Attributes:
        finish: why it ended ("stop", "length", "tool_calls"), or None while it goes on.
        tokens: how many tokens were generated, the end token included.
        pieces: the text so far, without stop strings.
        ids: the tokens of the text (those of a stop string included, the end token not).
        logprobs: one a token of `ids`, where `top` is not None.
    """

    def __init__(
        self,
        tokenizer: Any,
        ends: frozenset[int],
        *,
        stops: Sequence[str] = (),
        limit: int,
        top: int | None = None,
        tools: ToolText | None = None,
    ) -> None:
        self.finish: str | None = "length" if limit < 1 else None
        self.tokens = 0
        self.pieces: list[str] = []
        self.ids: list[int] = []
        self.logprobs: list[TokenLogprob] = []
        self._tokenizer = tokenizer
        self._ends = ends
        self._limit = limit
        self._top = top
        self._cutter = Detokenizer(tokenizer)
        self._stops = Stops(stops)
        self._tools = tools

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The functions that are called, known when the answer has ended."""
        return self._tools.calls if self._tools else ()

    @property
    def text(self) -> str:
        """All that may be shown so far."""
        return "".join(self.pieces)

    def take(self, step: Step, limit: int | None = None, over: bool = False) -> str:
        """Take a step's tokens up to the end, and return the text they make certain.

        `limit` may be lowered while the answer goes on; `over`: nothing can follow this step but an end.
        """
        if limit is not None:
            self._limit = min(self._limit, limit)
        was_over = self.finish is not None
        piece = ""
        for i, token in enumerate(step.tokens):
            if self.finish is not None:
                break
            self.tokens += 1
            if token in self._ends:
                piece += self._close("stop")
                break
            self.ids.append(token)
            if self._top is not None and step.logits is not None:
                self.logprobs.append(token_logprob(step.logits[i], token, self._tokenizer, self._top))
            piece += self._stops.push(self._cutter.push(token))
            if self._stops.found:
                self.finish = "stop"
            elif len(self.ids) >= self._limit:
                complete = over and i == len(step.tokens) - 1
                piece += self._close("stop" if complete else "length")
        if over and self.finish is None:
            piece += self._close("stop")
        if self._tools and not was_over:
            piece = self._tools.push(piece)
            if self.finish is not None:
                piece += self._tools.finish()
                if self.calls and self.finish == "stop":
                    self.finish = "tool_calls"
        if piece:
            self.pieces.append(piece)
        return piece

    def _close(self, why: str) -> str:
        """Show what waited. Half a character may still complete a stop string."""
        piece = self._stops.push(self._cutter.finish()) + self._stops.finish()
        self.finish = "stop" if self._stops.found else why
        return piece


def token_logprob(logits: torch.Tensor, token: int, tokenizer: Any, top: int) -> TokenLogprob:
    """Return the log-probability, by the raw logits (vocabulary,), of a token and of the `top` likeliest ones."""
    logprobs = torch.log_softmax(logits.float(), dim=-1)
    rivals: tuple[tuple[str, float], ...] = ()
    if top:
        values, ids = logprobs.topk(min(top, logprobs.shape[-1]))
        rivals = tuple((tokenizer.decode([i]), value) for i, value in zip(ids.tolist(), values.tolist(), strict=True))
    return TokenLogprob(tokenizer.decode([token]), float(logprobs[token]), rivals)
