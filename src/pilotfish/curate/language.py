"""The language of each text, by py3langid: multinomial naive Bayes over byte n-grams (Lui and Baldwin 2011, langid.py).

It is 4.6 MB with its model, needs numpy alone and no download, and told 53 languages best of what was compared; see
docs/guides/curate.md.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from pilotfish._extras import need
from pilotfish.curate.sift import Dropped, Judged, Sift
from pilotfish.errors import ConfigError, did_you_mean

__all__ = ["Language"]


class Language(Sift):
    """Notes each text's language (ISO 639) and how sure that is, and keeps the languages that are wanted.

    A text without a letter has none: its language is None, its confidence 0.

    Args:
        keep: the languages that are kept; None keeps all.
        least: the least confidence; texts that are less sure go. None for no bound.
        among: the languages that a text may have, where that is known; None takes all that the model knows.
        text: the column that is read.
        into: the column for the language; the confidence stands in `{into}_confidence`.
        characters: how many of a text are read, from its beginning.

    Raises:
        ConfigError: a language that the model does not know, or a setting that is out of range.
        MissingExtra: py3langid is not installed.
    """

    def __init__(
        self,
        keep: Sequence[str] | None = None,
        *,
        least: float | None = None,
        among: Sequence[str] | None = None,
        text: str = "text",
        into: str = "language",
        characters: int = 2000,
    ) -> None:
        if least is not None and not 0 < least <= 1:
            raise ConfigError(f"the least confidence lies above 0 and at most at 1, not {least}")
        if characters < 1:
            raise ConfigError(f"a text is read from its first character on, not {characters} of them")
        if keep is not None and not len(keep):
            raise ConfigError("no language is kept: name some, or None to keep all")
        known = set(_identifier(None).labels)
        for language in [*(keep or ()), *(among or ())]:
            if language not in known:
                raise ConfigError(
                    f"unknown language {language!r}{did_you_mean(language, sorted(known))}; ISO 639 codes"
                )
        if among is not None and len(set(among)) < 2:
            raise ConfigError("a text has one of at least two languages: one alone leaves nothing to tell")
        for language in keep or ():
            if among is not None and language not in among:
                raise ConfigError(f"{language!r} is kept but not among the languages that a text may have")
        self.keep = None if keep is None else sorted(set(keep))
        self.among = None if among is None else sorted(set(among))
        self.least, self.text, self.into, self.characters = least, text, into, characters
        self._identifier: Any = None

    @property
    def measure(self) -> str:
        """The confidence."""
        return f"{self.into}_confidence"

    def setup(self) -> None:
        """Load the model."""
        self._identifier = _identifier(None if self.among is None else tuple(self.among))

    def close(self) -> None:
        """Let go of it: a worker of another process loads its own."""
        self._identifier = None

    def judge(self, texts: Sequence[str]) -> list[Judged]:
        """Return each text's language, or why it goes."""
        if self._identifier is None:
            self.setup()
        return [self._one(text[: self.characters]) for text in texts]

    def _one(self, text: str) -> Judged:
        language, sure = None, 0.0
        if any(map(str.isalpha, text)):
            name, probability = self._identifier.classify(text)
            # Its sums run in 32 bits and may end a little above 1.
            language, sure = str(name), round(min(float(probability), 1.0), 4)
        columns = {self.into: language, self.measure: sure}
        if self.keep is not None and language not in self.keep:
            kept = ", ".join(self.keep)
            return Dropped(f"language.{language or 'none'}: confidence {sure:.2f}; kept are {kept}", columns=columns)
        if self.least is not None and sure < self.least:
            return Dropped(f"language.unsure: {sure:.4g} against at least {self.least:g}", columns=columns)
        return columns


@functools.lru_cache(maxsize=4)
def _identifier(among: tuple[str, ...] | None) -> Any:
    langid = need("py3langid.langid", "language")
    made = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
    if among is not None:
        made.set_languages(list(among))
    return made
