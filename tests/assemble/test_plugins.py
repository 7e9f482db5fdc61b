"""Kinds of models from other packages, found by their entry points."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pilotfish import ask
from pilotfish.assemble import Collaboration
from pilotfish.assemble.plugins import plugins
from pilotfish.errors import ConfigError
from tests.plugins import install


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package of `tests/plugin_package`, importable for one test."""
    monkeypatch.syspath_prepend(str(install(tmp_path / "site")))
    plugins.cache_clear()
    yield tmp_path
    plugins.cache_clear()


def test_a_plugin_builds_over_the_files_other_models(installed: Path) -> None:
    (installed / "log.jsonl").write_text('{"prompt": "a", "reply": "b"}\n')
    models = {"old": {"use": "recorded", "path": "log.jsonl"}, "polly": {"use": "parrot", "of": "old", "times": 3}}
    file = Collaboration({"models": models}, folder=installed)
    reply = ask(file.model("polly"), "a")
    assert reply.text == "b b b"
    assert [call.model for call in reply.trace.calls] == ["old"]
    assert [decision.verdict for decision in reply.trace.decisions] == ["repeated"]


def test_a_plugin_that_does_not_load_is_named(installed: Path) -> None:
    with pytest.raises(ConfigError, match="the package pilotfish-parrot that brings it does not load: No module"):
        Collaboration({"models": {"x": {"use": "torn"}}}).model()


def test_a_slip_in_its_name_is_told(installed: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown use 'parot'; did you mean 'parrot'\?"):
        Collaboration({"models": {"x": {"use": "parot"}}})
    plugins.cache_clear()


def test_without_the_package_its_kind_is_unknown() -> None:
    plugins.cache_clear()
    with pytest.raises(ConfigError, match="unknown use 'parrot'; "):
        Collaboration({"models": {"x": {"use": "parrot"}}})
