"""Ask a model many questions, each of them once: what it said is stored, and all that is made of it is made anew.

So a kill loses no paid answer, and another filter, another parser or another weight asks for none again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pilotfish.model import Model, Reply, Request
from pilotfish.rows._row import Row
from pilotfish.rows.engine import Engine
from pilotfish.rows.model_stage import concurrency_of
from pilotfish.rows.run import read_output, run
from pilotfish.rows.stage import AsyncStage

__all__ = ["Asked", "Asking", "Bill", "Said", "asked"]


@dataclass(frozen=True)
class Bill:
    """What calls took, those of earlier sessions included; `cost` in US dollars, None where a price is not known."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    cost: float | None = 0.0

    @classmethod
    def of(cls, reply: Reply) -> Bill:
        """Return what a reply took, all calls on the way."""
        usage = reply.usage
        return cls(usage.calls, usage.tokens_in, usage.tokens_out, round(reply.trace.seconds, 6), reply.cost)

    def __add__(self, other: Bill) -> Bill:
        return Bill(
            self.calls + other.calls,
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            self.seconds + other.seconds,
            None if self.cost is None or other.cost is None else self.cost + other.cost,
        )


@dataclass(frozen=True)
class Said:
    """What a model said.

    Attributes:
        text: without space around it.
        finish_reason: why it ended.
        logprob: its mean log-probability a token, in nats, where the model gave any.
        top: of an answer of one token, as a classifier's is: the log-probability of each that it might have been.
        bill: what it took.
    """

    text: str
    finish_reason: str = "stop"
    logprob: float | None = None
    top: dict[str, float] = field(default_factory=dict)
    bill: Bill = field(default_factory=Bill)

    @classmethod
    def of(cls, reply: Reply) -> Said:
        """Return what a reply says."""
        tokens = reply.logprobs or ()
        top = dict(tokens[0].top) if len(tokens) == 1 else {}
        return cls(reply.text.strip(), reply.finish_reason, reply.mean_logprob, top, Bill.of(reply))

    @property
    def fault(self) -> str | None:
        """Why this is no whole answer; None where it is one."""
        if self.finish_reason == "length":
            return "cut at max_tokens"
        if self.finish_reason == "parse_failure":
            return "no label in the answer"
        return None if self.text else "empty answer"


@dataclass(frozen=True)
class Asked:
    """What came of questions.

    Attributes:
        said: one a question; None where there is no answer.
        unanswered: kind of reason -> questions without an answer.
        again: how many of those another run would ask again, because the endpoint failed.
        bill: of all answers.
    """

    said: list[Said | None]
    unanswered: Counter[str]
    again: int
    bill: Bill


class Asking(AsyncStage):
    """Asks a model the request of each row, and notes what it said."""

    def __init__(self, model: Model, concurrency: int | None = None) -> None:
        self.model = model
        self.concurrency = concurrency_of(model, concurrency)

    @property
    def title(self) -> str:
        """The stage and its model."""
        return f"Asking({self.model.name})"

    async def each(self, row: Row) -> Row:
        """Return the number of the question and what was said."""
        # The sample's number tells a store of replies that another answer is wanted, not the same one again.
        request = Request.from_json(row["request"]).with_(metadata={"sample": row["sample"]})
        reply = await self.model.reply(request)
        said = Said.of(reply)
        for name in ("calls", "tokens_in", "tokens_out"):
            self.report.add(name.replace("_", " "), getattr(said.bill, name))
        return {"number": row["number"], "said": asdict(said)}

    async def aclose(self) -> None:
        """Close the model's connections, where it has any."""
        close = getattr(self.model, "aclose", None)
        if close is not None:
            await close()


def asked(
    model: Model,
    questions: Sequence[tuple[Request, int]],
    folder: str | Path,
    *,
    concurrency: int | None = None,
    progress: bool = True,
    engine: Engine | None = None,
) -> Asked:
    """Ask a model questions, going on where an earlier run in the folder stopped; equal questions are asked once.

    Args:
        model: who is asked.
        questions: each a request and the number of the sample: of the same request another number is another question.
        folder: of the run.
        concurrency: calls under way at once; None is as many as the model takes, or 8 where it does not say.
        progress: show a bar.
        engine: as for `run`.

    Raises:
        ConfigError: the folder holds another run's answers.
        UpstreamError: the endpoint fails for question after question; what was answered stays.
    """
    folder = Path(folder)
    first: dict[tuple[str, int], int] = {}
    numbers = [first.setdefault((request.key(), sample), len(first)) for request, sample in questions]
    rows: dict[int, Row] = {}
    for number, (request, sample) in zip(numbers, questions, strict=True):
        rows.setdefault(number, {"number": number, "sample": sample, "request": request.to_json()})
    if not rows:
        return Asked([], Counter(), 0, Bill())
    report = run(list(rows.values()), Asking(model, concurrency), folder, progress=progress, engine=engine)
    found = {row["number"]: _read(row["said"]) for row in read_output(folder)}
    why = dict(_rejected(folder))
    return Asked(
        [found.get(number) for number in numbers],
        Counter(why.get(number, "no answer") for number in numbers if number not in found),
        report.again,
        sum((said.bill for said in found.values()), Bill()),
    )


def _rejected(folder: Path) -> Iterator[tuple[int, str]]:
    """Yield the questions that were rejected, each with the kind of its reason."""
    path = folder / "rejects.jsonl"
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        yield json.loads(told["raw"])["number"], told["reason"].partition(":")[0]


def _read(told: dict[str, Any]) -> Said:
    return Said(**{**told, "bill": Bill(**told["bill"])})
