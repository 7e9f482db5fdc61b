"""Rows with people's mistakes, made without a model: typing, casing, sounds, spaces, marks.

Source: Belinkov and Bisk 2018: models break on noise that people read over, and training on noise mends it. Numbers,
links, code and negations are left alone unless asked: there an edit is another meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pilotfish.errors import ConfigError, did_you_mean
from pilotfish.model import Reply, Request
from pilotfish.rows._row import Row
from pilotfish.synthesize.augment.drift import Drift
from pilotfish.synthesize.augment.noise import KINDS, PROTECTED, noised
from pilotfish.synthesize.augment.noise.protected import pattern_of
from pilotfish.synthesize.augment.varied import Varied
from pilotfish.synthesize.recipe import Prompt, Unread

__all__ = ["Noised"]


class Noised(Varied):
    """Makes noisy children of rows.

    Args:
        rows: the parents.
        kinds: of `KINDS`: "typos" (a key beside the right one), "swapped", "dropped" and "doubled" letters, "casing",
            "homophones" (English), "punctuation", "dropped-words", "doubled-words", "whitespace".
        rate: the share of the words that something befalls; one at least.
        protect: what nothing befalls, of `PROTECTED`, or patterns as "/.../".
        settings: those of `Varied`.
    """

    name = "noised"
    asks = False
    bounds = Drift(least=0.2, most=1.0)  # case and marks alone are noise, too: only the very text is a copy

    def __init__(
        self,
        rows: Sequence[Row],
        *,
        kinds: Sequence[str] = KINDS,
        rate: float = 0.1,
        protect: Sequence[str] = tuple(PROTECTED),
        **settings: Any,
    ) -> None:
        for kind in kinds:
            if kind not in KINDS:
                raise ConfigError(f"no noise is called {kind!r}{did_you_mean(kind, KINDS)}")
        if not kinds or not 0 < rate <= 1:
            raise ConfigError(f"noise has kinds, and a rate above 0 and 1 at most, not {rate}")
        super().__init__(rows, **settings)
        self.kinds, self.rate, self.protect = list(kinds), rate, list(protect)
        self._protected = pattern_of(protect)

    def _prompt(self, parent: int, child: int) -> Prompt:
        return Prompt(Request.of(self._rows[parent][self.text]), self._facts(parent, child))

    def read(self, prompt: Prompt, reply: Reply) -> Iterable[Row | Unread]:
        """Return a parent's child."""
        random = self._random(int(prompt.facts["parent"]), int(prompt.facts["child"]))
        new = noised(self._compared(prompt), random, kinds=self.kinds, rate=self.rate, protected=self._protected)
        return [self._child(prompt, **{self.text: new})]
