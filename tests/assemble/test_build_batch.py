"""`use = "batch"`: the table, and the guide to it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pilotfish.assemble import Collaboration
from pilotfish.errors import ConfigError
from pilotfish.model import Price
from pilotfish.models.batch import BatchModel
from pilotfish.rows.model_stage import concurrency_of

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "batch.md"
TABLE: dict[str, Any] = {"use": "batch", "model": "gpt", "base_url": "http://localhost:1/v1"}


def built(**more: Any) -> BatchModel:
    model = Collaboration({"models": {"large": TABLE | more}}, folder=Path("/somewhere")).model()
    assert isinstance(model, BatchModel)
    return model


def test_every_key_arrives() -> None:
    keys: dict[str, Any] = {
        "api": "completions",
        "key_env": "K",
        "key_header": "api-key",
        "timeout": 3,
        "connect_timeout": 4,
        "deadline": 5,
        "retries": 6,
        "headers": {"X": "y"},
        "extra": {"k": 1},
        "limit_field": "most",
        "window": "1h",
        "gather": 0,
        "poll": 7,
        "most_requests": 8,
        "most_bytes": 9,
        "progress": False,
    }
    model = built(**keys, folder="journal", price={"input": 1, "output": 2})
    assert {name: getattr(model, name) for name in keys} == keys
    assert (model.price, model.name, model.settings.folder) == (Price(1, 2), "large", Path("/somewhere/journal"))
    assert built().settings.folder.parent.name == "batches"


def test_it_takes_a_whole_batch_at_once() -> None:
    assert concurrency_of(built(), None) == 100_000 and concurrency_of(built(concurrency=7), None) == 7


@pytest.mark.parametrize("key", ["cache", "discount"])
def test_what_would_not_be_looked_at_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"\[models.large\].*'{key}'"):
        built(**{key: 1})


@pytest.mark.parametrize(("key", "value"), [("gather", -1), ("poll", 0), ("most_requests", 0), ("window", "")])
def test_wrong_values_are_refused(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=key):
        built(**{key: value})


def test_a_run_goes_on_though_the_means_changed() -> None:
    file = Collaboration({"models": {"large": TABLE | {"window": "1h", "folder": "x", "poll": 3.0, "extra": {"k": 1}}}})
    assert file.answers_by("large") == {"large": {"use": "batch", "model": "gpt", "extra": {"k": 1}}}


def test_the_guide_holds() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    for block in re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        data = tomllib.loads(block)
        assert isinstance(Collaboration(data).model("large"), BatchModel)
        named = set(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", text, re.MULTILINE))
        assert len(named) >= 6
        for key, default in named:
            assert default.strip().replace(",", "") in ("", str(getattr(BatchModel("m"), key))), key
    for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        compile(block, "the guide", "exec")
