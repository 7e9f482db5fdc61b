"""Models named on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotfish.assemble import model_of
from pilotfish.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("openai:gpt-4.1", {"use": "openai", "model": "gpt-4.1"}),
        ("all-minilm-l6-v2", {"use": "encoder", "weights": "all-minilm-l6-v2"}),
        ("smollm2-135m-instruct", {"use": "local", "weights": "smollm2-135m-instruct"}),
        ("hf:org/name", {"use": "local", "weights": "hf:org/name"}),
    ],
)
def test_a_name_tells_the_kind(name: str, table: dict[str, str]) -> None:
    assert model_of(name) == (table["use"], table)


def test_a_folder_is_told_by_what_is_in_it(tmp_path: Path) -> None:
    for file, kind in (("modules.json", "encoder"), ("classifier.json", "classifier"), ("config.json", "local")):
        folder = tmp_path / kind
        folder.mkdir()
        (folder / file).write_text("{}")
        assert model_of(str(folder))[0] == kind


def test_an_endpoint_needs_a_model() -> None:
    with pytest.raises(ConfigError, match="openai:"):
        model_of("openai:")
