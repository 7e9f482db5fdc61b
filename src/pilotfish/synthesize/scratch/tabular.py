"""Rows of a table: numbers and categories from samplers under constraints, and texts that a model writes to fit them.

A model's own numbers are poor samples (it says 7 and 42); so what can be sampled is, and a model is asked for the rest.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import ConfigError
from pilotfish.model import Reply
from pilotfish.rows._row import Row
from pilotfish.synthesize.asking import Asking
from pilotfish.synthesize.fields import Fields
from pilotfish.synthesize.recipe import Made, Prompt, Recipe, Unread
from pilotfish.synthesize.templates import Template

__all__ = ["SAMPLERS", "Tabular"]

ASKING = Asking()
# Each sampler with what it needs, and what it may take.
SAMPLERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "category": (("values",), ("weights",)),
    "integer": (("low", "high"), ()),
    "uniform": (("low", "high"), ("digits",)),
    "normal": (("mean", "deviation"), ("low", "high", "digits")),
    "lognormal": (("mean", "deviation"), ("low", "high", "digits")),
    "date": (("first", "last"), ()),
    "given": (("column", "by"), ()),
    "formula": (("formula",), ("digits",)),
}
_TRIES = 1000  # draws for a row that meets the constraints


class Tabular(Recipe):
    """Draws the columns of a row one after the other, then asks for those in words.

    Args:
        task: what the table is, in words.
        columns: name -> a sampler, {use = "category", …}: see `SAMPLERS`. "given" takes another sampler for each value
            of an earlier column (`by`), "formula" is an expression over earlier columns.
        constraints: expressions over the columns that every row meets, as `"age >= 18 or plan != 'loan'"`.
        fields: columns that the model writes; see `Fields`.
        asking: how the model is asked.
        template: a name of ours, or a file.

    Raises:
        ConfigError: a sampler or an expression is wrong.
    """

    name = "tabular"

    def __init__(
        self,
        task: str,
        columns: Mapping[str, Mapping[str, Any]],
        *,
        constraints: Sequence[str] = (),
        fields: Mapping[str, Any] | type | Fields,
        asking: Asking = ASKING,
        template: str | Path = "tabular",
    ) -> None:
        self.task, self.columns, self.asking = task, {name: dict(one) for name, one in columns.items()}, asking
        if not self.columns:
            raise ConfigError("a table needs columns with samplers")
        for name, one in self.columns.items():
            _check(name, one, list(self.columns))
        self.constraints = list(constraints)
        self._holds = [_expression(one) for one in self.constraints]
        self._formulas = {
            name: _expression(one["formula"]) for name, one in self.columns.items() if one["use"] == "formula"
        }
        self.fields = fields if isinstance(fields, Fields) else Fields(fields)
        twice = set(self.fields.meanings) & set(self.columns)
        if twice:
            raise ConfigError(f"{sorted(twice)[0]!r} is a column with a sampler, and a field that is asked for")
        self.template = Template(template)

    def prompts(self, made: Made) -> Sequence[Prompt]:
        """Return a prompt for each row that is missing, with the values that were drawn for it."""
        short = made.short()
        random = np.random.default_rng([made.seed, made.round])
        found = []
        for number in range(round(short / made.kept_a_prompt)):
            known = self.drawn(random)
            places = {"task": self.task, "known": known, "fields": self.fields.meanings}
            request = self.asking.request(self.template.fill(places), made, number, self.fields.response_format())
            found.append(Prompt(request, {"known": known}, self.template.version))
        return found

    def drawn(self, random: np.random.Generator) -> Row:
        """Return the sampled columns of a row that meets the constraints.

        Raises:
            ConfigError: a thousand draws met none: they contradict the samplers, or nearly.
        """
        for _ in range(_TRIES):
            row: Row = {}
            for name, one in self.columns.items():
                row[name] = self._value(name, one, row, random)
            if all(bool(holds(row)) for holds in self._holds):
                return row
        raise ConfigError(f"no row of {_TRIES} draws meets the constraints {self.constraints}")

    def _value(self, name: str, one: Mapping[str, Any], row: Row, random: np.random.Generator) -> Any:
        use = one["use"]
        if use == "formula":
            return _rounded(self._formulas[name](row), one)
        if use == "given":
            chosen = one["by"].get(str(row[one["column"]]))
            if chosen is None:
                raise ConfigError(f"the column {name!r} has no sampler for {one['column']} = {row[one['column']]!r}")
            return _sampled(chosen, random)
        return _sampled(one, random)

    def read(self, prompt: Prompt, reply: Reply) -> Iterable[Row | Unread]:
        """Return the row: what was drawn, and what was written."""
        known = dict(prompt.facts["known"])
        return [one if isinstance(one, Unread) else {**known, **one} for one in self.fields.read(reply.text)]


def _check(name: str, one: Mapping[str, Any], columns: Sequence[str]) -> None:
    use = one.get("use")
    if use not in SAMPLERS:
        raise ConfigError(f"the column {name!r}: `use` is one of {', '.join(SAMPLERS)}, not {use!r}")
    must, may = SAMPLERS[use]
    lacks = [key for key in must if key not in one]
    more = [key for key in one if key not in ("use", *must, *may)]
    if lacks or more:
        said = f"needs {', '.join(lacks)}" if lacks else f"takes no {', '.join(more)}"
        raise ConfigError(f"the column {name!r}: {use} {said}")
    if use == "given":
        if one["column"] not in columns[: columns.index(name)]:
            raise ConfigError(f"the column {name!r}: {one['column']!r} is not an earlier column")
        for value, inner in one["by"].items():
            _check(f"{name}, by {value}", inner, [f"{name}, by {value}"])
    if "weights" in one and (len(one["weights"]) != len(one["values"]) or min(one["weights"]) < 0):
        raise ConfigError(f"the column {name!r}: a weight, 0 or more, for each value")
    if use in ("integer", "uniform") and not one["low"] <= one["high"]:
        raise ConfigError(f"the column {name!r}: low is above high")


def _sampled(one: Mapping[str, Any], random: np.random.Generator) -> Any:
    use = one["use"]
    if use == "category":
        weights = np.array(one.get("weights", [1] * len(one["values"])), dtype=np.float64)
        return one["values"][int(random.choice(len(weights), p=weights / weights.sum()))]
    if use == "integer":
        return int(random.integers(one["low"], one["high"], endpoint=True))
    if use == "date":
        first, last = (datetime.date.fromisoformat(str(one[key])) for key in ("first", "last"))
        return (first + datetime.timedelta(days=int(random.integers((last - first).days + 1)))).isoformat()
    if use == "uniform":
        return _rounded(random.uniform(one["low"], one["high"]), one)
    low, high = one.get("low", -np.inf), one.get("high", np.inf)
    draw = random.normal if use == "normal" else random.lognormal
    for _ in range(_TRIES):  # a truncated distribution, by rejection
        value = float(draw(one["mean"], one["deviation"]))
        if low <= value <= high:
            return _rounded(value, one)
    raise ConfigError(f"no draw of {dict(one)} lies between its bounds")


def _rounded(value: Any, one: Mapping[str, Any]) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if "digits" not in one:
        return value
    return round(value) if one["digits"] == 0 else round(float(value), one["digits"])


def _expression(text: str) -> Any:
    """Return a function of a row; the expression is jinja2's, sandboxed: it can compute, and do nothing else.

    Raises:
        ConfigError: it is malformed.
    """
    jinja2 = need("jinja2", "report")
    sandbox = need("jinja2.sandbox", "report").ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined)
    try:
        made = sandbox.compile_expression(text, undefined_to_none=False)
    except jinja2.TemplateSyntaxError as error:
        raise ConfigError(f"the expression {text!r}: {error.message}") from None

    def value(row: Row) -> Any:
        try:
            found = made(**row)
        except Exception as error:  # an expression raises whatever it raises
            raise ConfigError(f"the expression {text!r}: {error}") from None
        if isinstance(found, jinja2.Undefined):
            raise ConfigError(f"the expression {text!r} names a column that is not there")
        return found

    return value
