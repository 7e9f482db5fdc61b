"""Prompts for the benchmark of compression: texts of many lengths, and XQuAD's questions over their paragraphs."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.advise import SUPPORT
from pilotfish.measure.extractive import plain
from pilotfish.rows.read import read

__all__ = ["Asked", "kept", "lengthened", "texts_here", "xquad"]


@dataclass(frozen=True)
class Asked:
    """A question over documents.

    Attributes:
        question: what is asked.
        truths: its answers, which stand in a document.
        documents: one of them holds the answer.
        article: what they are of.
    """

    question: str
    truths: tuple[str, ...]
    documents: tuple[str, ...]
    article: str


def texts_here(data: Path | None) -> list[str]:
    """Return texts of prose: WikiText-2's paragraphs, or the embedded support messages."""
    if data is None:
        return [str(row["text"]) for row in read(SUPPORT / "labelled.jsonl")]
    lines = (data / "wikitext2_eval" / "valid.txt").read_text("utf-8").splitlines()
    return [line.strip() for line in lines if len(line) > 200]


def lengthened(texts: Sequence[str], tokenizer: Any, tokens: int, seed: int) -> str:
    """Return a text of about so many tokens, never fewer: paragraphs drawn with a seed, the last one cut at a space."""
    order = list(range(len(texts)))
    random.Random(seed).shuffle(order)
    found = ""
    while len(tokenizer(found, add_special_tokens=False, verbose=False)["input_ids"]) < tokens:
        found += ("\n\n" if found else "") + texts[order[len(found) % len(order)]]
        order.append(order.pop(0))
    places = tokenizer(found, add_special_tokens=False, return_offsets_mapping=True, verbose=False)["offset_mapping"]
    end = found.find(" ", int(places[tokens - 1][1]))
    return found if end < 0 else found[:end]


def xquad(data: Path, beside: int = 0) -> list[Asked]:
    """Return XQuAD's English questions, each over its paragraph and so many others of the same article.

    Args:
        data: the folder of data sets.
        beside: paragraphs that do not hold the answer; the article's next ones, and the right one stands anywhere.
    """
    articles = json.loads((data / "xquad_en" / "xquad.en.json").read_text(encoding="utf-8"))["data"]
    found = []
    for article in articles:
        contexts = [paragraph["context"] for paragraph in article["paragraphs"]]
        for at, paragraph in enumerate(article["paragraphs"]):
            for number, one in enumerate(paragraph["qas"]):
                others = [contexts[(at + 1 + i) % len(contexts)] for i in range(min(beside, len(contexts) - 1))]
                documents = list(others)
                documents.insert((at + number) % (len(others) + 1), contexts[at])
                truths = tuple(answer["text"] for answer in one["answers"])
                found.append(Asked(one["question"], truths, tuple(documents), article["title"]))
    return found


def kept(text: str, truths: Sequence[str]) -> float:
    """Return 1 where an answer stands in a text, word for word but for case, punctuation and articles."""
    whole = f" {plain(text)} "
    return float(any(plain(truth) and f" {plain(truth)} " in whole for truth in truths))
