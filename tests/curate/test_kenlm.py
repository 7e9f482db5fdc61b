"""Perplexity by KenLM: the numbers are those of the model's own file, counted by hand."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pilotfish.curate import curate
from pilotfish.curate.kenlm import KenLM, ccnet_form
from pilotfish.errors import ConfigError, MissingExtra, ModelError

there = pytest.mark.skipif(
    importlib.util.find_spec("kenlm") is None, reason="the extra `kenlm` is not installed (it comes as source)"
)
UNIGRAMS = {"<unk>": -2.0, "</s>": -0.7, "a": -0.5, "b": -0.9, "000": -1.1}
BACKOFF = {"<s>": -0.3, "a": -0.2, "b": -0.1, "000": 0.0}
BIGRAMS = {("<s>", "a"): -0.1, ("a", "b"): -0.4, ("b", "</s>"): -0.2}


def arpa(path: Path, shift: float = 0.0) -> Path:
    lines = ["\\data\\", f"ngram 1={len(UNIGRAMS) + 1}", f"ngram 2={len(BIGRAMS)}", "", "\\1-grams:"]
    lines += [f"-99\t<s>\t{BACKOFF['<s>']}"]
    lines += [f"{value + shift}\t{word}\t{BACKOFF.get(word, 0.0)}" for word, value in UNIGRAMS.items()]
    lines += ["", "\\2-grams:", *(f"{value + shift}\t{a} {b}" for (a, b), value in BIGRAMS.items()), "", "\\end\\", ""]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def by_hand(text: str, shift: float = 0.0) -> float:
    score, length = 0.0, 0
    for line in filter(str.strip, text.split("\n")):
        words = ["<s>", *line.split(), "</s>"]
        for before, word in pairwise(words):
            before, word = (one if one in UNIGRAMS or one == "<s>" else "<unk>" for one in (before, word))  # noqa: PLW2901
            if (before, word) in BIGRAMS:
                score += BIGRAMS[before, word] + shift
            else:
                score += BACKOFF.get(before, 0.0) + UNIGRAMS[word] + shift
        length += len(words) - 1
    return float(10 ** (-score / length))


@there
def test_perplexity_is_that_of_the_model(tmp_path: Path) -> None:
    texts = ["a b", "a a b b", "zzz a", "a b\n\nb a b\n", "b 000 b"]
    rows = [{"text": text} for text in [*texts, "  \n ", "half \ud800"]]
    step = KenLM(arpa(tmp_path / "a.arpa"), most=60)
    found = step.judge([str(row["text"]) for row in rows])
    for text, told in zip(texts, found, strict=False):
        assert isinstance(told, dict) and told["perplexity"] == pytest.approx(by_hand(text), rel=1e-5)
    assert found[5].reason == "kenlm.empty: no words"  # type: ignore[union-attr]
    report = curate([*rows[:5], {"text": "zz yy xx ww"}], [step], tmp_path / "out", progress=False)
    assert report.kept == 5 and report.steps[0].reasons == {"kenlm": 1}
    (left,) = map(json.loads, (tmp_path / "out" / "dropped.jsonl").read_text().splitlines())
    assert left["reason"].endswith("against at most 60") and left["row"]["perplexity"] > 60


@there
def test_texts_are_brought_to_the_form_that_models_learnt_on(tmp_path: Path) -> None:
    path = arpa(tmp_path / "a.arpa")
    assert KenLM(path).judge(["À B", "b 123 b"]) == KenLM(path).judge(["a b", "b 000 b"])
    assert KenLM(path, form="none").judge(["À B"]) != KenLM(path, form="none").judge(["a b"])


def test_ccnet_form() -> None:
    assert ccnet_form(" Café № 12…\u201cJa\u201d—¡sí!\x07 ") == 'cafe № 00..."ja" - ¡si!'
    assert ccnet_form("価格は３０％。") == "価格は00%."


@there
def test_each_language_has_its_model_and_pieces(tmp_path: Path) -> None:
    models = {"en": arpa(tmp_path / "en.arpa"), "de": arpa(tmp_path / "de.arpa", shift=-0.2)}
    rows = [{"text": "a b", "language": one, "n": n} for n, one in enumerate(["de", "en", "fr", None, "de"])]
    rows.append({"text": None, "language": "en", "n": 5})
    report = curate(rows, [KenLM(models, by="language", into="ppl")], tmp_path / "out", progress=False)
    kept = [json.loads(line) for line in (tmp_path / "out" / "kept.jsonl").read_text().splitlines()]
    assert [row["n"] for row in kept] == [0, 1, 4] and report.rejected == 1
    assert kept[0]["ppl"] == kept[2]["ppl"] == pytest.approx(by_hand("a b", -0.2), rel=1e-5)
    assert kept[1]["ppl"] == pytest.approx(by_hand("a b"), rel=1e-5)
    assert report.steps[0].reasons == {"kenlm.language": 2}


@there
def test_words_may_be_pieces(tmp_path: Path) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    text = tmp_path / "text.txt"
    text.write_text("\n".join(f"the cat number {n} sat on the mat and the dog barked" for n in range(200)), "utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(tmp_path / "en"), vocab_size=40, minloglevel=2
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "en.model"))
    words = pieces.encode("the cat sat", out_type=str)
    plain, cut = KenLM(arpa(tmp_path / "a.arpa")), KenLM(tmp_path / "a.arpa", pieces=tmp_path / "en.model")
    assert cut.judge(["The cat sat"]) == plain.judge([" ".join(words)]) != plain.judge(["the cat sat"])


@there
def test_another_model_is_another_run(tmp_path: Path) -> None:
    one = KenLM(arpa(tmp_path / "a.arpa")).config()
    (tmp_path / "moved").mkdir()
    assert KenLM(arpa(tmp_path / "moved" / "b.arpa")).config() == one
    assert KenLM(arpa(tmp_path / "a.arpa", shift=-0.1)).config() != one


@there
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"models": {"en": "a.arpa"}}, "go `by` the column"),
        ({"models": "a.arpa", "by": "language"}, "go `by` the column"),
        ({"models": {}, "by": "language"}, "no model is named"),
        ({"models": "a.arpa", "pieces": {"en": "a.arpa"}}, "named as the models are"),
        ({"models": {"en": "a.arpa"}, "by": "l", "pieces": {"de": "a.arpa"}}, "other languages"),
        ({"models": "a.arpa", "form": "nfc"}, "`ccnet` or `none`"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: Any, said: str) -> None:
    monkeypatch.chdir(tmp_path)
    arpa(tmp_path / "a.arpa")
    with pytest.raises(ConfigError, match=said):
        KenLM(**wrong)


@there
def test_what_is_no_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        KenLM(tmp_path / "none.arpa")
    (tmp_path / "bad.arpa").write_text("what is this\nno model\n")
    with pytest.raises(ModelError, match="not a model of KenLM") as told:
        KenLM(tmp_path / "bad.arpa").judge(["a"])
    assert "\n" not in str(told.value)
    with pytest.raises(ModelError, match="not a model of sentencepiece"):
        KenLM(arpa(tmp_path / "a.arpa"), pieces=tmp_path / "bad.arpa").judge(["a"])


def test_without_the_library_the_command_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kenlm", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pilotfish\[kenlm\]'"):
        KenLM(arpa(tmp_path / "a.arpa"))
    assert math.isfinite(by_hand("a b"))
