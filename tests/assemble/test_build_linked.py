"""Models that link mentions, by a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pilotfish import ask
from pilotfish.assemble import Collaboration
from pilotfish.compete.entities import LinkedModel, Linker
from pilotfish.errors import ConfigError, ModelError
from tests.compete.entities.made import base_of, mentions

pytest.importorskip("rapidfuzz")
pytest.importorskip("bm25s")
TEXT = "[[Mercury]] wore winged sandals"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with base_of(tmp_path / "base") as base:
        Linker(base).fit(mentions()).calibrate(mentions()).save(tmp_path / "linker")
    return tmp_path


def file(folder: Path, **linked: Any) -> Collaboration:
    table = {"use": "linked", "entities": "base", **linked}
    big = {"use": "recorded", "path": "log.jsonl"}
    return Collaboration({"models": {"linked": table, "big": big}}, folder=folder)


def test_a_linker_and_a_large_model(folder: Path) -> None:
    model = file(folder, linker="linker").model("linked")
    assert isinstance(model, LinkedModel) and model.large is None
    reply = ask(model, TEXT)
    assert json.loads(reply.text)["entities"][0]["id"] == "god"
    (folder / "log.jsonl").write_text('{"prompt": "never", "reply": "A"}\n')
    with_large = file(folder, linker="linker", large="big", above=1.0, shown=2).model("linked")
    assert isinstance(with_large, LinkedModel) and with_large.large is not None
    with pytest.raises(ModelError):  # it was never asked that
        ask(with_large, TEXT)
    assert isinstance(file(folder, ways=["names"]).model("linked"), LinkedModel)


def test_mistakes(folder: Path) -> None:
    with pytest.raises(ConfigError, match="leave `ways` out"):
        file(folder, linker="linker", ways=["names"]).model("linked")
    with pytest.raises(ModelError, match="no knowledge base"):
        file(folder, entities="nowhere").model("linked")
    with pytest.raises(ModelError, match="not a saved linker"):
        file(folder, linker="base").model("linked")
    with pytest.raises(ConfigError, match="entitties"):
        Collaboration({"models": {"x": {"use": "linked", "entitties": "base"}}}, folder=folder)
    with pytest.raises(ConfigError, match="bigg"):
        file(folder, large="bigg")
