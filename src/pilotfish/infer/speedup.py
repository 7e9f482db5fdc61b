"""Does drafting pay on these prompts, and how much of it? Plain decoding and several ways to draft, in turn.

Source of the questions' and answers' format: Xia et al. 2024 (Spec-Bench).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pilotfish._sync import ask
from pilotfish.errors import ConfigError
from pilotfish.infer.questions import Question
from pilotfish.infer.speculative import SpeculativeModel
from pilotfish.measure.intervals import Interval, bootstrap
from pilotfish.model import Message, Request

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pilotfish.decode.speculative import SpeculativeReport

__all__ = ["PLAIN", "Answer", "SpeedReport", "Way", "measure", "ways"]

PLAIN = "plain"
FEW = 10  # prompts, below which an interval over them is too narrow
Length = int | Literal["auto"]


@dataclass
class Way:
    """One way to answer: plain, or a kind and an amount of drafting. `model` is None for plain."""

    name: str
    model: SpeculativeModel | None = None


@dataclass(frozen=True)
class Answer:
    """What one question took one way; one entry a turn, as Spec-Bench has it.

    `steps` are passes through the target, `accepted` the tokens said in each of them.
    """

    question: Question
    texts: tuple[str, ...]
    tokens: tuple[int, ...]
    steps: tuple[int, ...]
    seconds: tuple[float, ...]
    accepted: tuple[int, ...]

    def to_json(self, model: str) -> dict[str, Any]:
        """Return a row of Spec-Bench's answer file."""
        choice = {
            "index": 0,
            "turns": list(self.texts),
            "decoding_steps": list(self.steps),
            "new_tokens": list(self.tokens),
            "wall_time": list(self.seconds),
            "accept_lengths": list(self.accepted),
        }
        question = self.question
        return {
            "question_id": question.id,
            "category": question.category,
            "answer_id": f"{model}-{question.id}",
            "model_id": model,
            "choices": [choice],
            "tstamp": time.time(),
        }


@dataclass
class SpeedReport:
    """Every way's answers, and what follows from them. The first way is plain decoding."""

    target: str
    draft: str
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    reports: dict[str, SpeculativeReport] = field(default_factory=dict)
    greedy: bool = True

    @property
    def categories(self) -> list[str]:
        """The questions' categories, in order."""
        return list(dict.fromkeys(answer.question.category for answer in self.answers[PLAIN]))

    @property
    def drafted(self) -> list[str]:
        """All ways but plain decoding."""
        return [way for way in self.answers if way != PLAIN]

    def speed(self, way: str, category: str | None = None) -> float:
        """Return tokens a second, prompts included."""
        chosen = [a for a in self.answers[way] if category in (None, a.question.category)]
        return sum(sum(a.tokens) for a in chosen) / max(1e-9, sum(sum(a.seconds) for a in chosen))

    def speedup(self, way: str, category: str | None = None) -> Interval:
        """Return tokens a second over plain decoding's, with a bootstrap interval over questions."""
        import numpy as np

        rows = [
            (sum(a.tokens), sum(a.seconds), sum(b.tokens), sum(b.seconds))
            for a, b in zip(self.answers[way], self.answers[PLAIN], strict=True)
            if category in (None, a.question.category)
        ]

        def ratio(data: Any) -> float:
            mine, took, its, lasted = np.asarray(data).sum(axis=0)
            return float(mine / took / (its / lasted))

        table = np.array(rows, dtype=np.float64)
        if len(rows) < 2:
            return Interval(ratio(table), 0.0, float("inf"), method="one question", n=1)
        return bootstrap(table, ratio, resamples=1000, method="percentile")

    def identical(self, way: str) -> int:
        """Return how many questions were answered as plain decoding answers them."""
        pairs = zip(self.answers[way], self.answers[PLAIN], strict=True)
        return sum(one.texts == other.texts for one, other in pairs)

    @property
    def best(self) -> str:
        """The fastest way, plain decoding where none is faster beyond doubt (the interval's low end above 1)."""
        speedups = {way: self.speedup(way) for way in self.drafted}
        sure = [way for way, speedup in speedups.items() if speedup.low > 1]
        return max(sure, key=lambda way: speedups[way].value, default=PLAIN)

    @property
    def verdict(self) -> str:
        """One sentence: whether to use it, and how."""
        best = self.best
        if best != PLAIN:
            speedup = self.speedup(best)
            few = f" (on {speedup.n} prompts only; try more)" if speedup.n < FEW else ""
            return f"Use it, with {_said(best)}: {speedup:.2f} times the tokens a second of {self.target} alone{few}."
        fastest = max(self.drafted, key=self.speed)
        speedup = self.speedup(fastest)
        if len(self.answers[PLAIN]) < 2:
            return f"One question says too little; {_said(fastest)} was {speedup.value:.2f} times as fast."
        return f"Do not use it here: the fastest, {_said(fastest)}, has {speedup:.2f} times plain decoding's speed."

    def to_json(self) -> dict[str, Any]:
        """Return speeds, speed-ups, acceptance and the verdict as plain data."""
        found = []
        for way, answers in self.answers.items():
            entry: dict[str, Any] = {"way": way, "tokens_per_second": self.speed(way), "questions": len(answers)}
            if way != PLAIN:
                entry["identical"] = self.identical(way)
                for title, category in (("speedup", None), *((f"speedup: {c}", c) for c in self.categories)):
                    told = self.speedup(way, category)
                    entry[title] = {"value": told.value, "low": told.low, "high": _finite(told.high), "n": told.n}
                entry["report"] = self.reports[way].to_json()
            found.append(entry)
        heads = {"target": self.target, "draft": self.draft, "best": self.best, "verdict": self.verdict}
        return heads | {"greedy": self.greedy, "ways": found}

    def write_answers(self, folder: Path) -> None:
        """Write one Spec-Bench answer file a way into a folder: `<target>-<way>.jsonl`."""
        folder.mkdir(parents=True, exist_ok=True)
        for way, answers in self.answers.items():
            model = f"{self.target}-{way}"
            lines = [json.dumps(answer.to_json(model), ensure_ascii=False) + "\n" for answer in answers]
            (folder / f"{model.replace('/', '_').replace(' ', '-')}.jsonl").write_text("".join(lines), encoding="utf-8")

    def render(self) -> list[RenderableType]:
        """Return what a terminal shows (rich): ways, categories, the best way's report."""
        from rich.table import Table

        best = self.best
        table = Table(title=f"{self.target}, drafted by {self.draft}", title_justify="left", header_style="bold")
        heads = ("way", "tokens/s", "speed-up", "95%", "accepted", "tokens a draft", "predicted", "same answer")
        for head in heads:
            table.add_column(head, justify="left" if head == "way" else "right")
        for way, answers in self.answers.items():
            if way == PLAIN:
                table.add_row(way, f"{self.speed(way):.2f}")
                continue
            speedup, report = self.speedup(way), self.reports[way]
            between = f"{speedup.low:.2f}-{speedup.high:.2f}" if speedup.n > 1 else ""
            predicted = "" if report.predicted is None else f"{report.predicted:.2f}"
            same = f"{self.identical(way)} of {len(answers)}" if self.greedy else ""
            cells = (f"{speedup.value:.2f}", between, f"{report.acceptance:.0%}", f"{report.mean_length:.2f}")
            style = "cyan" if way == best else None
            table.add_row(way, f"{self.speed(way):.2f}", *cells, predicted, same, style=style)
        shown: list[RenderableType] = [table]
        if len(self.categories) > 1:
            shown.append(self._by_category())
        if best != PLAIN:
            shown.append(self.reports[best].table())
        return shown

    def _by_category(self) -> RenderableType:
        from rich.table import Table

        table = Table(title="speed-up by category", title_justify="left", header_style="bold")
        table.add_column("category")
        table.add_column("questions", justify="right")
        for way in self.drafted:
            table.add_column(way, justify="right")
        for category in self.categories:
            count = sum(answer.question.category == category for answer in self.answers[PLAIN])
            speeds = [self.speed(way, category) / self.speed(PLAIN, category) for way in self.drafted]
            top = max(speeds)
            cells = [f"[bold]{speed:.2f}[/bold]" if speed == top else f"{speed:.2f}" for speed in speeds]
            table.add_row(category, str(count), *cells)
        return table


def ways(
    target: Any, draft: Any, lengths: Sequence[Length], trees: Sequence[Sequence[int]] = (), *, lookup: bool = True
) -> list[Way]:
    """Return plain decoding, a chain of each length, each tree, and prompt look-up beside a model's draft.

    Raises:
        ConfigError: target or draft is a black box, or nothing is to be compared with plain decoding.
    """
    found = [Way(PLAIN)]
    found += [Way(str(length), SpeculativeModel(target, draft, length=length)) for length in lengths]
    found += [
        Way("tree " + "x".join(map(str, widths)), SpeculativeModel(target, draft, length=len(widths), tree=widths))
        for widths in trees
    ]
    if lookup and draft != "prompt-lookup":
        found.append(Way("prompt-lookup", SpeculativeModel(target, "prompt-lookup")))
    if len(found) == 1:
        raise ConfigError("nothing to compare with plain decoding: give lengths, such as 2,4,auto")
    return found


def measure(
    target: Any,
    ways_: Sequence[Way],
    questions: Sequence[Question],
    *,
    draft: str = "",
    progress: Callable[[int], None] | None = None,
    **settings: Any,
) -> SpeedReport:
    """Ask every question every way, one at a time, in an order that turns round from question to question.

    Before anything is timed, each way answers the first question's beginning, so that weights are loaded, caches made
    and code compiled. `settings` are the requests' (max_tokens, temperature, …).

    Raises:
        ModelError: a prompt does not fit the target.
    """
    report = SpeedReport(target.name, draft, {way.name: [] for way in ways_})
    report.greedy = not settings.get("temperature")
    for way in ways_:
        _answer(target, way, questions[0], **(settings | {"max_tokens": 8}))
        if way.model is not None:
            way.model.speculative.reset()
    for place, question in enumerate(questions):
        turned = place % len(ways_)
        order = [*ways_[turned:], *ways_[:turned]]
        for way in order if place % 2 == 0 else order[::-1]:
            report.answers[way.name].append(_answer(target, way, question, **settings))
            if progress:
                progress(1)
    report.reports = {way.name: way.model.report for way in ways_ if way.model is not None}
    return report


def _answer(target: Any, way: Way, question: Question, **settings: Any) -> Answer:
    """Play a question turn by turn; the model's own answers stand between the turns."""
    said = list(question.before)
    texts, tokens, steps, seconds, accepted = [], [], [], [], []
    for turn in question.turns:
        said.append(Message("user", turn))
        request = Request(messages=tuple(said), **settings)
        began = time.perf_counter()
        reply = ask(target if way.model is None else way.model, request)
        seconds.append(time.perf_counter() - began)
        texts.append(reply.text)
        said.append(Message("assistant", reply.text))
        if way.model is None:
            count = reply.trace.calls[0].tokens_out
            rounds = [1] * count
        else:
            last = way.model.speculative.last
            # The first token comes with the prompt; the face cuts what stands after an end or a stop.
            count, rounds = last.tokens, [1, *last.said]
        tokens.append(count)
        steps.append(len(rounds))
        accepted += rounds
    return Answer(question, tuple(texts), tuple(tokens), tuple(steps), tuple(seconds), tuple(accepted))


def _said(way: str) -> str:
    if way.isdecimal():
        return f"draft length {way}"
    return {"auto": 'length = "auto"', "prompt-lookup": "prompt look-up"}.get(way, f"the {way}")


def _finite(value: float) -> float | None:
    return value if value < float("inf") else None
