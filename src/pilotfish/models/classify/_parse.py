"""Read a label out of what a black-box model wrote, or say that there is none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

# Where a JSON answer has several values, the one under such a key is the label.
KEYS = ("label", "category", "class", "intent", "answer")


def plain(text: str) -> str:
    """Return a text in lower case with runs of anything but letters and digits as single spaces."""
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


def parse_label(answer: str, names: Mapping[str, str]) -> str | None:
    """Return the label that an answer names, or None.

    Args:
        answer: the model's text.
        names: label -> the name the prompt showed.

    In order: a JSON object's value; the whole answer; its first line (each first as it is, so that `+1` is not `-1`,
    then by letters and digits alone); the one label that stands in the text as whole words (of labels that contain one
    another the longest counts). Two different labels are no answer, nor are words that two labels share.
    """
    exact = _unique([(_exact(name), label) for label, name in names.items()])
    exact = _unique([(_exact(label), label) for label in names]) | exact
    words = _unique([(plain(name), label) for label, name in names.items()])
    words = _unique([(plain(label), label) for label in names]) | words
    for candidate in (*_json_values(answer), answer, answer.strip().partition("\n")[0]):
        found = exact.get(_exact(candidate)) or words.get(plain(candidate))
        if found is not None:
            return found
    text = plain(answer)
    hits: set[str] = set()
    for name in sorted(words, key=len, reverse=True):
        # What a longer label has used is taken out, so that "card" is not found inside "card arrival".
        text, count = re.subn(rf"(?<!\w){re.escape(name)}(?!\w)", "\0", text)
        if count:
            hits.add(words[name] or "")
    return (hits.pop() or None) if len(hits) == 1 else None


def _exact(text: str) -> str:
    """Return a text in lower case without the space, quotes, full stops and emphasis that models put around a label."""
    return " ".join(text.casefold().split()).strip(" \"'`*.")


def _unique(pairs: list[tuple[str, str]]) -> dict[str, str | None]:
    """Return key -> label, with None for keys that two labels share and without the empty key."""
    found: dict[str, str | None] = {}
    for key, label in pairs:
        if key:
            found[key] = label if found.get(key, label) == label else None
    return found


def _json_values(answer: str) -> list[str]:
    """Return what a JSON object in the answer gives as the label: its only value, or the one under a usual key."""
    found = re.search(r"\{.*\}", answer, re.DOTALL)
    if not found:
        return []
    try:
        data = json.loads(found.group())
    except ValueError:
        return []
    values = [data[key] for key in KEYS if key in data] or (list(data.values()) if len(data) == 1 else [])
    return [value if isinstance(value, str) else json.dumps(value) for value in values[:1]]
