"""The guide to repair: its tables load, and it names every plug-in, way and setting."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from pilotfish.assemble import Collaboration
from pilotfish.assemble._specs_repair import PLUGINS, WAYS
from pilotfish.repair import Context

TEXT = (Path(__file__).parents[2] / "docs" / "guides" / "repair.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_every_table_loads() -> None:
    model, teaching = (tomllib.loads(block) for block in blocks("toml"))
    assert Collaboration(model).spec("safe").use == "repaired"  # type: ignore[attr-defined]
    assert Collaboration(teaching).repair is not None


def test_every_plugin_way_and_setting_is_named() -> None:
    table = dict(re.findall(r"^\| `([\w-]+)` \|(.*)$", TEXT, re.MULTILINE))
    assert table.keys() - {"use", "way"} == {*PLUGINS, *WAYS}
    for name, (must, may) in (PLUGINS | WAYS).items():
        for setting in (*must, *may):
            assert f"`{setting}`" in table[name] or setting in ("function",), (name, setting)


def test_its_function_is_a_plugin() -> None:
    (code,) = blocks("python")
    space: dict[str, object] = {}
    exec(code, space)
    (span,) = space["shouting"]("Oh! No.", Context())  # type: ignore[operator]
    assert (span.start, span.end) == (2, 3)
