"""A trial: every model of a collaboration answers every row, so that any policy over them can be judged afterwards.

Each answer is graded, and each way to accept is asked for its score, whatever it would have decided: what a threshold
would have done is then a matter of arithmetic, and no answer is paid for twice.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.errors import ConfigError, DataError
from pilotfish.infer.accept import Above, Accept
from pilotfish.infer.cascade import Cascade
from pilotfish.infer.consistency import Agreement
from pilotfish.infer.deferral_head import Learned
from pilotfish.infer.route import Route
from pilotfish.infer.selfverify import SelfVerification
from pilotfish.infer.signals import signals
from pilotfish.infer.watched import Watched
from pilotfish.measure.grade import Grade
from pilotfish.model import Message, Model, Reply, Request
from pilotfish.rows import AsyncStage, Row
from pilotfish.rows.model_stage import Template

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["COLUMN", "Steps", "Trial", "Trials", "steps_of", "threshold_of"]

COLUMN = "trial"


@dataclass(frozen=True)
class Steps:
    """The models of a collaboration, and what trusts the replies of each but the last where they stand in order.

    `models`: by name, the cheapest first; `accepts`: one for each but the last, or none where nothing is accepted.
    """

    models: Mapping[str, Model]
    accepts: tuple[Accept, ...] = ()


def steps_of(model: Model) -> Steps:
    """Return the models that a cascade or a route chooses between; any other model is one by itself.

    Raises:
        ConfigError: two of the models have the same name.
    """
    if isinstance(model, Route):
        return Steps(model.models)
    models: list[Model] = []
    accepts: list[Accept] = []
    while isinstance(model, Cascade):
        models.append(model.small)
        accepts.append(model.accept)
        # `Cascade.of` nests what stands in order, under one name; a cascade of another name is one model here.
        if not isinstance(model.large, Cascade) or model.large.name != model.name:
            model = model.large
            break
        model = model.large
    models.append(model)
    named = {one.name: one for one in models}
    if len(named) < len(models):
        raise ConfigError(f"models of {model.name} have the same name; give each its own")
    return Steps(named, tuple(accepts))


def threshold_of(accept: Accept) -> float | None:
    """Return the threshold of a way to accept that goes by a score alone; None of others, as a user's function."""
    inner = accept.accept if isinstance(accept, Watched) else accept
    return inner.above if isinstance(inner, Above | Agreement | SelfVerification | Learned) else None


class Trial(AsyncStage):
    """Puts what every model made of a row into its column `trial`; runs as any stage, so it resumes.

    Args:
        steps: the models.
        prompt: a template over the columns, as "Classify: {text}".
        grade: gives a reply's quality by the row.
        system: a template for the system turn, or None.
        gold: the column that `grade` goes by: a row without it is rejected before anything is asked, and paid for.
        concurrency: rows under way at once.
        settings: further fields of the request, as `max_tokens=8`.
    """

    def __init__(
        self,
        steps: Steps,
        prompt: str,
        grade: Grade,
        *,
        system: str | None = None,
        gold: str | None = None,
        concurrency: int = 8,
        **settings: Any,
    ) -> None:
        self.steps = steps
        self.gold = gold
        self.prompt = prompt
        self.grade = grade
        self.system = system
        self.concurrency = concurrency
        self.settings = settings
        self._prompt = Template(prompt)
        self._system = Template(system) if system is not None else None

    @property
    def title(self) -> str:
        """The stage and its models."""
        return f"Trial({', '.join(self.steps.models)})"

    def config(self) -> dict[str, Any]:
        """Return what decides the answers; the run's owner adds the models' tables and the grade's name."""
        models = [*self.steps.models]
        settings = self.settings
        return {"prompt": self.prompt, "system": self.system, "gold": self.gold, "settings": settings, "models": models}

    async def each(self, row: Row) -> Row:
        """Return the row with its trial.

        Raises:
            DataError: a column is missing, or the row cannot be graded.
            ModelError: a model cannot answer.
        """
        if COLUMN in row:
            raise ConfigError(f"the rows already have a column {COLUMN!r}")
        if self.gold is not None and row.get(self.gold) in (None, ""):
            raise DataError(f"no right answer: nothing in {self.gold!r}")
        messages = [Message("user", self._prompt.fill(row))]
        if self._system is not None:
            messages.insert(0, Message("system", self._system.fill(row)))
        request = Request(messages=tuple(messages), **self.settings)
        answers = []
        for i, (name, model) in enumerate(self.steps.models.items()):
            accept = self.steps.accepts[i] if i < len(self.steps.accepts) else None
            answers.append({"model": name} | await self._one(request, model, accept, row))
        return row | {COLUMN: {"text": request.prompt, "answers": answers}}

    async def _one(self, request: Request, model: Model, accept: Accept | None, row: Row) -> dict[str, Any]:
        reply = await model.reply(request.with_(logprobs=True, top_logprobs=2) if accept else request)
        found: dict[str, Any] = {"cost": reply.cost, "seconds": reply.trace.seconds, "tokens": reply.usage.tokens_out}
        said: Reply = reply
        if accept is not None:
            verdict = accept(request, reply)
            if inspect.isawaitable(verdict):
                verdict = await verdict
            said = verdict.reply or reply
            found |= {"score": verdict.score, "accepted": verdict.accepted, "judging": verdict.trace.cost}
            found["signals"] = signals(reply.logprobs or ())
        return found | {"reply": said.text, "grade": self.grade(said.text, row)}


@dataclass(frozen=True, eq=False)
class Trials:
    """What a trial found, as columns.

    Attributes:
        models: the models' names, the cheapest first.
        texts: (rows,) what was asked.
        grades: (rows, models) quality, more is better.
        costs: (rows, models) dollars of each model's own call; NaN where a price is not known.
        seconds: (rows, models).
        scores: (rows, models - 1) of the ways to accept; (rows, 0) where there are none.
        judging: like `scores`: the dollars that judging took.
        accepted: like `scores`: whether the way to accept, as it is, trusts the reply.
        signals: like `scores`, and a further axis: see `pilotfish.infer.signals`.
    """

    models: tuple[str, ...]
    texts: Sequence[str]
    grades: NDArray[np.float64]
    costs: NDArray[np.float64]
    seconds: NDArray[np.float64]
    scores: NDArray[np.float64]
    judging: NDArray[np.float64]
    accepted: NDArray[np.bool_]
    signals: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], accepts: Sequence[Accept] = ()) -> Trials:
        """Read the rows of a trial.

        Args:
            rows: the rows.
            accepts: the ways to accept as they are now: a threshold may have changed since the trial.

        Raises:
            DataError: there are none, or a way to accept gave no score.
        """
        if not rows:
            raise DataError("no row was answered, so there is nothing to judge")
        trials = [row[COLUMN] for row in rows]
        models = tuple(answer["model"] for answer in trials[0]["answers"])
        judged = [i for i, answer in enumerate(trials[0]["answers"]) if "score" in answer]
        for trial in trials:
            if any(trial["answers"][i]["score"] is None for i in judged):
                raise DataError("a way to accept gives no score (a function that returns a Verdict must set one)")

        def column(key: str, places: Sequence[int]) -> NDArray[np.float64]:
            found = [[trial["answers"][i][key] for i in places] for trial in trials]
            return np.array(found, np.float64).reshape(len(trials), len(places))

        every = range(len(models))
        scores, accepted = column("score", judged), column("accepted", judged).astype(bool)
        for i, accept in enumerate(accepts):
            above = threshold_of(accept)
            if above is not None:
                accepted[:, i] = scores[:, i] >= above
        shown = [[trial["answers"][i]["signals"] for i in judged] for trial in trials]
        return cls(
            models,
            [trial["text"] for trial in trials],
            column("grade", every),
            column("cost", every),
            column("seconds", every),
            scores,
            column("judging", judged),
            accepted,
            np.array(shown, np.float64).reshape(len(trials), len(judged), -1 if judged else 0),
        )

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Trials:
        """Return some of the rows."""
        at = np.asarray(rows, np.int64)
        parts: list[NDArray[Any]] = [self.grades, self.costs, self.seconds, self.scores, self.judging, self.accepted]
        parts.append(self.signals)
        return Trials(self.models, [self.texts[i] for i in at], *(part[at] for part in parts))

    @property
    def paid(self) -> bool:
        """Whether costs can be compared: all are known, and the last model's are not nothing."""
        return bool(np.isfinite(self.costs).all() and np.isfinite(self.judging).all() and self.costs[:, -1].any())

    def cascaded(self, above: float | None = None, scores: NDArray[np.float64] | None = None) -> Outcome:
        """Return what the cascade makes of each row.

        Args:
            above: every way to accept trusts scores from here on; None: as each way is.
            scores: others than the trial's own, of the same shape.
        """
        found = self.scores if scores is None else scores
        trusted = self.accepted if above is None else found >= above
        last = np.concatenate([trusted, np.ones((len(self), 1), bool)], axis=1).argmax(axis=1)
        spent = np.cumsum(self.costs + np.pad(self.judging, ((0, 0), (0, 1))), axis=1)
        rows = np.arange(len(self))
        return Outcome(self.grades[rows, last], spent[rows, last], last)

    @property
    def prices(self) -> NDArray[np.float64]:
        """(rows, models): dollars; where they cannot be compared, 1 for a call of the last model and 0 for others."""
        if self.paid:
            return self.costs
        calls = np.zeros_like(self.grades)
        calls[:, -1] = 1.0
        return calls

    def spent(self, outcome: Outcome) -> NDArray[np.float64]:
        """Return (rows,) what an outcome cost, in the unit of `prices`."""
        return outcome.cost if self.paid else (outcome.answered == len(self.models) - 1).astype(np.float64)

    def chosen(self, columns: NDArray[np.int64]) -> Outcome:
        """Return what a router makes of each row that asks the model in `columns` (rows,)."""
        rows = np.arange(len(self))
        return Outcome(self.grades[rows, columns], self.costs[rows, columns], columns)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a policy made of each row: (rows,) quality, dollars, and the model that answered."""

    quality: NDArray[np.float64]
    cost: NDArray[np.float64]
    answered: NDArray[np.int64]
