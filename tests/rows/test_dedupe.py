from __future__ import annotations

import random
import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, DataError
from pilotfish.rows import _shingles
from pilotfish.rows._shingles import normalised, shingles, similar_pairs
from pilotfish.rows.dedupe import dedupe, leaks, near_duplicates

# Few letters and short words, so that near pairs do come up.
TEXTS = st.lists(st.text("ab c.A", max_size=12), max_size=14)
THRESHOLDS = st.sampled_from([0.2, 0.5, 0.6, 0.75, 0.8, 1.0])


def grams(text: str, n: int) -> set[str]:
    padded = f" {normalised(text)} ".ljust(n)
    return {padded[start : start + n] for start in range(len(padded) - n + 1)}


def jaccard(a: str, b: str, n: int) -> float:
    one, two = grams(a, n), grams(b, n)
    return len(one & two) / len(one | two)


def brute(texts: Sequence[str], threshold: float, n: int) -> dict[tuple[int, int], float]:
    return {
        (i, j): similarity
        for j in range(len(texts))
        for i in range(j)
        if (similarity := jaccard(texts[i], texts[j], n)) >= threshold - 1e-12
    }


@settings(max_examples=300, deadline=None)
@given(TEXTS, THRESHOLDS, st.sampled_from([1, 2, 3, 5]))
def test_the_join_finds_the_pairs_that_brute_force_finds(texts: list[str], threshold: float, n: int) -> None:
    left, right, similarity = similar_pairs(shingles([normalised(text) for text in texts], n), threshold)
    found = dict(zip(zip(left.tolist(), right.tolist(), strict=True), similarity.tolist(), strict=True))
    assert found == pytest.approx(brute(texts, threshold, n))


@settings(max_examples=100, deadline=None)
@given(TEXTS, THRESHOLDS, st.sampled_from([2, 3]))
def test_groups_are_connected_components(texts: list[str], threshold: float, n: int) -> None:
    pairs = brute(texts, threshold, n)
    group = list(range(len(texts)))
    for _ in texts:
        for i, j in pairs:
            group[i] = group[j] = min(group[i], group[j])
        # An exact copy is near even where both have one gram of their own kind only.
        for j, text in enumerate(texts):
            group[j] = min(group[i] for i in range(len(texts)) if normalised(texts[i]) == normalised(text))
    for _ in texts:
        for i, j in pairs:
            group[i] = group[j] = min(group[i], group[j])
    found = near_duplicates(texts, threshold, ngram=n)
    assert found.group.tolist() == group
    assert sorted(found.keep + found.removed) == list(range(len(texts)))
    kept = [texts[place] for place in found.keep]
    assert not brute(kept, threshold, n)


@settings(max_examples=100, deadline=None)
@given(TEXTS, TEXTS, THRESHOLDS)
def test_leaks_are_the_training_texts_near_a_test_text(train: list[str], test: list[str], threshold: float) -> None:
    found = leaks(train, test, threshold)
    wanted = {(i, j) for i, a in enumerate(train) for j, b in enumerate(test) if jaccard(a, b, 3) >= threshold - 1e-12}
    assert {(i, j) for i, j, _ in found.pairs} == wanted
    assert found.train.tolist() == sorted({i for i, _ in wanted})


def test_chunks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"message number {n % 50} about order {n % 7}" for n in range(300)]
    whole = similar_pairs(shingles(texts, 3), 0.8)
    monkeypatch.setattr(_shingles, "_CHUNK", 64)
    parts = similar_pairs(shingles(texts, 3), 0.8)
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))
    assert len(whole[0]) > 1000


def test_numpy_1_counts_bits_too(monkeypatch: pytest.MonkeyPatch) -> None:
    words = np.random.default_rng(0).integers(0, 2**63, 100, dtype=np.uint64)
    wanted = [int(word).bit_count() for word in words]
    assert _shingles._popcount(words).tolist() == wanted
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert _shingles._popcount(words).tolist() == wanted


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Where is my card?", "where is my CARD"),
        ("Where  is\tmy card", "where is my card!!!"),
        ("ﬁne, thanks", "fine thanks"),
        ("STRASSE", "straße"),
        ("what's up", "what’s up"),
    ],
)
def test_normalised_texts_are_the_same(a: str, b: str) -> None:
    assert normalised(a) == normalised(b)


def test_texts_of_punctuation_or_emoji_only_are_not_all_the_same() -> None:
    texts = ["???", "!!!", "👍", "👎", "", "  ", "???"]
    assert near_duplicates(texts).group.tolist() == [0, 1, 2, 3, 4, 4, 0]


def test_the_report_and_conflicting_labels() -> None:
    texts = ["Where is my parcel now please", "where is my parcel now, please", "where is my parcel now pleas", "hi"]
    found = near_duplicates(texts, labels=["a", "b", None, "a"])
    assert found.keep == [0, 3]
    assert found.removed == [1, 2]
    assert found.exact == 1
    assert found.removed_ratio == 0.5
    assert found.pairs[0] == (0, 1, 1.0)
    assert [(conflict.rows, conflict.labels) for conflict in found.conflicts] == [((0, 1), ("a", "b"))]
    data = found.to_json()
    assert (data["texts"], data["kept"], data["conflicts"]) == (4, 2, 1)
    assert near_duplicates([]).to_json()["removed_ratio"] == 0.0


def test_dedupe_keeps_the_first_row_of_each_group() -> None:
    rows = [
        {"text": "hello there my friend", "y": 1},
        {"text": "Hello there, my friend!", "y": 2},
        {"text": "x", "y": 1},
    ]
    kept, found = dedupe(rows, label="y")
    assert kept == [rows[0], rows[2]]
    assert len(found.conflicts) == 1
    with pytest.raises(DataError, match=r"row 1: no column 'txt'; did you mean 'text'\?"):
        dedupe(rows, text="txt")
    with pytest.raises(DataError, match="row 1: column 'y' is int, not text"):
        dedupe(rows, text="y")


def test_settings_are_checked() -> None:
    for threshold in (0.0, 1.1, -1.0):
        with pytest.raises(ConfigError, match="threshold"):
            near_duplicates(["a"], threshold)
    with pytest.raises(ConfigError, match="n-gram"):
        leaks(["a"], ["b"], ngram=0)
    with pytest.raises(DataError, match="2 texts but 1 labels"):
        near_duplicates(["a", "b"], labels=["x"])


def test_10_000_short_texts_take_less_than_5_seconds() -> None:
    random.seed(0)
    words = ["".join(random.choices("aeioustrnlmdk", k=random.randint(2, 9))) for _ in range(1500)]
    texts = [" ".join(random.choices(words, k=random.randint(4, 18))) for _ in range(9_000)]
    texts += [text[:-1] + "x" for text in texts[:1000]]
    start = time.process_time()  # of this process alone, for others may be at work
    found = near_duplicates(texts)
    assert time.process_time() - start < 5
    assert len(found.removed) >= 990
