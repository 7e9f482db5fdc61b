"""Prompt look-up: what followed the last tokens where they stood in the text before.

Source: Saxena 2023 (prompt lookup decoding); Yang et al. 2023 (LLMA). Theirs copy on from one occurrence of the last
few tokens. Here the occurrences that share most of the text before them decide, by majority (the longest suffix and
its frequencies, as in Oliaro et al. 2024, SuffixDecoding), so that it is known how far to trust each token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Guess", "NGrams"]

# How far back occurrences are compared, and how many of them: a bound on the time, not a matter of quality. Of a word
# that stands everywhere the latest places say as much as all of them.
REACH, PLACES = 16, 64


@dataclass(frozen=True)
class Guess:
    """A token that may come next.

    `matched`: how many tokens before it are the same at the places it was read from, guessed ones included. `share`:
    the share of the places so far that go on with it; the others are left.
    """

    token: int
    matched: int
    share: float


class NGrams:
    """An index of a text that grows: what follows its end, at a cost that does not grow with the text.

    Args:
        tokens: the text's first tokens.
        max_ngram: the longest end of the text that is searched for. Where it is found in several places, those count
            that agree with the text furthest back.
        min_ngram: the shortest.

    Raises:
        ValueError: not 1 <= min_ngram <= max_ngram.
    """

    def __init__(self, tokens: Iterable[int] = (), max_ngram: int = 3, min_ngram: int = 1) -> None:
        if not 1 <= min_ngram <= max_ngram:
            raise ValueError(f"n-grams from {min_ngram} to {max_ngram} tokens: give 1 <= min_ngram <= max_ngram")
        self.tokens: list[int] = []
        self._sizes = range(max_ngram, min_ngram - 1, -1)
        # Where the tokens after each n-gram begin, in order; an n-gram is entered when a token follows it.
        self._after: dict[tuple[int, ...], list[int]] = {}
        self.extend(tokens)

    def extend(self, tokens: Iterable[int]) -> None:
        """Add tokens to the end of the text."""
        for token in tokens:
            at = len(self.tokens)
            for size in self._sizes:
                if size <= at:
                    self._after.setdefault(tuple(self.tokens[at - size :]), []).append(at)
            self.tokens.append(token)

    def guesses(self, k: int) -> list[Guess]:
        """Return what may come next, k tokens at most; none where the end of the text did not occur before.

        Each is what most of the places go on with, of equals the one of the latest place; the next is read from those
        that did. Where a place reaches into what is guessed, the copy goes on over its own output, as in LZ77: a loop
        in the text is continued to any length.
        """
        matched, places = self._longest()
        text, made = self.tokens, list[Guess]()
        while places and len(made) < k:
            next_ = [text[at] if at < len(text) else made[at - len(text)].token for at in places]
            counts = Counter(next_)
            token = max(next_, key=counts.__getitem__)
            made.append(Guess(token, matched, counts[token] / len(places)))
            places = [at + 1 for at, one in zip(places, next_, strict=True) if one == token]
            matched += 1
        return made

    def _longest(self) -> tuple[int, list[int]]:
        """Return how much of the text's end stood somewhere before, and the places after it, the latest first."""
        for size in self._sizes:
            if size < len(self.tokens):
                places = self._after.get(tuple(self.tokens[-size:]))
                if places is not None:
                    back = {at: self._agreed(at, size) for at in places[: -PLACES - 1 : -1]}
                    most = max(back.values())
                    return most, [at for at, agreed in back.items() if agreed == most]
        return 0, []

    def _agreed(self, at: int, size: int) -> int:
        """Return how many tokens before a place are those at the text's end; `size` of them are known to be."""
        text, end = self.tokens, len(self.tokens)
        most = min(REACH, at)
        while size < most and text[at - size - 1] == text[end - size - 1]:
            size += 1
        return size
