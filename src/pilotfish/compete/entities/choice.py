"""A large language model asked which of a few candidates a mention is of, or none of them, by a letter.

Source: after Li et al. 2025 (ARTER), who let a large model reason over the retrieved candidates alone; here it answers
with a letter, so that the answer costs a token.
"""

from __future__ import annotations

import re

from pilotfish.compete.entities.entity import Entity
from pilotfish.compete.entities.linked import Linked
from pilotfish.errors import ConfigError
from pilotfish.model import Request
from pilotfish.models.choosing import CHOICES

__all__ = ["NONE", "QUESTION", "letters", "question", "read"]

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
NONE = "none of these"
QUESTION = """Text: {text}

Who or what is meant by "{mention}", which stands in [[ ]] in the text?
{choices}

Answer with one letter."""
_AROUND, _ABOUT = 400, 200  # characters of the text on each side, and of a candidate
_END = r"(?=\s*$|\s*\n|[^\w\s'’])"  # so that "A planet" and "I think" are no letters
_FIRST = re.compile(rf"^\W*([A-Z]){_END}")
_LAST = re.compile(rf"(?i:\b(?:answer|letter|choice)\b\W*(?:is\W*)?)\b([A-Z]){_END}")
_NONE = re.compile(r"^\W*none of (?:these|them)\b", re.IGNORECASE)
_PLACE = re.compile(r"\{(text|mention|choices)\}")


def letters(shown: int) -> list[str]:
    """Return the letters of so many candidates and of none of them."""
    return list(LETTERS[: shown + 1])


def question(linked: Linked, shown: int, prompt: str = QUESTION, *, choosing: bool = False) -> Request:
    """Return what the large model is asked: the text, and the likeliest candidates by letters.

    Args:
        linked: what the linker made of the mention.
        shown: how many candidates, at most 25.
        prompt: with the places {text}, {mention} and {choices}.
        choosing: whether the model picks among given answers (`Choosing`).

    Raises:
        ConfigError: more candidates than letters.
    """
    if not 1 <= shown < len(LETTERS):
        raise ConfigError(f"1 to {len(LETTERS) - 1} candidates are shown, not {shown}")
    mention, candidates = linked.mention, linked.candidates[:shown]
    lines = [_about(entity) for entity in candidates] + [NONE]
    choices = "\n".join(f"{letter}. {line}" for letter, line in zip(LETTERS, lines, strict=False))
    start, end = max(0, mention.start - _AROUND), mention.end + _AROUND
    before, after = mention.text[start : mention.start], mention.text[mention.end : end]
    told = {"text": f"{before}[[{mention.surface}]]{after}", "mention": mention.surface, "choices": choices}
    # In one go: texts and candidates may hold braces of their own.
    asked = _PLACE.sub(lambda place: told[place.group(1)], prompt)
    extra = {CHOICES: letters(len(candidates))} if choosing else {}
    return Request.of(asked, max_tokens=8, temperature=0.0, extra=extra)


def read(said: str, candidates: int) -> int | None:
    """Return the place of the candidate that an answer names, `candidates` for none of them, None for no answer."""
    found = _FIRST.search(said) or _LAST.search(said)
    if found is None:
        return candidates if _NONE.search(said) else None
    place = LETTERS.index(found.group(1))
    return place if place <= candidates else None


def _about(entity: Entity) -> str:
    text = " ".join(entity.text.split())
    return text if len(text) <= _ABOUT else f"{text[:_ABOUT].rsplit(' ', 1)[0]} …"
