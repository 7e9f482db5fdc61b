"""Answers that should be JSON and are not quite: fences, single quotes, trailing commas, brackets that nobody closed.

The mending is json_repair's; what counts is the strict form (RFC 8259, no NaN), and the schema where there is one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from pilotfish._extras import need
from pilotfish.errors import ConfigError
from pilotfish.measure.answers import unfenced
from pilotfish.measure.checks import validator_of
from pilotfish.repair.protected import check_touch, numbers
from pilotfish.repair.spans import Context, Edit, Mended, Span

__all__ = ["JsonForm"]

# Short exponents alone: 1e999999999 is a line of text and a gigabyte of digits.
_LITERAL = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d{1,3})?")


@dataclass(frozen=True)
class JsonForm:
    """Makes strict JSON of an answer that should be some, where that takes nothing from it and makes nothing up.

    An answer is looked at where a schema is given here or by the request, or the request asks for JSON by its
    `response_format`; `always` looks at each one. One that cannot be mended stays as it is, and the trace says why. A
    number is never another one after it: an answer that would need that stays too, unless `touch` names numbers.

    Attributes:
        schema: that it has to fit; None goes by the request's own.
        always: look at answers of requests that do not ask for JSON as well.
        longest: characters that are mended at most.
        touch: code by default, for a fence around an answer has to go.
        name: in traces.

    Raises:
        ConfigError: not a JSON schema.
    """

    schema: Mapping[str, Any] | None = None
    always: bool = False
    longest: int = 1_000_000
    touch: frozenset[str] = frozenset({"code"})
    name: str = "json"

    def __post_init__(self) -> None:
        check_touch(self.touch)
        if self.longest < 1:
            raise ConfigError(f"{self.name}: longest is 1 or more, not {self.longest}")
        _ = self._own

    @property
    def whole(self) -> bool:
        """Whether the whole answer is needed: half of it is no JSON."""
        return True

    def detect(self, text: str, context: Context) -> Sequence[Span]:
        """Return the answer as one span where it is no JSON, or does not fit."""
        asked, validator = self._asked(context)
        if not asked or not text.strip():
            return []
        fault = _fault(text, validator)
        return [] if fault is None else [Span(0, len(text), self.name, 1.0, fault)]

    def mend(self, text: str, spans: Sequence[Span], context: Context) -> Mended:
        """Return the JSON that the answer stands for; the answer itself where none can be made of it."""
        _, validator = self._asked(context)
        found = self._mended(text, validator)
        if found is None or found == text:
            return Mended(text)
        return Mended(found, (Edit(0, len(text), text, found, self.name, spans[0].why, 1.0),))

    @cached_property
    def _own(self) -> Any:
        return None if self.schema is None else validator_of(self.schema)

    def _asked(self, context: Context) -> tuple[bool, Any]:
        """Return whether the answer is to be JSON, and what it has to fit."""
        form = {} if context.request is None else context.request.response_format or {}
        own = (form.get("json_schema") or {}).get("schema")
        validator = self._own
        if validator is None and isinstance(own, Mapping):
            validator = validator_of(own)
        return self.always or validator is not None or form.get("type") in ("json_object", "json_schema"), validator

    def _mended(self, text: str, validator: Any) -> str | None:
        plain = unfenced(text).strip()
        # What is right within its fence, or between white space, stays as it was written.
        if _fault(plain, validator) is None:
            return plain
        if len(plain) > self.longest:
            return None
        library = need("json_repair", "repair")
        try:
            value = library.repair_json(plain, return_objects=True, skip_json_loads=True)
            if not isinstance(value, dict | list):
                return None  # a word is no JSON because it can be put into quotes
            found = _with_numbers_of(plain, json.dumps(value, ensure_ascii=False, allow_nan=False))
        except (ValueError, RecursionError):
            return None
        return found if _fault(found, validator) is None else None


def _fault(text: str, validator: Any) -> str | None:
    """Return what keeps a text from being strict JSON that fits; None where nothing does."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        return "not JSON: nested too deeply"
    except ValueError as error:
        return f"not JSON: {str(error).partition(':')[0]}"
    if validator is None:
        return None
    first = next(iter(validator.iter_errors(value)), None)
    return None if first is None else f"does not fit the schema at {first.json_path}: {first.validator}"


def _with_numbers_of(text: str, found: str) -> str:
    """Return JSON with its numbers as the text writes them, 12.50 and not 12.5, where they are the same numbers."""
    theirs, mine = numbers(text), numbers(found)
    if len(theirs) != len(mine):
        return found
    parts, at = [], 0
    for (a, b), (start, end) in zip(theirs, mine, strict=True):
        as_written, now = text[a:b], found[start:end]
        same = _LITERAL.fullmatch(as_written) and _LITERAL.fullmatch(now) and Fraction(as_written) == Fraction(now)
        parts += [found[at:start], as_written if same else now]
        at = end
    return "".join([*parts, found[at:]])


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
