"""Collaboration files: references, circles, defaults, and what tells one file's answers from another's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish import ask
from pilotfish.assemble import Collaboration
from pilotfish.assemble.specs import MEANS, SPECS
from pilotfish.errors import ConfigError, ModelError
from pilotfish.infer import Cascade
from pilotfish.models.remote import RemoteModel

LEAF = {"use": "recorded", "path": "log.jsonl"}


def cascade(small: str, large: str) -> dict[str, Any]:
    return {"use": "cascade", "small": small, "large": large, "accept": {"score": "confidence", "above": 0.5}}


def test_a_nested_file_builds_each_model_once(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"prompt": "a", "reply": "b"}\n')
    models = {"x": LEAF, "y": LEAF, "inner": cascade("x", "y"), "outer": cascade("inner", "x")}
    file = Collaboration({"models": models, "default": "outer"}, folder=tmp_path)
    outer = file.model()
    assert isinstance(outer, Cascade)
    assert isinstance(outer.small, Cascade)
    assert outer.small.small is outer.large
    assert file.model("inner") is outer.small
    assert outer.name == "outer"
    assert ask(file.model("x"), "a").text == "b"


def test_every_key_of_a_local_model_reaches_it() -> None:
    settings = {"quantize": "int8", "backend": "torch", "max_rows": 3, "max_tokens": 9, "batch_tokens": 64}
    local = Collaboration({"models": {"x": {"use": "local", "weights": "anything", **settings}}}).model()
    assert {key: getattr(local, key) for key in settings} == settings


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=8, max_size=8))
def test_circles_are_found_and_only_circles(edges: list[tuple[int, int]]) -> None:
    """Node n is a cascade over two others; a file without a circle needs each to point further down."""
    models = {f"m{n}": cascade(f"m{a}", f"m{b}") for n, (a, b) in enumerate(edges)}
    # Eight nodes with edges out of each cannot but hold a circle.
    with pytest.raises(ConfigError, match=r"refer to each other in a circle: m\d -> "):
        Collaboration({"models": models})
    down = {f"m{n}": cascade(f"m{max(a, n + 1)}", f"m{max(b, n + 1)}") for n, (a, b) in enumerate(edges)}
    Collaboration({"models": {**down, "m8": LEAF}})


def test_the_circle_is_shown() -> None:
    models = {"a": cascade("b", "c"), "b": cascade("c", "a"), "c": LEAF}
    with pytest.raises(ConfigError, match=r"a -> b -> a$"):
        Collaboration({"models": models})


@pytest.mark.parametrize(
    ("data", "default"),
    [
        ({"models": {"x": LEAF}}, "x"),
        ({"models": {"x": LEAF, "assistant": LEAF}}, "assistant"),
        ({"models": {"x": LEAF, "assistant": LEAF}, "default": "x"}, "x"),
    ],
)
def test_the_default_model(data: dict[str, Any], default: str) -> None:
    assert Collaboration(data).default == default


def test_without_a_default_it_must_be_said() -> None:
    with pytest.raises(ConfigError, match="say which with --model"):
        _ = Collaboration({"models": {"x": LEAF, "y": LEAF}}).default
    with pytest.raises(ConfigError, match="no models in it"):
        _ = Collaboration({}).default
    with pytest.raises(ConfigError, match=r"no model 'z'; did you mean|no model 'z'; known: x"):
        Collaboration({"models": {"x": LEAF}}).model("z")


def test_answers_by_follows_parts_and_leaves_out_the_means() -> None:
    remote = {"use": "openai", "model": "gpt", "base_url": "http://a/v1", "timeout": 3.0, "extra": {"k": 1}}
    models = {"r": remote, "s": LEAF, "c": cascade("r", "s"), "other": LEAF}
    found = Collaboration({"models": models}).answers_by("c")
    assert set(found) == {"c", "r", "s"}
    assert found["r"] == {"use": "openai", "model": "gpt", "extra": {"k": 1}}
    moved = models | {"r": remote | {"base_url": "http://b/v1", "timeout": 9.0}}
    assert Collaboration({"models": moved}).answers_by("c") == found
    stricter = models | {"c": cascade("r", "s") | {"accept": {"score": "confidence", "above": 0.6}}}
    assert Collaboration({"models": stricter}).answers_by("c") != found


def test_means_are_settings_that_exist() -> None:
    for use, keys in MEANS.items():
        assert set(keys) <= set(SPECS[use].model_fields)


def test_check_finds_weights_without_loading_them(tmp_path: Path) -> None:
    models = {
        "a": {"use": "local", "weights": "smollm2-135m-instruct"},
        "b": {"use": "local", "weights": "smollm3"},
        "c": {"use": "local", "weights": "hf:only-a-name"},
        "d": {"use": "local", "weights": "folder"},
        "e": cascade("a", "b"),
        "f": {"use": "local", "weights": "mine"},
    }
    catalog = {"mine": {"kind": "causal-lm", "licence": "CC0-1.0", "source": "path:folder"}}
    file = Collaboration({"models": models, "catalog": catalog}, where="x.toml", folder=tmp_path)
    file.check("a")
    file.check("f")
    for name in ("b", "e"):
        with pytest.raises(ModelError, match=r"x\.toml: \[models\.b\]: no model 'smollm3' in the catalog"):
            file.check(name)
    with pytest.raises(ConfigError, match="hf:org/name"):
        file.check("c")
    with pytest.raises(ModelError, match="folder"):
        file.check("d")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "config.json").write_text("{}")
    file.check("d")


def test_encoders_are_no_answering_models() -> None:
    file = Collaboration({"models": {"e": {"use": "encoder", "weights": "w"}, "r": LEAF}})
    with pytest.raises(ConfigError, match="gives vectors, not answers"):
        file.model("e")
    with pytest.raises(ConfigError, match="is not an encoder"):
        file.encoder("r")
    assert file.encoder("e").name == "e"


def test_an_endpoint_gets_its_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere/v1")
    table = {"use": "openai", "model": "gpt", "price": {"input": 2, "output": 8.0}, "cache": False, "retries": 1}
    model = Collaboration({"models": {"m": table}}).model()
    assert isinstance(model, RemoteModel)
    assert (model.name, model.model, model.base_url, model.retries) == ("m", "gpt", "http://elsewhere/v1", 1)
    assert model.price is not None
    assert model.price.cost(1_000_000, 1_000_000) == 10.0
    named = Collaboration({"models": {"m": table | {"base_url": "http://here/v1", "cache": "c.db"}}}, folder=tmp_path)
    here = named.model()
    assert isinstance(here, RemoteModel)
    assert here.base_url == "http://here/v1"
    assert here.cache == tmp_path / "c.db"


def test_a_labellers_prior_must_fit(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"prompt": "a", "reply": "b"}\n')
    table = {"use": "labeller", "model": "m", "labels": ["x", "y"], "prior": [0.2, 0.3, 0.5]}
    with pytest.raises(ConfigError, match="prior has 3 numbers for 2 labels"):
        Collaboration({"models": {"m": LEAF, "l": table}}, folder=tmp_path).model("l")


@pytest.mark.parametrize("value", ["0.5", True, float("nan"), float("inf")])
def test_a_number_is_not_text_nor_a_truth_nor_endless(value: Any) -> None:
    bad = cascade("x", "y")
    bad["accept"] = {"score": "confidence", "above": value}
    with pytest.raises(ConfigError, match="above"):
        Collaboration({"models": {"x": LEAF, "y": LEAF, "z": bad}})
    bad["accept"]["above"] = 1
    Collaboration({"models": {"x": LEAF, "y": LEAF, "z": bad}})
