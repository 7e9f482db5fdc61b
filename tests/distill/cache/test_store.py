"""The folder: what was added is there after any death, and nothing else is read."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import pickle
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.distill.cache import TopKCache, _writer, example_key
from pilotfish.distill.cache._manifest import NAME, Manifest
from pilotfish.distill.cache._shard import ENTRY
from pilotfish.distill.cache._writer import Writer
from pilotfish.errors import ConfigError, DataError
from tests.forks import forked

MANIFEST = Manifest("big", "f00d", "float32", vocabulary=500, k=8, bits=8, temperature=2.0)


def example(number: int) -> tuple[str, Any, Any]:
    """An example of 0 to 6 positions: its key, ids and log-probabilities."""
    random = np.random.default_rng(number)
    count = number % 7
    ids = np.array([random.choice(500, 8, replace=False) for _ in range(count)], np.int64).reshape(count, 8)
    logs = np.log(random.dirichlet(np.ones(9), count)[:, :8]).astype(np.float32)
    return example_key([number, *range(count)]), ids, logs


def fill(folder: Path, numbers: range, step: int = 3) -> None:
    with Writer(folder, MANIFEST) as writer:
        for start in range(numbers.start, numbers.stop, step):
            writer.add([example(i) for i in range(start, min(start + step, numbers.stop))])


def check(cache: TopKCache, number: int) -> None:
    key, ids, logs = example(number)
    found_ids, found = cache.get(key)
    order = np.argsort(ids, axis=1)
    np.testing.assert_array_equal(found_ids, np.take_along_axis(ids, order, axis=1))
    np.testing.assert_allclose(np.exp(found), np.exp(np.take_along_axis(logs, order, axis=1)), rtol=0.1, atol=2e-3)
    assert cache.count(key) == number % 7


def test_what_was_added_is_read_in_any_order(tmp_path: Path) -> None:
    fill(tmp_path / "cache", range(30))
    cache = TopKCache(tmp_path / "cache")
    assert len(cache) == 30
    assert cache.tokens == sum(i % 7 for i in range(30))
    assert cache.manifest == MANIFEST
    for number in np.random.default_rng(0).permutation(30):
        check(cache, int(number))
    several = cache.batch([example(i)[0] for i in (5, 0, 12)])
    for at, part in enumerate(("ids", "logprobs")):
        np.testing.assert_array_equal(
            several[at], np.concatenate([cache.get(example(i)[0])[at] for i in (5, 0, 12)]), part
        )
    assert [array.shape for array in cache.batch([])] == [(0, 8), (0, 8)]


def test_what_is_there_is_not_written_twice(tmp_path: Path) -> None:
    fill(tmp_path, range(10))
    before = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    fill(tmp_path, range(10), step=4)
    with Writer(tmp_path, MANIFEST) as writer:
        assert example(3)[0] in writer and example(11)[0] not in writer
        writer.add([])
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == before
    fill(tmp_path, range(14))
    assert TopKCache(tmp_path).missing(example(i)[0] for i in range(15)) == [example(14)[0]]


def test_the_key_is_of_tokens_and_positions() -> None:
    key = example_key([1, 2, 3])
    assert key == example_key(np.array([1, 2, 3]), [True, True]) and len(key) == 64
    others = [
        example_key([1, 2, 3, 4]),
        example_key([1, 3, 2]),
        example_key([1, 2]),
        example_key([258, 0, 3]),
        example_key([1, 2, 3], [True, False]),
        example_key([1, 2, 3], [False, True]),
        example_key([]),
    ]
    assert len({key, *others}) == 8
    # The first token in the loss, where all after it are.
    assert example_key([1, 2, 3], 1) == key and example_key([1, 2, 3], 2) == example_key([1, 2, 3], [False, True])
    with pytest.raises(DataError, match="token 0"):
        example_key([1, 2, 3], 0)
    with pytest.raises(DataError, match="2 flags"):
        example_key([1, 2, 3], [True])


def test_a_missing_example_says_what_to_do(tmp_path: Path) -> None:
    fill(tmp_path, range(3))
    with pytest.raises(DataError, match=r"nothing of example [0-9a-f]{12}… of the teacher 'big'; run `capture`"):
        TopKCache(tmp_path).get(example_key([9]))
    with pytest.raises(DataError, match="run `capture` first"):
        TopKCache(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fingerprint": "beef", "teacher": "other"}, "of the teacher 'big' with other weights than this 'other'"),
        ({"k": 9}, "with k 8, not 9"),
        ({"temperature": 1.0}, "with temperature 2.0, not 1.0"),
        ({"vocabulary": 501}, "with vocabulary 500, not 501"),
        ({"bits": 6}, "with bits 8, not 6"),
        ({"dtype": "bfloat16"}, "with dtype float32, not bfloat16"),
    ],
)
def test_another_teacher_is_one_clear_error(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    fill(tmp_path, range(3))
    with pytest.raises(DataError, match=said) as caught, Writer(tmp_path, dataclasses.replace(MANIFEST, **change)):
        pass
    assert "\n" not in str(caught.value)
    assert len(TopKCache(tmp_path)) == 3
    with Writer(tmp_path, dataclasses.replace(MANIFEST, teacher="renamed")):
        pass  # the same model by another name


def test_other_peoples_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match=r"thesis\.txt"), Writer(tmp_path, MANIFEST):
        pass
    (tmp_path / NAME).write_text("[]")
    with pytest.raises(DataError, match="not the manifest"):
        TopKCache(tmp_path)
    (tmp_path / NAME).write_text(json.dumps({**dataclasses.asdict(MANIFEST), "version": 99}))
    with pytest.raises(DataError, match="another version"):
        TopKCache(tmp_path)


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    with (
        Writer(tmp_path, MANIFEST),
        pytest.raises(ConfigError, match="another run"),
        Writer(tmp_path, MANIFEST),
    ):
        pass
    fill(tmp_path, range(2))  # the lock is free again
    with pytest.raises(DataError), Writer(tmp_path, dataclasses.replace(MANIFEST, k=9)):
        pass
    fill(tmp_path, range(2))  # and after a refusal


def test_shards_are_limited_in_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_writer, "SHARD_BYTES", 200)
    fill(tmp_path, range(10))
    fill(tmp_path, range(20))
    sizes = [path.stat().st_size for path in sorted(tmp_path.glob("*.records"))]
    cache = TopKCache(tmp_path)
    assert len(sizes) >= 3
    assert all(200 <= size < 200 + 3 * 6 * cache.record_bytes for size in sizes[:-1])  # one batch over at most
    for number in range(20):
        check(cache, number)


@pytest.mark.parametrize("which", ["index", "records"])
def test_files_cut_off_anywhere_lose_only_what_was_cut(tmp_path: Path, which: str) -> None:
    whole = tmp_path / "whole"
    fill(whole, range(8), step=1)
    content = (whole / f"shard-00000.{which}").read_bytes()
    order = list(range(8))
    for size in range(0, len(content) + 1, 1 if which == "index" else 7):
        folder = tmp_path / "cut"
        shutil.copytree(whole, folder)
        (folder / f"shard-00000.{which}").write_bytes(content[:size])
        cache = TopKCache(folder)
        held = [i for i in order if example(i)[0] in cache]
        assert held == order[: len(held)]
        if which == "index":
            assert len(held) == size // ENTRY.itemsize
        for number in held:
            check(cache, number)
        if size % 13 == 0:
            fill(folder, range(8), step=1)
            again = TopKCache(folder)
            for number in order:
                check(again, number)
            assert (folder / "shard-00000.records").read_bytes() == (whole / "shard-00000.records").read_bytes()
        shutil.rmtree(folder)


def test_what_a_power_cut_garbled_is_not_believed(tmp_path: Path) -> None:
    fill(tmp_path, range(8), step=1)
    index = tmp_path / "shard-00000.index"
    content = bytearray(index.read_bytes())
    content[5 * ENTRY.itemsize + 3] ^= 1  # a bit of the sixth key
    index.write_bytes(content)
    assert len(TopKCache(tmp_path)) == 5
    fill(tmp_path, range(8))
    records = tmp_path / "shard-00000.records"
    content = bytearray(records.read_bytes())
    content[-1] ^= 1
    records.write_bytes(content)
    cache = TopKCache(tmp_path)
    check(cache, 4)
    with pytest.raises(DataError, match="damaged"):
        cache.get(example(6)[0])


WRITE = """
import sys
from pathlib import Path
from tests.distill.cache.test_store import fill
fill(Path(sys.argv[1]), range(20_000), step=2)
"""


def test_a_killed_writer_loses_nothing_that_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    kept = 0
    for wait in (0.0, 0.02, 0.05, 0.11):
        child = forked(WRITE, folder)
        before = _size(folder)
        while _size(folder) == before and child.poll() is None:
            time.sleep(0.001)
        time.sleep(wait)
        child.send_signal(signal.SIGKILL)
        child.wait()
        cache = TopKCache(folder)
        assert len(cache) > kept
        kept = len(cache)
        for number in range(kept):
            check(cache, number)
    fill(folder, range(kept + 5))
    assert len(TopKCache(folder)) == kept + 5


def _size(folder: Path) -> int:
    index = folder / "shard-00000.index"
    return index.stat().st_size if index.exists() else 0


def _read(cache: TopKCache, numbers: list[int]) -> int:
    for number in numbers:
        check(cache, number)
    return os.getpid()


def test_many_processes_read_while_one_writes(tmp_path: Path) -> None:
    fill(tmp_path, range(30))
    cache = TopKCache(tmp_path)
    check(cache, 3)  # a map is open
    assert len(pickle.dumps(cache)) < 500  # what goes to a worker is a name
    with multiprocessing.get_context("fork").Pool(2) as pool, Writer(tmp_path, MANIFEST) as writer:
        asked = [pool.apply_async(_read, (cache, list(range(start, 30, 3)))) for start in range(3)]
        writer.add([example(i) for i in range(30, 60)])
        assert all(one.get(20) != os.getpid() for one in asked)
    assert len(cache) == 30 and len(TopKCache(tmp_path)) == 60
