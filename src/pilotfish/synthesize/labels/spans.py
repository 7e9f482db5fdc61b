"""Extraction: labelled parts of a text, each found in the text itself before it counts.

Models copy words well and count characters badly, so an answer names the words, and where they stand is looked up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pilotfish.errors import ConfigError, DataError
from pilotfish.rows._row import Row
from pilotfish.synthesize.fields import Fields
from pilotfish.synthesize.labels._find import Span, flat, located, overlapping
from pilotfish.synthesize.labels.kind import Joined, Kind, Opinion, mixed, named, read_share, sole, text_of
from pilotfish.synthesize.labels.several import member_figures

__all__ = ["Spans"]


class Spans(Kind):
    """Parts of a text with a label each, as character offsets: `start` included, `end` not.

    Args:
        labels: the labels, or label -> what it means.
        text: the column.
        mentions: "listed" takes the k-th listing of the same words for the k-th place they stand in; "all" takes every
            place of words that are listed once.
        unfound: of words that do not stand in the text: "reject" does not take the answer, "drop" takes the rest.
        overlaps: "keep" keeps spans that overlap, "longest" the longer of two, "reject" does not take the answer.
        share: of the answers that have it, for a span to be in.
        most: the most spans that an answer may have.
    """

    name = "spans"
    template = "label_spans"

    def __init__(
        self,
        labels: Sequence[str] | Mapping[str, str],
        text: str = "text",
        *,
        mentions: Literal["listed", "all"] = "listed",
        unfound: Literal["reject", "drop"] = "reject",
        overlaps: Literal["keep", "longest", "reject"] = "longest",
        share: float = 0.5,
        most: int = 50,
    ) -> None:
        super().__init__(text)
        if len(self.text) > 1:
            raise ConfigError("spans are of one column: offsets into several mean nothing")
        for name, value, known in (
            ("mentions", mentions, ("listed", "all")),
            ("unfound", unfound, ("reject", "drop")),
            ("overlaps", overlaps, ("keep", "longest", "reject")),
        ):
            if value not in known:
                raise ConfigError(f"`{name}` is one of {', '.join(known)}, not {value!r}")
        if not 0 < share <= 1 or most < 1:
            raise ConfigError("`share` lies above 0 and up to 1, `most` is 1 or more")
        self.labels = named(labels, least=1)
        self.mentions, self.unfound, self.overlaps, self.share, self.most = mentions, unfound, overlaps, share, most
        one = {
            "type": "object",
            "properties": {"text": {"type": "string", "minLength": 1}, "label": {"enum": list(self.labels)}},
            "required": ["text", "label"],
            "additionalProperties": False,
        }
        self.fields = Fields({"spans": {"type": "array", "items": one, "maxItems": most}})

    def places(self, variant: str) -> dict[str, Any]:
        """See `Kind`."""
        return {"labels": self.labels, "every": self.mentions == "listed"}

    def told(self, value: Any, variant: str) -> dict[str, Any]:
        """See `Kind`."""
        seen: set[tuple[str, str]] = set()
        found = []
        for span in value:
            if self.mentions == "all" and (span.text, span.label) in seen:
                continue
            seen.add((span.text, span.label))
            found.append({"text": span.text, "label": span.label})
        return {"spans": found}

    def read(self, answer: Row, row: Row, variant: str) -> tuple[Span, ...]:
        """See `Kind`."""
        text = text_of(row, self.text[0])
        listed = [(str(one["text"]), str(one["label"])) for one in answer["spans"]]
        found, missing = located(text, listed, every=self.mentions == "all")
        if missing and self.unfound == "reject":
            raise DataError(f"not in the text: {missing[0]!r}")
        if self.overlaps == "reject" and overlapping(found):
            one, other = overlapping(found)[0]
            raise DataError(f"overlapping spans: {one.text!r} and {other.text!r}")
        return tuple(found)

    def value(self, given: Any, row: Row) -> tuple[Span, ...]:
        """See `Kind`; spans are held to the text they are said to be of."""
        text = text_of(row, self.text[0])
        if not isinstance(given, list | tuple):
            raise DataError(f"spans are a list, not {given!r}")
        found = set()
        for one in given:
            try:
                start, end, label = int(one["start"]), int(one["end"]), str(one["label"])
            except (KeyError, TypeError, ValueError):
                raise DataError(f"a span has start, end and label: {one!r} has not") from None
            if not 0 <= start < end <= len(text) or one.get("text", text[start:end]) != text[start:end]:
                raise DataError(f"a span from {start} to {end} of {one.get('text')!r} is not in the text")
            if label not in self.labels:
                raise DataError(f"{label!r} is none of the labels {', '.join(self.labels)}")
            found.add(Span(start, end, label, text[start:end]))
        return tuple(sorted(found))

    def plain(self, value: Any) -> Any:
        """See `Kind`; spans that overlap another say so."""
        if isinstance(value, Span):
            return value.to_json()
        clashing = {span for pair in overlapping(value) for span in pair}
        return [{**span.to_json(), **({"overlaps": True} if span in clashing else {})} for span in value]

    def join(self, opinions: Mapping[str, Sequence[Opinion | None]]) -> Joined:
        """Return the spans whose share is large enough; as sure as the least sure of all that any answer names."""
        there = read_share(opinions[""])
        shares: dict[Span, float] = {}
        for value, share in mixed(opinions[""], alone=False).items():
            for span in value:
                shares[span] = shares.get(span, 0.0) + share / there
        told = tuple(sorted(((span, min(1.0, share)) for span, share in shares.items()), key=lambda one: -one[1]))
        kept = sorted(span for span, share in told if share >= self.share)
        if self.overlaps == "longest":
            kept = flat(kept)
        chosen = set(kept)
        # What lost against a longer span was decided by rule, not by doubt.
        doubts = [
            share if span in chosen else 1 - share for span, share in told if span in chosen or share < self.share
        ]
        alone = sole(opinions[""])
        sure = alone if alone is not None else min(doubts, default=1.0) * there
        return Joined(tuple(kept), sure, told)

    def figures(self, values: Sequence[Any], gold: Sequence[Any]) -> dict[str, Any]:
        """Return the share of rows with exactly the right spans, and precision, recall and F1 over all spans."""
        return member_figures(values, gold)
