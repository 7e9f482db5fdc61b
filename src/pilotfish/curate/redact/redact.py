"""A step that puts marks in place of what is personal or secret."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from pilotfish.curate.sift import Dropped, Judged, Sift
from pilotfish.errors import ConfigError
from pilotfish.measure.personal.kinds import KINDS, check_kinds, found

__all__ = ["Redact"]


class Redact(Sift):
    """Puts `<EMAIL>` in place of an e-mail address, and so on, and notes how many of each kind there were.

    What was found stands in no report and no reason, and a row that goes for having too much is kept aside redacted.
    Rows that an earlier step has dropped were never redacted: put this step first.

    Args:
        kinds: what is looked for.
        marks: kind -> what stands in its place; `<KIND>` where none is named.
        text: the column.
        into: the column for the counts, {kind: how many}; of kinds that are there.
        most: a row with more of them in all goes; None keeps all.

    Raises:
        ConfigError: an unknown kind, a mark of one that is not looked for, or a bound below 0.
    """

    def __init__(
        self,
        kinds: Sequence[str] = KINDS,
        *,
        marks: Mapping[str, str] | None = None,
        text: str = "text",
        into: str = "redacted",
        most: int | None = None,
    ) -> None:
        check_kinds(kinds)
        for kind in marks or {}:
            if kind not in kinds:
                raise ConfigError(f"a mark for {kind!r}, which is not looked for")
        if most is not None and most < 0:
            raise ConfigError(f"the most that a row may have is 0 or more, not {most}")
        if into == text:
            raise ConfigError(f"counts cannot stand in {into!r}, where the text is")
        self.text, self.into, self.most = text, into, most
        self.kinds = [kind for kind in KINDS if kind in kinds]
        self.marks = {kind: (marks or {}).get(kind, f"<{kind.upper()}>") for kind in self.kinds}

    @property
    def measure(self) -> str:
        """The counts, which the report adds up."""
        return self.into

    def judge(self, texts: Sequence[str]) -> list[Judged]:
        """Return each text with its marks and its counts."""
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> Judged:
        places = found(text, self.kinds)
        counts = dict(sorted(Counter(one.kind for one in places).items()))
        parts, at = [], 0
        for one in places:
            parts += [text[at : one.start], self.marks[one.kind]]
            at = one.end
        columns = {self.text: "".join([*parts, text[at:]]), self.into: counts}
        if self.most is not None and len(places) > self.most:
            return Dropped(f"redact: {len(places)} places against at most {self.most}", columns=columns)
        return columns
