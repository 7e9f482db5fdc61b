"""The tables of the guides on passages and on knowledge are such as the file takes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from pilotfish.assemble import Collaboration

GUIDES = Path(__file__).parents[2] / "docs" / "guides"


@pytest.mark.parametrize(("guide", "count"), [("rag.md", 1), ("knowledge.md", 2), ("compression.md", 3)])
def test_the_guide_s_tables_are_checked(guide: str, count: int) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", (GUIDES / guide).read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == count
    for block in blocks:
        models = Collaboration(tomllib.loads(block), where=guide)
        assert models.default == "assistant"
