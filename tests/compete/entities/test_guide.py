"""The guide to entities: its table is a file that loads, its rows are entities, its Python runs."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pilotfish.assemble.specs import SPECS
from pilotfish.compete.entities import Entity, Linker
from pilotfish.compete.entities.match import serialised
from tests.compete.entities.made import base_of, mentions
from tests.compete.entities.match.test_matcher import made

TEXT = (Path(__file__).parents[3] / "docs" / "guides" / "entities.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", TEXT, re.DOTALL)


def test_rows_and_tables() -> None:
    (rows,) = blocks("jsonl")
    assert [Entity.of_row(json.loads(line)).id for line in rows.splitlines()] == ["Q308", "Q925"]
    (table,) = blocks("toml")
    told: dict[str, Any] = tomllib.loads(table)["models"]
    SPECS["linked"].model_validate(told["linked"])
    held = set(SPECS["linked"].model_fields) - {"use", "concurrency"}
    assert held == {name for name in held if f"`{name}`" in TEXT}


def test_its_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    with base_of(tmp_path / "kb") as base:
        Linker(base).fit(mentions()).calibrate(mentions()).save(tmp_path / "linker")
    for seed, name in enumerate(("train", "valid", "test")):
        lines = [f"{serialised(p.left)}\t{serialised(p.right)}\t{int(bool(p.same))}\n" for p in made(120, seed)]
        (tmp_path / f"{name}.txt").write_text("".join(lines))
    (code,) = blocks("python")
    exec(compile(code, "the guide", "exec"), {})
    said = capsys.readouterr().out
    assert "id='metal'" in said and "120 pairs, 40 of the same thing" in said and said.strip().endswith("1 0.0")
