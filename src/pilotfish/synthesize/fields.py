"""The columns of a row that a model writes: what it is asked for, what its answer is held to, and how it is read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.answers import unfenced
from pilotfish.rows._row import Row
from pilotfish.synthesize.recipe import Unread

__all__ = ["Fields", "object_in"]

_DECODER = json.JSONDecoder()


class Fields:
    """A row's columns, as a JSON schema.

    Args:
        columns: name -> what it is: words ("a customer's message"), a list of the values it may have, or a JSON schema;
            or a pydantic model; or the JSON schema of an object.

    Raises:
        ConfigError: no columns, or no schema of an object.
    """

    def __init__(self, columns: Mapping[str, Any] | type) -> None:
        given = columns.model_json_schema() if hasattr(columns, "model_json_schema") else columns
        if not isinstance(given, Mapping) or not given:
            raise ConfigError("fields are columns with their meanings, a pydantic model or a JSON schema")
        if given.get("type") == "object" and isinstance(given.get("properties"), Mapping):
            self.schema: dict[str, Any] = dict(given)
        else:
            properties = {name: _schema(name, meaning) for name, meaning in given.items()}
            self.schema = {"type": "object", "properties": properties, "required": list(properties)}
            self.schema["additionalProperties"] = False
        from jsonschema import SchemaError
        from jsonschema.validators import validator_for

        kind = validator_for(self.schema)
        try:
            kind.check_schema(self.schema)
        except SchemaError as error:
            raise ConfigError(f"fields: no valid JSON schema: {error.message}") from None
        self._validator = kind(self.schema)

    @property
    def meanings(self) -> dict[str, str]:
        """Each column with what it is, in words."""
        return {name: _words(schema) for name, schema in self.schema["properties"].items()}

    def without(self, *names: str) -> Fields:
        """Return the fields but for some, which are known and not asked for."""
        kept = {name: one for name, one in self.schema["properties"].items() if name not in names}
        required = [name for name in self.schema.get("required", ()) if name not in names]
        return Fields({**self.schema, "properties": kept, "required": required})

    def response_format(self, count: int = 1) -> dict[str, Any]:
        """Return the request's `response_format` for so many rows: a local model cannot answer otherwise."""
        schema = self.schema
        if count != 1:
            # References within the schema count from its root, so its definitions come along to the new one.
            inner = {name: value for name, value in schema.items() if name not in ("$defs", "definitions", "$schema")}
            rows = {"type": "array", "items": inner, "minItems": count, "maxItems": count}
            schema = {"type": "object", "properties": {"rows": rows}, "required": ["rows"]}
            schema["additionalProperties"] = False
            schema |= {name: self.schema[name] for name in ("$defs", "definitions") if name in self.schema}
        return {"type": "json_schema", "json_schema": {"name": "rows", "schema": schema, "strict": True}}

    def read(self, text: str, count: int = 1) -> Iterable[Row | Unread]:
        """Return the rows of an answer, and what in it is none; of a cut answer those that are whole.

        Raises:
            DataError: there is no JSON in it.
        """
        bare = unfenced(text).strip()
        try:
            found = json.loads(bare)
        except (ValueError, RecursionError):
            return self._salvaged(bare, count)
        rows = found.get("rows") if count != 1 and isinstance(found, Mapping) else found
        if not isinstance(rows, list):
            rows = [rows]
        if not rows:
            raise DataError("no rows in the answer")
        return [self._row(row) for row in rows]

    def _salvaged(self, text: str, count: int) -> list[Row | Unread]:
        """Return the whole objects at the beginning of an answer that is no JSON as a whole."""
        start = text.find("[") + 1 if count != 1 and "[" in text else text.find("{")
        found: list[Row | Unread] = []
        while 0 <= start < len(text):
            start = text.find("{", start)
            if start < 0:
                break
            try:
                value, start = _DECODER.raw_decode(text, start)
            except (ValueError, RecursionError):
                found.append(Unread("no whole JSON", text[start:]))
                break
            found.append(self._row(value))
            if count == 1:
                break
        if not any(isinstance(one, Mapping) for one in found):
            raise DataError("no JSON in the answer" if "{" not in text else "no whole JSON in the answer")
        return found

    def _row(self, value: Any) -> Row | Unread:
        error = next(iter(sorted(self._validator.iter_errors(value), key=lambda one: list(map(str, one.path)))), None)
        if error is None:
            return dict(value)
        where = ".".join(str(part) for part in error.path)
        return Unread(
            f"not by the schema: {where + ': ' if where else ''}{error.message[:200]}",
            json.dumps(value, ensure_ascii=False),
        )


def object_in(text: str) -> dict[str, Any]:
    """Return the first JSON object of an answer, whatever stands around it.

    Raises:
        DataError: there is none.
    """
    try:
        found, _ = _DECODER.raw_decode(text, text.index("{"))
    except (ValueError, RecursionError):
        raise DataError("no JSON object in the answer") from None
    return dict(found)


def _schema(name: str, meaning: Any) -> dict[str, Any]:
    if isinstance(meaning, str):
        return {"type": "string", "minLength": 1, "description": meaning}
    if isinstance(meaning, list) and meaning:
        return {"enum": list(meaning)}
    if isinstance(meaning, Mapping):
        return dict(meaning)
    raise ConfigError(f"fields: {name!r} needs words, a list of values, or a JSON schema")


def _words(schema: Mapping[str, Any]) -> str:
    said = str(schema.get("description") or schema.get("title") or schema.get("type", "a value"))
    if "enum" in schema:
        listed = ", ".join(json.dumps(value, ensure_ascii=False) for value in schema["enum"])
        return f"one of {listed}" if "description" not in schema else f"{said}; one of {listed}"
    return said
