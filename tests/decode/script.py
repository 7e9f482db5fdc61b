"""A decoder that says what it was told to, whatever it is asked; for tests of what is done with tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from pilotfish.decode.decoder import Prompt, Row
from pilotfish.decode.face import DecodedModel
from pilotfish.decode.strategy import Plain
from pilotfish.errors import ModelError
from pilotfish.model import Request


class ScriptDecoder:
    """Says `script` one token after another; a prompt [n] starts at its n-th token.

    Attributes:
        batches: how many rows each start and feed had.
        open: how many rows are open.
        trouble: called before every feed.
    """

    members = 1
    trees = False

    def __init__(self, script: Sequence[int], vocabulary: int, length: int = 10_000) -> None:
        self.script = list(script)
        self.vocabulary = vocabulary
        self.length = length
        self.device = torch.device("cpu")
        self.early: list[Any] = []
        self.starts: list[int] = []
        self.feeds: list[int] = []
        self.open = 0
        self.trouble: Callable[[], None] = lambda: None

    def start(self, prompts: Sequence[Prompt]) -> tuple[list[Row], torch.Tensor]:
        if any(prompt[0][0] < 0 for prompt in prompts):
            raise ModelError("a prompt that cannot be")
        self.starts.append(len(prompts))
        self.open += len(prompts)
        rows = [Row(prompt, [], prompt[0][0]) for prompt in prompts]
        return rows, torch.stack([self._logits(row) for row in rows])

    def feed(
        self, rows: Sequence[Row], tokens: Sequence[Sequence[int]], parents: Sequence[Sequence[int]] | None = None
    ) -> list[torch.Tensor]:
        self.trouble()
        self.feeds.append(len(rows))
        out = []
        for row, more in zip(rows, tokens, strict=True):
            assert len(more) == 1
            assert parents is None
            row.tokens += more
            row.state += 1
            out.append(self._logits(row)[None])
        return out

    def keep(self, row: Row, path: Sequence[int]) -> None:
        raise NotImplementedError

    def rollback(self, row: Row, length: int) -> None:
        raise NotImplementedError

    def fork(self, row: Row) -> Row:
        raise NotImplementedError

    def close(self, row: Row) -> None:
        self.open -= 1

    def room(self, row: Row) -> int:
        return self.length - len(row.tokens) - len(row.prompt[0])

    def _logits(self, row: Row) -> torch.Tensor:
        logits = torch.zeros(self.vocabulary)
        logits[self.script[row.state % len(self.script)]] = 9.0
        return logits


def scripted(decoder: ScriptDecoder, tokenizer: Any, ends: Sequence[int] = (), **settings: Any) -> DecodedModel:
    """The decoder as a model; a request's text is the number its prompt has ("0" where it is none)."""

    def prompt(request: Request) -> Prompt:
        text = request.prompt
        return [[int(text) if text.lstrip("-").isdigit() else 0]]

    return DecodedModel(
        "scripted",
        strategy=lambda: Plain(decoder),
        prompt=prompt,
        tokenizer=lambda: tokenizer,
        ends=lambda: frozenset(ends),
        **settings,
    )
