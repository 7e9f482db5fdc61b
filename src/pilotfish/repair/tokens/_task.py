"""Windows as a task of the training loop: a class a word, by the rule that answers are read by later.

The score of a word in a window is the greatest of its tokens, and over the windows the least: the loss is of that, so a
window that does not hold the evidence is not taught that it should bear the word out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.repair.tokens.windows import FEATURES, Window

__all__ = ["BAG", "Lesson", "padded_windows", "task", "token_logits"]

# An answer of which it is only known that something in it is wrong counts as so many words: its most suspect one.
BAG = 4.0


@dataclass(frozen=True, eq=False)
class Lesson:
    """An answer to learn from.

    Attributes:
        windows: that are read, with any piece of the answer.
        labels: (words,) 1 for a fault, 0 for none, -1 where nobody said.
        bag: whether it is only known that something is wrong.
        weight: what it counts; 0 is left out.
    """

    windows: tuple[Window, ...]
    labels: NDArray[np.int8]
    bag: bool = False
    weight: float = 1.0

    @property
    def ids(self) -> tuple[int, ...]:
        """As many tokens as its windows take, padded to the longest."""
        return (0,) * (len(self.windows) * max(len(window.ids) for window in self.windows))

    @property
    def count(self) -> int:
        """How many words are in the loss."""
        return (1 if self.bag else int((self.labels >= 0).sum())) if self.weight else 0

    def emptied(self) -> Lesson:
        """Return the same with nothing in the loss."""
        return replace(self, weight=0.0)


@dataclass(frozen=True)
class _Batch:
    inputs: dict[str, Any]
    features: Any
    row: Any
    at: Any
    cell: Any  # of each token: its window's word
    word: Any  # of each cell: its lesson's word
    words: int
    labels: Any
    weights: Any
    bags: Any  # (words,) the bag that a word lies in, -1 for none
    bag_weights: Any

    @property
    def count(self) -> float:
        return float(self.weights.sum() + self.bag_weights.sum())


def padded_windows(windows: Sequence[Window], pad: int, device: Any, types: bool) -> dict[str, Any]:
    """Return windows as an encoder takes them: (windows, longest)."""
    torch = need("torch", "local")
    longest = max(len(window.ids) for window in windows)
    ids = torch.full((len(windows), longest), pad, dtype=torch.long)
    mask = torch.zeros((len(windows), longest), dtype=torch.long)
    kinds = torch.zeros((len(windows), longest), dtype=torch.long)
    for at, window in enumerate(windows):
        size = len(window.ids)
        ids[at, :size] = torch.tensor(window.ids)
        mask[at, :size] = 1
        kinds[at, :size] = torch.tensor(window.types)
    found = {"input_ids": ids.to(device), "attention_mask": mask.to(device)}
    return found | ({"token_type_ids": kinds.to(device)} if types else {})


def token_logits(body: Any, head: Any, inputs: dict[str, Any], features: Any, row: Any, at: Any) -> Any:
    """Return (tokens,) the logits of the tokens at (row, at), with the features of their words."""
    torch = need("torch", "local")
    states = body(**inputs).last_hidden_state[row, at].float()
    return head(torch.cat([states, features], dim=1))[:, 0]


def task(body: Any, head: Any, pad: int, types: bool) -> Any:
    """Return an encoder's transformer and a head as the loop wants them.

    Args:
        body: gives hidden states.
        head: from a state and features to one number.
        pad: the token that fills.
        types: whether the encoder tells two texts apart by types.
    """
    torch = need("torch", "train")

    class SpanTask(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = body, head

        def prepare(self, lessons: Sequence[Lesson], step: int) -> _Batch:
            return _batch(lessons, next(body.parameters()).device, pad, types)

        def forward(self, batch: _Batch) -> tuple[Any, dict[str, Any]]:
            tokens = token_logits(body, head, batch.inputs, batch.features, batch.row, batch.at)
            cells = torch.full((len(batch.word),), -torch.inf, device=tokens.device)
            cells = cells.scatter_reduce(0, batch.cell, tokens, "amax")
            words = torch.full((batch.words,), torch.inf, device=tokens.device)
            words = words.scatter_reduce(0, batch.word, cells, "amin")
            told = batch.labels >= 0
            wanted = batch.labels[told].float()
            losses = torch.nn.functional.binary_cross_entropy_with_logits(words[told], wanted, reduction="none")
            total = (losses * batch.weights[told]).sum()
            if len(batch.bag_weights):
                inside = batch.bags >= 0
                most = torch.full((len(batch.bag_weights),), -torch.inf, device=tokens.device)
                most = most.scatter_reduce(0, batch.bags[inside], words[inside], "amax")
                total = total + (torch.nn.functional.softplus(-most) * batch.bag_weights).sum()
            return total, {}

        def looked(self, lessons: Sequence[Lesson]) -> dict[str, float]:
            batches = [self.prepare(lessons[i : i + 16], 0) for i in range(0, len(lessons), 16)]
            total = sum(float(self(batch)[0]) for batch in batches)
            return {"loss": total / max(sum(batch.count for batch in batches), 1e-9)}

    return SpanTask()


def _batch(lessons: Sequence[Lesson], device: Any, pad: int, types: bool) -> _Batch:
    torch = need("torch", "train")
    windows = [window for lesson in lessons for window in lesson.windows]
    row: list[int] = []
    at: list[int] = []
    cell: list[int] = []
    word: list[int] = []
    labels: list[int] = []
    weights: list[float] = []
    bags: list[int] = []
    bag_weights: list[float] = []
    number = 0
    for lesson in lessons:
        first = len(labels)
        for window in lesson.windows:
            cells: dict[int, int] = {}
            for place, of in zip(window.at, window.words, strict=True):
                if of not in cells:
                    cells[of] = len(word)
                    word.append(first + of)
                row.append(number)
                at.append(place)
                cell.append(cells[of])
            number += 1
        seen = {of for window in lesson.windows for of in window.words}
        labels += [
            -1 if lesson.bag or of not in seen else int(label) for of, label in enumerate(lesson.labels.tolist())
        ]
        weights += [lesson.weight if label >= 0 else 0.0 for label in labels[first:]]
        bags += [len(bag_weights) if lesson.bag and of in seen else -1 for of in range(len(lesson.labels))]
        if lesson.bag:
            bag_weights.append(BAG * lesson.weight)
    features = np.concatenate([window.features for window in windows]) if row else np.zeros((0, FEATURES), np.float32)
    return _Batch(
        padded_windows(windows, pad, device, types),
        torch.tensor(features, device=device),
        torch.tensor(row, device=device),
        torch.tensor(at, device=device),
        torch.tensor(cell, device=device),
        torch.tensor(word, device=device),
        len(labels),
        torch.tensor(labels, device=device),
        torch.tensor(weights, dtype=torch.float32, device=device),
        torch.tensor(bags, device=device),
        torch.tensor(bag_weights, dtype=torch.float32, device=device),
    )
