"""`[judge]`: judges as the table says, and the guide's table and code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pilotfish.assemble import Collaboration
from pilotfish.assemble._build_judges import build_judges, rubric_of
from pilotfish.errors import ConfigError
from pilotfish.evaluate.judge import Pairwise, Pointwise

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "judges.md"
MODELS = {name: {"use": "openai", "model": name, "base_url": "http://127.0.0.1:9"} for name in ("small", "other")}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def collaboration(**table: Any) -> Collaboration:
    return Collaboration({"models": MODELS, "judge": table})


def test_the_guide_s_table_and_code(tmp_path: Path) -> None:
    (table,) = blocks("toml")
    models = Collaboration({"models": MODELS, **tomllib.loads(table)})
    assert models.judge is not None
    judges = build_judges(models.judge, models, tmp_path)
    assert list(judges) == ["small", "other"] and all(isinstance(one, Pointwise) for one in judges.values())
    rubric = rubric_of(models.judge)
    assert rubric.meanings == {1: "not at all", 5: "wholly"} and list(rubric.criteria) == ["facts", "tone"]
    for block in blocks("python"):
        compile(block, "the guide", "exec")


def test_settings_reach_the_judges(tmp_path: Path) -> None:
    table = {"models": ["small"], "criteria": {"x": ""}, "max_tokens": 9, "settings": {"seed": 3}, "explain": True}
    models = collaboration(**table, against="b", ties=False)
    assert models.judge is not None
    judge = build_judges(models.judge, models, tmp_path)["small"]
    assert isinstance(judge, Pairwise) and judge.explain and not judge.ties
    request = judge.asks("q", "a", "b")
    assert (request.max_tokens, request.seed, request.temperature) == (9, 3, 0.0)
    assert judge.store == tmp_path / "small.sqlite"
    models = collaboration(**table, samples=3, temperature=0.5)
    assert models.judge is not None
    point = build_judges(models.judge, models, tmp_path)["small"]
    assert isinstance(point, Pointwise) and point.samples == 3 and point.settings["temperature"] == 0.5


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"criteria": {"x": ""}, "models": ["small", "small"]}, "judges twice"),
        ({"models": ["small"]}, "give `criteria`"),
        ({"models": ["small"], "criteria": {"x": ""}, "meanings": {"much": "x"}}, "meanings are of whole numbers"),
        ({"models": ["small"], "criteria": {"x": ""}, "samples": 3}, "several samples"),
        ({"criteria": {"x": ""}}, "say which with --model"),
    ],
)
def test_what_does_not_fit(table: dict[str, Any], said: str, tmp_path: Path) -> None:
    models = collaboration(**table)
    assert models.judge is not None
    with pytest.raises(ConfigError, match=said):
        build_judges(models.judge, models, tmp_path)


def test_an_unknown_judge_is_told_when_the_file_is_read() -> None:
    with pytest.raises(ConfigError, match="'smal': no such model; did you mean 'small'"):
        collaboration(models=["smal"])
