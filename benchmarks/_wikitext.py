"""WikiText-2's evaluation part as articles, and the split into those to learn from and those to measure on."""

from __future__ import annotations

import re
from pathlib import Path

from pilotfish.rows.split import split

__all__ = ["articles", "parts"]

_TITLE = re.compile(r"^ = [^=].*[^=] = $", re.MULTILINE)


def articles(data: Path) -> list[str]:
    """Return the articles of both files, headings included."""
    found = []
    for name in ("valid.txt", "test.txt"):
        text = (data / "wikitext2_eval" / name).read_text(encoding="utf-8")
        starts = [match.start() for match in _TITLE.finditer(text)]
        found += [text[start:end].strip() for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    return [article for article in found if len(article) > 200]


def parts(data: Path, seed: int = 0) -> tuple[list[str], list[str]]:
    """Return the articles to learn from, and a fifth to measure on."""
    found = articles(data)
    rows = split(len(found), {"train": 0.8, "test": 0.2}, seed)
    return [found[i] for i in rows["train"]], [found[i] for i in rows["test"]]
