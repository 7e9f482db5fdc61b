"""The guide to metrics: its tables load, its Python compiles, every kind is named."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from pilotfish.assemble import Collaboration
from pilotfish.assemble._specs_metrics import METRICS

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "metrics.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def test_every_table_loads_and_every_kind_is_named() -> None:
    (block,) = blocks("toml")
    assert set(Collaboration(tomllib.loads(block), where="the guide").metrics) == {
        "near",
        "likely",
        "entailed",
        "borne-out",
        "claimed",
        "fluent",
        "liked",
        "words",
    }
    assert all(f"`{name}`" in GUIDE for name in METRICS)


def test_its_python_is_python() -> None:
    assert len(blocks("python")) >= 2
    for block in blocks("python"):
        compile(block, "the guide", "exec")
