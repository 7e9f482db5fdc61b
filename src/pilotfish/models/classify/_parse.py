"""Read a label out of what a black-box model wrote, or say that there is none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping


def plain(text: str) -> str:
    """Return a text in lower case with runs of anything but letters and digits as single spaces."""
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


def parse_label(answer: str, names: Mapping[str, str]) -> str | None:
    """Return the label that an answer names, or None.

    Args:
        answer: the model's text.
        names: label -> the name the prompt showed.

    In order: a JSON object's only string value; the whole answer; its first line; the one label that stands in the
    text as whole words (of labels that contain one another the longest counts). Two different labels are no answer.
    """
    known: dict[str, str] = {}
    for label, name in names.items():
        known.setdefault(plain(name), label)
    for label in names:
        known.setdefault(plain(label), label)
    candidates = [answer, answer.strip().partition("\n")[0]]
    found = re.search(r"\{.*\}", answer, re.DOTALL)
    if found:
        try:
            values = [value for value in json.loads(found.group()).values() if isinstance(value, str)]
        except (ValueError, AttributeError):
            values = []
        if len(values) == 1:
            candidates.insert(0, values[0])
    for candidate in candidates:
        if plain(candidate) in known:
            return known[plain(candidate)]
    text = f" {plain(answer)} "
    hits: set[str] = set()
    for name in sorted(known, key=len, reverse=True):
        if name and f" {name} " in text:
            hits.add(known[name])
            text = text.replace(f" {name} ", " \x00 ")
    return hits.pop() if len(hits) == 1 else None
