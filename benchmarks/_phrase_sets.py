"""Sets of phrases that people have judged, the text that pairs are learnt from, and what of it the sets forbid."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks._wikitext import articles
from pilotfish.compete.phrases.pair import normal
from pilotfish.compete.phrases.spans import Span
from pilotfish.rows.sentences import sentences_of

__all__ = ["WORDS", "Judged", "compounds", "forbidden", "mentions", "sentences", "sts", "words"]

# Sets that share no pair: RG-65 holds MC-30, and WS-353-ALL its two halves.
WORDS = {
    "SimLex-999": "EN-SIMLEX-999.txt",
    "SimVerb-3500": "EN-SimVerb-3500.txt",
    "WS-353": "EN-WS-353-ALL.txt",
    "MTurk-287": "EN-MTurk-287.txt",
    "RG-65": "EN-RG-65.txt",
    "YP-130": "EN-YP-130.txt",
    "Verb-143": "EN-VERB-143.txt",
}


@dataclass(frozen=True, eq=False)
class Judged:
    """Pairs with what people say.

    Attributes:
        name: of the set.
        pairs: two words, two sentences, or a compound and nothing.
        people: (pairs,) the larger the nearer; of compounds how many of four find it compositional.
        kind: "words", "compounds" or "sentences".
    """

    name: str
    pairs: list[tuple[str, str]]
    people: NDArray[np.float64]
    kind: str

    def some(self, count: int, seed: int) -> NDArray[np.int64]:
        """Return the numbers of a sample, ascending."""
        return np.sort(np.random.default_rng(seed).permutation(len(self.pairs))[:count])


def words(data: Path) -> list[Judged]:
    """Return the sets of words."""
    found = []
    for name, file in WORDS.items():
        rows = [line.split() for line in (data / "word_sim" / file).read_text(encoding="utf-8").splitlines() if line]
        pairs = [(a, b) for a, b, _ in rows]
        found.append(Judged(name, pairs, np.array([float(score) for *_, score in rows]), "words"))
    return found


def compounds(data: Path) -> Judged:
    """Return noun compounds, and of the four judgements how many find them compositional."""
    path = data / "noun_compounds" / "instances_judgments" / "nonComp-judgments.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    people = [4 - sum(int(one) for one in row[1:5]) for row in rows]
    return Judged("noun compounds", [(row[0].strip(), "") for row in rows], np.array(people, float), "compounds")


def sts(data: Path) -> Judged:
    """Return the test part of STS-B."""
    with (data / "stsb_en" / "stsb-en-test.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    return Judged("STS-B test", [(a, b) for a, b, _ in rows], np.array([float(one) for *_, one in rows]), "sentences")


def forbidden(sets: Sequence[Judged]) -> tuple[list[tuple[str, str]], set[str]]:
    """Return the pairs of the sets, a compound with each of its words too; and every word and phrase of them."""
    pairs = [pair for one in sets if one.kind != "compounds" for pair in one.pairs]
    for one in sets:
        if one.kind == "compounds":
            pairs += [(phrase, word) for phrase, _ in one.pairs for word in phrase.split()]
            pairs += [(phrase.split()[0], phrase.split()[-1]) for phrase, _ in one.pairs]
    texts = {normal(text) for one in sets if one.kind != "sentences" for pair in one.pairs for text in pair if text}
    return pairs, texts


def sentences(data: Path, most: int | None = None) -> list[str]:
    """Return what pairs are mined from: WikiText-2's and wikigold's sentences, none with a word that was left out."""
    found = []
    for article in articles(data)[:most]:
        for line in article.splitlines():
            if line.strip() and not line.strip().startswith("="):
                found += sentences_of(_plain(line))
    if most is None:
        found += [text for text, _ in _gold(data)]
    return [one for one in found if "<unk>" not in one and len(one) > 20]


def mentions(data: Path) -> list[tuple[Span, str]]:
    """Return wikigold's names in their sentences, with their types; each sentence's own."""
    return [one for _, held in _gold(data) for one in held]


def _plain(line: str) -> str:
    """Return a line of WikiText as it was before it was cut into tokens, nearly."""
    text = re.sub(r" @([-,.])@ ", r"\1", line.strip())
    text = re.sub(r" ([,.;:!?%)\]]|'s|n't)", r"\1", text)
    text = re.sub(r"([(\[]) ", r"\1", text)
    return re.sub(r'" ([^"]*?) "', r'"\1"', text)


def _gold(data: Path) -> list[tuple[str, list[tuple[Span, str]]]]:
    path = data / "wikigold" / "CONLL-format" / "data" / "wikigold.conll.txt"
    found = []
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        rows = [line.rsplit(" ", 1) for line in block.splitlines() if " " in line]
        if not rows or rows[0][0] == "-DOCSTART-":
            continue
        text, places = "", []
        for token, _ in rows:
            text += " " if text else ""
            places.append((len(text), len(text) + len(token)))
            text += token
        held, at = [], 0
        while at < len(rows):
            tag = rows[at][1]
            end = at + 1
            while tag != "O" and end < len(rows) and rows[end][1] == tag:
                end += 1
            if tag != "O":
                held.append((Span(text, places[at][0], places[end - 1][1]), tag.removeprefix("I-")))
            at = end
        found.append((text, held))
    return found
