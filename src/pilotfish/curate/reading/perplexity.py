"""Perplexity of whole documents under a small language model.

Source: Wenzek et al. 2020 (CCNet), section 4.2, keep text by its perplexity under a small model; Marion et al. 2023
("When Less is More"), that the middle of the range is worth more than its ends: `Bands` cuts it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pilotfish.curate.reading.losses import Reading, document_losses
from pilotfish.curate.sift import Dropped, Judged, Sift, against
from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.models.reader import Reader

__all__ = ["Per", "Perplexity", "per_unit"]

Per = Literal["token", "byte", "word"]


class Perplexity(Sift):
    """Notes each text's perplexity, exp(Σ −log p / units), and keeps those within bounds.

    A model's own tokens are the usual units; by bytes or words models with different tokenizers can be compared.

    Args:
        reader: whose perplexity: a `Reader`, or weights; see `Reading`.
        text: the column that is read.
        into: the column for it.
        per: what is counted.
        least: perplexities below go; None for no bound.
        most: perplexities above go.
        settings: those of `Reading`: dtype, length, stride, most_tokens.

    Raises:
        ConfigError: a setting is out of range.
    """

    batch_size = 512

    def __init__(
        self,
        reader: Reader | str | Path,
        *,
        text: str = "text",
        into: str = "perplexity",
        per: Per = "token",
        least: float | None = None,
        most: float | None = None,
        **settings: Any,
    ) -> None:
        if per not in get_args(Per):
            raise ConfigError(f"perplexity is per {', '.join(get_args(Per))}, not {per!r}")
        self._reading = Reading(reader, **settings)
        self.text, self.into, self.per, self.least, self.most = text, into, per, least, most

    def config(self) -> dict[str, Any]:
        """Return what decides the outcome."""
        return {**super().config(), **self._reading.config()}

    def setup(self) -> None:
        """Load the reader."""
        self._reading.reader.load()

    def judge(self, texts: Sequence[str]) -> list[Judged]:
        """Return each text's perplexity, or why it goes."""
        judged: list[Judged] = []
        for text, losses in zip(texts, document_losses(self._reading, texts), strict=True):
            if not text.strip():
                judged.append(Dropped("perplexity.empty: no words"))
                continue
            value = per_unit(float(losses.sum(dtype="float64")), len(losses), text, self.per)
            found = {self.into: value}
            out = against("perplexity", value, least=self.least, most=self.most)
            judged.append(Dropped(out.reason, columns=found) if out is not None else found)
        return judged


def per_unit(loss: float, tokens: int, text: str, per: Per) -> float:
    """Return exp of the loss, in nats, by a unit of the text."""
    read = text.encode("utf-8", "surrogatepass")
    units = {"token": tokens, "byte": len(read), "word": len(text.split())}[per]
    return math.exp(min(700.0, loss / max(1, units)))  # more is no number any more
