"""A corrector of 135M behind Qwen2.5-Coder-0.5B: replies that are to be one line of JSON, before and after.

Instructions of `llms_from_scratch_instr`, each asked with "Reply with one JSON object and nothing else". Qwen often
fences it, or gives a number where text is wanted. SmolLM2-135M learns corrections made of people's answers to other
instructions: fenced, within chatter, with quotes of the wrong kind, cut, or bare on one side, right on the other; and
answers that are right already. On 200 held-out instructions a reply is right where it is one line of JSON, an object
with the one key `answer`, whose value is text and says what the frozen model's reply said (F1 of words, .9 or more).
Counted apart: replies that were wrong and are right behind the corrector, and replies that were right and are wrong.
Replies, corrections and the corrector are kept (`.bench/aligner`). `--quick` has SmolLM2-135M answer, few rows and
steps.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._result import Cases, estimated
from pilotfish.distill.distiller import Distiller
from pilotfish.measure.intervals import paired_bootstrap, wilson
from pilotfish.model import Model, Request
from pilotfish.models.local import LocalModel
from pilotfish.rows.asking import asked
from pilotfish.rows.split import split
from pilotfish.supervise.aligner import Aligned, corrector_rows
from pilotfish.train.settings import Fit

RUNS = Path(__file__).resolve().parents[1] / ".bench" / "aligner"
FROZEN, SMALL = "qwen2.5-coder-0.5b-instruct", "smollm2-135m-instruct"
TESTED, LEARNT, LEAST, TOKENS = 200, 500, 0.9, 96
FIT = Fit(epochs=1, batch_tokens=512, rate=1e-4)
TEMPLATE = "Rewrite the answer as one line of JSON with the key answer.\nAnswer: {answer}"
WANTED = '\n\nReply with one JSON object and nothing else: {"answer": "..."}'


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return how many replies are right before and behind the corrector, and whom it mended and hurt."""
    if data is None:
        return {"name": "aligner", "peer": "needs --data: the folder of data sets", "cases": []}
    cases = Cases("aligner", quick=quick)
    runs = RUNS / ("quick" if quick else "whole")
    learn, test = parts(data, quick)
    corrector = taught(learn, runs, quick)
    frozen = LocalModel(SMALL if quick else FROZEN)
    questions = [f"{row['instruction']}\n{row['input']}".strip() + WANTED for row in test]
    before = said(frozen, questions, runs / "frozen")
    behind = said(Aligned(frozen, corrector, TEMPLATE, TOKENS), questions, runs / "aligned")
    cases.add(compared(before, behind))
    return {"name": "aligner", "peer": "the frozen model's own replies", "cases": cases.found}


def parts(data: Path, quick: bool) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Return instructions to learn from and to test on; one that comes twice is on one side."""
    file = data / "llms_from_scratch_instr" / "01_main-chapter-code" / "instruction-data.json"
    rows: list[dict[str, str]] = json.loads(file.read_text(encoding="utf-8"))
    sides = split(len(rows), {"learn": 0.7, "test": 0.3}, 0, group=[row["instruction"] for row in rows])
    learn, test = ([rows[i] for i in sides[side]] for side in ("learn", "test"))
    return (learn[:24], test[:12]) if quick else (learn[:LEARNT], test[:TESTED])


def taught(rows: Sequence[dict[str, str]], runs: Path, quick: bool) -> LocalModel:
    """Return the corrector; it is taught once."""
    random = np.random.default_rng(0)
    pairs = [
        {"question": row["instruction"], "answer": spoilt(row["output"], random), "correction": right(row["output"])}
        for row in rows
    ]
    how = Fit(**{**FIT.__dict__, "steps": 3}) if quick else FIT
    out = runs / "corrector"
    Distiller(SMALL, None, out, alpha=0.0, fit=how, length=256, answers_of="people").fit(
        corrector_rows(pairs, copied=0.5, template=TEMPLATE)
    )
    return LocalModel(out, name="corrector")


def right(text: str) -> str:
    """Return an answer as it is wanted."""
    return json.dumps({"answer": text}, ensure_ascii=False)


def spoilt(text: str, random: np.random.Generator) -> str:
    """Return an answer with a fault that models have."""
    line = right(text)
    spread = json.dumps({"answer": text}, ensure_ascii=False, indent=int(random.choice([2, 4])))
    return str(
        random.choice(
            [
                f"```json\n{spread}\n```",
                f"```json\n{line}\n```",
                f"```\n{line}\n```",
                spread,
                f"Sure! Here is the answer:\n\n{line}",
                f"Here is the JSON object:\n\n```json\n{spread}\n```",
                f"{line}\n\nI hope this helps!",
                text,
                f'{{"answer": {text}}}',
                "{'answer': '" + text + "'}",
                line[:-1],
                json.dumps({"response": text}, ensure_ascii=False),
            ]
        )
    )


def said(model: Model, questions: Sequence[str], folder: Path) -> list[str]:
    """Return a model's replies; one that it could not give is empty."""
    asking = [(Request.of(text, temperature=0.0, max_tokens=TOKENS), 0) for text in questions]
    return ["" if one is None else one.text for one in asked(model, asking, folder, concurrency=16).said]


def value_of(reply: str) -> str | None:
    """Return what a reply says, where it has the form that is wanted."""
    if "\n" in reply.strip():
        return None
    try:
        told = json.loads(reply)
    except ValueError:
        return None
    if not isinstance(told, dict) or list(told) != ["answer"] or not isinstance(told["answer"], str):
        return None
    return told["answer"]


def compared(before: Sequence[str], behind: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the shares before and behind, the gain, and whom the corrector mended and hurt."""
    was = np.array([kept(one, one) for one in before])
    now = np.array([kept(one, first) for one, first in zip(behind, before, strict=True)])
    for title, each in (("the frozen model's own", was), ("behind the corrector", now)):
        yield estimated(f"right, {title}", wilson(float(each.sum()), len(each)), "share of replies")
    yield estimated("right, gain", paired_bootstrap(now, was), "share of replies")
    for title, some, count in (
        ("mended, of those that were wrong", was == 0, now),
        ("hurt, of those that were right", was == 1, 1 - now),
    ):
        if some.any():
            yield estimated(title, wilson(float(count[some].sum()), int(some.sum())), "share of replies")


def kept(reply: str, first: str) -> float:
    """Return whether a reply has the form, and says what the frozen model said."""
    value = value_of(reply)
    if value is None:
        return 0.0
    plain = re.sub(r"```(json)?", " ", re.sub(r'"answer"', " ", first, count=1))
    return float(f1(words(value), words(plain)) >= LEAST)


def words(text: str) -> Counter[str]:
    """Return the words of a text."""
    return Counter(re.findall(r"\w+", text))


def f1(one: Counter[str], other: Counter[str]) -> float:
    """Return the F1 of words that both have; two without any are the same."""
    both, most = (one & other).total(), one.total() + other.total()
    return 2 * both / most if most else 1.0
