"""The token classifier: windows lose no word, it learns what is kept, with the question too, and it can be kept."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.models.encoder import Encoder
from pilotfish.prompt.compress import Asked, ByTokens, Compressor, Pair, TokenClassifier, counted_by, teach
from pilotfish.prompt.compress.tokens import windows
from pilotfish.prompt.compress.units import units_of
from pilotfish.train.settings import Fit
from tests.tiny import CORPUS

pytest.importorskip("torch")
pytest.importorskip("accelerate")

TEXT = " ".join(CORPUS[:4])
KEEP = {"cat", "refund", "card", "dog", "bird", "sea", "rate"}
HOW = Fit(epochs=12, batch_tokens=512, rate=5e-3, dtype="float32", warmup=0.1)


def pairs(count: int) -> list[Pair]:
    random = np.random.default_rng(0)
    words = sorted(
        {*re.findall(r"\w+", "the sat on mat my has not arrived yet it a for and did text song of is"), *KEEP}
    )
    found = []
    for _ in range(count):
        some = random.choice(words, 14).tolist()
        text = " ".join([*some, "cat", "refund"])
        found.append(Pair(text, " ".join(word for word in text.split() if word in KEEP)))
    return found


@pytest.mark.parametrize("question", ["", "Where is my card?", "the cat sat on the mat " * 9])
def test_windows_lose_no_word_and_cut_none(tiny_encoder: Encoder, question: str) -> None:
    units = units_of(TEXT)
    found = windows(tiny_encoder, TEXT, units, question, 32)
    assert found[0].first == 0 and found[-1].last == len(units)
    assert all(len(one.ids) <= 32 for one in found)
    assert all(one.first < other.first <= one.last < other.last for one, other in pairwise(found))
    for one in found:
        assert one.places[0][0] == units[one.first][0] and one.places[-1][1] == units[one.last - 1][1]
        pieces = tiny_encoder.tokenizer.convert_ids_to_tokens([one.ids[i] for i in one.at])
        for piece, (start, end) in zip(pieces, one.places, strict=True):
            if piece != "[UNK]":
                assert piece.removeprefix("##") == TEXT[start:end].lower()
    assert windows(tiny_encoder, "", [], question, 32) == []


def test_a_unit_is_judged_in_the_midst_of_a_window(tiny_encoder: Encoder) -> None:
    random = np.random.default_rng(1)
    made = TokenClassifier(tiny_encoder, random.normal(size=48).astype(np.float32), 0.5, length=24)
    units = units_of(TEXT)
    odds, read = made.odds(TEXT, units)
    assert read == sum(len(one.ids) for one in windows(tiny_encoder, TEXT, units, "", 24))
    # What one window holds alone is what the encoder says of that window's text.
    first = windows(tiny_encoder, TEXT, units, "", 24)[0]
    alone = TEXT[: units[first.last - 1][1]]
    own, _ = made.odds(alone, units[: first.last])
    np.testing.assert_allclose(odds[: first.last // 2], own[: first.last // 2], atol=1e-5)


def test_it_learns_which_words_are_kept(tiny_encoder: Encoder, tmp_path: Path) -> None:
    made, learnt = teach(tiny_encoder, pairs(60), HOW, folder=tmp_path / "run")
    assert learnt.held_out == 6 and learnt.left_out == 0 and not made.asks
    assert learnt.right is not None and learnt.right.value > 0.95 > 0.5 > learnt.kept
    text = "the cat sat on my card and it has a song of the sea"
    compressor = Compressor(ByTokens(made), counted_by("words"))
    assert compressor.text(text, budget=3).text == "cat card sea"
    made.save(tmp_path / "saved")
    again = TokenClassifier.load(tmp_path / "saved", device="cpu")
    units = units_of(text)
    np.testing.assert_allclose(again.odds(text, units)[0], made.odds(text, units)[0], atol=1e-5)
    assert again.report == learnt.to_json()
    assert "found" in str(learnt)
    # The same rows again go on from the end of the run: nothing is learnt twice.
    same, _ = teach(tiny_encoder, pairs(60), HOW, folder=tmp_path / "run")
    np.testing.assert_allclose(same.odds(text, units)[0], made.odds(text, units)[0], atol=1e-5)


def test_it_learns_what_is_asked(tiny_encoder: Encoder) -> None:
    texts = [pair.text for pair in pairs(24)]
    # By the question all but one word are kept, or one alone.
    some = [Pair(text, text.rsplit(" ", 1)[0], "the sea") for text in texts]
    some += [Pair(text, text.rsplit(" ", 1)[1], "my card") for text in texts]
    made, learnt = teach(tiny_encoder, some, replace(HOW, epochs=25, batch_tokens=256), held_out=0.0)
    assert made.asks and learnt.right is None
    text = "the cat sat on the mat and it is wrong"
    units = units_of(text)
    way = ByTokens(made)
    sea, card = (way(Asked(text, units, one, np.ones(len(units)))).values for one in ("the sea", "my card"))
    assert sea.mean() > 0 > card.mean()


def test_what_cannot_be_learnt(tiny_encoder: Encoder, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="8 at least"):
        teach(tiny_encoder, pairs(5))
    with pytest.raises(DataError, match="keep all of their words"):
        teach(tiny_encoder, [Pair(f"the cat {i}", f"the cat {i}") for i in range(9)])
    with pytest.raises(DataError, match="row 2: the compressed text has no word"):
        teach(tiny_encoder, [Pair("the cat", "cat"), Pair("the dog", "..")])
    with pytest.raises(ConfigError, match="held_out is a share"):
        teach(tiny_encoder, pairs(9), held_out=1.0)
    with pytest.raises(ConfigError, match="16 tokens or more"):
        TokenClassifier(tiny_encoder, np.zeros(48, np.float32), 0.0, length=8)
    with pytest.raises(ModelError, match="not a saved token classifier"):
        TokenClassifier.load(tmp_path)
