"""Short answers against short truths: equal words, and how many words they share.

Source: Rajpurkar et al. 2016 (SQuAD), section 6.1: exact match and F1 of words, without case, punctuation and English
articles; of several truths the best.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

__all__ = ["exact_match", "plain", "word_f1"]

_ARTICLE = re.compile(r"\b(a|an|the)\b")


def plain(text: str) -> str:
    """Return a text without case, punctuation, English articles and runs of spaces.

    Signs of any script are punctuation here, where the authors' program knows ASCII's alone.
    """
    kept = "".join(
        char for char in unicodedata.normalize("NFC", text).casefold() if not unicodedata.category(char).startswith("P")
    )
    # "$" and "+" stand in ASCII's punctuation, and are no P of Unicode's.
    kept = "".join(char for char in kept if char not in "$+<=>^`|~")
    return " ".join(_ARTICLE.sub(" ", kept).split())


def exact_match(answer: str, truths: Sequence[str]) -> float:
    """Return 1 where the answer is one of the truths, else 0."""
    return float(plain(answer) in {plain(truth) for truth in truths})


def word_f1(answer: str, truths: Sequence[str]) -> float:
    """Return the F1 of the words that the answer shares with a truth, of the truth that it shares most with.

    Where one of the two has no words the F1 is 1 if neither has, else 0.
    """
    return max((_f1(plain(answer).split(), plain(truth).split()) for truth in truths), default=0.0)


def _f1(answer: list[str], truth: list[str]) -> float:
    if not answer or not truth:
        return float(answer == truth)
    shared = sum((Counter(answer) & Counter(truth)).values())
    return 2 * shared / (len(answer) + len(truth))
