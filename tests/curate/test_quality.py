"""Quality classifiers: what they learn, what they hold out, what they say of themselves, and that they come back."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.curate.quality import HashedClassifier, QualityClassifier, StaticClassifier, TunedClassifier
from pilotfish.curate.quality.rows import dealt
from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.models.classify.buckets import Hasher
from pilotfish.models.encoder import Encoder
from tests.curate.quality_texts import both, good

TEXTS, GOOD = both(600)


@pytest.fixture(scope="module")
def hashed() -> HashedClassifier:
    return HashedClassifier().fit(TEXTS, GOOD)


def test_it_learns_and_says_how_well(hashed: HashedClassifier) -> None:
    report = hashed.report_
    assert report.area.value > 0.97 and report.area.low > 0.9 and not report.warnings
    assert (report.rows, report.facts["learnt"], report.facts["calibrated"]) == (120, 420, 60)
    assert report.curve.average.low <= report.curve.average.value <= 1 and report.off_by < 0.12
    others, kinds = both(200, seed=9)
    assert hashed.judge(others, kinds).area.value > 0.97
    scores = hashed.score(others)
    assert scores.shape == (200,) and (scores > 0).all() and (scores < 1).all()


def test_numpy_makes_the_same_buckets_as_c() -> None:
    odd = ["", " \n\t ", "a", "\n\n", "héllo “Wörld” 𝔘🎉 x\u200b \ud83d İß ǅ", "_a_ b__ 12.5%", "x" * 5000, *TEXTS[:40]]
    for ngram, bits in ((1, 8), (2, 20), (5, 22)):
        fast, plain = Hasher(ngram, bits), Hasher(ngram, bits, native=False)
        if fast._library is None:
            pytest.skip("no C compiler here")
        for texts in (odd, odd[::-1], [], [""]):
            a, b = fast(texts), plain(texts)
            assert a.counts.tolist() == b.counts.tolist() and a.words.tolist() == b.words.tolist()
            stops = np.cumsum(a.counts)
            for start, stop in zip(stops - a.counts, stops, strict=True):
                assert sorted(a.bucket[start:stop]) == sorted(b.bucket[start:stop])
            weights = np.random.default_rng(0).normal(size=1 << bits).astype(np.float32)
            assert np.allclose(a.sums(weights), b.sums(weights), atol=1e-6)


def test_a_score_does_not_depend_on_the_company(hashed: HashedClassifier) -> None:
    some = [*TEXTS[:30], "", TEXTS[0]]
    alone = [float(hashed.score([text])[0]) for text in some]
    assert np.allclose(hashed.score(some), alone, atol=1e-9) and hashed.score([]).shape == (0,)


def test_it_comes_back_as_it_was(hashed: HashedClassifier, tmp_path: Path) -> None:
    hashed.save(tmp_path)
    back = QualityClassifier.load(tmp_path)
    assert isinstance(back, HashedClassifier) and back.fingerprint() == hashed.fingerprint()
    assert (back.score(TEXTS) == hashed.score(TEXTS)).all() and back.report_.to_json() == hashed.report_.to_json()
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}


@pytest.mark.parametrize("harm", ["cut", "missing", "format", "kind", "bucket"])
def test_a_damaged_folder_is_told_in_one_line(hashed: HashedClassifier, tmp_path: Path, harm: str) -> None:
    hashed.save(tmp_path)
    file, weights = tmp_path / "quality.json", tmp_path / "hashed.safetensors"
    told = json.loads(file.read_text())
    if harm == "cut":
        weights.write_bytes(weights.read_bytes()[:100])
    elif harm == "missing":
        weights.unlink()
    else:
        told |= {"format": 9} if harm == "format" else {"kind": "hash"} if harm == "kind" else {}
        told["settings"] |= {"bits": 8} if harm == "bucket" else {}
        file.write_text(json.dumps(told))
    with pytest.raises(ModelError) as caught:
        QualityClassifier.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_ratings_are_learnt_as_shares() -> None:
    dice = random.Random(3)
    ratings = [dice.choice([3, 4, 5]) if kind else dice.choice([0, 1, 2]) for kind in GOOD]
    found = HashedClassifier().fit(TEXTS, ratings)
    assert found.report_.area.value > 0.95 and found.report_.cut == 0.6
    means = [
        float(np.mean(found.score([t for t, g in zip(TEXTS, GOOD, strict=True) if g is kind])))
        for kind in (False, True)
    ]
    assert abs(means[0] - 0.2) < 0.1 and abs(means[1] - 0.8) < 0.1


def test_exchanged_labels_are_told(hashed: HashedClassifier) -> None:
    wrong = hashed.judge(TEXTS, [not kind for kind in GOOD])
    assert wrong.area.value < 0.1 and "Are good rows and others exchanged?" in wrong.warnings[0]
    assert "warning: the area under the curve" in str(wrong)


def test_chance_is_told() -> None:
    dice = random.Random(4)
    texts = [good(dice) for _ in range(400)]
    report = HashedClassifier().fit(texts, [dice.random() < 0.5 for _ in texts]).report_
    assert any("chance" in one for one in report.warnings)


def test_a_class_that_one_word_gives_away_is_told() -> None:
    marked = [text + (" Copyright" if not kind else "") for text, kind in zip(TEXTS, GOOD, strict=True)]
    report = HashedClassifier().fit(marked, GOOD).report_
    assert report.word == ("copyright", 1.0) and "'copyright' alone nearly tells" in report.warnings[0]


def test_a_class_of_single_words_is_learnt_too() -> None:
    texts = [text if kind else text.split()[0] for text, kind in zip(TEXTS, GOOD, strict=True)]
    assert HashedClassifier().fit(texts, GOOD).report_.area.value > 0.99


def test_copies_never_stand_on_both_sides() -> None:
    dice = random.Random(6)
    texts = [text for text in TEXTS[:100] for _ in range(3)]
    texts = [text + " ." * dice.randrange(2) for text in texts]
    kinds = np.repeat(GOOD[:100], 3)
    parts = dealt(texts, kinds, None)
    sides = [{i // 3 for i in part} for part in (parts.learn, parts.calibrate, parts.test)]
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    assert parts.facts.copies >= 200
    report = HashedClassifier().fit(texts, [bool(kind) ^ (i == 0) for i, kind in enumerate(kinds)]).report_
    assert any("good in part only" in one for one in report.warnings)


def test_groups_stay_together_with_copies_across_them() -> None:
    groups = [i // 10 for i in range(len(TEXTS))]
    parts = dealt([*TEXTS[:-1], TEXTS[0]], np.array(GOOD), groups)
    for part in (parts.learn, parts.calibrate, parts.test):
        whole = {groups[i] for i in part}
        assert all(i in part for i in range(len(TEXTS)) if groups[i] in whole)
        assert (0 in part) == (len(TEXTS) - 1 in part)


@pytest.mark.parametrize(
    ("texts", "quality", "said"),
    [
        ("one text", [1], "a list of texts is wanted, not one text"),
        (TEXTS, ["hq"] * 600, "true or false, or a rating from 0 to 5"),
        (TEXTS, [7] * 600, "a rating lies from 0 to 5"),
        (TEXTS, [float("nan")] * 600, "a rating lies from 0 to 5"),
        (TEXTS, GOOD[:5], "600 texts but qualities of shape (5,)"),
        (TEXTS, [True] * 600, "at least 10 texts of each kind: 0 are other"),
        ([None] * 600, GOOD, "one of them is none"),
    ],
)
def test_what_cannot_be_learnt_from_is_told(texts: Any, quality: Any, said: str) -> None:
    with pytest.raises(DataError) as caught:
        HashedClassifier().fit(texts, quality)
    assert said in str(caught.value)


def test_settings_are_checked_where_they_are_used() -> None:
    for settings in ({"calibrate": "plat"}, {"held_out": 0.9}, {"ngram": 0}, {"bits": 40}):
        with pytest.raises(ConfigError):
            HashedClassifier(**settings).fit(TEXTS, GOOD)
    with pytest.raises(DataError, match="not one text"):
        HashedClassifier().fit(TEXTS, GOOD).score("text")


def test_calibrations() -> None:
    stairs = HashedClassifier(calibrate="isotonic").fit(TEXTS, GOOD)
    plain = HashedClassifier(calibrate="off").fit(TEXTS, GOOD)
    assert stairs.report_.area.value > 0.95 and plain.report_.area.value > 0.97
    order = np.argsort(plain.score(TEXTS))
    assert (np.diff(stairs.score(TEXTS)[order]) >= 0).all()


def test_static_vectors_and_a_tuned_encoder(tiny_encoder: Encoder, tmp_path: Path) -> None:
    texts, kinds = TEXTS[:300], GOOD[:300]
    for made in (
        StaticClassifier(tiny_encoder, dimension=16),
        TunedClassifier(tiny_encoder, epochs=6, rate=1e-3, batch_tokens=256),
    ):
        made.fit(texts, kinds)
        made.save(tmp_path / made.kind)
        back = QualityClassifier.load(tmp_path / made.kind)
        assert type(back) is type(made) and np.allclose(back.score(texts[:20]), made.score(texts[:20]), atol=1e-5)
        assert made.report_.rows == 60
    assert made.report_.area.value > 0.8, "a tuned encoder learns"
