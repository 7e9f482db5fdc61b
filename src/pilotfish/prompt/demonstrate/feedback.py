"""Which demonstrations help a language model: the log-probability of the right answer with each of them before it.

Sources: Rubin et al. 2022 (Learning to Retrieve Prompts for In-Context Learning), section 3.1, equation 1; Cheng et al.
2023 (UPRISE), section 3.1, whose score for tasks with choices looks at the choices alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError, DataError
from pilotfish.model import Request
from pilotfish.models._chat import render_chat
from pilotfish.models._tokens import encode_pair
from pilotfish.models.classify.labeller import Chooser as WhiteBox
from pilotfish.models.reader import Reader
from pilotfish.prompt.demonstrate.choose import Chooser
from pilotfish.prompt.demonstrate.find import Finder
from pilotfish.prompt.demonstrate.pool import Pool
from pilotfish.prompt.demonstrate.show import Form
from pilotfish.rows._row import Rows
from pilotfish.rows.model_stage import Template
from pilotfish.rows.run import read_output, run
from pilotfish.rows.stage import Outcome, Stage

__all__ = ["Ask", "Feedback", "Judge", "by_choices", "by_reading", "feedback", "proposed"]

Ask = Callable[[str], Request]
Judge = Callable[[Sequence[tuple[Request, str]]], NDArray[np.float64]]


@dataclass(frozen=True)
class Feedback:
    """What demonstrations are worth for one question.

    Attributes:
        place: of the question: it is a demonstration of the pool itself, whose answer is known.
        places: the demonstrations that were tried.
        scores: log p, in nats, of the right answer with each; the larger the better.
    """

    place: int
    places: tuple[int, ...]
    scores: tuple[float, ...]


def by_reading(reader: Reader) -> Judge:
    """Return what gives log p(answer | request), in nats, of all its tokens; NaN where a request has no room."""

    def judge(asked: Sequence[tuple[Request, str]]) -> NDArray[np.float64]:
        rows = [
            encode_pair(reader.tokenizer, render_chat(reader.tokenizer, one, reader.name), text) for one, text in asked
        ]
        fits = [at for at, (ids, _) in enumerate(rows) if len(ids) <= reader.max_length]
        found = np.full(len(rows), np.nan)
        for at, told in zip(fits, reader.logprobs([rows[at] for at in fits]), strict=True):
            found[at] = float(told.sum(dtype=np.float64))
        return found

    return judge


def by_choices(model: WhiteBox, names: Mapping[str, str]) -> Judge:
    """Return what gives log p of the right one of some answers, in nats, normalised over them.

    Args:
        model: tells the probabilities of choices, as a `LocalModel`.
        names: output -> what the model says for it.

    Raises:
        ConfigError: fewer than two answers. An output that is none of them is a DataError when it is judged.
    """
    if len(names) < 2:
        raise ConfigError("answers are chosen between: name two outputs or more")
    index = {output: at for at, output in enumerate(names)}

    def judge(asked: Sequence[tuple[Request, str]]) -> NDArray[np.float64]:
        for _, output in asked:
            if output not in index:
                raise DataError(f"the output {output!r} is none of the {len(index)} answers")
        said = list(names.values())
        room = model.max_length - max(model.count(name) for name in said) - 2
        contexts = [model.render(request) for request, _ in asked]
        fits = [at for at, context in enumerate(contexts) if model.count(context) <= room]
        found = np.full(len(asked), np.nan)
        if fits:
            raw = model.choices([contexts[at] for at in fits], said)
            raw = raw - np.logaddexp.reduce(raw, axis=1, keepdims=True)
            found[fits] = raw[np.arange(len(fits)), [index[asked[at][1]] for at in fits]]
        return found

    return judge


def proposed(
    finder: Finder, places: Sequence[int], near: int = 8, chance: int = 8, *, same: float = 0.9, seed: int = 0
) -> list[list[int]]:
    """Return the demonstrations that are tried for each question: the nearest, and some by chance.

    The paper of EPR takes the nearest by BM25, that of UPRISE draws by chance; a retriever that is to see what helps
    needs some of both. A question is no demonstration of itself.

    Args:
        finder: over the pool that the questions are of.
        places: of the questions in the pool.
        near: how many of the nearest.
        chance: how many more by chance.
        same: see `Chooser`.
        seed: of the draw.
    """
    pool = finder.pool
    nearest = Chooser(finder, near, same=same).choose([pool.inputs[place] for place in places])
    random = np.random.default_rng(seed)
    found = []
    for place, chosen in zip(places, nearest, strict=True):
        drawn = random.permutation(len(pool))[: chance + near + 8]
        left = [int(one) for one in drawn if one not in chosen.places]
        copies = pool.same(pool.inputs[place], left, same)
        more = [one for one, copy in zip(left, copies, strict=True) if not copy][:chance]
        found.append([*chosen.places, *more])
    return found


def feedback(
    pool: Pool,
    places: Sequence[int],
    tried: Sequence[Sequence[int]],
    judge: Judge,
    out: str | Path,
    *,
    form: Form | None = None,
    ask: Ask | None = None,
    judge_is: Any = None,
    progress: bool = True,
) -> list[Feedback]:
    """Judge demonstrations one by one, each before each of its questions; a run that was stopped goes on in `out`.

    Args:
        pool: of the questions and the demonstrations.
        places: of the questions.
        tried: for each, the demonstrations that are tried.
        judge: says what an answer is worth after a request: `by_reading` or `by_choices`.
        form: how a demonstration is shown.
        ask: makes the request of a question's input; None takes `form`'s own turn.
        out: the folder of the run.
        judge_is: what tells this judge from another, as plain data; a run of another one in the folder is an error.
        progress: show a bar.

    Raises:
        ConfigError: the folder holds another run.
        DataError: not as many lists as questions, or none that could be judged.
    """
    if len(places) != len(tried):
        raise DataError(f"{len(places)} questions but {len(tried)} lists of demonstrations")
    form = form or Form()
    stage = _Judging(pool, judge, form, ask or asks(form), judge_is)
    rows = [{"place": int(place), "tried": list(map(int, some))} for place, some in zip(places, tried, strict=True)]
    run(rows, stage, out, progress=progress)
    found = []
    for row in read_output(out):
        kept = [(one, score) for one, score in zip(row["tried"], row["scores"], strict=True) if score is not None]
        found.append(Feedback(row["place"], tuple(one for one, _ in kept), tuple(score for _, score in kept)))
    if not any(one.places for one in found):
        raise DataError("no demonstration could be judged: with one of them the prompt is longer than the model takes")
    return found


def asks(form: Form) -> Ask:
    """Return what makes the request of an input: a turn written as the form's demonstrations are."""
    turn = Template(form.input if form.how == "turns" else "{input}")
    return lambda text: Request.of(turn.fill({"input": text}))


class _Judging(Stage):
    """Judges the demonstrations of some questions at a time."""

    batch_size = 16

    def __init__(self, pool: Pool, judge: Judge, form: Form, ask: Ask, judge_is: Any) -> None:
        self.pool_is = hashlib.sha256(repr(pool.demonstrations).encode()).hexdigest()
        self.form, self.judge_is = form, judge_is
        self._pool, self._judge, self._ask = pool, judge, ask

    def process(self, rows: Rows) -> list[Outcome]:
        """Return each question with its scores."""
        held = self._pool.demonstrations
        asked = [
            (self.form.shown(self._ask(held[row["place"]].input), [held[one]]), held[row["place"]].output)
            for row in rows
            for one in row["tried"]
        ]
        told = self._judge(asked).tolist() if asked else []
        made: list[Outcome] = []
        for row in rows:
            mine, told = told[: len(row["tried"])], told[len(row["tried"]) :]
            made.append({**row, "scores": [None if np.isnan(score) else score for score in mine]})
        return made
