"""Linking: which entity of a knowledge base a mention is of, or none of them, and how surely.

Candidates come from the base's ways (`candidates`), what tells them apart are a few numbers each (`features`), which a
conditional logit with NIL as a choice weighs (`logit`). Nothing in it is of any one entity: entities come and go
without a new training. A link is made where its probability reaches a threshold; the threshold is chosen on mentions
that the weights were not learnt from, for the best F1 of links, or for a precision that holds (`measure.promise`). On
the same mentions it learns which of its decisions are easy (`ease`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pilotfish._saved import facts_in, reading
from pilotfish.compete.entities.base import EntityBase
from pilotfish.compete.entities.candidates import Candidates, Generated
from pilotfish.compete.entities.entity import Entity
from pilotfish.compete.entities.features import FEATURES, USUAL, features
from pilotfish.compete.entities.linked import SIGNALS, Linked, signals
from pilotfish.compete.entities.logit import Choice, learnt, probabilities
from pilotfish.compete.entities.mention import Mention
from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.promise import evidence, last_kept
from pilotfish.model import Call, Trace
from pilotfish.retrieve.rerank.reranked import Reads
from pilotfish.rows._atomic import atomic

__all__ = ["FILE", "Linker"]

FILE, FORMAT = "linker.json", 1
NIL = 8.0  # its utility where nothing was learnt: between those of a namesake and of a stranger
STEPS = 200  # thresholds that are tried, at most
Floats = NDArray[np.float64]


class Linker:
    """Links mentions to the entities of a base.

    Args:
        base: the entities.
        ways: of the base that are asked; None asks all.
        k: how many candidates a mention gets.
        depth: how many each way finds.
        reader: reads the mention with each candidate: a cross-encoder, a taught re-ranker (`retrieve.rerank`).
        ridge: how strongly weights are held to the usual ones.

    Attributes:
        weights_: (features,) of `FEATURES`; the usual ones until `fit`.
        nil_: NIL's utility.
        threshold_: of the probability of a link.
        easy_: (signals + 1,) weights of `SIGNALS` and a bias, by which a decision is easy; None until `calibrate`.

    Raises:
        ConfigError: as of `Candidates`.
    """

    def __init__(
        self,
        base: EntityBase,
        *,
        ways: Sequence[str] | None = None,
        k: int = 16,
        depth: int = 32,
        reader: Reads | None = None,
        ridge: float = 0.05,
    ) -> None:
        if not ridge > 0:
            raise ConfigError(f"ridge is above 0, not {ridge}")
        self.candidates, self.reader, self.ridge = Candidates(base, ways, k, depth), reader, ridge
        self.weights_: Floats = np.array(list(USUAL.values()))
        self.nil_ = NIL
        self.threshold_ = 0.5
        self.easy_: Floats | None = None

    @property
    def base(self) -> EntityBase:
        """The entities."""
        return self.candidates.base

    def fit(self, mentions: Sequence[tuple[Mention, str | None]]) -> Self:
        """Learn the weights and NIL's utility from mentions with the id that is meant, None where none is.

        A mention whose entity is not among its candidates teaches nothing: no weight could find it.

        Raises:
            DataError: none to learn from.
        """
        choices = []
        for (generated, table, _), (_, gold) in zip(
            self._tables([mention for mention, _ in mentions]), mentions, strict=True
        ):
            ids = [entity.id for entity in generated.entities]
            if gold is None or gold in ids:
                choices.append(Choice(table, None if gold is None else ids.index(gold)))
        ridge = np.full(len(FEATURES) + 1, self.ridge)
        if not any(choice.right is None for choice in choices):
            # Without a mention of none of them NIL's utility would be pushed down as far as the penalty lets it: it is
            # held, and the weights lift what is right above it.
            ridge[-1] = 1e6
        found = learnt(choices, np.append(list(USUAL.values()), NIL), ridge)
        self.weights_, self.nil_ = found[:-1], float(found[-1])
        return self

    def calibrate(
        self, mentions: Sequence[tuple[Mention, str | None]], *, precision: float | None = None, risk: float = 0.1
    ) -> Self:
        """Choose the threshold on mentions that `fit` did not see, and learn which decisions are easy.

        Args:
            mentions: with the id that is meant, None where none is.
            precision: None chooses the best F1 of links; a share takes the lowest threshold at which so many of the
                links are right.
            risk: the probability that this does not hold for mentions to come.

        Raises:
            DataError: no mentions, or too few for the precision.
        """
        if not mentions:
            raise DataError("a threshold is chosen on mentions; there are none")
        told = self.link([mention for mention, _ in mentions])
        best = np.array([one.best for one in told])
        golds = [gold for _, gold in mentions]
        right = np.array(
            [bool(one.candidates) and one.candidates[0].id == gold for one, gold in zip(told, golds, strict=True)]
        )
        meant = sum(gold is not None for gold in golds)
        self.threshold_ = best_f1(best, right, meant) if precision is None else precise(best, right, precision, risk)
        choices = []
        for one, gold in zip(told, golds, strict=True):
            now = replace(one, entity=self._taken(one))
            decided = None if now.entity is None else now.entity.id
            choices.append(Choice(signals(now)[None], 0 if decided == gold else None))
        # A logistic regression is a conditional logit with one choice beside the way out.
        self.easy_ = learnt(choices, np.zeros(len(SIGNALS) + 1), self.ridge)
        return self

    def link(self, mentions: Sequence[Mention]) -> list[Linked]:
        """Return what each mention is of."""
        found = []
        for generated, table, trace in self._tables(mentions):
            told = probabilities(table, self.weights_, self.nil_)
            order = np.argsort(-told[:-1], kind="stable")
            chances = told[:-1][order]
            candidates = tuple(generated.entities[place] for place in order)
            first = [scores[order[0]] >= scores.max() > 0 for scores in generated.told.values() if len(order)]
            one = Linked(
                generated.mention,
                None,
                candidates,
                chances,
                float(told[-1]),
                float(np.mean(first or [0.0])),
                trace=trace,
            )
            one = replace(one, entity=self._taken(one))
            found.append(replace(one, ease=self._ease(one)))
        return found

    def _taken(self, one: Linked) -> Entity | None:
        """Return the likeliest candidate where it is likely enough."""
        return one.candidates[0] if one.candidates and one.best >= self.threshold_ else None

    def _ease(self, one: Linked) -> float:
        """Return how likely a decision is right."""
        if self.easy_ is None:
            return one.probability
        return float(probabilities(signals(one)[None], self.easy_[:-1], float(self.easy_[-1]))[0])

    def _tables(self, mentions: Sequence[Mention]) -> list[tuple[Generated, Floats, Trace]]:
        """Return what each mention may be of, with its features and the models that were asked."""
        generated = self.candidates.of(mentions)
        if self.reader is None:
            return [(one, features(one), one.trace) for one in generated]
        pairs = [(one.mention.query, entity.text) for one in generated for entity in one.entities]
        told = self.reader.read(pairs)
        found, at = [], 0
        for one in generated:
            some = slice(at, at + len(one.entities))
            at += len(one.entities)
            call = Call(self.reader.name, "reranker", int(told.tokens[some].sum()), 0)
            found.append((one, features(one, told.scores[some].tolist()), one.trace + Trace((call,))))
        return found

    def save(self, folder: str | Path) -> None:
        """Write what was learnt; the base stays where it is, and a reader keeps itself."""
        facts = {
            "format": FORMAT,
            "ways": list(self.candidates.ways) if self.candidates.ways is not None else None,
            "k": self.candidates.k,
            "depth": self.candidates.depth,
            "weights": dict(zip(FEATURES, self.weights_.tolist(), strict=True)),
            "nil": self.nil_,
            "threshold": self.threshold_,
            "easy": None if self.easy_ is None else self.easy_.tolist(),
        }
        with atomic(Path(folder) / FILE) as file:
            file.write(json.dumps(facts, indent=1).encode() + b"\n")

    @classmethod
    def load(cls, folder: str | Path, base: EntityBase, reader: Reads | None = None) -> Self:
        """Read what `save` wrote, for a base.

        Raises:
            ModelError: the folder holds no linker, or a damaged one.
        """
        with reading(folder, "linker"):
            told = facts_in(Path(folder) / FILE, "linker", FORMAT)
            made = cls(base, ways=told["ways"], k=told["k"], depth=told["depth"], reader=reader)
            weights = [float(told["weights"][name]) for name in FEATURES]
            easy = told["easy"]
            if not all(map(math.isfinite, [*weights, told["nil"], told["threshold"], *(easy or [])])):
                raise ValueError("a weight is no number")
            if easy is not None and len(easy) != len(SIGNALS) + 1:
                raise ValueError("its weights of easy decisions are of another version")
            made.easy_ = None if easy is None else np.array(easy, np.float64)
            made.weights_, made.nil_, made.threshold_ = np.array(weights), float(told["nil"]), float(told["threshold"])
        return made


def best_f1(scores: Floats, right: NDArray[np.bool_], meant: int) -> float:
    """Return the threshold with the best F1 of links, the highest of equally good ones.

    Args:
        scores: (mentions,) of the likeliest candidate.
        right: (mentions,) whether it is the one that is meant.
        meant: how many mentions are of an entity of the base.
    """
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    f1 = 2 * hits / np.maximum(np.arange(1, len(order) + 1) + meant, 1)
    # Only where the score changes can a threshold lie.
    ends = np.flatnonzero(np.append(np.diff(scores[order]) < 0, True))
    return float(scores[order][ends[np.argmax(f1[ends])]])


def precise(scores: Floats, right: NDArray[np.bool_], precision: float, risk: float) -> float:
    """Return the lowest threshold above which so many links are right, vouched for by a fixed-sequence test.

    Raises:
        DataError: no share, or no threshold for which these mentions vouch.
    """
    if not 0 < precision < 1:
        raise DataError(f"a precision is a share between 0 and 1, not {precision}")
    # With fewer links than this nothing could be shown, were they all right; the sequence starts at twice as many, for
    # it ends where a test fails.
    least = 1
    while evidence(np.full(least, 1 - precision), -precision, 1 - precision) < 1 / risk:
        least += 1 + least // 10
    values = np.unique(scores)[::-1]
    counts = (scores[:, None] >= values).sum(axis=0)
    tried = values[counts >= 2 * least]
    if len(tried) > STEPS:
        tried = tried[np.linspace(0, len(tried) - 1, STEPS).astype(int)]

    def vouched(at: int) -> float:
        made = scores >= tried[at]
        return evidence((right[made] - precision).astype(np.float64), -precision, 1 - precision)

    kept = last_kept(len(tried), vouched, risk)
    if kept is None:
        raise DataError(
            f"no threshold is shown to give a precision of {precision:g} on {len(scores)} mentions: give more of them, "
            "or ask for less"
        )
    return float(tried[kept])
