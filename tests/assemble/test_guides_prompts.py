"""The guide to prompts and its example: the tables are such as the file takes, the Python is Python."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from pilotfish.assemble import Collaboration
from pilotfish.assemble._specs_enhance import ENHANCE
from pilotfish.prompt.demonstrate import Demonstrated

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "guides" / "prompts.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_every_table_loads() -> None:
    first, *others = [tomllib.loads(block) for block in blocks("toml")]
    assert Collaboration(first, where="the first").default == "assistant" and len(others) == 5
    kinds = {str(table["use"]) for table in first["models"].values()}
    for block in others:
        block["models"] = {**first["models"], **block.get("models", {})}
        kinds |= {str(table["use"]) for table in block["models"].values()}
        made = Collaboration(block, where=str(block))
        assert made.prompts is not None or "instructed" in made.names
    assert set(ENHANCE) <= kinds


def test_its_python_is_python() -> None:
    for block in blocks("python"):
        compile(block, "the guide", "exec")
    assert "@@" not in TEXT


def test_the_example_chooses_from_the_embedded_rows() -> None:
    models = Collaboration.load(ROOT / "examples" / "prompts" / "prompts.toml")
    assert models.prompts is not None and models.prompts.soft is not None
    shown = models.model("shown")
    assert isinstance(shown, Demonstrated)
    (chosen,) = shown.chooser.choose(["Where is the parcel I ordered last week?"])
    near = [shown.chooser.pool.demonstrations[place].output for place in chosen.places]
    assert len(near) == 8 and near[0] in models.table("assistant")["labels"]
    assert set(models.table("assistant")["labels"]) == set(shown.chooser.pool.outputs)
