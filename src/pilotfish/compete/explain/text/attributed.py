"""What each word of a text adds to how strongly a classifier holds to what it says of it, by the way that suits it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.explain.text.reads import Reads
from pilotfish.compete.explain.text.words import Span
from pilotfish.errors import ConfigError, ModelError

__all__ = ["Attributed", "Way", "attributed", "way_for", "word_importance"]

Way = Literal["exact", "gradients", "rollout", "occlusion"]


@dataclass(frozen=True, eq=False)
class Attributed:
    """A text, what is said of it, and what its words add.

    Attributes:
        text: it.
        label: what is said of it, and what the shares are of.
        probability: of that.
        places: of its words and signs, in characters.
        shares: (words,) log-odds, above 0 for the label; of attention shares of 1.
        base: what shares add to: the log-odds of nothing, by the way's own idea of it.
        rest: what belongs to no word, as a special token's share.
        value: the log-odds that the classifier gives.
        way: by which they were found.
        residual: the gap between base, shares and rest together and the value; None of ways that do not add up.
        parts: n-grams with what they add, of a table of n-grams.
    """

    text: str
    label: str
    probability: float
    places: tuple[Span, ...]
    shares: NDArray[np.float64]
    base: float
    rest: float
    value: float
    way: Way
    residual: float | None = None
    parts: tuple[tuple[str, float], ...] = ()

    @property
    def words(self) -> list[str]:
        """The words and signs."""
        return [self.text[start:end] for start, end in self.places]

    def ranked(self) -> list[tuple[str, float]]:
        """Return words with what they add, the largest in size first."""
        order = np.argsort(-np.abs(self.shares), kind="stable").tolist()
        words = self.words
        return [(words[i], float(self.shares[i])) for i in order]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "text": self.text,
            "label": self.label,
            "probability": self.probability,
            "words": [[*place, float(share)] for place, share in zip(self.places, self.shares, strict=True)],
            "base": self.base,
            "rest": self.rest,
            "value": self.value,
            "way": self.way,
            "residual": self.residual,
            **({"parts": [list(part) for part in self.parts]} if self.parts else {}),
        }


def way_for(reads: Reads) -> Way:
    """Return the most exact way that a classifier allows.

    Tables of n-grams are explained exactly, networks by integrated gradients, all else by leaving words out.
    """
    from pilotfish.compete.explain.text.network import is_network
    from pilotfish.compete.explain.text.ngrams import is_table

    if is_table(reads):
        return "exact"
    return "gradients" if is_network(reads) else "occlusion"


def attributed(
    reads: Reads,
    texts: Sequence[str],
    way: Way | None = None,
    *,
    labels: Sequence[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Attributed]:
    """Return what the words of texts add.

    Args:
        reads: the classifier.
        texts: to explain.
        way: "exact" of tables of n-grams; "gradients" (integrated gradients) and "rollout" (of attention) of networks;
            "occlusion" of any. None takes the most exact one.
        labels: what is explained of each; None is what the classifier says.
        progress: called with the texts that are done.

    Raises:
        ConfigError: no such way, or a label that is no class.
        ModelError: the way is not for such a classifier.
    """
    chosen = way or way_for(reads)
    if chosen not in get_args(Way):
        raise ConfigError(f"the ways to explain texts are {', '.join(get_args(Way))}, not {chosen!r}")
    unknown = sorted(set(labels or ()) - set(reads.classes_))
    if unknown:
        raise ConfigError(f"{unknown[0]!r} is none of the classes {', '.join(map(repr, reads.classes_[:12]))}")
    if chosen == "occlusion":
        from pilotfish.compete.explain.text.occluded import by_occlusion

        return by_occlusion(reads, texts, labels, progress)
    if chosen == "exact":
        from pilotfish.compete.explain.text.ngrams import by_ngrams, is_table

        if not is_table(reads):
            raise ModelError("only a linear head over n-grams is explained exactly; take gradients or occlusion")
        return by_ngrams(reads, texts, labels, progress)
    from pilotfish.compete.explain.text.gradients import by_gradients
    from pilotfish.compete.explain.text.network import network_of
    from pilotfish.compete.explain.text.rollout import by_rollout

    ways = {"gradients": by_gradients, "rollout": by_rollout}
    return ways[chosen](network_of(reads), reads, texts, labels, progress)


def word_importance(told: Sequence[Attributed]) -> dict[str, float]:
    """Return word -> the mean size, over all texts, of what it adds to one; in lower case, the largest first."""
    found: dict[str, float] = defaultdict(float)
    for one in told:
        for word, share in zip(one.words, one.shares.tolist(), strict=True):
            found[word.lower()] += abs(share) / len(told)
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))
