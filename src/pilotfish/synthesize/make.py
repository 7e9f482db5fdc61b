"""A synthesis: rounds of prompts, rows read out of replies, checks, until there are as many rows as are wanted.

Everything but the calls is made anew from what the calls said, in the order of the prompts and not that of the
answers: a run that is stopped, by `kill -9` too, comes to the very same rows, and no finished call is paid for twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from pilotfish._extras import need
from pilotfish._sync import wait
from pilotfish.errors import ConfigError
from pilotfish.model import Model, Reply
from pilotfish.models.calls import Budget, Calls, Failure, Reuse
from pilotfish.rows._atomic import atomic
from pilotfish.rows._json import plain
from pilotfish.rows._lock import locked
from pilotfish.rows._row import Row
from pilotfish.rows.write import write
from pilotfish.synthesize._unasked import Unasked
from pilotfish.synthesize.card import card
from pilotfish.synthesize.recipe import Check, Made, Prompt, Recipe, Unread
from pilotfish.synthesize.report import Synthesized

__all__ = ["synthesize"]

Format = Literal["parquet", "datasets"]
CALLS, ROWS, REJECTS, REPORT, CARD = "calls.sqlite", "rows.jsonl", "rejects.jsonl", "report.json", "README.md"
PARQUET, DATASET = "rows.parquet", "dataset"


def synthesize(
    recipe: Recipe,
    model: Model | None,
    out: str | Path,
    *,
    rows: int | None = None,
    checks: Sequence[Check] = (),
    budget: Budget | None = None,
    rounds: int = 20,
    reuse: Reuse = "exact",
    concurrency: int | None = None,
    seed: int = 0,
    formats: Sequence[Format] = (),
    progress: bool = True,
) -> Synthesized:
    """Make rows by a recipe, and write them with what was rejected, why, a report and a card.

    Args:
        recipe: what is asked and how it is read.
        model: who is asked: any model, so any collaboration too; None where the recipe asks nobody.
        out: the folder: rows.jsonl, rejects.jsonl, report.json, README.md, and the calls.
        rows: how many are wanted; None for all that the recipe asks for.
        checks: which rows are kept, one after the other.
        budget: what all calls may take, those of earlier runs in the folder included.
        rounds: the most rounds.
        reuse: of stored calls; see `Calls`.
        concurrency: calls under way at once; None is as many as the model takes.
        seed: of all that is drawn.
        formats: what the rows are written as when all is done, beside rows.jsonl: "parquet" is rows.parquet, "datasets"
            a folder, dataset, for Hugging Face's `load_from_disk`. Where a row comes from is JSON text there.
        progress: show a bar.

    Raises:
        ConfigError: a setting is wrong, or another process works in the folder.
        DataError: a column's values have no one type, which the other formats need; rows.jsonl is there.
        UpstreamError: the endpoint fails for call after call; run again to go on.
        MissingExtra: another format without pyarrow.
    """
    if rows is not None and rows < 1:
        raise ConfigError(f"rows must be 1 or more, not {rows}")
    if rounds < 1:
        raise ConfigError(f"rounds must be 1 or more, not {rounds}")
    for form in formats:
        if form not in get_args(Format):
            raise ConfigError(f"formats are {' and '.join(get_args(Format))}, not {form!r}")
        need("pyarrow", "parquet")
    if (model is None) == recipe.asks:
        said = "asks a model: give one" if recipe.asks else "makes its rows itself: there is no model to ask"
        raise ConfigError(f"{recipe.name} {said}")
    folder = Path(out)
    with locked(folder):
        calls: Calls | Unasked = Unasked()
        if model is not None:
            calls = Calls(model, folder / CALLS, budget=budget, concurrency=concurrency, reuse=reuse)
        making = _Making(recipe, calls, checks, Made(rows, seed), folder, formats)
        try:
            return wait(making.go(rounds, progress=progress))
        finally:
            calls.close()
            for check in checks:
                check.close()


class _Making:
    def __init__(
        self,
        recipe: Recipe,
        calls: Calls | Unasked,
        checks: Sequence[Check],
        made: Made,
        folder: Path,
        formats: Sequence[Format],
    ) -> None:
        self.formats = formats
        self.recipe, self.calls, self.checks, self.made, self.folder = recipe, calls, checks, made, folder
        self.told: list[dict[str, Any]] = []  # kept rows with where they came from
        self.rejects: list[dict[str, Any]] = []
        self.templates: dict[str, int] = {}
        self.again = 0

    async def go(self, rounds: int, *, progress: bool) -> Synthesized:
        made = self.made
        ended = "all rounds are over"
        barren = 0
        while made.round < rounds:
            prompts = self.recipe.prompts(made)
            if not prompts:
                ended = "done" if not made.missing else "the recipe has nothing more to ask"
                break
            replies = await self.calls.replies([prompt.request for prompt in prompts], progress=progress)
            before = len(made.rows)
            await self._round(prompts, replies)
            made.asked += len(prompts)
            made.round += 1
            self._write()
            if self.calls.spent:
                ended = "the budget is spent"
                break
            barren = barren + 1 if len(made.rows) == before else 0
            if barren == _BARREN:
                ended = f"{_BARREN} rounds kept nothing"
                break
        if not made.round:
            self._write()
        report = self._report(ended)
        self._close(report)
        return report

    async def _round(self, prompts: Sequence[Prompt], replies: Sequence[Reply | Failure]) -> None:
        """Read a round's replies, and keep what the checks leave."""
        made = self.made
        found: list[tuple[Row, Prompt, int]] = []
        for prompt in prompts:
            if prompt.template:
                self.templates[prompt.template] = self.templates.get(prompt.template, 0) + 1
        for at, part in self.recipe.read_round(prompts, replies):
            prompt, number = prompts[at], made.asked + at
            if not isinstance(part, Unread):
                made.raw += 1
                found.append((part, prompt, number))
                continue
            made.raw += part.part
            self.again += part.again
            self._reject(part.reason, number, prompt, part.raw)
        for check in self.checks:
            if not found:
                break
            reasons = await check.reasons([row for row, _, _ in found], [prompt for _, prompt, _ in found], made)
            left = []
            for one, reason in zip(found, reasons, strict=True):
                if reason is None:
                    left.append(one)
                else:
                    self._reject(f"{check.name}: {reason}", one[2], one[1], one[0])
            found = left
        for row, prompt, number in found:
            reason = self.recipe.surplus(row, made)
            if reason is not None:
                self._reject(f"not needed: {reason}", number, prompt, row)
                continue
            made.keep(row, prompt.facts)
            self.told.append({**row, "synthesis": self._origin(number, prompt)})

    def _origin(self, number: int, prompt: Prompt) -> dict[str, Any]:
        return {
            "recipe": self.recipe.name,
            "model": self.calls.model.name,
            "template": prompt.template,
            "prompt": number,
            "facts": dict(prompt.facts),
        }

    def _reject(self, reason: str, number: int, prompt: Prompt, raw: Row | str | None) -> None:
        self.made.rejected[reason.partition(":")[0]] += 1
        self.rejects.append({"reason": reason, "raw": raw, "synthesis": self._origin(number, prompt)})

    def _write(self) -> None:
        """Write the rows and the rejects that there are so far."""
        self._put({ROWS: self.told, REJECTS: self.rejects})

    def _close(self, report: Synthesized) -> None:
        """Write what ends a run; the report last."""
        self._put(self.recipe.beside())
        with atomic(self.folder / CARD) as file:
            file.write(card(report, PARQUET if self.told and "parquet" in self.formats else ROWS).encode())
        with atomic(self.folder / REPORT) as file:
            file.write((json.dumps(report.to_json(), indent=1) + "\n").encode())
        if self.told:
            # One type a column: what decided a row differs from row to row, so that is text.
            flat = [{**row, "synthesis": json.dumps(row["synthesis"], default=plain)} for row in self.told]
            for form in self.formats:
                write(flat, self.folder / (PARQUET if form == "parquet" else DATASET), form)

    def _put(self, files: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Write rows, each file whole or not at all."""
        for name, rows in files.items():
            with atomic(self.folder / name) as file:
                for line in _lines(rows):
                    file.write(line)

    def _report(self, ended: str) -> Synthesized:
        made = self.made
        return Synthesized(
            folder=str(self.folder),
            recipe={"name": self.recipe.name, **self.recipe.config()},
            checks=[{"name": check.name, **check.config()} for check in self.checks],
            model=self.calls.model.name,
            templates=self.templates,
            wanted=made.wanted,
            prompts=made.asked,
            raw=made.raw,
            kept=len(made.rows),
            rejected=dict(made.rejected),
            again=self.again,
            rounds=made.round,
            ended=ended,
            asked=self.calls.asked,
            stored=self.calls.taken,
            bill=self.calls.bill,
            seed=made.seed,
            findings=self.recipe.findings(),
        )


_BARREN = 3  # rounds, one after another, that keep nothing: more of the same would be paid for in vain


def _lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    for row in rows:
        yield (json.dumps(row, ensure_ascii=False, default=plain) + "\n").encode()
