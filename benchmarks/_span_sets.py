"""Answers with their faults: people's spans on XSum, votes on QAGS, scores on SummEval, faults made on purpose."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish.repair.tokens.corrupted import corrupted
from pilotfish.repair.tokens.rows import Answered, words_of
from pilotfish.rows.read import read
from pilotfish.rows.sentences import sentences_of

__all__ = ["chunks", "invented", "qags", "rates", "summeval", "xsum"]


def xsum(data: Path) -> list[Answered]:
    """Return XSum's summaries without their articles, which are not in the set.

    A word is faulty where two of the three annotators marked it, as intrinsic or extrinsic. Apostrophes are
    escaped in the file, and places count from 1 in the text without the backslashes.
    """
    held: dict[tuple[str, str], tuple[str, dict[str, set[tuple[int, int]]]]] = {}
    path = data / "xsum_hallucination" / "hallucination_annotations_xsum_summaries.csv"
    for row in read(path):
        text = str(row["summary"]).replace("\\'", "'")
        _, by = held.setdefault((str(row["bbcid"]), str(row["system"])), (text, defaultdict(set)))
        mine = by[str(row["worker_id"])]
        said = str(row["hallucinated_span"] or "").replace("\\'", "'")
        start = int(row["hallucinated_span_start"]) - 1
        if start < -1 or not said or said == "NULL":
            continue
        if text[start : start + len(said)] != said:
            places = [at for at in range(len(text)) if text.startswith(said, at)]
            if not places:
                continue
            start = min(places, key=lambda at, start=start: abs(at - start))  # type: ignore[misc]
        mine.add((start, start + len(said)))
    found = []
    for (document, _), (text, by) in held.items():
        words = words_of(text)
        votes = [sum(any(a < end and b > start for a, b in spans) for spans in by.values()) for start, end in words]
        spans = tuple(place for place, count in zip(words, votes, strict=True) if count >= 2)
        found.append(Answered(text, "", "", _joined(spans, text), None, document))
    return found


def qags(data: Path) -> list[Answered]:
    """Return QAGS's CNN/DM sentences: faulty where most of the annotators say that the article does not support it."""
    found = []
    for row in read(data / "qags" / "mturk_cnndm.jsonl"):
        article = str(row["article"])
        for one in row["summary_sentences"]:
            votes = [vote["response"] == "no" for vote in one["responses"]]
            faulty = 2 * sum(votes) > len(votes)
            found.append(Answered(str(one["sentence"]), article, "", None if faulty else (), faulty, article))
    return found


def summeval(data: Path) -> list[Answered]:
    """Return SummEval's summaries: faulty where experts score their consistency below 4, right at 5; no others."""
    found = []
    for one in json.loads((data / "bartscore_human" / "summeval.json").read_text(encoding="utf-8")).values():
        article = str(one["src"])
        for summary in one["sys_summs"].values():
            score = float(summary["scores"]["consistency"])
            if score < 4 or score == 5:
                faulty = score < 4
                found.append(Answered(str(summary["sys_summ"]), article, "", None if faulty else (), faulty, article))
    return found


def chunks(documents: list[str], words: int = 110) -> list[str]:
    """Return documents in runs of sentences of about so many words: short evidence, of which many are read soon."""
    found = []
    for text in documents:
        held: list[str] = []
        for sentence in sentences_of(text):
            held.append(sentence)
            if sum(len(one.split()) for one in held) >= words:
                found.append(" ".join(held))
                held = []
        if sum(len(one.split()) for one in held) >= words // 3:
            found.append(" ".join(held))
    return found


def invented(count: int, seed: int = 0) -> list[Answered]:
    """Return answers with faults made on purpose of reports that nobody wrote: for a quick run without data."""
    dice = random.Random(seed)
    names = [
        "Anna Smith",
        "Bob Jones",
        "Carla Diaz",
        "David Chen",
        "Eva Novak",
        "Frank Moore",
        "Grace Lee",
        "Hugo Brandt",
    ]
    places = ["Paris", "Vienna", "Oslo", "Lima", "Cairo", "Dublin", "Porto", "Quito"]
    things = ["an old bridge", "the city library", "a paper mill", "the harbour wall", "a small museum", "two farms"]
    documents = []
    for _ in range(count):
        a, b = dice.sample(names, 2)
        p, q = dice.sample(places, 2)
        documents.append(
            f"Last week the council of {p} said that {a} had bought {dice.choice(things)} for {dice.randint(20, 900)} "
            f"million euros. The sale was first told by {b} of {q} after {dice.randint(3, 40)} days of talks in town. "
            f"Some {dice.randint(100, 999)} people had signed a letter against it, which {a} did not answer at all."
        )
    return corrupted(documents, each=3, seed=seed)


def _joined(places: tuple[tuple[int, int], ...], text: str) -> tuple[tuple[int, int], ...]:
    """Return runs of words as one span each."""
    found: list[tuple[int, int]] = []
    for start, end in places:
        if found and not any(one.isalnum() for one in text[found[-1][1] : start]):
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return tuple(found)


def rates(rows: list[Answered]) -> dict[str, float]:
    """Return each word's smoothed log-odds of being faulty in answers."""
    counts: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for row in rows:
        for start, end in words_of(row.answer):
            bad = any(a < end and start < b for a, b in row.spans or ())
            counts[row.answer[start:end].casefold()][bad] += 1
    total: Any = np.sum(list(counts.values()), axis=0)
    share = total[1] / total.sum()
    return {word: float(np.log((bad + 4 * share) / (good + 4 * (1 - share)))) for word, (good, bad) in counts.items()}
