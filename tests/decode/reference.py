"""The slowest decoder that can be right: no cache, every logit from a forward pass over the whole sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from pilotfish.decode.decoder import Prompt, Row


class ReferenceDecoder:
    """A transformers causal LM as a `Decoder`, by brute force: `state` is the list of all ids so far."""

    members = 1
    trees = True

    def __init__(self, model: Any, exits: Sequence[int] = ()) -> None:
        self.model = model
        self.exits = tuple(exits)
        self.early: list[torch.Tensor] = []
        self.vocabulary = int(model.get_output_embeddings().weight.shape[0])
        self.device = torch.device("cpu")
        self.length = int(getattr(model.config, "max_position_embeddings", 512))
        self.fed = 0  # tokens fed so far, prompts not counted

    def start(self, prompts: Sequence[Prompt]) -> tuple[list[Row], torch.Tensor]:
        rows = [Row(prompt, [], list(prompt[0])) for prompt in prompts]
        self.early = [self._exits(row.state)[-1:] for row in rows] if self.exits else []
        return rows, torch.stack([self._all(row.state)[-1] for row in rows])

    def feed(
        self, rows: Sequence[Row], tokens: Sequence[Sequence[int]], parents: Sequence[Sequence[int]] | None = None
    ) -> list[torch.Tensor]:
        out = []
        self.early = []
        for i, (row, more) in enumerate(zip(rows, tokens, strict=True)):
            assert more and len(more) <= self.room(row)
            assert not getattr(row, "tree", None), "keep() must come between a tree and the next feed"
            self.fed += len(more)
            if parents is None:
                row.state.extend(more)
                row.tokens.extend(more)
                out.append(self._all(row.state)[-len(more) :])
                if self.exits:
                    self.early.append(self._exits(row.state)[-len(more) :])
                continue
            logits = []
            exits = []
            for j in range(len(more)):
                path: list[int] = []
                node = j
                while node >= 0:
                    path.insert(0, more[node])
                    node = parents[i][node]
                logits.append(self._all(row.state + path)[-1])
                if self.exits:
                    exits.append(self._exits(row.state + path)[-1])
            row.tree = list(more)  # type: ignore[attr-defined]
            out.append(torch.stack(logits))
            if exits:
                self.early.append(torch.stack(exits))
        return out

    def keep(self, row: Row, path: Sequence[int]) -> None:
        more = [row.tree[node] for node in path]  # type: ignore[attr-defined]
        row.tree = None  # type: ignore[attr-defined]
        row.state.extend(more)
        row.tokens.extend(more)

    def rollback(self, row: Row, length: int) -> None:
        del row.tokens[length:]
        del row.state[len(row.prompt[0]) + length :]

    def fork(self, row: Row) -> Row:
        return Row(row.prompt, list(row.tokens), list(row.state))

    def close(self, row: Row) -> None:
        row.state = None

    def room(self, row: Row) -> int:
        return self.length - len(row.state)

    def _all(self, ids: list[int]) -> torch.Tensor:
        with torch.inference_mode():
            return self.model(input_ids=torch.tensor([ids])).logits[0].float()

    def _exits(self, ids: list[int]) -> torch.Tensor:
        """The logits (tokens, exits, vocabulary) of the hidden states of `exits`."""
        base = self.model.base_model
        norm = base.norm if hasattr(base, "norm") else base.ln_f
        with torch.inference_mode():
            states = self.model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states
            return torch.stack([self.model.lm_head(norm(states[i][0])).float() for i in self.exits], dim=1)
