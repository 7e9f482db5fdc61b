from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pilotfish.assemble import Collaboration
from pilotfish.assemble._build_fit import fit_settings, fit_task
from pilotfish.assemble._specs_fit import FitSpec
from pilotfish.errors import ConfigError, ModelError
from pilotfish.rows import Rejects

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "constrained.md").read_text(encoding="utf-8")


def spec(**given: Any) -> FitSpec:
    found = Collaboration({"fit": {"rows": "rows.jsonl", **given}}).fit
    assert found is not None
    return found


def test_columns_say_what_the_rows_are() -> None:
    assert spec(text="t", label="l", names={"0": "no"}).sort == "classes"
    assert spec(a="x", b="y", score="s").sort == "similarity"
    assert spec(prompt="q", choices="o", answer="a").sort == "choices"
    assert spec(text="t").sort == "text"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "the columns by text needs `text`"),
        ({"label": "l"}, "the columns by classes needs `text`"),
        ({"a": "x", "b": "y"}, "needs `score`"),
        ({"text": "t", "label": "l", "answer": "a"}, "by classes takes no `answer`"),
        ({"text": "t", "test": "held.jsonl"}, "by text takes no `test`"),
        ({"text": "t", "runtimes": ["onx"]}, "runtimes.0"),
        ({"text": "t", "memori": "2GiB"}, "unknown key 'fit.memori'; did you mean 'memory'"),
    ],
)
def test_columns_that_do_not_go_together(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        spec(**given)
    assert said in str(caught.value)


def test_limits_of_a_table() -> None:
    settings = fit_settings(spec(text="t", memory="2GiB", p95=0.2, rows_per_day=1000, batch=8, precisions=["int8"]))
    assert settings.limits.given == {"memory": 2 * 2**30, "p95": 0.2, "rows_per_day": 1000}
    assert settings.how.batch == 8 and settings.precisions == ("int8",)
    with pytest.raises(ConfigError, match="a size is written"):
        fit_settings(spec(text="t", disk="small"))


def test_rows_are_read_beside_the_file(tmp_path: Path) -> None:
    rows = [{"q": "2 + 2 =", "o": ["3", "4"], "a": 1}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    task = fit_task(spec(prompt="q", choices="o", answer="a"), tmp_path, Rejects())
    assert task.rows == ({"prompt": "2 + 2 =", "choices": ["3", "4"], "answer": 1},)


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    models = Collaboration({"models": {"x": {"use": "fitted", "path": "nowhere"}}}, folder=tmp_path)
    with pytest.raises(ModelError, match="nowhere: not a saved fitted model"):
        models.model("x")


def test_an_encoder_answers_no_requests(tmp_path: Path, tiny_encoder_folder: Path) -> None:
    from pilotfish.compete.constrained import FitTask, Way
    from pilotfish.compete.constrained.export import Exporter, source_of

    task = FitTask("similarity", ({"a": "x", "b": "y", "score": 1.0},))
    made = Exporter(task, tmp_path).export(source_of(str(tiny_encoder_folder)), Way("torch", "fp32"))
    models = Collaboration({"models": {"x": {"use": "fitted", "path": made.name}}}, folder=tmp_path)
    with pytest.raises(ConfigError, match="gives vectors and answers no requests"):
        models.model("x")


def test_the_guide_is_true() -> None:
    tables = [tomllib.loads(block) for block in re.findall(r"^```toml\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)]
    files = [Collaboration(table, where="the guide") for table in tables]
    assert files[0].fit is not None and files[1].names == ["fitted"]
    assert fit_settings(files[0].fit).limits.given["rows_per_day"] == 2_000_000
    for block in re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL):
        compile(block, "the guide", "exec")
    columns = {"rows", "models", "text", "label", "test", "names", "test_share", "a", "b", "score", "prompt"}
    others = {"choices", "answer", "out", "format", "encoding", "seed"}
    for name in set(FitSpec.model_fields) - columns - others:
        assert f"`{name}`" in GUIDE, name
