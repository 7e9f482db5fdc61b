"""A late-interaction model as a task of the training loop: queries with passages go in, a loss comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pilotfish._extras import need
from pilotfish.retrieve.late.encoder import Cut, Kind, LateEncoder, tensors
from pilotfish.retrieve.late.losses import contrastive_loss, distillation_loss, maxsim_scores, scaled
from pilotfish.train.examples import Example

__all__ = ["Group", "Read", "late_task"]


@dataclass(frozen=True)
class Group:
    """A query and its passages as tokens.

    Attributes:
        query: its tokens.
        passages: theirs, the query's own first where none has a score.
        texts: of the passages, by which the same is known again.
        scores: a teacher's, one a passage; none where there is no teacher.
    """

    query: Cut
    passages: tuple[Cut, ...]
    texts: tuple[str, ...]
    scores: tuple[float, ...] = ()

    @property
    def tokens(self) -> int:
        """How many are read."""
        return len(self.query.ids) + sum(len(one.ids) for one in self.passages)


@dataclass(frozen=True)
class Read:
    """Groups that are ready for a pass; each distinct passage is read once.

    Attributes:
        weights: (queries,) what each counts.
        queries, passages: ids, mask, and which tokens are matched, of each.
        places: (queries, most) the number of each query's passages among those that are read.
        there: (queries, most) False where a query has fewer.
        scores: (queries, most) the teacher's, or None.
    """

    weights: Any
    queries: tuple[Any, Any, Any]
    passages: tuple[Any, Any, Any]
    places: Any
    there: Any
    scores: Any

    @property
    def count(self) -> float:
        """What the loss's sum is divided by."""
        return float(self.weights.sum())


def late_task(
    encoder: LateEncoder, groups: Sequence[Group], temperature: float, *, normalise: bool, tokens: int
) -> Any:
    """Return the task of the loop.

    Args:
        encoder: a copy of its own weights.
        groups: all that is learnt from or looked at; examples tell their rows.
        temperature: of the softmax.
        normalise: put the scores of a query between 0 and 1, a teacher's too.
        tokens: the most in one pass of a look.
    """
    torch = need("torch", "train")
    module = encoder.module

    class LateTask(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def prepare(self, examples: Sequence[Example], step: int) -> Read:
            return _read(encoder, [groups[one.row] for one in examples], [one.weight * one.count for one in examples])

        def forward(self, read: Read) -> tuple[Any, dict[str, Any]]:
            queries, passages = (self.module(ids, mask) for ids, mask, _ in (read.queries, read.passages))
            scores = maxsim_scores(queries, read.queries[2], passages, read.passages[2])
            if read.scores is None:
                # Each distinct text is read once, so a query's own never stands among its negatives.
                own = read.places[:, 0]
                found = contrastive_loss(scores, own, temperature)
                right = (scores.argmax(-1) == own).float()
                return (found * read.weights).sum(), {"first": (right * read.weights).sum().detach()}
            mine, theirs = scores.gather(1, read.places), read.scores
            if normalise:
                mine, theirs = scaled(mine, read.there), scaled(theirs, read.there)
            found = distillation_loss(mine, theirs, read.there, temperature)
            return (found * read.weights).sum(), {}

        def looked(self, examples: Sequence[Example]) -> dict[str, float]:
            total = count = 0.0
            for some in _parts(examples, lambda one: groups[one.row].tokens, tokens):
                read = self.prepare(some, 0)
                total += float(self(read)[0])
                count += read.count
            return {"loss": total / max(count, 1e-9)}

    return LateTask()


def _read(encoder: LateEncoder, groups: Sequence[Group], weights: Sequence[float]) -> Read:
    torch = need("torch", "train")
    device = encoder.module.device
    numbers: dict[str, int] = {}
    cuts: list[Cut] = []
    places = []
    for group in groups:
        row = []
        for text, cut in zip(group.texts, group.passages, strict=True):
            if text not in numbers:
                numbers[text] = len(cuts)
                cuts.append(cut)
            row.append(numbers[text])
        places.append(row)
    most = max(map(len, places))
    there = torch.tensor([[i < len(row) for i in range(most)] for row in places], device=device)
    scores = None
    if groups[0].scores:
        padded = [[*group.scores, *[0.0] * (most - len(group.scores))] for group in groups]
        scores = torch.tensor(padded, dtype=torch.float32, device=device)
    return Read(
        torch.tensor(weights, dtype=torch.float32, device=device),
        _side(encoder, [group.query for group in groups], "query", device),
        _side(encoder, cuts, "document", device),
        torch.tensor([[*row, *[0] * (most - len(row))] for row in places], device=device),
        there,
        scores,
    )


def _side(encoder: LateEncoder, cuts: Sequence[Cut], kind: Kind, device: Any) -> tuple[Any, Any, Any]:
    torch = need("torch", "train")
    ids, mask = tensors(cuts, device)
    kept = torch.zeros(ids.shape, dtype=torch.bool)
    for place, cut in enumerate(cuts):
        kept[place, : len(cut.ids)] = torch.from_numpy(encoder.matched(cut, kind))
    return ids, mask, kept.to(device)


def _parts(examples: Sequence[Example], size: Callable[[Example], int], most: int) -> list[list[Example]]:
    found: list[list[Example]] = []
    held = 0
    for one in examples:
        if not found or held + size(one) > most:
            found.append([])
            held = 0
        found[-1].append(one)
        held += size(one)
    return found
