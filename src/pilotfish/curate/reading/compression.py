"""How far a text can be compressed: what perplexity has to beat, without any model.

Repetitive text becomes small, noise stays large. The baseline of Yin et al. 2024 ("Entropy Law"), and of spam rules
since Nazario's.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from pilotfish.curate.sift import Dropped, Judged, Sift, against

__all__ = ["Compression"]


class Compression(Sift):
    """Notes each text's compressed bytes over its bytes (zlib, level 9), and keeps those within bounds.

    Args:
        text: the column that is read.
        into: the column for it.
        least: ratios below go (repetition); None for no bound.
        most: ratios above go (noise; short texts have high ratios).
    """

    def __init__(
        self,
        *,
        text: str = "text",
        into: str = "compression",
        least: float | None = None,
        most: float | None = None,
    ) -> None:
        self.text, self.into, self.least, self.most = text, into, least, most

    def judge(self, texts: Sequence[str]) -> list[Judged]:
        """Return each text's ratio, or why it goes."""
        judged: list[Judged] = []
        for text in texts:
            read = text.encode("utf-8", "surrogatepass")
            if not read:
                judged.append(Dropped("compression.empty: no text"))
                continue
            value = len(zlib.compress(read, 9)) / len(read)
            out = against("compression", value, least=self.least, most=self.most)
            judged.append({self.into: value} if out is None else Dropped(out.reason, columns={self.into: value}))
        return judged
