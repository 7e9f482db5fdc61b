"""Rule lists: the first rule whose conditions a row meets answers it; the last rule has none and answers all others.

Sources: Rivest 1987 (decision lists), section 2; Angelino et al. 2018 (CORELS), section 2.1, for the form: conditions
of a column each, joined by "and".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pilotfish._saved import facts_in, reading
from pilotfish.errors import DataError, ModelError

__all__ = ["Condition", "Rule", "RuleList"]

Floats = NDArray[np.float64]
Test = Literal["at most", "above", "is", "missing"]
FILE, FORMAT = "rules.json", 1


@dataclass(frozen=True)
class Condition:
    """What a column's value must be. A value that is missing meets "missing" alone.

    Attributes:
        column: its place.
        test: "at most" or "above" a number, "is" a category's code, or "missing".
        value: the number or code; 0 of "missing".
    """

    column: int
    test: Test
    value: float = 0.0

    def holds(self, x: Floats) -> NDArray[np.bool_]:
        """Return whether each row meets it: (rows,)."""
        values = x[:, self.column]
        if self.test == "missing":
            return np.isnan(values)
        if self.test == "is":
            return np.asarray(values == self.value)
        # All comparisons with NaN are false.
        return np.asarray(values <= self.value if self.test == "at most" else values > self.value)


@dataclass(frozen=True)
class Rule:
    """Conditions and an answer.

    Attributes:
        conditions: all must hold; none of the last rule.
        answer: the classes' probabilities, or one number.
        rows: it answered while learning.
        checked: rows that were kept back while rules were looked for and that it answers.
        held: the share of these that have its likeliest class, or their mean; None where there are none.
    """

    conditions: tuple[Condition, ...]
    answer: tuple[float, ...]
    rows: int
    checked: int = 0
    held: float | None = None


@dataclass(frozen=True)
class RuleList:
    """Rules, the first that holds counts.

    Attributes:
        rules: the last without conditions.
        columns: how many a row has.
        number: whether answers are numbers.
    """

    rules: tuple[Rule, ...]
    columns: int
    number: bool

    def which(self, x: Floats) -> NDArray[np.int64]:
        """Return the place of the rule that answers each row: (rows,).

        Raises:
            DataError: rows of another width.
        """
        if x.ndim != 2 or x.shape[1] != self.columns:
            raise DataError(f"rows of {self.columns} columns, not of shape {x.shape}")
        found = np.full(len(x), len(self.rules) - 1)
        left = np.ones(len(x), bool)
        for place, rule in enumerate(self.rules[:-1]):
            met = left & np.logical_and.reduce([one.holds(x) for one in rule.conditions])
            found[met] = place
            left &= ~met
        return found

    def predict(self, x: Floats) -> Floats:
        """Return numbers (rows,), or probabilities (rows, classes)."""
        answers = np.array([rule.answer for rule in self.rules], np.float64)[self.which(x)]
        return np.asarray(answers[:, 0] if self.number else answers)

    def in_words(self, columns: Sequence[str], codes: Mapping[str, Mapping[str, int]]) -> list[str]:
        """Return each rule's conditions in words.

        Args:
            columns: their names.
            codes: column -> category -> its code, of columns of categories.
        """
        return [self._words(rule, columns, codes) for rule in self.rules]

    def _words(self, rule: Rule, columns: Sequence[str], codes: Mapping[str, Mapping[str, int]]) -> str:
        if not rule.conditions:
            return "otherwise"
        parts = []
        for one in rule.conditions:
            name = columns[one.column]
            if one.test == "missing":
                parts.append(f"{name} is missing")
            elif one.test == "is":
                known = {code: value for value, code in codes.get(name, {}).items()}
                parts.append(f"{name} is {known.get(int(one.value), f'{one.value:g}')}")
            else:
                parts.append(f"{name} {'≤' if one.test == 'at most' else '>'} {one.value:.6g}")
        return " and ".join(parts)

    def save(self, folder: str | Path) -> None:
        """Write rules.json."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        facts = {"format": FORMAT, **asdict(self)}
        (folder / FILE).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> RuleList:
        """Read what `save` wrote.

        Raises:
            ModelError: there is none, or a damaged one.
        """
        folder = Path(folder)
        with reading(folder, "rule list"):
            told = facts_in(folder / FILE, "rule list", FORMAT)
            found = cls(tuple(_rule(one) for one in told["rules"]), int(told["columns"]), bool(told["number"]))
            if not _sound(found):
                raise ModelError(f"{folder}: a damaged rule list")
        return found


def _rule(told: Mapping[str, Any]) -> Rule:
    conditions = tuple(Condition(int(one["column"]), one["test"], float(one["value"])) for one in told["conditions"])
    held = None if told["held"] is None else float(told["held"])
    return Rule(conditions, tuple(map(float, told["answer"])), int(told["rows"]), int(told["checked"]), held)


def _sound(model: RuleList) -> bool:
    if not model.rules or model.rules[-1].conditions or not all(rule.conditions for rule in model.rules[:-1]):
        return False
    wide = {len(rule.answer) for rule in model.rules}
    answers = np.array([rule.answer for rule in model.rules]) if len(wide) == 1 else np.full((1, 1), np.nan)
    shaped = wide == {1} if model.number else min(wide) >= 2 and bool(np.allclose(answers.sum(axis=1), 1, atol=1e-6))
    conditions = [one for rule in model.rules for one in rule.conditions]
    known = all(0 <= one.column < model.columns and one.test in get_args(Test) for one in conditions)
    return bool(np.isfinite(answers).all()) and shaped and known
