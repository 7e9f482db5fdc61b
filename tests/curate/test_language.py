"""Languages are told, kept and counted."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pilotfish.curate import curate, language
from pilotfish.curate.language import Language
from pilotfish.curate.select import Bands
from pilotfish.errors import ConfigError, MissingExtra

pytest.importorskip("py3langid", reason="the extra `language` is not installed")

TEXTS = {
    "en": "The committee will meet again on Thursday to decide whether the bridge can be repaired before winter.",
    "de": "Der Ausschuss tritt am Donnerstag erneut zusammen, um zu entscheiden, ob die Brücke repariert wird.",
    "fr": "Le comité se réunira de nouveau jeudi afin de décider si le pont peut être réparé avant l'hiver.",
    "es": "El comité se reunirá de nuevo el jueves para decidir si el puente puede repararse antes del invierno.",
    "ru": "Комитет снова соберётся в четверг, чтобы решить, можно ли отремонтировать мост до зимы.",
    "ja": "委員会は木曜日に再び集まり、冬の前に橋を修理できるかどうかを決める。",
    "ar": "ستجتمع اللجنة مرة أخرى يوم الخميس لتقرر ما إذا كان من الممكن إصلاح الجسر قبل الشتاء.",
}


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_languages_are_told_and_others_go(tmp_path: Path) -> None:
    rows = [{"id": name, "text": text} for name, text in TEXTS.items()]
    rows += [{"id": "none", "text": "12345 --- 678"}, {"id": "empty", "text": ""}, {"id": "half", "text": "de"}]
    report = curate(rows, [Language(["en", "de"], least=0.9)], tmp_path, progress=False)
    kept = rows_of(tmp_path / "kept.jsonl")
    assert [(row["id"], row["language"]) for row in kept] == [("en", "en"), ("de", "de")]
    assert all(0.9 <= row["language_confidence"] <= 1 for row in kept)
    reasons = report.steps[0].reasons
    assert reasons["language.fr"] == reasons["language.ja"] == 1 and reasons["language.none"] == 2
    dropped = {row["row"]["id"]: row for row in rows_of(tmp_path / "dropped.jsonl")}
    assert dropped["ar"]["row"]["language"] == "ar" and dropped["none"]["row"]["language"] is None
    assert dropped["es"]["reason"].endswith("; kept are de, en")


def test_all_are_kept_and_each_language_has_its_own_bands(tmp_path: Path) -> None:
    rows = [{"text": text, "n": n} for text in TEXTS.values() for n in range(4)]
    curate(rows, [Language(into="lang"), Bands(column="n", names=["low", "high"], by="lang")], tmp_path, progress=False)
    found = rows_of(tmp_path / "kept.jsonl")
    assert [row["lang"] for row in found[::4]] == list(TEXTS)
    assert [row["band"] for row in found] == ["low", "low", "high", "high"] * len(TEXTS)


def test_a_known_few_languages_and_the_beginning_of_a_text() -> None:
    (told,) = Language(among=["de", "fr"]).judge([TEXTS["es"]])
    assert isinstance(told, dict) and told["language"] in ("de", "fr")
    step = Language(characters=90)
    assert step.judge([TEXTS["en"] + TEXTS["ru"] * 20]) == step.judge([TEXTS["en"]])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"keep": ["english"]}, "unknown language 'english'"),
        ({"keep": []}, "no language is kept"),
        ({"among": ["de", "de"]}, "at least two languages"),
        ({"keep": ["en"], "among": ["de", "fr"]}, "'en' is kept but not among"),
        ({"least": 1.5}, "least confidence"),
        ({"characters": 0}, "first character"),
    ],
)
def test_settings_that_cannot_be(wrong: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Language(**wrong)


def test_without_the_library_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    language._identifier.cache_clear()
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pilotfish\[language\]'"):
        Language()
