"""What phrase vectors are taught by: pairs drawn together, all else of a pass pushed away; and a phrase's type.

Sources: both ends of all other pairs as negatives: Chen et al. 2020 (SimCLR), equation 1 (NT-Xent; van den Oord et al.
2018, InfoNCE); the type of a phrase as a second task: Chen et al. 2024 (PEARL), section 3.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.compete.phrases.pair import Pair, normal
from pilotfish.retrieve.dense import Encodes

__all__ = ["Known", "held_out_loss", "pair_loss", "shape_of", "type_loss"]

_BLOCK = 512  # pairs

_NUMBER = re.compile(r"\d")


class Known:
    """Which phrases are known to be near, so that none of them is another's negative.

    Args:
        pairs: all that are known.

    Attributes:
        ends: (pairs, 2) the numbers of the phrases.
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        places: dict[str, int] = {}
        self.ends = np.array(
            [[places.setdefault(normal(text), len(places)) for text in (pair.a, pair.b)] for pair in pairs], np.int64
        ).reshape(-1, 2)
        self._size = max(1, len(places))
        low, high = self.ends.min(axis=1, initial=self._size), self.ends.max(axis=1, initial=0)
        self._near = np.unique(low * self._size + high)

    def left_out(self, rows: Sequence[int]) -> NDArray[np.bool_]:
        """Return (2 x rows, 2 x rows): which texts of a pass are no negatives of which: the same, or known to be near.

        The texts are the first ends of the rows' pairs, then their second ends. A text's own partner is not left out.
        """
        ends = self.ends[np.asarray(rows, np.int64)]
        ids = np.concatenate([ends[:, 0], ends[:, 1]])
        low, high = np.minimum(ids[:, None], ids), np.maximum(ids[:, None], ids)
        found = (low == high) | np.isin(low * self._size + high, self._near)
        own = np.arange(len(ends))
        found[own, own + len(ends)] = found[own + len(ends), own] = False
        return np.asarray(found)


def pair_loss(found: Any, left_out: Any, temperature: float) -> Any:
    """Return (pairs,): minus the log of the share that each end's partner has among all texts, the mean of both ends.

    Args:
        found: (pairs, 2, dimension): vectors of any length.
        left_out: (2 x pairs, 2 x pairs): as of `Known.left_out`.
        temperature: that cosines are divided by.
    """
    torch = need("torch", "train")
    count = len(found)
    unit = torch.nn.functional.normalize(torch.cat([found[:, 0], found[:, 1]]), dim=-1)
    scores = (unit @ unit.T / temperature).masked_fill(left_out, -torch.inf)
    own = torch.arange(2 * count, device=found.device).roll(count)
    return torch.nn.functional.cross_entropy(scores, own, reduction="none").view(2, count).mean(dim=0)


def held_out_loss(encoder: Encodes, pairs: Sequence[Pair], temperature: float) -> float:
    """Return the mean loss of pairs that nothing is learnt from, some hundred of them at a time each other's negatives.

    Args:
        encoder: of phrases.
        pairs: all of them.
        temperature: that cosines are divided by.
    """
    torch = need("torch", "train")
    known, total = Known(pairs), 0.0
    for start in range(0, len(pairs), _BLOCK):
        some = range(start, min(len(pairs), start + _BLOCK))
        vectors = encoder.encode([text for i in some for text in (pairs[i].a, pairs[i].b)])
        found = torch.from_numpy(vectors).double().view(len(some), 2, -1)
        total += float(pair_loss(found, torch.from_numpy(known.left_out(list(some))), temperature).sum())
    return total / max(1, len(pairs))


def type_loss(logits: Any, types: Any) -> Any:
    """Return (pairs,): the cross-entropy of the ends' types, the mean of the ends that have one; 0 where none has.

    Args:
        logits: (pairs, 2, types).
        types: (pairs, 2): numbers of types, -1 for none.
    """
    torch = need("torch", "train")
    known = types >= 0
    each = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), types.clamp(min=0).flatten(), reduction="none"
    ).view_as(known)
    return (each * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)


def shape_of(phrase: str) -> str:
    """Return a phrase's type as far as its letters tell: "number", "abbreviation", "name", or "term"."""
    words = phrase.split()
    if _NUMBER.search(phrase):
        return "number"
    if len(words) == 1 and len(phrase) > 1 and phrase.upper() == phrase:
        return "abbreviation"
    return "name" if words and words[0][:1].isupper() and words[-1][:1].isupper() else "term"
