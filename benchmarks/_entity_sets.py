"""Entities, mentions and misspelt names out of DBpedia-Entity v2 and wikigold, and the record pairs of Ditto.

Nobody has linked wikigold to a knowledge base that is at hand, so one is made whose answers are known: of each name and
type that stands there twice or more, the first mention makes the entity (its sentence is the description), the others
are asked about. A share of them is asked in another form: the last word alone, initials, one letter changed. Three in
ten entities are left out of the base: their mentions are NIL. The base's other entities are DBpedia's names but for
those that wikigold has too. Nothing in it was tuned to.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pilotfish.compete.entities import Entity, Mention
from pilotfish.compete.entities.match import Pair, ditto_pairs
from pilotfish.compete.entities.names import initials, normalised

__all__ = ["DITTO", "Asked", "corrupted", "dbpedia", "filled", "queries", "record_pairs", "wikigold"]

DITTO = (
    "Structured/Amazon-Google",
    "Structured/Beer",
    "Structured/Fodors-Zagats",
    "Structured/iTunes-Amazon",
    "Dirty/iTunes-Amazon",
)
LETTERS = "abcdefghijklmnopqrstuvwxyz"
NAMES = {"PER": "person", "LOC": "place", "ORG": "organisation", "MISC": "other"}
_BRACKETS = re.compile(r"^(.*?)\s*\(([^()]*)\)$")


@dataclass(frozen=True)
class Asked:
    """A mention with its answer.

    Attributes:
        mention: what is asked.
        gold: the entity's id; None where it is not in the base.
        form: how it is said: "same", "last word", "initials", "typo".
        entity: which entity it is of, in the base or not: a part keeps all of one.
    """

    mention: Mention
    gold: str | None
    form: str
    entity: str


def dbpedia(data: Path) -> list[Entity]:
    """Return the entities of the judgements, each once; what stands in brackets behind a name is its type."""
    found: dict[str, None] = {}
    for line in (data / "dbpedia_entity_v2" / "qrels-v2.txt").read_text(encoding="utf-8").splitlines():
        name = line.split("\t")[2]
        found.setdefault(name, None)
    return [_entity(name) for name in found]


def queries(data: Path) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """Return DBpedia-Entity's queries, and the judgements of each."""
    folder = data / "dbpedia_entity_v2"
    lines = (folder / "queries-v2.txt").read_text(encoding="utf-8").splitlines()
    asked = dict(line.split("\t", 1) for line in lines if line.strip())
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    for line in (folder / "qrels-v2.txt").read_text(encoding="utf-8").splitlines():
        query, _, name, grade = line.split("\t")
        grades[query][name] = int(grade)
    return asked, dict(grades)


def filled(entities: Sequence[Entity], size: int, seed: int = 0) -> list[Entity]:
    """Return invented entities, so many that there are `size` with the given ones: words of two names in one."""
    rng = np.random.default_rng(seed)
    words = [entity.name.split() for entity in entities]
    known = {normalised(entity.name) for entity in entities}
    found: list[Entity] = []
    while len(entities) + len(found) < size:
        one, other = (words[int(place)] for place in rng.integers(len(words), size=2))
        name = " ".join([*one[: max(1, len(one) // 2)], *other[len(other) // 2 :]])
        if normalised(name) in known:
            continue
        known.add(normalised(name))
        found.append(Entity(f"made:{len(found)}", name))
    return found


def corrupted(name: str, rng: np.random.Generator) -> tuple[str, str]:
    """Return a name as it may be typed, and what was done: a typo, two, words in another order, a word left out."""
    words = name.split()
    kinds = ["typo", "two typos", *(["order", "left out"] if len(words) > 2 else [])]
    kind = str(rng.choice(kinds))
    if kind == "order":
        return " ".join([*words[1:], words[0]]), kind
    if kind == "left out":
        gone = int(rng.integers(len(words)))
        return " ".join(word for place, word in enumerate(words) if place != gone), kind
    for _ in range(2 if kind == "two typos" else 1):
        name = _typo(name, rng)
    return name, kind


def wikigold(data: Path, seed: int = 0) -> tuple[list[Entity], list[Asked], set[str]]:
    """Return the entities of the base, the mentions that are asked about, and all names that stand in the set."""
    rng = np.random.default_rng(seed)
    mentions: dict[tuple[str, str], list[Mention]] = defaultdict(list)
    for text, spans in _sentences(data / "wikigold" / "CONLL-format" / "data" / "wikigold.conll.txt"):
        for start, end, kind in spans:
            one = Mention(text, start, end, NAMES[kind])
            mentions[normalised(one.surface), one.type].append(one)
    entities, asked = [], []
    for number, ((_, kind), some) in enumerate(sorted(mentions.items())):
        if len(some) < 2:
            continue
        id, held = f"wikigold:{number}", bool(rng.random() < 0.7)
        if held:
            entities.append(Entity(id, some[0].surface, types=(kind,), description=some[0].text))
        for one in some[1:]:
            # Its type is not told: a linker has to find out.
            surface, form = _said(one.surface, rng)
            text = f"{one.text[: one.start]}{surface}{one.text[one.end :]}"
            there = Mention(text, one.start, one.start + len(surface))
            asked.append(Asked(there, id if held else None, form, id))
    return entities, asked, {name for name, _ in mentions}


def record_pairs(data: Path, name: str) -> dict[str, list[Pair]]:
    """Return the pairs of one of Ditto's sets by part, without Fodors-Zagats' `class`: it numbers the answer."""
    folder = data / "ditto_em" / name
    return {
        part: [Pair(_without(one.left), _without(one.right), one.same) for one in ditto_pairs(folder / f"{part}.txt")]
        for part in ("train", "valid", "test")
    }


def _without(record: object) -> dict[str, str]:
    assert isinstance(record, dict)
    return {name: value for name, value in record.items() if name != "class"}


def _entity(id: str) -> Entity:
    name = id.removeprefix("<dbpedia:").removesuffix(">").replace("_", " ")
    found = _BRACKETS.match(name)
    if found and found[1]:
        return Entity(id, found[1], types=(found[2],))
    return Entity(id, name)


def _said(surface: str, rng: np.random.Generator) -> tuple[str, str]:
    words = surface.split()
    drawn = float(rng.random())
    if drawn < 0.2 and len(words) > 1 and len(words[-1]) > 2:
        return words[-1], "last word"
    if drawn < 0.3 and len(words) > 2:
        return initials(normalised(surface)).upper(), "initials"
    if drawn < 0.45 and len(surface) > 4:
        return _typo(surface, rng), "typo"
    return surface, "same"


def _typo(name: str, rng: np.random.Generator) -> str:
    """Return a name with a letter left out, put in or changed, so that it is another one."""
    changed = name
    while normalised(changed) == normalised(name) or not changed.strip():
        at, letter = int(rng.integers(len(name))), LETTERS[int(rng.integers(26))]
        changed = name[:at] + ("", letter + name[at], letter)[int(rng.integers(3))] + name[at + 1 :]
    return changed


def _sentences(path: Path) -> list[tuple[str, list[tuple[int, int, str]]]]:
    """Return the sentences with the places and kinds of their names."""
    found = []
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        text, spans, kind = "", [], ""
        for line in block.splitlines():
            word, _, tag = line.strip().partition(" ")
            if not word or word == "-DOCSTART-":
                continue
            text += " " if text else ""
            now = tag.partition("-")[2]
            if now and (now != kind or tag.startswith("B-")):
                spans.append((len(text), len(text) + len(word), now))
            elif now:
                spans[-1] = (spans[-1][0], len(text) + len(word), now)
            kind = now
            text += word
        if text:
            found.append((text, spans))
    return found
