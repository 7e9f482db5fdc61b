"""Labels by a large model: each row asked about, its answers joined into one label, kept where that is sure enough.

Sources: Wang et al. 2023 (Self-Consistency), section 2: several answers at a temperature, the commonest one taken.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from pilotfish.errors import ConfigError, DataError
from pilotfish.model import Message, Reply, Request
from pilotfish.models.calls import Failure
from pilotfish.models.choosing import CHOICES
from pilotfish.rows._row import Row
from pilotfish.synthesize.labels.calibrating import Calibrate, Honest
from pilotfish.synthesize.labels.gold import judged
from pilotfish.synthesize.labels.heard import Asked, unbias
from pilotfish.synthesize.labels.kind import Joined, Kind
from pilotfish.synthesize.labels.shots import Shots
from pilotfish.synthesize.recipe import Made, Prompt, Recipe, Unread
from pilotfish.synthesize.templates import Template

__all__ = ["UNSURE", "Labelling"]

UNSURE = "not sure"  # the kind of reason of labels below the threshold


class Labelling(Recipe):
    """Labels given rows. A row keeps all its columns and gains the label, its confidence and the votes.

    Args:
        kind: what is asked; see `Kind`.
        rows: what is labelled.
        task: what the texts and labels are about, in words.
        into: the column of the label; `{into}_confidence` and `{into}_votes` stand beside it. The gold rows' label is
            in the column of this name.
        gold: rows that people have labelled: the labels are measured on them, the confidence is fitted on them, and
            the examples are drawn from them. A gold row is asked about like any other, and never shown to itself. A
            row that is a gold row too keeps what people said, with confidence 1.
        judge: the most gold rows that are asked about, a seeded sample; 0 asks about none.
        shots: which examples each row is shown; see `shots_of`.
        vectors: of the rows and of the gold rows, where `shots` looks at them.
        by: "answer" asks for an answer under a schema; "probability" for the probability of each choice, of a model
            within `Choosing`.
        samples: answers a row; above 1 at a temperature.
        temperature: of the answers; by default 0 for one and 0.7 for several.
        weigh: ask an endpoint for the answers' log-probabilities, and weigh the answers by them.
        unbias: divide probabilities by their means over all rows; see `calibrating.debiased`.
        calibrate: how the confidence is fitted on gold rows; "auto" by a temperature from 30 rows on and by a
            staircase from 200.
        least: a label with less confidence is not kept: it goes to the rejects with its votes, as "not sure".
        max_tokens: of an answer.
        template: a file in place of the kind's own.
        constrained: ask for the schema in `response_format`.

    Raises:
        ConfigError: settings that do not go together.
        DataError: a gold row without a label that could be one; a row that has the label's column already.
    """

    name = "labels"

    def __init__(
        self,
        kind: Kind,
        rows: Sequence[Row],
        *,
        task: str,
        into: str = "label",
        gold: Sequence[Row] = (),
        judge: int = 200,
        shots: Callable[[Sequence[str], Sequence[Any]], Shots] | None = None,
        vectors: tuple[ArrayLike, ArrayLike] | None = None,
        by: Literal["answer", "probability"] = "answer",
        samples: int = 1,
        temperature: float | None = None,
        weigh: bool = False,
        unbias: bool = False,
        calibrate: Calibrate = "auto",
        least: float | None = None,
        max_tokens: int = 256,
        template: str | Path | None = None,
        constrained: bool = True,
    ) -> None:
        self.kind, self.task, self.into = kind, task, into
        self.by, self.samples, self.weigh, self.unbias = by, samples, weigh, unbias
        self.temperature = temperature if temperature is not None else (0.7 if samples > 1 else 0.0)
        self.calibrate, self.least, self.max_tokens, self.constrained = calibrate, least, max_tokens, constrained
        self.judge = judge
        self._check()
        self.template = Template(template or kind.template)
        self._rows = list(rows)
        for number, row in enumerate(self._rows, 1):
            if into in row:
                raise DataError(f"the rows have a column {into!r} already: give the label's column another name")
            try:
                kind.key(row)
            except DataError as error:
                raise DataError(f"row {number}: {error}") from None
        self._gold = list(gold)
        self._truth = [self._true(number, row) for number, row in enumerate(self._gold, 1)]
        self._keys = [kind.key(row) for row in self._gold]
        turns = [kind.turn(row, kind.variants[0]) for row in self._gold]
        self._said = dict(zip(reversed(turns), reversed(self._truth), strict=True))
        self._shots = shots(self._keys, [_class(value) for value in self._truth]) if shots is not None else None
        self._vectors = None if vectors is None else tuple(np.asarray(one) for one in vectors)
        if self._vectors is not None and tuple(map(len, self._vectors)) != (len(self._rows), len(self._gold)):
            raise ConfigError("vectors are one a row, and one a gold row")
        self._found: dict[str, Any] = {}
        self._made: tuple[int, int | None, list[Prompt]] | None = None
        self._questions: dict[str, str] = {}

    @property
    def sure(self) -> bool:
        """Whether there is any confidence: of a single answer without probabilities there is none."""
        return self.samples > 1 or self.weigh or self.by == "probability" or self.kind.twofold

    def prompts(self, made: Made) -> Sequence[Prompt]:
        """Return all prompts at once: of a sample of the gold rows, then of the rows."""
        if made.round:
            return []
        if self._made is not None and self._made[:2] == (made.seed, made.wanted):
            return self._made[2]  # an estimate has had them made before
        drawn = np.random.default_rng(made.seed).permutation(len(self._gold))[: self.judge]
        asked = [("gold", int(i), self._gold[int(i)]) for i in sorted(drawn)]
        asked += [("row", i, row) for i, row in enumerate(self._rows[: made.wanted])]
        found = [prompt for where, number, row in asked for prompt in self._asked(where, number, row)]
        self._made = (made.seed, made.wanted, found)
        return found

    def read_round(
        self, prompts: Sequence[Prompt], replies: Sequence[Reply | Failure]
    ) -> Iterable[tuple[int, Row | Unread]]:
        """Return each row with its label, or why it has none; gold rows are measured and not returned."""
        asked = list(self._grouped(prompts, replies))
        if self.unbias:
            unbias(asked)
        of_gold = [one for one in asked if one.where == "gold" and not one.failed]
        honest: Honest | None = None
        if of_gold:
            found = judged(
                self.kind,
                [one.joined(self.kind) for one in of_gold],
                [self._truth[one.number] for one in of_gold],
                [self._keys[one.number] for one in of_gold],
                calibrate=self.calibrate,
                floor=1e-6 if self.by == "probability" else 1 / (2 * self.samples + 2),
                least=self.least,
                sure=self.sure,
            )
            honest, self._found = found.honest, {"gold": found.figures}
        for one in asked:
            if one.where == "row":
                yield one.first, self._labelled(one, honest)

    def read(self, prompt: Prompt, reply: Reply) -> Iterable[Row | Unread]:
        """Return the row of a prompt by one reply alone."""
        return [part for _, part in self.read_round([prompt], [reply])]

    def findings(self) -> dict[str, Any]:
        """Return how right the labels of gold rows are."""
        return self._found

    def config(self) -> dict[str, Any]:
        """Return the settings."""
        told = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        shots = None if self._shots is None else {"count": self._shots.count, "select": self._shots.select}
        counts = {"rows": len(self._rows), "gold": len(self._gold)}
        return {**told, "kind": self.kind.config(), "template": self.template.version, "shots": shots, **counts}

    def _asked(self, where: str, number: int, row: Row) -> Iterator[Prompt]:
        shown: list[int] = []
        if self._shots is not None:
            vector = None if self._vectors is None else self._vectors[where == "gold"][number]
            shown = self._shots.of(self.kind.key(row), vector)
        for variant in self.kind.variants:
            choices = self.kind.choices(variant) if self.by == "probability" else None
            if variant not in self._questions:
                places = {"task": self.task, "bare": choices is not None, **self.kind.places(variant)}
                self._questions[variant] = self.template.fill(places)
            turns = [Message("system", self._questions[variant])]
            for i in shown:
                told = self.kind.told(self._truth[i], variant)
                said = json.dumps(told, ensure_ascii=False) if choices is None else str(next(iter(told.values())))
                turns += [Message("user", self.kind.turn(self._gold[i], variant)), Message("assistant", said)]
            turns.append(Message("user", self.kind.turn(row, variant)))
            facts = {where: number, **({"variant": variant} if variant else {}), **({"shown": shown} if shown else {})}
            for sample in range(self.samples):
                yield Prompt(self._request(tuple(turns), choices, sample), facts, self.template.version)

    def _request(self, turns: tuple[Message, ...], choices: Mapping[str, Any] | None, sample: int) -> Request:
        if choices is not None:
            return Request(turns, temperature=0.0, extra={CHOICES: list(choices)})
        return Request(
            turns,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            logprobs=self.weigh,
            top_logprobs=10 if self.weigh else 0,
            response_format=self.kind.fields.response_format() if self.constrained else None,
            metadata={"sample": sample} if self.samples > 1 else {},
        )

    def _grouped(self, prompts: Sequence[Prompt], replies: Sequence[Reply | Failure]) -> Iterator[Asked]:
        """Yield what was said of each row; its prompts stand next to each other."""
        one: Asked | None = None
        for at, (prompt, reply) in enumerate(zip(prompts, replies, strict=True)):
            where = "gold" if "gold" in prompt.facts else "row"
            number = int(prompt.facts[where])
            if one is None or (one.where, one.number) != (where, number):
                if one is not None:
                    yield one
                one = Asked(where, number, (self._gold if where == "gold" else self._rows)[number], at)
            one.hear(self.kind, self.by, str(prompt.facts.get("variant", "")), reply)
        if one is not None:
            yield one

    def _labelled(self, one: Asked, honest: Honest | None) -> Row | Unread:
        turn = self.kind.turn(one.row, self.kind.variants[0])
        if turn in self._said:
            return self._row(one, self._said[turn], 1.0, one.joined(self.kind))
        if one.failed is not None:
            return Unread(one.failed.reason, one.row, again=one.failed.again, part=False)
        joined = one.joined(self.kind)
        if joined is None:
            return Unread(one.faults[0], {**one.row, f"{self.into}_said": one.said}, part=False)
        confidence = None if not self.sure else min(1.0, joined.confidence if honest is None else honest(joined))
        row = self._row(one, joined.value, confidence, joined)
        if self.least is not None and confidence is not None and confidence < self.least:
            return Unread(f"{UNSURE}: {confidence:.2f}", row)
        return row

    def _row(self, one: Asked, value: Any, confidence: float | None, joined: Joined | None) -> Row:
        shares = () if joined is None else joined.shares
        return {
            **one.row,
            self.into: self.kind.plain(value),
            f"{self.into}_confidence": None if confidence is None else round(confidence, 6),
            f"{self.into}_votes": [{"value": self.kind.plain(of), "share": round(share, 6)} for of, share in shares],
        }

    def _true(self, number: int, row: Row) -> Any:
        if self.into not in row:
            raise DataError(f"gold row {number}: no column {self.into!r}, which holds the label")
        try:
            return self.kind.value(row[self.into], row)
        except DataError as error:
            raise DataError(f"gold row {number}: {error}") from None

    def _check(self) -> None:
        if self.samples < 1 or self.max_tokens < 1 or self.judge < 0 or self.temperature < 0:
            raise ConfigError("samples and max_tokens are 1 or more, judge and temperature 0 or more")
        if self.samples > 1 and not self.temperature and self.by == "answer":
            raise ConfigError("several answers at temperature 0 are one answer several times: give a temperature")
        if self.by == "probability":
            if self.kind.choices(self.kind.variants[0]) is None:
                raise ConfigError(f"{self.kind.name}: its answers cannot be listed, so it cannot go by probability")
            if self.samples > 1 or self.weigh:
                raise ConfigError("probabilities are the same each time: `samples` and `weigh` are for answers")
        elif self.unbias:
            raise ConfigError("`unbias` needs probabilities, which an answer does not have")
        if self.least is not None and not 0 < self.least <= 1:
            raise ConfigError(f"`least` is a confidence above 0 and up to 1, not {self.least}")
        if self.least is not None and not self.sure:
            raise ConfigError("`least` needs a confidence: several `samples`, `weigh`, or probabilities")


def _class(value: Any) -> Any:
    """Return what "balanced" examples differ in: of spans their labels, else the value."""
    if isinstance(value, tuple):
        return tuple(sorted({str(getattr(one, "label", one)) for one in value}))
    return value
