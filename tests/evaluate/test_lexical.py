"""ROUGE, BLEU and chrF are the libraries' own numbers; several references, and what is odd."""

from __future__ import annotations

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.evaluate.lexical import Bleu, Chrf, Rouge, Short

pytest.importorskip("rouge_score")
pytest.importorskip("sacrebleu")

MINE = ["the cat sat on the mat", "a dog", "where is my card"]
THEIRS = ["the cat lay on a mat", "the dog did not sing", "where is the card of mine"]


def test_rouge_l_by_hand() -> None:
    found = Rouge()(MINE, THEIRS)
    # "the cat on mat" is common: 4 of 6 and 4 of 6.
    assert found.values[0] == pytest.approx(4 / 6)
    # "dog": 1 of 2 and 1 of 5.
    assert (found.parts["precision"][1], found.parts["recall"][1]) == pytest.approx((1 / 2, 1 / 5))
    assert found.values[1] == pytest.approx(2 * 0.5 * 0.2 / 0.7)
    assert Rouge("rouge1")(MINE, MINE).values.tolist() == [1, 1, 1]
    assert Rouge("rouge1")(["two cats"], ["a cat"]).values[0] == 0
    assert Rouge("rouge1", stemmed=True)(["two cats"], ["a cat"]).values[0] == pytest.approx(0.5)


def test_bleu_and_chrf_are_sacrebleu_s() -> None:
    library = pytest.importorskip("sacrebleu.metrics")
    chrf = library.CHRF
    for ours, theirs in ((Bleu(), library.BLEU(effective_order=True)), (Chrf(), chrf()), (Chrf(2), chrf(word_order=2))):
        found = ours(MINE, THEIRS)
        wanted = [theirs.sentence_score(a, [b]).score / 100 for a, b in zip(MINE, THEIRS, strict=True)]
        assert found.values == pytest.approx(wanted)
        assert ours(MINE, MINE).values == pytest.approx(1)


@pytest.mark.parametrize("metric", [Rouge(), Bleu(), Chrf()])
def test_of_several_references_the_best_or_all_count(metric: Rouge | Bleu | Chrf) -> None:
    one = metric(MINE[:1], THEIRS[:1]).values[0]
    assert metric(MINE[:1], [[THEIRS[2], THEIRS[0]]]).values[0] >= one
    assert metric(MINE[:1], [[THEIRS[0], MINE[0]]]).values[0] == pytest.approx(1)


@pytest.mark.parametrize("metric", [Rouge(), Rouge("rougeLsum"), Bleu(), Chrf()])
def test_what_is_odd_has_a_score(metric: Rouge | Bleu | Chrf) -> None:
    strange = ["", "  ", "\x00", "😀", "مرحبا", "a" * 5000]
    found = metric(strange, ["the cat"] * len(strange))
    assert np.isfinite(found.values).all() and (found.values <= 1).all()
    unread = {"no Latin letter or digit": 3} if isinstance(metric, Rouge) else {}
    assert found.odd() == unread | {"the candidate is empty": 2}
    assert metric(["a"], [""]).odd() == {"a reference is empty": 1}


def test_mistakes() -> None:
    with pytest.raises(ConfigError, match="rouge1"):
        Rouge("rouge-l")
    with pytest.raises(DataError, match="no reference"):
        Bleu()(["a"], [[]])


def test_what_rouge_does_not_read_is_told() -> None:
    found = Rouge("rouge1")(["مرحبا", "the cat", "", "a"], ["مرحبا", ["the", "😀"], "a", "a"])
    assert found.odd() == {"no Latin letter or digit": 2, "the candidate is empty": 1}
    assert found.values[0] == 0 and Chrf()(["مرحبا"], ["مرحبا"]).values[0] == 1


def test_short_answers() -> None:
    answers, truths = ["The Broncos.", "red boat", ""], [["broncos", "x"], ["the red boats", "a boat"], ["y"]]
    assert Short()(answers, truths).values.tolist() == [1, 0, 0]
    found = Short("word-f1")(answers, truths)
    assert found.values.tolist() == pytest.approx([1, 2 / 3, 0]) and found.notes[2] == "the candidate is empty"
    with pytest.raises(ConfigError, match="exact-match, word-f1"):
        Short("f1")
