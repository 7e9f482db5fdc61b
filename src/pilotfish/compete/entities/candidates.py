"""What a mention may be of: the best that each way of a knowledge base finds for it.

Sources: Wu et al. 2020 (BLINK), section 4.1: a bi-encoder reads the mention with its context and the entity's own text;
Cormack et al. 2009 for the order of equal ranks. Names are asked with the mention's surface alone, all other ways with
its context. Ways take turns: by the sum of reciprocal ranks a name that fits to the letter would stand behind all that
two other ways find far down their lists.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.entities.base import NAMES, EntityBase, entity_of
from pilotfish.compete.entities.entity import Entity
from pilotfish.compete.entities.mention import Mention
from pilotfish.errors import ConfigError, did_you_mean
from pilotfish.model import Call, Trace
from pilotfish.retrieve.dense import Dense
from pilotfish.retrieve.found import Found, Hit
from pilotfish.retrieve.hybrid import fused

__all__ = ["Candidates", "Generated"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Generated:
    """What a mention may be of.

    Attributes:
        mention: it.
        entities: best first.
        told: by each way, (entities,): its score; of what it did not find 0, but of meaning, which tells all.
        trace: the models that were asked.
    """

    mention: Mention
    entities: tuple[Entity, ...]
    told: Mapping[str, Floats]
    trace: Trace = field(default_factory=Trace)


@dataclass(frozen=True)
class Candidates:
    """Finds what mentions may be of.

    Args:
        base: the entities.
        ways: that are asked; None asks all that the base has.
        k: how many entities a mention gets.
        depth: how many each way finds.

    Raises:
        ConfigError: the base lacks a way, or a number below 1.
    """

    base: EntityBase
    ways: Sequence[str] | None = None
    k: int = 16
    depth: int = 32

    def __post_init__(self) -> None:
        for way in self.ways or ():
            if way not in self.base.ways:
                known = did_you_mean(way, self.base.ways)
                raise ConfigError(f"{self.base.folder}: no way {way!r}{known}; it has {', '.join(self.base.ways)}")
        if self.k < 1 or self.depth < 1:
            raise ConfigError(f"k and depth are 1 or more, not {self.k} and {self.depth}")

    @property
    def asked(self) -> list[str]:
        """The ways that are asked."""
        return list(dict.fromkeys(self.ways or self.base.ways))

    def of(self, mentions: Sequence[Mention]) -> list[Generated]:
        """Return what each mention may be of; nothing where no way finds anything."""
        if not mentions:
            return []
        surfaces, queries = [one.surface for one in mentions], [one.query for one in mentions]
        found: dict[str, Found] = {}
        traces = [Trace() for _ in mentions]
        dense: Dense | None = None
        vectors: Any = None
        for way in self.asked:
            if way == NAMES:
                found[way] = self.base.names.rank(surfaces, self.depth)
                continue
            started = time.perf_counter()
            index = self.base.index.way(way)
            if isinstance(index, Dense):
                dense, vectors = index, index.vectors(queries)
                found[way] = index.near(vectors, self.depth)
            else:
                found[way] = index.rank(queries, self.depth)
            if way != "bm25":
                each = (time.perf_counter() - started) / len(mentions)
                model = str(getattr(getattr(index, "encoder", None), "name", way))
                traces = [one + Trace((Call(model, "retriever", 0, 0, each),)) for one in traces]
        return [
            self._joined(mention, place, found, dense, None if vectors is None else vectors[place], traces[place])
            for place, mention in enumerate(mentions)
        ]

    def _joined(
        self, mention: Mention, place: int, found: Mapping[str, Found], dense: Dense | None, vector: Any, trace: Trace
    ) -> Generated:
        scores = {
            way: dict(zip(one.rows[place].tolist(), one.scores[place].tolist(), strict=True))
            for way, one in found.items()
        }
        for some in scores.values():
            some.pop(-1, None)  # stands where a way finds no more
        wanted = sorted({row for some in scores.values() for row in some})
        held = dict(zip(wanted, self.base.index.collection.passages(wanted), strict=True))
        hits = {way: [Hit(held[row], score) for row, score in some.items()] for way, some in scores.items()}
        row_of = {passage.id: row for row, passage in held.items()}
        ranks: dict[int, int] = {}
        for some in scores.values():
            for rank, row in enumerate(some):
                ranks[row] = min(rank, ranks.get(row, rank))
        best = sorted((row_of[hit.passage.id] for hit in fused(hits)), key=lambda row: ranks[row])[: self.k]
        told = {way: np.array([some.get(row, 0.0) for row in best]) for way, some in scores.items()}
        if dense is not None and best:
            told["dense"] = dense.scores(vector, best).astype(np.float64)
        return Generated(mention, tuple(entity_of(held[row]) for row in best), told, trace)
