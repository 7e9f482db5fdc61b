"""Texts that are good, and texts that are not, for tests of classifiers."""

from __future__ import annotations

import random

NOUNS = (
    "harbour",
    "river",
    "council",
    "school",
    "engine",
    "garden",
    "treaty",
    "bridge",
    "island",
    "teacher",
    "winter",
    "paper",
    "market",
    "village",
    "song",
)
VERBS = "was built", "had been seen", "became known", "is described", "was opened", "came under", "fell into"
PLACES = "in the north", "near the coast", "by the old town", "after the war", "during the summer", "of the province"
MENU = (
    "home",
    "login",
    "cart",
    "share",
    "subscribe",
    "free",
    "click",
    "offer",
    "win",
    "now",
    "download",
    "cookies",
    "menu",
    "next",
    "previous",
)


def good(dice: random.Random) -> str:
    """Return a few sentences."""
    made = []
    for _ in range(dice.randrange(3, 7)):
        first, second = dice.sample(NOUNS, 2)
        made.append(f"The {first} {dice.choice(VERBS)} {dice.choice(PLACES)}, and the {second} {dice.choice(VERBS)}.")
    return " ".join(made)


def bad(dice: random.Random) -> str:
    """Return menus, shouting, or good words without order."""
    kind = dice.randrange(3)
    if kind == 0:
        return " | ".join(dice.choices(MENU, k=dice.randrange(8, 20)))
    if kind == 1:
        return " ".join(f"{word}!!!" for word in dice.choices(MENU, k=dice.randrange(8, 20)))
    words = good(dice).split()
    dice.shuffle(words)
    return " ".join(words)


def both(count: int, seed: int = 0) -> tuple[list[str], list[bool]]:
    """Return `count` texts, half of them good, in a mixed order."""
    dice = random.Random(seed)
    found = [(good(dice), True) if i % 2 else (bad(dice), False) for i in range(count)]
    dice.shuffle(found)
    return [text for text, _ in found], [kind for _, kind in found]
