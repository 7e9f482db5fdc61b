from __future__ import annotations

import itertools
import random
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, DataError
from pilotfish.rows import _lsh
from pilotfish.rows._grams import hashed, mixed
from pilotfish.rows._groups import components
from pilotfish.rows._lsh import Banding, across, within
from pilotfish.rows._shingles import normalised
from pilotfish.rows._sketch import sketches
from pilotfish.rows._verify import estimated, jaccard
from pilotfish.rows.dedupe import leaks, near_duplicates
from pilotfish.rows.minhash import MinHash, MinHashIndex

TEXTS = st.lists(st.text("ab c.Aß", max_size=12), max_size=10)


def grams(text: str, n: int, unit: str) -> set[tuple[str, ...]]:
    if unit == "word":
        parts = normalised(text).split(" ")
        parts += [""] * (n - len(parts))
    else:
        parts = list(f" {normalised(text)} ".ljust(n))
    return set(zip(*(parts[start:] for start in range(n)), strict=False))


def true_jaccard(a: str, b: str, n: int, unit: str) -> float:
    one, two = grams(a, n, unit), grams(b, n, unit)
    return len(one & two) / len(one | two)


def written(count: int, words: int = 40, seed: int = 0) -> list[str]:
    dice = random.Random(seed)
    known = ["".join(dice.choices("aeioustrnlmdk", k=dice.randint(2, 9))) for _ in range(3000)]
    return [" ".join(dice.choices(known, k=dice.randint(words // 2, words * 3 // 2))) for _ in range(count)]


def planted(count: int, seed: int = 0) -> list[str]:
    """Return texts and, for each, one with some words exchanged, so that similarities are spread out."""
    dice = random.Random(seed)
    texts = written(count, seed=seed)
    for text in texts[:count]:
        parts = text.split()
        for _ in range(dice.randint(1, max(1, len(parts) // 5))):
            parts[dice.randrange(len(parts))] = "".join(dice.choices("qwxyzvbg", k=6))
        texts.append(" ".join(parts))
    return texts


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.sampled_from([1, 2, 3, 4, 7]), st.sampled_from(["char", "word"]))
def test_equal_hashes_are_equal_ngrams(texts: list[str], n: int, unit: str) -> None:
    numbers, counts = hashed([normalised(text) for text in texts], n, unit)
    parts = np.split(numbers, np.cumsum(counts)[:-1]) if texts else []
    for text, part in zip(texts, parts, strict=True):
        assert len(set(part.tolist())) == len(grams(text, n, unit))
    for (a, one), (b, two) in itertools.combinations(zip(texts, parts, strict=True), 2):
        shared = set(one.tolist()) & set(two.tolist())
        assert len(shared) == len(grams(a, n, unit) & grams(b, n, unit))


def test_hashes_have_no_collisions_that_chance_would_not_make() -> None:
    words = ["".join(letters) for letters in itertools.product("abcdefghij", repeat=5)]
    assert len(np.unique(hashed(words, 1, "word")[0])) == len(words)
    assert len(np.unique(mixed(np.arange(1 << 16, dtype=np.uint64)))) == 1 << 16
    order = [" ".join(parts) for parts in itertools.permutations(["a", "b", "c", "d", "e", "f"])]
    assert len(np.unique(hashed(order, 6, "word")[0])) == len(order)


@settings(max_examples=200, deadline=None)
@given(TEXTS.filter(len), st.sampled_from([1, 2, 3, 5]), st.sampled_from(["char", "word"]))
def test_the_check_is_exact(texts: list[str], n: int, unit: str) -> None:
    left, right = (np.array(side) for side in zip(*itertools.product(range(len(texts)), repeat=2), strict=True))
    found = jaccard([normalised(text) for text in texts], left, right, n, unit)
    assert found == pytest.approx([true_jaccard(texts[a], texts[b], n, unit) for a, b in zip(left, right, strict=True)])


@pytest.mark.parametrize(("members", "shared"), [(5, 4), (60, 40), (2000, 1800)])
def test_estimates_are_unbiased_and_no_wider_than_classic_permutations(members: int, shared: int) -> None:
    rng, trials, size = np.random.default_rng(0), 1500, 64
    sets = rng.integers(0, 2**63, (trials, 2 * members - shared)).astype(np.uint64)
    counts = np.full(trials, members)
    one = sketches(sets[:, :members].ravel(), counts, size)
    two = sketches(sets[:, -members:].ravel(), counts, size)
    true = shared / (2 * members - shared)
    equal = (one == two).mean(axis=1)
    binomial = np.sqrt(true * (1 - true) / size)
    assert equal.mean() == pytest.approx(true, abs=4 * binomial / np.sqrt(trials))
    assert equal.std() < 1.06 * binomial  # 1.06: three standard errors of a standard deviation of 1,500
    place = np.arange(trials)
    assert estimated(np.concatenate([one, two]), place, place + trials).tolist() == equal.tolist()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=30), min_size=1, max_size=8), st.integers(16, 70))
def test_a_sketch_goes_by_the_set_alone(sets: list[list[int]], size: int) -> None:
    def made(given: list[list[int]]) -> list[list[int]]:
        flat = np.array([number for one in given for number in one], dtype=np.uint64)
        return sketches(flat, np.array([len(one) for one in given]), size, seed=3).tolist()  # type: ignore[no-any-return]

    assert made(sets) == made([sorted(one) * 2 for one in sets])
    assert made(sets) == [made([one])[0] for one in sets]


def test_banding_minimises_what_its_integrals_say() -> None:
    assert Banding.best(0.999999, 64).rows > 30
    for threshold, size in ((0.3, 64), (0.7, 128), (0.8, 100), (0.95, 256)):
        best = Banding.best(threshold, size)
        assert best.bands * best.rows <= size

        def wrong(shape: Banding, threshold: float = threshold) -> float:
            grid = (np.arange(20_000) + 0.5) / 20_000
            chance = shape.probability(grid)
            below = np.where(grid < threshold, chance, 0).mean()
            return float(0.05 * below + 0.95 * np.where(grid < threshold, 0, 1 - chance).mean())

        every = [Banding(size // rows, rows) for rows in range(1, size + 1)]
        assert wrong(best) <= min(map(wrong, every)) * 1.001
    # Closed forms: of one band the chance is s^r, whose integral is t^(r + 1) / (r + 1).
    assert Banding(1, 5).probability(np.linspace(0, 1, 100_001)).mean() == pytest.approx(1 / 6, abs=1e-5)
    assert Banding(3, 2).probability(0.5) == pytest.approx(1 - 0.75**3)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=40), st.lists(st.integers(0, 5), max_size=40))
def test_runs_give_all_pairs_of_equal_keys(a: list[int], b: list[int]) -> None:
    one, two = np.array(a, dtype=np.uint64), np.array(b, dtype=np.uint64)
    inner = [pair for left, right in within(one, one) for pair in zip(left.tolist(), right.tolist(), strict=True)]
    assert len(inner) == len(set(inner))
    assert set(inner) == {(i, j) for j in range(len(a)) for i in range(j) if a[i] == a[j]}
    outer = {pair for left, right in across(one, two) for pair in zip(left.tolist(), right.tolist(), strict=True)}
    assert outer == {(i, j) for i in range(len(a)) for j in range(len(b)) if a[i] == b[j]}


def test_long_runs_cost_no_square_and_still_join(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = np.zeros(5000, dtype=np.uint64)
    found = list(within(keys, np.arange(5000, dtype=np.uint64)[::-1].copy()))
    assert sum(len(left) for left, _ in found) <= 5000 * (_lsh.RUN + 1)
    least = components(5000, *(np.concatenate(side) for side in zip(*found, strict=True)))
    assert not least.any()
    texts = [f"order number {n:05d} has been sent to you by mail on monday morning" for n in range(3000)]
    start = time.process_time()
    assert len(near_duplicates(texts, 0.7, method="minhash").keep) == 1
    assert time.process_time() - start < 5


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30))
def test_components(pairs: list[tuple[int, int]]) -> None:
    least = list(range(20))
    for _ in range(20):
        for a, b in pairs:
            least[a] = least[b] = min(least[a], least[b])
    left, right = np.array([a for a, _ in pairs], dtype=np.int64), np.array([b for _, b in pairs], dtype=np.int64)
    assert components(20, left, right).tolist() == least


def test_a_long_chain_is_one_component() -> None:
    order = np.random.default_rng(0).permutation(20_000)
    assert not components(20_000, order[:-1], order[1:]).any()


@pytest.mark.parametrize(("ngram", "unit"), [(3, "char"), (5, "char"), (2, "word")])
def test_planted_pairs_are_found(ngram: int, unit: str) -> None:
    texts = planted(1500)
    half = len(texts) // 2
    true = np.array([true_jaccard(texts[n], texts[n + half], ngram, unit) for n in range(half)])
    assert (true >= 0.7).sum() > 300
    found = near_duplicates(texts, 0.7, ngram=ngram, unit=unit, method="minhash")
    together = found.group[:half] == found.group[half:]
    assert together[true >= 0.7].mean() >= 0.95
    for a, b, similarity in found.pairs:
        assert similarity == pytest.approx(true_jaccard(texts[a], texts[b], ngram, unit), abs=1e-6)
        assert similarity >= 0.7 - 1e-6

    index = MinHashIndex(MinHash(0.7, ngram, unit))
    index.add(texts)
    assert index.duplicates(texts=texts).pairs == found.pairs
    # Without the texts, the estimate decides: what is two standard errors off the threshold is told apart.
    by_estimate = index.duplicates()
    error = np.sqrt(0.7 * 0.3 / 128)
    together = by_estimate.group[:half] == by_estimate.group[half:]
    assert together[true >= 0.7 + 2 * error].mean() >= 0.95
    right = [true_jaccard(texts[a], texts[b], ngram, unit) >= 0.7 - 2 * error for a, b, _ in by_estimate.pairs]
    assert np.mean(right) >= 0.95


def test_the_methods_agree_and_auto_goes_by_size() -> None:
    texts = planted(1000, seed=1)
    texts += texts[:10]
    exact = near_duplicates(texts, 0.8, method="exact")
    quick = near_duplicates(texts, 0.8, method="minhash")
    assert quick.exact == exact.exact >= 10
    assert set(quick.pairs) <= set(exact.pairs)
    assert len(quick.removed) >= 0.98 * len(exact.removed)
    assert near_duplicates(texts, 0.8).pairs == exact.pairs
    many = written(9000) + texts
    assert sum(map(len, many)) > 2_000_000
    assert near_duplicates(many, 0.8).pairs == near_duplicates(many, 0.8, method="minhash").pairs
    for text in (*quick.nearest().items(), *exact.nearest().items()):
        place, (other, similarity) = text
        assert true_jaccard(texts[place], texts[other], 3, "char") == pytest.approx(similarity, abs=1e-6)


def test_leaks_by_sketches() -> None:
    texts = planted(800, seed=2)
    train, test = texts[:800], texts[800:]
    exact, quick = leaks(train, test, 0.7, method="exact"), leaks(train, test, 0.7, method="minhash")
    assert set(quick.pairs) <= set(exact.pairs)
    assert len(quick) >= 0.97 * len(exact) > 100


def test_batches_and_files_do_not_change_the_result(tmp_path: Path) -> None:
    texts = planted(400)
    whole, parts = MinHashIndex(MinHash(seed=5)), MinHashIndex(MinHash(seed=5))
    seen: list[int] = []
    assert whole.add(iter(texts), seen.append) == range(800)
    assert sum(seen) == 800
    assert parts.add(texts[:333]) == range(333)
    parts.save(tmp_path / "index.npz")
    later = MinHashIndex.load(tmp_path / "index.npz")
    assert later.how == parts.how
    assert later.add(texts[333:]) == range(333, 800)
    assert np.array_equal(whole.sketches, later.sketches)
    assert later.duplicates().pairs == whole.duplicates().pairs
    since = later.duplicates(333)
    assert since.pairs == tuple(pair for pair in whole.duplicates().pairs if pair[1] >= 333)
    assert not np.array_equal(whole.sketches, MinHash(seed=6).sketched([normalised(text) for text in texts]))


def test_an_index_of_copies_and_of_nothing(tmp_path: Path) -> None:
    index = MinHashIndex()
    assert index.duplicates().pairs == ()
    index.save(tmp_path / "none.npz")
    index = MinHashIndex.load(tmp_path / "none.npz")
    index.add(["b", "", "B!", " ", "c"])
    found = index.duplicates(labels=["x", "y", "z", "y", "x"])
    assert found.group.tolist() == [0, 1, 0, 1, 4]
    assert found.exact == 2
    assert [conflict.rows for conflict in found.conflicts] == [(0, 2)]
    with pytest.raises(DataError, match="holds 5 texts but 1 texts were given"):
        index.duplicates(texts=["a"])


def test_a_damaged_index_is_one_line(tmp_path: Path) -> None:
    index = MinHashIndex()
    index.add(["one", "two"])
    index.save(tmp_path / "good.npz")
    content = (tmp_path / "good.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[:300])
    (tmp_path / "other.npz").write_bytes(b"PK hello")
    np.savez(tmp_path / "alien.npz", x=np.arange(3))
    np.save(tmp_path / "array.npz.npy", np.arange(3))
    for name in ("cut.npz", "other.npz", "alien.npz", "array.npz.npy"):
        with pytest.raises(DataError, match="not an index of sketches"):
            MinHashIndex.load(tmp_path / name)
    with pytest.raises(DataError, match="no such file"):
        MinHashIndex.load(tmp_path / "absent.npz")


def test_settings_are_checked() -> None:
    for wrong in ({"threshold": 0.0}, {"ngram": 0}, {"unit": "line"}, {"size": 8}, {"seed": -1}):
        with pytest.raises(ConfigError):
            MinHash(**wrong)
    with pytest.raises(ConfigError, match="did you mean 'minhash'"):
        near_duplicates(["a"], method="min-hash")
    with pytest.raises(ConfigError, match="not 'line'"):
        near_duplicates(["a"], unit="line")


def test_20_000_texts_take_less_than_5_seconds() -> None:
    texts = written(18_000, words=60)
    texts += [text[:-1] + "x" for text in texts[:2000]]
    start = time.process_time()
    found = near_duplicates(texts, method="minhash")
    assert time.process_time() - start < 5
    assert len(found.removed) >= 1990
    groups = defaultdict(list)
    for place, first in enumerate(found.group.tolist()):
        groups[first].append(place)
    assert all(len(members) <= 2 for members in groups.values())
