"""Ask a model about each row."""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Mapping
from typing import Any

from pilotfish.errors import ConfigError, DataError
from pilotfish.model import Message, Model, Reply, Request
from pilotfish.rows._json import plain
from pilotfish.rows._row import Row, need_columns
from pilotfish.rows.stage import AsyncStage

__all__ = ["ModelStage", "Template", "concurrency_of"]


class Template:
    """A prompt with columns in braces: `"Classify: {text}"`; `{{` and `}}` stand for the braces themselves.

    Only whole columns: unlike in `str.format` neither attributes nor items nor formats, so that a template from a file
    can do nothing but fill in text. A value that is no text is put in as JSON.

    Raises:
        ConfigError: a brace stands alone, or holds more than the name of a column.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.parts: list[tuple[str, str | None]] = []
        try:
            parsed = list(string.Formatter().parse(text))
        except ValueError as error:
            raise ConfigError(f"the template {_short(text)!r}: {error}; write {{{{ for a brace itself") from None
        for literal, column, layout, conversion in parsed:
            if column is not None and (not column or layout or conversion or any(mark in column for mark in ".[]")):
                raise ConfigError(
                    f"the template {_short(text)!r} may hold plain column names in braces only; "
                    "write {{ for a brace itself"
                )
            self.parts.append((literal, column))

    @property
    def columns(self) -> list[str]:
        """The columns it needs, each once, in order."""
        return list(dict.fromkeys(column for _, column in self.parts if column is not None))

    def fill(self, row: Mapping[str, Any]) -> str:
        """Return the text with the row's values in place.

        Raises:
            DataError: the row lacks a column, or has null in it.
        """
        filled: list[str] = []
        for literal, column in self.parts:
            filled.append(literal)
            if column is None:
                continue
            if column not in row:
                need_columns(row, column)
            value = row[column]
            if value is None:
                raise DataError(f"empty column: {column!r} is null")
            filled.append(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=plain))
        return "".join(filled)


def concurrency_of(model: Model, given: int | None) -> int:
    """Return how many calls may be under way at once: as given, else as many as the model takes, or 8.

    Raises:
        ConfigError: fewer than one.
    """
    found = int(getattr(model, "concurrency", 8)) if given is None else given
    if found < 1:
        raise ConfigError(f"concurrency must be at least 1, not {found}")
    return found


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"


class ModelStage(AsyncStage):
    """Puts a model's answer to a prompt into a column of each row.

    A row that the model cannot answer, after its own retries, goes to the rejects and the run goes on. Tokens and
    dollars are summed in the report.

    Args:
        model: any model, so any collaboration too.
        prompt: a template over the columns, as `"Classify: {text}"`.
        output: the column for the answer; it must be new.
        system: a template for the system turn, or None.
        trace: put what the answer took into the column `<output>_trace`: {model, tokens_in, tokens_out, seconds, cost,
            calls}; cost in US dollars, null where a price is unknown.
        parse: what to make of the reply; None takes its text, stripped. A `DataError` from it rejects the row.
        concurrency: rows under way at once; None is as many as the model takes, or 8 where it does not say.
        settings: further fields of the request, as `max_tokens=8`.

    Raises:
        ConfigError: the template is malformed, or the request does not know a setting.
    """

    def __init__(
        self,
        model: Model,
        prompt: str,
        *,
        output: str = "reply",
        system: str | None = None,
        trace: bool = False,
        parse: Callable[[Reply], Any] | None = None,
        concurrency: int | None = None,
        **settings: Any,
    ) -> None:
        self.model = model
        self.prompt = prompt
        self.output = output
        self.system = system
        self.trace = trace
        self.parse = parse
        self.concurrency = concurrency_of(model, concurrency)
        self.settings = settings
        self._prompt = Template(prompt)
        self._system = Template(system) if system is not None else None
        try:
            Request.of("", **settings)
        except TypeError as error:
            raise ConfigError(f"the request has no such setting: {error}") from None

    @property
    def title(self) -> str:
        """The stage and its model."""
        return f"ModelStage({self.model.name})"

    async def each(self, row: Row) -> Row:
        """Return the row with the answer.

        Raises:
            ConfigError: the output column is already there.
            DataError: a column of the template is missing.
            ModelError: the model cannot answer.
        """
        made = [self.output, f"{self.output}_trace"] if self.trace else [self.output]
        for column in made:
            if column in row:
                raise ConfigError(f"the rows already have a column {column!r}; choose another output column")
        messages = [Message("user", self._prompt.fill(row))]
        if self._system is not None:
            messages.insert(0, Message("system", self._system.fill(row)))
        reply = await self.model.reply(Request(messages=tuple(messages), **self.settings))
        self._account(reply)
        row[self.output] = reply.text.strip() if self.parse is None else self.parse(reply)
        if self.trace:
            usage = reply.usage
            row[f"{self.output}_trace"] = {
                "model": self.model.name,
                "tokens_in": usage.tokens_in,
                "tokens_out": usage.tokens_out,
                "seconds": round(reply.trace.seconds, 6),
                "cost": reply.cost,
                "calls": usage.calls,
            }
        return row

    async def aclose(self) -> None:
        """Close the model's connections, where it has any."""
        close = getattr(self.model, "aclose", None)
        if close is not None:
            await close()

    def _account(self, reply: Reply) -> None:
        usage = reply.usage
        self.report.add("calls", usage.calls)
        self.report.add("tokens in", usage.tokens_in)
        self.report.add("tokens out", usage.tokens_out)
        if reply.cost is None:
            self.report.add("calls of unknown price", usage.calls)
        else:
            self.report.add("dollars", reply.cost)
