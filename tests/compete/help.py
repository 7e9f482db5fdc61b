"""What the advisor's tests share: made-up tasks, a scripted large model that knows some answers, scored candidates."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.compete.candidate import Candidate, Family
from pilotfish.compete.task import TextTask, text_task
from pilotfish.model import Price, Request
from tests.fakes import ScriptedModel

KEYWORDS = {
    "card": ("card", "arrived", "where"),
    "refund": ("refund", "failed", "want"),
    "cat": ("cat", "sat", "mat"),
    "song": ("bird", "sang", "sea"),
    "rate": ("exchange", "rate", "wrong"),
}
Row = dict[str, Any]


def nonsense(rng: random.Random, words: int) -> str:
    """Return random four-letter words."""
    return " ".join("".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=4)) for _ in range(words))


def made_rows(
    count: int, *, classes: int = 3, hard: float = 0.0, seed: int = 0, labels: Sequence[str] = tuple(KEYWORDS)
) -> list[Row]:
    """Return rows whose label two keywords give away; a `hard` share has none, so nothing can learn them."""
    rng = random.Random(seed)
    words = list(KEYWORDS.values())[:classes]
    rows: list[Row] = []
    for i in range(count):
        which = i % classes
        difficult = rng.random() < hard
        a, b = rng.sample(words[which], 2)
        text = nonsense(rng, 5) if difficult else f"{nonsense(rng, 1)} {a} {nonsense(rng, 1)} {b} {nonsense(rng, 1)}"
        rows.append({"text": text, "label": labels[which], "hard": difficult})
    rng.shuffle(rows)
    return rows


def many_words(count: int, seed: int) -> list[Row]:
    """Rows of five labels, each given away by one of forty words: a few rows do not show all of them."""
    words = random.Random(99)
    known = [[nonsense(words, 1) for _ in range(40)] for _ in KEYWORDS]
    rng = random.Random(seed)
    labels = list(KEYWORDS)
    return [
        {"text": f"{nonsense(rng, 1)} {rng.choice(known[i % 5])} {nonsense(rng, 1)}", "label": labels[i % 5]}
        for i in range(count)
    ]


def made_task(count: int = 240, *, free: int = 0, test: Sequence[Row] | None = None, **settings: Any) -> TextTask:
    """Return a task of made-up rows, with `free` unlabelled ones."""
    seed = settings.pop("seed", 0)
    unlabelled = made_rows(free, seed=seed + 999, **settings) if free else []
    return text_task(
        made_rows(count, seed=seed, **settings), text="text", label="label", test=test, unlabelled=unlabelled
    )


def truth_of(*parts: Sequence[Row]) -> dict[str, str]:
    """Return text -> label."""
    return {row["text"]: row["label"] for rows in parts for row in rows}


def oracle(
    truth: Mapping[str, str],
    *,
    wrong: float = 0.0,
    silent: float = 0.0,
    wrong_on: Collection[str] = (),
    price: Price | None = None,
    name: str = "big",
    delay: float = 0.0,
) -> ScriptedModel:
    """Return a black-box model that knows the labels but for a share of wrong ones, and says none for another.

    What it says of a text is a function of the text alone.
    """
    labels = sorted(set(truth.values()))

    def say(request: Request) -> str:
        text = request.prompt.removeprefix("Text: ")
        draw = random.Random(text).random()
        label = truth[text]
        if text in wrong_on or draw < wrong:
            label = labels[(labels.index(label) + 1) % len(labels)]
        return "I would rather not say." if draw > 1 - silent else label

    return ScriptedModel(say, price=price, name=name, delay=delay)


def scored(
    family: Family,
    right: NDArray[np.float64] | Sequence[float],
    *,
    rows: NDArray[np.int64] | None = None,
    dollars: float | None = 0.0,
    seconds: float | None = 0.001,
    **details: Any,
) -> Candidate:
    """Return a candidate that is right where `right` is 1."""
    hits = np.asarray(right)
    where = np.arange(len(hits)) if rows is None else rows
    answers = ["a" if hit else "b" for hit in hits]
    return Candidate(
        family,
        f"the {family} one",
        family,
        where,
        answers,
        ["a"] * len(hits),
        seconds=seconds,
        p50=seconds,
        p95=seconds,
        dollars=dollars,
        details=dict(details),
    )
