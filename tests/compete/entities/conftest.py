"""The small knowledge base, opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pilotfish.compete.entities import EntityBase
from tests.compete.entities.made import base_of

pytest.importorskip("rapidfuzz")
pytest.importorskip("bm25s")


@pytest.fixture
def base(tmp_path: Path) -> Iterator[EntityBase]:
    with base_of(tmp_path / "base") as made:
        yield made
