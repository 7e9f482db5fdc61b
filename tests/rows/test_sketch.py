"""C and numpy give the same sketches and groups; files and parts change nothing; what is found follows the curve."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.rows import _sketch_file
from pilotfish.rows._groups import components
from pilotfish.rows._near import MinHash, near_within
from pilotfish.rows._shingles import normalised
from pilotfish.rows._sketch_file import Mapped, SketchFile, _Native
from pilotfish.rows._sketch_native import library, packed
from pilotfish.rows._sketch_texts import Packed, encoded_texts, plain_bytes, similarities, sketched_bytes
from pilotfish.rows._verify import jaccard

LETTERS = st.text(st.sampled_from("ab cdE  .,\t\n\x1c$é𝔘ß語\ud800\0"), max_size=40)
native = pytest.mark.skipif(library() is None, reason="no C compiler here")


def grouped(folder: Path, how: MinHash, texts: list[str], *, exact: bool = True) -> list[int]:
    folder.mkdir(parents=True, exist_ok=True)
    plain = plain_bytes(texts)
    file = SketchFile(folder, how)
    for start in range(0, len(plain), 100):
        file.add(plain[start : start + 100])
    return list(map(int, file.groups(Packed(*packed(plain)) if exact else None)))


def alike(dice: random.Random, count: int, shares: tuple[float, ...] = (0, 0.03, 0.08)) -> list[str]:
    """Texts, copies with words exchanged, whole copies, and many that share most of what they say."""
    words = ["".join(dice.choices("abcdefgh", k=dice.randint(2, 7))) for _ in range(300)]
    texts = [" ".join(dice.choices(words, k=dice.randint(5, 60))) for _ in range(count)]
    for _ in range(count):
        copy = [dice.choice(words) if dice.random() < dice.choice(shares) else w for w in dice.choice(texts).split()]
        texts.append(" ".join(copy))
    form = " ".join(dice.choices(words, k=50))
    texts += [f"{form} {place}" for place in range(count // 2)]
    dice.shuffle(texts)
    return texts


@native
@settings(max_examples=60, deadline=None)
@given(st.lists(LETTERS, max_size=6), st.integers(1, 6), st.sampled_from(["char", "word"]), st.integers(0, 3))
def test_c_and_numpy_agree(texts: list[str], n: int, unit: str, seed: int) -> None:
    plain = [normalised(text) for text in texts]
    assert plain_bytes(texts) == encoded_texts(plain)
    data, starts = packed(encoded_texts(plain))
    how = MinHash(0.8, n, unit, size=24, seed=seed)
    found = sketched_bytes(data, starts, n, unit, 24, seed)
    assert found is not None and np.array_equal(found, how._in_numpy(plain))
    left, right = (np.array(side, np.int64) for side in np.triu_indices(len(plain), 1))
    similar = similarities(Packed(data, starts), left, right, n, unit)
    assert similar is not None and np.allclose(similar, jaccard(plain, left, right, n, unit))


@pytest.mark.parametrize(("ngram", "unit"), [(3, "char"), (5, "char"), (3, "word")])
@pytest.mark.parametrize("exact", [True, False])
def test_groups_are_those_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ngram: int, unit: str, exact: bool
) -> None:
    texts = alike(random.Random(1), 300)
    how = MinHash(0.75, ngram, unit)
    plain = list(dict.fromkeys(map(normalised, texts)))
    left, right, _ = near_within(how.sketched(plain), how, plain if exact else None)
    near = components(len(plain), left, right)
    place = {text: number for number, text in enumerate(plain)}
    wanted = [near[place[normalised(text)]] for text in texts]
    first = {group: number for number, group in reversed(list(enumerate(wanted)))}
    expected = [first[group] for group in wanted]
    assert grouped(tmp_path / "a", how, texts, exact=exact) == expected
    # In parts and blocks of a few rows, and without a compiler.
    monkeypatch.setattr(_sketch_file, "_PART", 200)
    monkeypatch.setattr(_sketch_file, "_BLOCK", 16)
    assert grouped(tmp_path / "b", how, texts, exact=exact) == expected
    monkeypatch.setenv("PILOTFISH_NATIVE", "0")
    assert grouped(tmp_path / "c", how, texts, exact=exact) == expected
    assert not list(tmp_path.rglob("*.part-*"))


def test_few_rows_and_empty_ones(tmp_path: Path) -> None:
    assert grouped(tmp_path / "none", MinHash(), []) == []
    assert grouped(tmp_path / "one", MinHash(), ["a"]) == [0]
    assert grouped(tmp_path / "empty", MinHash(), ["", "a", "", "A!"]) == [0, 1, 0, 1]
    (tmp_path / "file").touch()
    Mapped(tmp_path / "file").release()


@pytest.mark.parametrize("compiled", [True, False])
def test_what_is_found_follows_the_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: bool) -> None:
    """Pairs of texts whose word sets have an exact similarity: as many are found as `MinHash.found` says."""
    monkeypatch.setenv("PILOTFISH_NATIVE", "1" if compiled else "0")
    how, pairs, words = MinHash(0.8, 1, "word"), 400, 180
    for wanted in (0.78, 0.8, 0.82, 0.85, 0.9):
        texts = []
        shared = round(2 * words * wanted / (1 + wanted))
        if wanted >= 0.8:  # rounding must not put a pair below the threshold
            shared += (shared / (2 * words - shared)) < 0.8
        for pair in range(pairs):
            both = [f"{pair}s{k}" for k in range(shared)]
            texts += [" ".join(both + [f"{pair}{side}{k}" for k in range(words - shared)]) for side in "ab"]
        group = np.array(grouped(tmp_path / str(wanted), how, texts)).reshape(-1, 2)
        found = float((group[:, 0] == group[:, 1]).mean())
        exact = shared / (2 * words - shared)
        if exact < 0.8:
            assert found == 0  # texts decide, so no pair below the threshold is ever joined
            continue
        told = float(how.found(exact))
        assert abs(found - told) <= 4 * np.sqrt(told * (1 - told) / pairs) + 0.01, (exact, found, told)


@native
def test_rows_of_common_words_take_no_long_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts that share most of their trigrams are candidates of one another: 40,000 took 97 seconds once.

    What takes the time is counted, as clocks differ from run to run.
    """
    dice = random.Random(0)
    words = ["".join(dice.choices("aeioustrnlmdhc", k=dice.randint(2, 7))) for _ in range(120)]
    texts = [" ".join(dice.choices(words, k=dice.randint(30, 200))) for _ in range(10_000)]
    joins: list[_Native] = []

    def kept(*settings: Any) -> _Native:
        joins.append(_Native(*settings))
        return joins[-1]

    monkeypatch.setattr(_sketch_file, "_Native", kept)
    for count in (2_500, 10_000):
        grouped(tmp_path / str(count), MinHash(), texts[:count])
    (few, few_compared, _), (many, many_compared, _) = (tuple(join.join.counts) for join in joins)
    assert many < 9 * few  # squares would be sixteen times as many
    assert 0 < many_compared < 9 * few_compared
