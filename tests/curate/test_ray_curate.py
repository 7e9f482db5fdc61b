"""A curation on Ray: the same files as here, from Python and from the command line."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from pilotfish.curate import Sift, curate
from pilotfish.curate.barrier import Barrier
from pilotfish.curate.dedupe import Dedupe
from pilotfish.curate.rules import FineWeb
from pilotfish.rows import Ray, Rows, Stage
from pilotfish.rows.engine import Engine
from tests.cli.help import error_of, pilotfish, read_rows, remote, write_rows, write_toml
from tests.curate.test_curating import Rank, Short
from tests.fakes import Answer, ScriptedUpstream
from tests.ray_up import ray_up

__all__ = ["ray_up"]
NAMES = ("kept.jsonl", "dropped.jsonl", "rejects.jsonl")


def texts(count: int, seed: int = 0) -> Rows:
    """Return rows of made-up sentences, every fifth one like an earlier one but for a word."""
    rng = random.Random(seed)
    words = [f"{a}{b}" for a in ("ba", "ko", "mi", "tu", "sa") for b in ("rin", "lo", "meka", "s", "dy")]
    made: list[str] = []
    for n in range(count):
        if n % 5 == 4:
            some = rng.choice(made).split()
            some[rng.randrange(len(some))] = rng.choice(words)
        else:
            some = rng.choices(words, k=rng.randint(2, 60))
        made.append(" ".join(some) + ".")
    return [{"id": n, "text": text} for n, text in enumerate(made)]


def files(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in NAMES]


@pytest.mark.usefixtures("ray_up")
def test_a_curation_with_barriers_is_the_same_here_and_on_ray(tmp_path: Path) -> None:
    rows = [*texts(300), {"id": -1, "text": None}]
    steps: list[Stage | Barrier] = [Short(30), FineWeb(), Dedupe(0.7, method="minhash"), Rank(40)]
    assert isinstance(steps[0], Sift)
    reports = []
    engines: dict[str, Engine] = {"local": "local", "ray": Ray(workers=2, cpus=0.5)}
    for name, engine in engines.items():
        found = curate(rows, steps, tmp_path / name, progress=False, shard_rows=50, engine=engine)
        reports.append(found.to_json())
    assert files(tmp_path / "ray") == files(tmp_path / "local")
    assert reports[0]["kept"] == 40
    assert reports[0]["steps"][2]["dropped"] > 10
    assert [step["reasons"] for step in reports[1]["steps"]] == [step["reasons"] for step in reports[0]["steps"]]


def test_curate_and_map_on_ray_by_command(tmp_path: Path, ray_up: None) -> None:
    import ray

    write_rows(tmp_path / "rows.jsonl", texts(60))
    table = '[curate]\nin = "rows.jsonl"\nout = "out"\n%s\n[[curate.steps]]\ndo = "dedupe"\nthreshold = 0.7\n'
    here = write_toml(tmp_path / "here.toml", table % "")
    done = pilotfish("curate", here, "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    address = ray.get_runtime_context().gcs_address
    there = write_toml(tmp_path / "there.toml", table % f'engine = "ray"\nworkers = 1\naddress = "{address}"')
    done = pilotfish("curate", there, "--out", str(tmp_path / "ray"), "--json", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kept"] == len(read_rows(tmp_path / "out" / "kept.jsonl"))
    assert files(tmp_path / "ray") == files(tmp_path / "out")
    wrong = write_toml(tmp_path / "wrong.toml", table % "workers = 2")
    assert "`workers` is of engine" in error_of(pilotfish("curate", wrong, cwd=tmp_path))
    assert "`workers` is of engine" in error_of(pilotfish("curate", here, "--workers", "2", cwd=tmp_path))


def test_map_starts_a_ray_of_its_own(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed: pip install 'pilotfish[ray]'")
    with ScriptedUpstream(lambda seen: Answer(seen.prompt.upper())) as upstream:
        write_rows(tmp_path / "rows.jsonl", texts(40))
        write_toml(tmp_path / "c.toml", remote("m", upstream.url))
        arguments = ["map", "c.toml", "rows.jsonl", "--prompt", "{text}", "--engine", "ray", "--workers", "1"]
        done = pilotfish(*arguments, "--out", "out", "--output", "-", "--quiet", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert sorted(upstream.prompts.values()) == [1] * 40
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["answer"] for row in answers] == [row["text"].upper() for row in texts(40)]
