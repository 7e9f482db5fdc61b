"""Multi-label: any of n labels, asked for all at once or one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.intervals import bootstrap, wilson
from pilotfish.rows._row import Row
from pilotfish.synthesize.fields import Fields
from pilotfish.synthesize.labels.kind import Joined, Kind, Opinion, mixed, named, read_share, sole

__all__ = ["Several", "member_figures"]


class Several(Kind):
    """Any of n labels.

    Args:
        labels: the labels, or label -> what it means.
        text: the column that is labelled, or several.
        ask: "set" asks for all labels in one answer; "each" asks yes or no for each label: n times as many calls, but
            each has a probability of its own where the model gives any.
        share: of the answers that have it, for a label to be in.
    """

    name = "several"

    def __init__(
        self,
        labels: Sequence[str] | Mapping[str, str],
        text: str | Sequence[str] = "text",
        *,
        ask: Literal["set", "each"] = "set",
        share: float = 0.5,
    ) -> None:
        super().__init__(text)
        if ask not in ("set", "each"):
            raise ConfigError(f'`ask` is "set" or "each", not {ask!r}')
        if not 0 < share <= 1:
            raise ConfigError(f"`share` lies above 0 and up to 1, not {share}")
        self.labels, self.ask, self.share = named(labels), ask, share
        self.template = "label_several" if ask == "set" else "label_yes_no"
        if ask == "each":
            self.variants = tuple(self.labels)
            self.fields = Fields({"answer": ["yes", "no"]})
        else:
            items = {"type": "array", "items": {"enum": list(self.labels)}, "maxItems": len(self.labels)}
            self.fields = Fields({"labels": {**items, "description": "the labels that fit, each once"}})

    def places(self, variant: str) -> dict[str, Any]:
        """See `Kind`."""
        return {"labels": self.labels, "label": variant, "meaning": self.labels.get(variant, "")}

    def choices(self, variant: str) -> Mapping[str, Any] | None:
        """See `Kind`."""
        return None if self.ask == "set" else {"yes": True, "no": False}

    def told(self, value: Any, variant: str) -> dict[str, Any]:
        """See `Kind`."""
        return {"labels": list(value)} if self.ask == "set" else {"answer": "yes" if variant in value else "no"}

    def read(self, answer: Row, row: Row, variant: str) -> Any:
        """See `Kind`."""
        return self._ordered(answer["labels"]) if self.ask == "set" else answer["answer"] == "yes"

    def value(self, given: Any, row: Row) -> tuple[str, ...]:
        """See `Kind`."""
        if not isinstance(given, list | tuple):
            raise DataError(f"several labels are a list, not {given!r}")
        for one in given:
            if one not in self.labels:
                raise DataError(f"{one!r} is none of the labels {', '.join(self.labels)}")
        return self._ordered(given)

    def plain(self, value: Any) -> list[str]:
        """See `Kind`."""
        return list(value)

    def join(self, opinions: Mapping[str, Sequence[Opinion | None]]) -> Joined:
        """Return the labels whose share is large enough; as sure as the least sure of the n yes or no."""
        shares = dict.fromkeys(self.labels, 0.0)
        there = min(read_share(given) for given in opinions.values())
        for variant, given in opinions.items():
            for value, share in mixed(given, alone=self.ask == "each").items():
                for name in self._members(value, variant):
                    shares[name] = min(1.0, shares[name] + share / read_share(given))
        value = tuple(name for name in self.labels if shares[name] >= self.share)
        sure = min(share if name in value else 1 - share for name, share in shares.items())
        if self.ask == "set" and (alone := sole(opinions[""])) is not None:
            sure = alone
        told = tuple(sorted(((name, share) for name, share in shares.items() if share), key=lambda one: -one[1]))
        return Joined(value, sure * there, told)

    def figures(self, values: Sequence[Any], gold: Sequence[Any]) -> dict[str, Any]:
        """Return the share of rows with exactly the right set, and precision, recall and F1 over all labels."""
        return member_figures(values, gold)

    def _members(self, value: Any, variant: str) -> Sequence[str]:
        """Return the labels that an answer says are in."""
        if self.ask == "set":
            return tuple(value)
        return (variant,) if value else ()

    def _ordered(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in self.labels if name in names)


def member_figures(values: Sequence[Sequence[Any]], gold: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Return the share of rows whose members are all right and no more, and micro-averaged measures of members."""
    counts = np.array(
        [[len(set(a) & set(b)), len(set(a)), len(set(b))] for a, b in zip(values, gold, strict=True)], np.float64
    )
    exact = sum(set(a) == set(b) for a, b in zip(values, gold, strict=True))

    def f1(rows: Any) -> float:
        both, said, there = rows.sum(axis=0)
        return float(2 * both / (said + there)) if said + there else 1.0

    both, said, there = counts.sum(axis=0)
    return {
        "exact": wilson(exact, len(gold)).to_json(),
        "f1": bootstrap(counts, f1, resamples=1000).to_json(),
        "precision": float(both / said) if said else None,
        "recall": float(both / there) if there else None,
    }
