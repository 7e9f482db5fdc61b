"""Personal strings go out of sight; toxic words and sentences by one's own list and classifier."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotfish import ask
from pilotfish.errors import ConfigError, DataError
from pilotfish.models.classify import SoftmaxHead, TextClassifier
from pilotfish.models.classify.features import TfidfFeatures
from pilotfish.repair import Mark, Remove, Repaired, Replace
from pilotfish.repair.plugins import Personal, Toxic, words_in
from pilotfish.repair.spans import Plugin
from tests.fakes import ScriptedModel

KEY = "AKIA" + "IOSFODNN7EXAMPLE"


def mended(text: str, plugin: Plugin, question: str = "q") -> str:
    return ask(Repaired(ScriptedModel(text), (plugin,)), question).text


def test_personal_strings_are_masked_and_told_nowhere() -> None:
    text = f"Mail jane@example.org or +49 30 901820. Version 3.10 of 2024. Key: {KEY}\n```\n{KEY}\n```"
    reply = ask(Repaired(ScriptedModel(text), (Personal(),)), "q")
    assert reply.text == f"Mail <EMAIL> or <PHONE>. Version 3.10 of 2024. Key: <KEY>\n```\n{KEY}\n```"
    assert "jane" not in str(reply.trace.to_json())
    assert KEY not in str(reply.trace.to_json())
    assert [one.verdict for one in reply.trace.decisions][:2] == [
        "mended: a place of kind email",
        "mended: a place of kind phone",
    ]
    plugin = Personal(kinds=("key",), way=Replace("[gone]"), touch=frozenset({"numbers", "code"}))
    assert mended(text, plugin).endswith("Key: [gone]\n```\n[gone]\n```")


def test_what_was_told_may_be_said_again() -> None:
    text = "Write to jane@example.org, not to joe@example.org."
    assert mended(text, Personal(told=True), "ask jane@example.org?") == "Write to jane@example.org, not to <EMAIL>."
    with pytest.raises(ConfigError, match="emial"):
        Personal(kinds=("emial",))


def test_words_of_a_list_are_whole_words() -> None:
    plugin = Toxic(words=("damn", "go to  hell"), way=Replace("…"))
    assert mended("Damn it, go\tto hell. A damnable `damn` day.", plugin) == "… it, …. A damnable `damn` day."
    assert mended("Fine. That damn thing. Good.", Toxic(words=("damn",))) == "Fine. Good."


@pytest.fixture(scope="module")
def classifier() -> TextClassifier:
    bad = ["you are stupid and ugly", "stupid people like you", "what an ugly idiot", "you idiot", "so stupid"]
    good = ["the day is fine", "people like the day", "what a good idea", "you are kind", "so fine"]
    return TextClassifier(TfidfFeatures(), SoftmaxHead()).fit(bad + good, ["toxic"] * 5 + ["fine"] * 5)


def test_sentences_by_a_classifier(classifier: TextClassifier) -> None:
    plugin = Toxic(classifier, words=("darn",), way=Mark(" [!]"))
    text = "The day is fine. You stupid idiot. So darn kind."
    assert mended(text, plugin) == "The day is fine. You stupid idiot. [!] So darn [!] kind."
    assert mended(text, Toxic(classifier, above=0.999, way=Remove())) == text


def test_settings_that_cannot_be(classifier: TextClassifier, tmp_path: Path) -> None:
    for how, said in (
        ({}, "give a classifier"),
        ({"words": (" ",)}, "empty"),
        ({"words": ("x",), "above": 0.0}, "above"),
        ({"classifier": classifier, "labels": ("toxik",)}, "toxic"),
    ):
        with pytest.raises(ConfigError, match=said):
            Toxic(**how)
    path = tmp_path / "words.txt"
    path.write_text("# mine\n\n damn \ngo to hell\n")
    assert words_in(path) == ("damn", "go to hell")
    path.write_text("# none\n")
    with pytest.raises(DataError, match="no words"):
        words_in(path)
    with pytest.raises(DataError, match="cannot be read"):
        words_in(tmp_path / "none.txt")
