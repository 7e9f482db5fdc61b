"""What tells one candidate of a mention from another: how its names look, what it is, and what the context says.

Source: the signals of Cucerzan 2007 and of Ganea and Hofmann 2017, section 3 (prior, context), with similarities of
names; each lies between 0 and 1, but for `other type`, which is a reason against.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.compete.entities.candidates import Generated
from pilotfish.compete.entities.entity import Entity
from pilotfish.compete.entities.names import initials, normalised

__all__ = ["FEATURES", "USUAL", "features"]

# Each feature with what it counts where nothing was learnt: a choice, not a measurement; `fit` starts from it.
USUAL: dict[str, float] = {
    "ratio": 3.0,
    "token set": 2.0,
    "start": 1.0,
    "same name": 2.0,
    "same alias": 2.0,
    "initials": 2.0,
    "alone": 1.0,
    "names": 2.0,
    "dense": 4.0,
    "bm25": 0.5,
    "sparse": 0.5,
    "late": 1.0,
    "context": 2.0,
    "same type": 2.0,
    "other type": -2.0,
    "prior": 1.0,
    "reader": 3.0,
}
FEATURES = tuple(USUAL)
_WORDS = re.compile(r"[^\W_]{4,}")
Floats = NDArray[np.float64]


def features(generated: Generated, read: Sequence[float] | None = None) -> Floats:
    """Return (entities, features) of what a mention may be of.

    Args:
        generated: the candidates.
        read: what a re-ranker says of each, any number; None where there is none.
    """
    mention, candidates = generated.mention, generated.entities
    table = np.zeros((len(candidates), len(FEATURES)))
    column = {name: table[:, place] for place, name in enumerate(FEATURES)}
    surface = normalised(mention.surface)
    said = _words(mention.around) - _words(mention.surface)
    for place, entity in enumerate(candidates):
        _of_names(surface, entity, {name: values[place : place + 1] for name, values in column.items()})
        known = _words(entity.text)
        if said and known:
            column["context"][place] = len(said & known) / np.sqrt(len(said) * len(known))
        if mention.type and entity.types:
            same = mention.type.casefold() in {one.casefold() for one in entity.types}
            column["same type" if same else "other type"][place] = 1.0
    exact = (column["same name"] > 0) | (column["same alias"] > 0)
    if exact.sum() == 1:
        column["alone"][exact] = 1.0
    for way, scores in generated.told.items():
        # Cosines are what they are; scores without a scale count by their share of the best.
        scaled = way in ("names", "dense") or not len(scores) or scores.max() <= 0
        column[way][:] = np.clip(scores if scaled else scores / scores.max(), 0.0, 1.0)
    priors = np.log1p([entity.prior for entity in candidates])
    if len(priors) and priors.max() > 0:
        column["prior"][:] = priors / priors.max()
    if read is not None:
        column["reader"][:] = 1 / (1 + np.exp(-np.clip(np.asarray(read, np.float64), -50, 50)))
    return table


def _of_names(surface: str, entity: Entity, told: dict[str, Floats]) -> None:
    """Set what an entity's names tell: the best of them each time."""
    fuzzy = need("rapidfuzz", "entities")
    winkler = fuzzy.distance.JaroWinkler.normalized_similarity
    names = [normalised(name) for name in entity.names]
    told["ratio"][0] = max(fuzzy.fuzz.ratio(surface, name) for name in names) / 100
    told["token set"][0] = max(fuzzy.fuzz.token_set_ratio(surface, name) for name in names) / 100
    told["start"][0] = max(winkler(surface, name) for name in names)
    told["same name"][0] = float(surface == names[0])
    told["same alias"][0] = float(surface in names[1:])
    letters = surface.replace(" ", "")
    short = len(letters) > 1 and any(" " in name and letters == initials(name) for name in names)
    told["initials"][0] = float(short)


def _words(text: str) -> set[str]:
    return {word.casefold() for word in _WORDS.findall(text)}
