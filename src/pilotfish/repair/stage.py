"""Plug-ins over stored answers, as a stage of rows: streams, resumes, spreads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pilotfish.errors import ConfigError, DataError
from pilotfish.repair.mending import Work, mended
from pilotfish.repair.spans import Context, Plugin
from pilotfish.repair.units import Units
from pilotfish.rows._describe import describe
from pilotfish.rows._row import Row, need_columns
from pilotfish.rows.stage import AsyncStage

__all__ = ["Repairing"]


class Repairing(AsyncStage):
    """Writes answers as plug-ins mend them into rows, and what was changed.

    The column `into` has the answer, `{into}_edits` a list of {plugin, kind, start, end, after, why, score} of what was
    changed, of each plug-in's own reading of the text, and `{into}_withdrawn` whether the answer was taken back. What
    stood there before is not told again: it may have been personal.

    Args:
        plugins: in the order in which they mend.
        answer: the column of the answers.
        question: the column of what was asked; None for none.
        context: the column of the evidence, a text or a list of texts; None for none.
        into: the column for the mended ones; it must be new, or the answers' own.
        language: of sentences.
        most: characters of a sentence that is looked at at once.
        concurrency: rows under way at once.

    Raises:
        ConfigError: no plug-ins.
    """

    def __init__(
        self,
        plugins: Sequence[Plugin],
        *,
        answer: str = "answer",
        question: str | None = None,
        context: str | None = None,
        into: str = "repaired",
        language: str = "en",
        most: int = 2000,
        concurrency: int = 4,
    ) -> None:
        if not plugins:
            raise ConfigError("there is no plug-in to mend answers by")
        self.plugins = tuple(plugins)
        self.answer, self.question, self.context, self.into = answer, question, context, into
        self.language, self.most, self.concurrency = language, most, concurrency

    @property
    def title(self) -> str:
        """The plug-ins."""
        return f"Repairing({', '.join(plugin.name for plugin in self.plugins)})"

    def config(self) -> dict[str, Any]:
        """See `Stage`."""
        return super().config() | {"plugins": [_known(plugin) for plugin in self.plugins]}

    async def each(self, row: Row) -> Row:
        """Return the row with the mended answer.

        Raises:
            ConfigError: a column that is written is there already.
            DataError: a column is missing, or holds no text.
            ModelError: a plug-in's model cannot answer.
        """
        for column in (self.into, f"{self.into}_edits", f"{self.into}_withdrawn"):
            if column in row and column != self.answer:
                raise ConfigError(f"the rows already have a column {column!r}; choose another one to write into")
        text = self._texts(row, self.answer)
        question = "" if self.question is None else self._texts(row, self.question)[0]
        passages = [] if self.context is None else self._texts(row, self.context)
        works = [Work(plugin) for plugin in self.plugins]
        done = await mended(
            "\n\n".join(text),
            works,
            Context(question, tuple(one for one in passages if one.strip()), row=row),
            lambda: Units(most=self.most, language=self.language),
        )
        edits = [
            {"plugin": work.plugin.name, "kind": edit.kind, "start": edit.start, "end": edit.end}
            | {"after": edit.after, "why": edit.why, "score": edit.score}
            for work in works
            for edit in work.edits
        ]
        for work in works:
            self.report.add(f"edits by {work.plugin.name}", len(work.edits))
            if work.refused:
                self.report.add(f"edits of {work.plugin.name} refused for numbers or code", len(work.refused))
            for call in work.trace.calls:
                self.report.add("calls", 1)
                if call.cost is None:
                    self.report.add("calls of unknown price", 1)
                else:
                    self.report.add("dollars", call.cost)
        self.report.add("answers changed", done.text != text[0])
        self.report.add("answers withdrawn", done.withdrawn)
        return row | {self.into: done.text, f"{self.into}_edits": edits, f"{self.into}_withdrawn": done.withdrawn}

    def _texts(self, row: Row, column: str) -> list[str]:
        need_columns(row, column)
        value = row[column]
        if isinstance(value, str):
            return [value]
        if column == self.context and isinstance(value, list) and all(isinstance(one, str) for one in value):
            return list(value)
        raise DataError(f"column {column!r} is {type(value).__name__}, not text")


def _known(plugin: Plugin) -> Any:
    """Return what tells a plug-in's work from another's, what a detector has learnt included."""
    told = describe(plugin)
    fields = getattr(plugin, "__dataclass_fields__", {})
    held = {name: getattr(plugin, name) for name in fields}
    learnt = {name: one.fingerprint() for name, one in held.items() if hasattr(one, "fingerprint")}
    return [told, learnt] if learnt else told
