"""A model with plug-ins behind it, by a file: settings, other packages' plug-ins, and the gateway."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pilotfish import ask
from pilotfish.assemble import Collaboration
from pilotfish.assemble.plugins import plugins
from pilotfish.errors import ConfigError
from pilotfish.model import Request
from pilotfish.models.encoder import Encoder
from pilotfish.repair import Repaired, Span
from pilotfish.repair.plugins import Calculation, JsonForm, Personal, Repetition, Toxic
from pilotfish.repair.plugins.unsupported import Unsupported
from pilotfish.repair.ways import Abstain, Mark, Remove, Replace, Rewrite
from pilotfish.serve.from_file import gateway_of
from tests.plugins import install
from tests.repair.tokens.test_detector import made
from tests.serve.gateways import events, running

SAID = "So 2 + 2 = 5. Mail me: a@b.org now. Damn it. The end."


def loud(text: str, context: Any) -> list[Any]:
    """A function of the user's: words in capitals."""
    return [{"start": at, "end": at + 3, "why": "loud"} for at in range(len(text)) if text[at : at + 3] == "END"]


async def late(text: str, context: Any) -> list[Any]:
    return [Span(0, 3, "late")] if text.startswith("The") else []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [{"prompt": "a", "reply": SAID}, {"prompt": "j", "reply": "```\n{'a': 1,}\n```"}]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    (tmp_path / "schema.json").write_text('{"type": "object", "required": ["a"]}')
    (tmp_path / "words.txt").write_text("damn\n")
    return tmp_path


def file(folder: Path, *behind: dict[str, Any], **more: Any) -> Collaboration:
    models = {
        "x": {"use": "recorded", "path": "log.jsonl"},
        "safe": {"use": "repaired", "model": "x", "plugins": list(behind), **more},
    }
    return Collaboration({"models": models}, folder=folder)


def built(folder: Path, *behind: dict[str, Any], **more: Any) -> Repaired:
    made_: Any = file(folder, *behind, **more).model("safe")
    assert isinstance(made_, Repaired)
    return made_


def test_every_kind_is_built_as_the_file_says(folder: Path) -> None:
    model = built(
        folder,
        {"use": "calculation", "follows": True, "name": "sums"},
        {"use": "repetition", "times": 4, "words": 5, "way": "remove"},
        {"use": "personal", "kinds": ["email"], "way": "replace", "text": "[{kind}]", "touch": ["numbers", "code"]},
        {"use": "toxic", "words": ["heck"], "words_file": "words.txt", "way": "mark", "before": "~~", "after": "~~"},
        {"use": "json", "schema_file": "schema.json", "always": True},
        {"use": "function", "function": f"{__name__}:loud", "entire": True, "way": "rewrite", "writer": "x"},
        evidence=["<d>", "</d>"],
        most=500,
    )
    assert model.plugins[:5] == (
        Calculation(follows=True, name="sums"),
        Repetition(times=4, words=5, way=Remove()),
        Personal(kinds=("email",), way=Replace("[{kind}]"), touch=frozenset({"numbers", "code"})),
        Toxic(words=("heck", "damn"), way=Mark("~~", "~~")),
        JsonForm({"type": "object", "required": ["a"]}, always=True),
    )
    last: Any = model.plugins[5]
    assert isinstance(last.way, Rewrite)
    assert last.whole
    assert (model.evidence, model.most) == (("<d>", "</d>"), 500)
    only = built(folder, {"use": "personal", "way": "abstain", "text": "No.", "sure": 0.9}).plugins[0]
    assert only == Personal(way=Abstain("No.", 0.9))
    before = built(folder, {"use": "personal", "way": "mark", "before": "> "}).plugins[0]
    assert before == Personal(way=Mark("", "> "))


def test_the_answer_comes_mended_and_so_it_does_through_the_gateway(folder: Path) -> None:
    models = file(
        folder,
        {"use": "calculation"},
        {"use": "personal"},
        {"use": "toxic", "words_file": "words.txt"},
        {"use": "function", "function": f"{__name__}:late", "way": "remove-span"},
    )
    mended = "So 2 + 2 = 4. Mail me: <EMAIL> now.  end."
    reply = ask(models.model("safe"), "a")
    assert reply.text == mended
    assert [call.model for call in reply.trace.calls] == ["x", "calculation", "personal", "toxic", "function"]
    with running({"safe": models.model("safe")}) as gateway:
        assert gateway.chat("a", "safe").json()["choices"][0]["message"]["content"] == mended
        told = events(gateway.chat("a", "safe", stream=True))
        parts = [one["choices"][0]["delta"].get("content") for one in told[:-1] if one["choices"]]
        assert [part for part in parts if part] == ["So 2 + 2 = 4.", " Mail me: <EMAIL> now.", "  end."]
    gateway_of(models)


def test_json_is_asked_for_by_the_request(folder: Path) -> None:
    model = built(folder, {"use": "json"})
    assert ask(model, Request.of("j", response_format={"type": "json_object"})).text == '{"a": 1}'
    assert ask(model, "j").text.startswith("```")


def test_a_detector_that_was_taught_stands_in_a_folder(folder: Path, tiny_encoder: Encoder) -> None:
    from pilotfish.repair.tokens import FIT, SpanDetector

    how = replace(FIT, steps=1, batch_tokens=160)
    SpanDetector(tiny_encoder, how, length=32).fit(made(8, 0), made(8, 1)).save(folder / "detector")
    plugin = built(folder, {"use": "unsupported", "path": "detector", "above": 0.7, "way": "remove"}).plugins[0]
    assert isinstance(plugin, Unsupported)
    assert (plugin.above, plugin.way) == (0.7, Remove())


def test_another_package_brings_a_plugin(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(install(folder / "site")))
    plugins.cache_clear()
    try:
        model = built(folder, {"use": "shout", "settings": {"mark": "!!"}})
        assert ask(model, "a").text == SAID.replace("Damn", "Damn!!")
        with pytest.raises(ConfigError, match="'shout' takes a mark"):
            built(folder, {"use": "shout", "settings": {"marc": 1}})
        with pytest.raises(ConfigError, match="stands in `settings`"):
            built(folder, {"use": "shout", "follows": True})
        with pytest.raises(ConfigError, match="'shut'; did you mean 'shout'"):
            built(folder, {"use": "shut"})
    finally:
        plugins.cache_clear()


@pytest.mark.parametrize(
    ("plugin", "said"),
    [
        ({"use": "calculatoin"}, "did you mean 'calculation'"),
        ({"use": "calculation", "times": 3}, "takes no `times`"),
        ({"use": "calculation", "way": "mark", "text": "x"}, "takes no `text`"),
        ({"use": "personal", "way": "rewrite"}, "needs `writer`"),
        ({"use": "personal", "way": "rewrite", "writer": "nobody"}, "no such model"),
        ({"use": "unsupported"}, "needs `path`"),
        ({"use": "json", "way": "mark"}, "leave `way` out"),
        ({"use": "repetition", "words": ["a"]}, "a number"),
        ({"use": "toxic", "words": 3}, "a list"),
        ({"use": "toxic"}, "give a classifier"),
        ({"use": "function", "function": "no.such:thing"}, "no function"),
        ({"use": "personal", "kinds": ["emial"]}, "did you mean 'email'"),
        ({"use": "personal", "touch": ["digits"]}, "touch"),
    ],
)
def test_settings_that_cannot_be_are_one_line(folder: Path, plugin: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        built(folder, plugin)


def test_two_of_one_name_and_none_are_told(folder: Path) -> None:
    with pytest.raises(ConfigError, match="one name"):
        built(folder, {"use": "calculation"}, {"use": "calculation"})
    with pytest.raises(ConfigError, match="plugins"):
        built(folder)
    with pytest.raises(ConfigError, match="`text` is not of kind 'spans'"):
        Collaboration({"repair": {"rows": "r", "out": "o", "encoder": "e", "text": "t"}})
