"""What a model that knows good text expects better than one that does not: documents worth learning from.

Source: Lin et al. 2024 (Rho-1), equation 3: a token's excess loss is its loss under the model to be trained less that
under a reference model, which was tuned on good data. Here it is the mean over a document's tokens (a difference of
cross-entropies, as Moore and Lewis 2010 select by, too).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.curate.reading.losses import Reading, document_losses, reader_of
from pilotfish.curate.sift import Dropped, Judged, Sift, against
from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.models.reader import Reader

__all__ = ["LossDifference"]


class LossDifference(Sift):
    """Notes base loss less reference loss, in nats a token, and keeps texts within bounds.

    Args:
        base: the model to be trained, or its like.
        reference: the same, tuned on text of the kind that is wanted.
        text: the column that is read.
        into: the column for it.
        least: differences below go; None for no bound.
        most: differences above go.
        settings: those of `Reading`, for both.

    Raises:
        ConfigError: a setting is out of range, or the two cut texts into other tokens.
    """

    batch_size = 512

    def __init__(
        self,
        base: Reader | str | Path,
        reference: Reader | str | Path,
        *,
        text: str = "text",
        into: str = "loss_difference",
        least: float | None = None,
        most: float | None = None,
        dtype: str = "auto",
        **settings: Any,
    ) -> None:
        self._base = Reading(reader_of(base, dtype), **settings)
        self._reference = Reading(reader_of(reference, dtype), **settings)
        self.text, self.into, self.least, self.most = text, into, least, most

    def config(self) -> dict[str, Any]:
        """Return what decides the outcome."""
        own = super().config()
        return {**own, "base": self._base.config(), "reference": self._reference.config()}

    def setup(self) -> None:
        """Load both readers."""
        self._base.reader.load()
        self._reference.reader.load()

    def judge(self, texts: Sequence[str]) -> list[Judged]:
        """Return each text's difference, or why it goes."""
        mine, theirs = self._base.reader, self._reference.reader
        if any(mine.ids(text) != theirs.ids(text) for text in texts):
            raise ConfigError(f"{mine.name} and {theirs.name} cut texts into other tokens: losses cannot be compared")
        judged: list[Judged] = []
        both = (document_losses(reading, texts) for reading in (self._base, self._reference))
        for text, base, reference in zip(texts, *both, strict=True):
            if not text.strip():
                judged.append(Dropped("loss_difference.empty: no words"))
                continue
            value = float(np.mean(base, dtype=np.float64) - np.mean(reference, dtype=np.float64))
            out = against("loss_difference", value, least=self.least, most=self.most)
            judged.append({self.into: value} if out is None else Dropped(out.reason, columns={self.into: value}))
        return judged
