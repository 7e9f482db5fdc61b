"""Pairs of near phrases out of the user's own texts: all ways to find them together, each pair once.

Sources: variants and typing errors: Chen et al. 2024 (PEARL), section 3; phrases in contexts: Wang et al. 2021
(Phrase-BERT), section 3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pilotfish.compete.phrases.aliases import abbreviations, aliases, appositions
from pilotfish.compete.phrases.contexts import in_sentences, shared_contexts
from pilotfish.compete.phrases.find import Found, phrases_in
from pilotfish.compete.phrases.pair import Pair, distinct
from pilotfish.compete.phrases.variants import typed_wrong, variants
from pilotfish.errors import ConfigError, did_you_mean

__all__ = ["KINDS", "USUAL", "Kind", "Mined", "mined"]

Kind = Literal["abbreviation", "alias", "spelling", "morphology", "order", "apposition", "context", "sentence", "typo"]
# In the order of how far a pair of the kind means the same: of two kinds a pair keeps the first.
KINDS: tuple[Kind, ...] = get_args(Kind)
USUAL: tuple[Kind, ...] = ("abbreviation", "alias", "spelling", "morphology", "order", "context", "sentence")


@dataclass(frozen=True)
class Mined:
    """What was found.

    Attributes:
        pairs: each once.
        counts: kind -> pairs.
        phrases: that were looked at, the most frequent first.
    """

    pairs: list[Pair]
    counts: dict[str, int]
    phrases: list[Found]

    def __str__(self) -> str:
        told = ", ".join(f"{name} {count:,}" for name, count in self.counts.items())
        return f"{len(self.pairs):,} pairs of {len(self.phrases):,} phrases ({told})"


def mined(
    texts: Sequence[str],
    kinds: Sequence[str] = USUAL,
    *,
    phrases: Sequence[Found] | None = None,
    without: Iterable[tuple[str, str]] = (),
    mask: str = "[MASK]",
    most: int | None = None,
    least: int = 3,
    longest: int = 3,
    language: str = "english",
    seed: int = 0,
) -> Mined:
    """Return pairs of near phrases out of texts.

    Args:
        texts: the user's own.
        kinds: which pairs, of `KINDS`.
        phrases: to pair; None finds those of the texts.
        without: pairs that are to be measured on: none of them is given.
        mask: what stands for a phrase in its sentence.
        most: pairs of a kind, the first ones; None for all.
        least: how often a phrase stands in the texts.
        longest: words of a phrase.
        language: of the stemmer.
        seed: of typing errors.

    Raises:
        ConfigError: an unknown kind, or none.
        MissingExtra: scipy or PyStemmer are not installed, of kinds that need them.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigError(f"no pairs are of the kind {kind!r}{did_you_mean(kind, KINDS)}")
    if not kinds:
        raise ConfigError(f"say which pairs are looked for: {', '.join(KINDS)}")
    found = phrases_in(texts, least=least, longest=longest) if phrases is None else list(phrases)
    names = [one.text for one in found]
    written: dict[str, list[Pair]] = {}
    if {"spelling", "morphology", "order"} & set(kinds):
        for pair in variants(names, language=language):
            written.setdefault(pair.kind, []).append(pair)
    makers: dict[str, Callable[[], list[Pair]]] = {
        "abbreviation": lambda: abbreviations(texts),
        "alias": lambda: aliases(texts),
        "apposition": lambda: appositions(texts),
        "context": lambda: shared_contexts(found),
        "sentence": lambda: in_sentences(found, mask),
        "typo": lambda: typed_wrong(names, seed),
    }
    pairs: list[Pair] = []
    for kind in KINDS:
        if kind in kinds:
            own = makers[kind]() if kind in makers else written.get(kind, [])
            pairs += own[:most]
    pairs = distinct(pairs, without)
    counts = Counter(pair.kind for pair in pairs)
    return Mined(pairs, {kind: counts[kind] for kind in KINDS if kind in kinds}, found)
