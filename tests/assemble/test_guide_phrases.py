"""The guide to phrases: its tables are such as the file takes, its kinds all that there are, its names are there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pilotfish.compete.phrases as module
from pilotfish.assemble import Collaboration
from pilotfish.assemble._specs_phrases import PhrasesSpec
from pilotfish.compete.phrases.mine import KINDS, USUAL

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "phrases.md").read_text(encoding="utf-8")


def test_its_tables_are_checked() -> None:
    first, second = (tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL))
    spec = Collaboration(first, where="the first").phrases
    assert spec is not None and spec.out == "phrases" and spec.ask == 500
    other = Collaboration(second, where="the second")
    assert other.retrieval is not None and other.names == ["small"]


def test_its_kinds_and_settings_are_all_that_there_are() -> None:
    kinds, settings = GUIDE.split("The usual kinds")
    assert set(re.findall(r"^\| `([a-z]+)` \|", kinds, re.MULTILINE)) == set(KINDS)
    assert set(KINDS) - set(USUAL) == {"apposition", "typo"}
    rows = [row.split("|")[1] for row in settings.splitlines() if row.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named <= set(PhrasesSpec.model_fields)
    assert set(PhrasesSpec.model_fields) - named <= {
        "encoder", "out", "kinds", "language", "concurrency", "type_weight", "temperature", "max_length",
    }  # fmt: skip


def test_its_python_names_what_is_there() -> None:
    imported = re.search(r"from pilotfish.compete.phrases import (.*)", GUIDE)
    assert imported is not None
    assert set(imported.group(1).split(", ")) <= set(module.__all__)
