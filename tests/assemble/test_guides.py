"""The guide to synthesis: its tables are files that load, and its recipes are all that there are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from pilotfish.assemble import Collaboration
from pilotfish.assemble._specs_synthesize import RECIPES

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "synthesize.md"
UNSHARED = ("model", "out", "rows", "budget")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_every_table_loads() -> None:
    first, *others = [tomllib.loads(block) for block in blocks("toml")]
    assert Collaboration(first, where="the first").synthesize is not None and len(others) >= 8
    for block in others:
        # A table stands where the first block's stands; one with settings of its own brings all of them.
        own: dict[str, Any] = block["synthesize"]
        shared = {} if any(key in own for key in UNSHARED) else {"model": "large", "out": "made"}
        file = Collaboration({"models": first["models"], "synthesize": {**shared, **own}}, where=str(own))
        assert file.synthesize is not None and file.synthesize.recipe in own


def test_every_recipe_is_named() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in RECIPES if name != "labels") and "labels.md" in text


def test_its_python_is_python() -> None:
    for block in blocks("python"):
        compile(block, "the guide", "exec")
