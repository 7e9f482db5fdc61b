"""A language model of a few tokens, by table: the next token's logits depend on the last two. A `Decoder`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch

from pilotfish.decode.decoder import Prompt, Row


class Markov:
    members = 1
    trees = True
    early: ClassVar[list[torch.Tensor]] = []
    device = torch.device("cpu")

    def __init__(self, table: torch.Tensor, length: int = 1000) -> None:
        self.table = table  # (V, V, V): logits after (last but one, last)
        self.vocabulary = table.shape[-1]
        self.length = length
        self.feeds: list[int] = []  # tokens of each feed

    @classmethod
    def random(cls, vocabulary: int = 6, seed: int = 0, near: Markov | None = None, noise: float = 1.0) -> Markov:
        """A table of normal numbers; `near` another model's where that is given."""
        made = torch.randn((vocabulary,) * 3, generator=torch.Generator().manual_seed(seed))
        return cls(made * 1.3 if near is None else near.table + noise * made)

    def start(self, prompts: Sequence[Prompt]) -> tuple[list[Row], torch.Tensor]:
        rows = [Row(prompt, [], [0, 0, *prompt[0]]) for prompt in prompts]
        return rows, torch.stack([self._after(row.state) for row in rows])

    def feed(
        self, rows: Sequence[Row], tokens: Sequence[Sequence[int]], parents: Sequence[Sequence[int]] | None = None
    ) -> list[torch.Tensor]:
        self.feeds.append(sum(map(len, tokens)))
        out = []
        for i, (row, more) in enumerate(zip(rows, tokens, strict=True)):
            assert more and len(more) <= self.room(row)
            assert getattr(row, "tree", None) is None, "keep() must come between a tree and the next feed"
            paths: list[list[int]] = []
            for j, token in enumerate(more):
                parent = j - 1 if parents is None else parents[i][j]
                assert parent < j
                paths.append([*(paths[parent] if parent >= 0 else row.state[-2:]), token][-2:])
            out.append(torch.stack([self._after(path) for path in paths]))
            if parents is None:
                row.tokens.extend(more)
                row.state.extend(more)
            else:
                row.tree = (list(more), list(parents[i]))  # type: ignore[attr-defined]
        return out

    def keep(self, row: Row, path: Sequence[int]) -> None:
        tokens, parents = row.tree  # type: ignore[attr-defined]
        assert [parents[node] for node in path] == [-1, *path][: len(path)]
        row.tree = None  # type: ignore[attr-defined]
        row.tokens.extend(tokens[node] for node in path)
        row.state.extend(tokens[node] for node in path)

    def rollback(self, row: Row, length: int) -> None:
        assert length <= len(row.tokens)
        del row.state[2 + len(row.prompt[0]) + length :]
        del row.tokens[length:]

    def fork(self, row: Row) -> Row:
        return Row(row.prompt, list(row.tokens), list(row.state))

    def close(self, row: Row) -> None:
        row.state = None

    def room(self, row: Row) -> int:
        return self.length - len(row.state) + 2

    def _after(self, path: Sequence[int]) -> torch.Tensor:
        return self.table[path[-2], path[-1]]
