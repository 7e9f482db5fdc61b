"""Preference: which of two answers is better, asked in both orders.

Source: Zheng et al. 2023 (Judging LLM-as-a-Judge), section 3.4: a judge prefers what stands first; so both orders are
asked, and where they disagree it is a tie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pilotfish.errors import DataError
from pilotfish.rows._row import Row
from pilotfish.synthesize.fields import Fields
from pilotfish.synthesize.labels.choice import class_figures
from pilotfish.synthesize.labels.kind import Joined, Kind, Opinion, mixed, ranked, read_share, text_of

__all__ = ["Preference"]

_ORDERS = ("first", "second")  # which of the row's two is shown as A


class Preference(Kind):
    """Which of two is better: "first", "second" or "tie".

    Args:
        first, second: the columns of the two.
        text: the columns shown before them, of what they answer; none for two texts on their own.
        ties: whether an answer may say that they are as good as each other.
    """

    name = "preference"
    template = "label_preference"
    variants = _ORDERS
    classes = ("first", "second", "tie")
    twofold = True

    def __init__(
        self, first: str = "first", second: str = "second", text: str | Sequence[str] = (), *, ties: bool = True
    ) -> None:
        self.text = (text,) if isinstance(text, str) else tuple(text)
        self.first, self.second, self.ties = first, second, ties
        self.fields = Fields({"better": list(self.choices("first"))})

    def turn(self, row: Row, variant: str) -> str:
        """See `Kind`."""
        pair = [text_of(row, self.first), text_of(row, self.second)]
        if variant == "second":
            pair.reverse()
        shown = [f"{name}: {text_of(row, name)}" for name in self.text]
        return "\n\n".join([*shown, f"A: {pair[0]}", f"B: {pair[1]}"])

    def key(self, row: Row) -> str:
        """See `Kind`; a pair turned round is a copy too."""
        pair = sorted([text_of(row, self.first), text_of(row, self.second)])
        return "\x1f".join(" ".join(one.split()) for one in (*(text_of(row, name) for name in self.text), *pair))

    def places(self, variant: str) -> dict[str, Any]:
        """See `Kind`."""
        return {"ties": self.ties}

    def choices(self, variant: str) -> Mapping[str, Any]:
        """See `Kind`."""
        of_a, of_b = _ORDERS if variant == "first" else _ORDERS[::-1]
        return {"A": of_a, "B": of_b, **({"tie": "tie"} if self.ties else {})}

    def told(self, value: Any, variant: str) -> dict[str, Any]:
        """See `Kind`."""
        said = {meant: text for text, meant in self.choices(variant).items()}
        return {"better": said.get(value, "A")}

    def read(self, answer: Row, row: Row, variant: str) -> Any:
        """See `Kind`."""
        return self.choices(variant)[answer["better"]]

    def value(self, given: Any, row: Row) -> str:
        """See `Kind`."""
        if given not in (self.classes or ()):
            raise DataError(f'a preference is "first", "second" or "tie", not {given!r}')
        return str(given)

    def join(self, opinions: Mapping[str, Sequence[Opinion | None]]) -> Joined:
        """Return the one that both orders prefer; what they disagree on is a tie."""
        there = min(read_share(given) for given in opinions.values())
        shares = []
        for given in opinions.values():
            mix = mixed(given)
            total = sum(mix.values())
            shares.append({name: mix.get(name, 0.0) / total for name in _ORDERS})
        agreed = {name: shares[0][name] * shares[1][name] for name in _ORDERS}
        agreed["tie"] = max(0.0, 1.0 - sum(agreed.values()))
        told = ranked({name: share for name, share in agreed.items() if share})
        return Joined(told[0][0], told[0][1] * there, told)

    def figures(self, values: Sequence[Any], gold: Sequence[Any]) -> dict[str, Any]:
        """Return accuracy and macro-F1; a tie is a class."""
        return class_figures(values, gold)
