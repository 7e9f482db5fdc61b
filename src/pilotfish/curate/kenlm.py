"""Perplexity by KenLM models, one a language, as CCNet has it.

Sources: Heafield 2011 (KenLM); Wenzek et al. 2020 (CCNet), section 3.4: each line is brought to one form, cut into
sentence pieces and scored; a document's perplexity is 10 to the mean negative score of its pieces and line ends.
cc_net's own pipeline takes line breaks out first, words on both sides becoming one, and scores a document as one line.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pilotfish._extras import need
from pilotfish.curate.sift import Dropped, Judged, Sift, against
from pilotfish.errors import ConfigError, ModelError
from pilotfish.rows._row import Rows
from pilotfish.rows.stage import Outcome

__all__ = ["KenLM", "ccnet_form"]

_ONLY = ""  # the language of the only model
# As in cc_net's `text_normalizer`; controls become a blank here, where they are taken out there.
_SIGNS = str.maketrans(
    {
        **dict.fromkeys("，、", ","),
        **dict.fromkeys("„”“«»」「《》", '"'),
        **dict.fromkeys("´’", "'"),
        **dict.fromkeys("∶：", ":"),
        **dict.fromkeys("–━►", "-"),
        **dict(zip("。？！（）；～〈〉【】％", ".?!();~<>[]%", strict=True)),
        "．": ". ",
        "—": " - ",
        "…": "...",
        **{chr(code): " " for code in (*range(32), *range(127, 160))},
    }
)


class KenLM(Sift):
    """Notes each text's perplexity under an n-gram model, and keeps those within bounds.

    Args:
        models: a KenLM file, .arpa or binary; or language -> one each.
        pieces: the sentencepiece model that the KenLM file's words are pieces of, or language -> one each; None: its
            words stand between white space.
        by: the column of the language, where `models` names several; a row of a language without a model goes.
        form: `ccnet` brings texts to the form that CCNet's models learnt on (lower case, no accents, digits as 0, plain
            punctuation); `none` reads them as they are.
        text: the column that is read.
        into: the column for the perplexity.
        least: perplexities below go; None for no bound.
        most: perplexities above go.

    Raises:
        ConfigError: settings that do not go together.
        ModelError: there is no such file.
        MissingExtra: kenlm or sentencepiece is not installed.
    """

    def __init__(
        self,
        models: str | Path | Mapping[str, str | Path],
        *,
        pieces: str | Path | Mapping[str, str | Path] | None = None,
        by: str | None = None,
        form: str = "ccnet",
        text: str = "text",
        into: str = "perplexity",
        least: float | None = None,
        most: float | None = None,
    ) -> None:
        several = isinstance(models, Mapping)
        if several != (by is not None):
            raise ConfigError("several models go `by` the column of a language, and one model by none")
        if form not in ("ccnet", "none"):
            raise ConfigError(f"texts are brought to the form `ccnet` or `none`, not {form!r}")
        if pieces is not None and isinstance(pieces, Mapping) != several:
            raise ConfigError("`pieces` are named as the models are: one, or one for each language")
        self._models = _paths(models)
        self._pieces = {} if pieces is None else _paths(pieces)
        if self._pieces and self._pieces.keys() != self._models.keys():
            raise ConfigError("`pieces` are of other languages than the models")
        if not self._models:
            raise ConfigError("no model is named")
        need("kenlm", "kenlm")
        if self._pieces:
            need("sentencepiece", "kenlm")
        self.by, self.form, self.text, self.into, self.least, self.most = by, form, text, into, least, most
        self._read: dict[str, _Reader] = {}
        self._language = _ONLY

    def config(self) -> dict[str, Any]:
        """Return what decides the outcome: models by what they hold, wherever they lie."""
        files = {
            name: {language: _digest(path) for language, path in sorted(given.items())}
            for name, given in (("models", self._models), ("pieces", self._pieces))
        }
        return {**super().config(), **files}

    def close(self) -> None:
        """Let go of the models."""
        self._read = {}

    def process(self, rows: Rows) -> list[Outcome]:
        """Return each row with its perplexity, or why it goes."""
        if self.by is None:
            return super().process(rows)
        found: list[Outcome] = [Dropped(f"kenlm.language: no model for {row.get(self.by)!r}") for row in rows]
        for language in self._models:
            places = [place for place, row in enumerate(rows) if row.get(self.by) == language]
            self._language = language
            for place, outcome in zip(places, super().process([rows[place] for place in places]), strict=True):
                found[place] = outcome
        return found

    def judge(self, texts: Sequence[str]) -> list[Judged]:
        """Return each text's perplexity, or why it goes."""
        if not texts:
            return []
        if (reader := self._read.get(self._language)) is None:
            reader = _Reader(self._models[self._language], self._pieces.get(self._language))
            self._read[self._language] = reader
        return [self._one(reader, text) for text in texts]

    def _one(self, reader: _Reader, text: str) -> Judged:
        score, length = 0.0, 0
        # Half a surrogate pair has no form in UTF-8.
        for line in text.encode("utf-8", "replace").decode().split("\n"):
            plain = ccnet_form(line) if self.form == "ccnet" else line.strip()
            if plain:
                told, words = reader.scored(plain)
                score, length = score + told, length + words + 1
        if not length:
            return Dropped("kenlm.empty: no words")
        # 300 places are more than any text has, and JSON has no infinity.
        value = 10 ** min(-score / length, 300.0)
        out = against("kenlm", value, least=self.least, most=self.most)
        columns = {self.into: value}
        return columns if out is None else Dropped(out.reason, columns=columns)


class _Reader:
    """A KenLM model, and the pieces that its words are."""

    def __init__(self, model: Path, pieces: Path | None) -> None:
        kenlm = need("kenlm", "kenlm")
        config = kenlm.Config()
        config.show_progress = False
        config.arpa_complain = kenlm.ARPALoadComplain.NONE
        try:
            self._model = kenlm.Model(str(model), config)
        except (OSError, RuntimeError) as error:
            raise ModelError(f"{model}: not a model of KenLM ({' '.join(str(error).split())})") from None
        self._pieces = None
        if pieces is not None:
            try:
                self._pieces = need("sentencepiece", "kenlm").SentencePieceProcessor(model_file=str(pieces))
            except (OSError, RuntimeError) as error:
                raise ModelError(f"{pieces}: not a model of sentencepiece ({' '.join(str(error).split())})") from None

    def scored(self, line: str) -> tuple[float, int]:
        """Return the base-10 logarithm of a line's probability, its end counted, and how many words it has."""
        words = line.split() if self._pieces is None else self._pieces.encode(line, out_type=str)
        return float(self._model.score(" ".join(words))), len(words)


def ccnet_form(line: str) -> str:
    """Return a line in CCNet's form: lower case, no accents, digits as 0, plain punctuation, no controls."""
    lowered = unicodedata.normalize("NFD", line.strip().lower())
    bare = "".join(one for one in lowered if unicodedata.category(one) != "Mn")
    return re.sub(r"\d", "0", bare).translate(_SIGNS).strip()


def _paths(given: str | Path | Mapping[str, str | Path]) -> dict[str, Path]:
    named = given if isinstance(given, Mapping) else {_ONLY: given}
    found = {language: Path(path).expanduser() for language, path in named.items()}
    for path in found.values():
        if not path.is_file():
            raise ModelError(f"{path}: no such file")
    return found


def _digest(path: Path) -> str:
    """Return a hash of a file's size and its ends: models are gigabytes."""
    size = path.stat().st_size
    with path.open("rb") as file:
        found = hashlib.sha256(str(size).encode() + file.read(1 << 20))
        file.seek(max(0, size - (1 << 20)))
        found.update(file.read(1 << 20))
    return found.hexdigest()
