"""Prompt look-up: what followed the last tokens when they stood in the text before.

Source: Saxena 2023 (prompt lookup decoding); Yang et al. 2023 (LLMA). Where the match reaches into the tokens that are
being predicted, the copy goes on over its own output, as in LZ77: a loop in the text is continued to any length.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["NGrams", "lookup"]


def lookup(tokens: Sequence[int], k: int, max_ngram: int = 3, min_ngram: int = 1) -> list[int]:
    """Return the k tokens that followed the latest earlier occurrence of the longest matching end of `tokens`.

    Ends of `max_ngram` tokens are tried first, then shorter ones, down to `min_ngram`. Empty where none occurred
    before, or where k is below 1.

    Raises:
        ValueError: not 1 <= min_ngram <= max_ngram.
    """
    _check(max_ngram, min_ngram)
    for size in range(min(max_ngram, len(tokens) - 1), min_ngram - 1, -1):
        end = tuple(tokens[-size:])
        for start in range(len(tokens) - size - 1, -1, -1):
            # Comparing one token first spares making a tuple at nearly every place.
            if tokens[start] == end[0] and tuple(tokens[start : start + size]) == end:
                return _copied(tokens, start + size, k)
    return []


class NGrams:
    """`lookup` on a text that grows: proposes the same tokens, at a cost that does not grow with the text."""

    def __init__(self, tokens: Iterable[int] = (), max_ngram: int = 3, min_ngram: int = 1) -> None:
        """Take the text's first tokens.

        Raises:
            ValueError: not 1 <= min_ngram <= max_ngram.
        """
        _check(max_ngram, min_ngram)
        self.tokens: list[int] = []
        self._sizes = range(max_ngram, min_ngram - 1, -1)
        # Where the tokens after each n-gram begin; an n-gram is entered when a token follows it.
        self._after: dict[tuple[int, ...], int] = {}
        self.extend(tokens)

    def extend(self, tokens: Iterable[int]) -> None:
        """Add tokens to the end of the text."""
        for token in tokens:
            at = len(self.tokens)
            for size in self._sizes:
                if size <= at:
                    self._after[tuple(self.tokens[at - size :])] = at
            self.tokens.append(token)

    def propose(self, k: int) -> list[int]:
        """Return `lookup(self.tokens, k, …)`."""
        for size in self._sizes:
            if size < len(self.tokens):
                start = self._after.get(tuple(self.tokens[-size:]))
                if start is not None:
                    return _copied(self.tokens, start, k)
        return []


def _copied(tokens: Sequence[int], start: int, k: int) -> list[int]:
    """Return k tokens from `start` on; past the end, what has been copied so far is read."""
    period = len(tokens) - start
    return [tokens[start + i % period] for i in range(k)]


def _check(max_ngram: int, min_ngram: int) -> None:
    if not 1 <= min_ngram <= max_ngram:
        raise ValueError(f"n-grams from {min_ngram} to {max_ngram} tokens: give 1 <= min_ngram <= max_ngram")
