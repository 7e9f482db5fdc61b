"""Duplicates sought by workers of Ray: the groups of one process, however keys are shared out."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pilotfish.rows import Ray, using
from pilotfish.rows._near import MinHash
from pilotfish.rows._ray_sketches import TEXTS, RaySketches, sketch_file
from pilotfish.rows._session import NAME
from pilotfish.rows._sketch_file import Mapped, SketchFile
from pilotfish.rows._sketch_texts import Packed
from tests.ray_up import ray_up

__all__ = ["ray_up"]

pytestmark = pytest.mark.usefixtures("ray_up")


def chained(count: int, seed: int) -> list[str]:
    """Return texts with copies, chains in which each is near the one before, and a crowd around one text."""
    rng = random.Random(seed)
    words = [f"w{number}" for number in range(2000)]
    made = [" ".join(rng.choices(words, k=40)) for _ in range(count // 2)]
    while len(made) < count - 350:
        some = rng.choice(made[-50:]).split()
        if rng.random() < 0.8:
            some[rng.randrange(len(some))] = rng.choice(words)
        made.append(" ".join(some))
    pattern = rng.choices(words, k=60)
    for _ in range(200):
        pattern[rng.randrange(60)] = rng.choice(words)
        made.append(" ".join(pattern))
    # Of one text, each with another word changed: more with equal keys than are all compared with one another.
    for place in range(150):
        made.append(" ".join([*pattern[: place % 60], f"x{place}", *pattern[place % 60 + 1 :]]))
    rng.shuffle(made)
    return made


def groups(folder: Path, texts: list[str], sketches: SketchFile, *, exact: bool) -> NDArray[np.int32]:
    sizes = [0]
    with (folder / TEXTS).open("wb") as file:
        for plain in sketches.taken([texts[at : at + 100] for at in range(0, len(texts), 100)]):
            file.write(b"".join(plain))
            sizes += [len(one) for one in plain]
    mapped = Mapped(folder / TEXTS)
    packed = Packed(mapped.array, np.cumsum(sizes))
    return sketches.groups(packed if exact else None, [mapped])


@pytest.mark.parametrize("exact", [True, False])
def test_groups_are_those_of_one_process(tmp_path: Path, exact: bool) -> None:
    how, texts = MinHash(0.7), chained(1500, 3)
    (tmp_path / "here").mkdir()
    wanted = groups(tmp_path / "here", texts, sketch_file(tmp_path / "here", how), exact=exact)
    assert 100 < len(set(wanted.tolist())) < 1300
    for workers in (1, 3):
        folder = tmp_path / f"ray{workers}"
        folder.mkdir()
        with using(Ray(workers, cpus=0.5)):
            sketches = sketch_file(folder, how)
            assert isinstance(sketches, RaySketches)
            found = groups(folder, texts, sketches, exact=exact)
        assert np.array_equal(found, wanted)
        assert (folder / "sketches.u4").read_bytes() == (tmp_path / "here" / "sketches.u4").read_bytes()


def test_a_worker_that_does_not_see_the_folder_leaves_its_part_to_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pilotfish.rows._ray_sketches as module

    how, texts = MinHash(0.7), chained(800, 4)
    for name in ("here", "ray"):
        (tmp_path / name).mkdir()
    wanted = groups(tmp_path / "here", texts, sketch_file(tmp_path / "here", how), exact=True)
    # As on another machine: what stands in the folder there is not what this session has written.
    monkeypatch.setattr(module, "begun", lambda folder: (folder / NAME).write_text("another's") and "ours")
    with using(Ray(2, cpus=0.5)):
        found = groups(tmp_path / "ray", texts, sketch_file(tmp_path / "ray", how), exact=True)
    assert np.array_equal(found, wanted)
