"""A labelling run killed with `kill -9` at random moments: rows lost, duplicated, or paid for twice; all should be 0.

The run is a process of its own that asks a scripted endpoint over HTTP for a label for each row. It is killed, looked
at from outside (which rows stand in its journals and shards?) and started again, many times over; then it may finish.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.fakes import Answer, ScriptedUpstream, Seen

from pilotfish.rows.read import read
from pilotfish.rows.run import read_output

ROOT = Path(__file__).resolve().parents[1]
BAD_LINES = 5
CONCURRENCY = 8
_WORKER = "import sys; from benchmarks.resume import label; label(*sys.argv[1:])"


@dataclass
class Tally:
    """What came of a run that was killed again and again.

    Attributes:
        rows: good rows of the input.
        kills: how often the process was killed while at work.
        lost, duplicated, disordered, wrong: rows of the output against what it should be.
        repeated: calls for rows that were finished when a kill came.
        repeated_unfinished: calls made again for rows that were under way when a kill came.
        calls: calls that the endpoint saw.
        finished: rows found finished at each kill.
        rejects: lines of the rejects file; one for each bad line of the input is right.
    """

    rows: int
    kills: int = 0
    lost: int = 0
    duplicated: int = 0
    disordered: int = 0
    wrong: int = 0
    repeated: int = 0
    repeated_unfinished: int = 0
    calls: int = 0
    finished: list[int] = field(default_factory=list)
    rejects: int = 0


def label(url: str, source: str, out: str) -> None:
    """Label the rows of `source`: what the killed process does."""
    from pilotfish.models.remote import RemoteModel
    from pilotfish.rows.model_stage import ModelStage
    from pilotfish.rows.run import run
    from pilotfish.rows.stage import EachRow

    model = RemoteModel("scripted", url, key_env=None, concurrency=CONCURRENCY)
    stages = [ModelStage(model, "Classify: {text}", output="label", concurrency=CONCURRENCY), EachRow(_checked)]
    run(source, stages, out, shard_rows=40, batch_size=16, progress=False)


def _checked(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"length": len(row["label"])}


def finished(out: Path) -> set[int]:
    """Return the rows (from 0) whose answer stands in a journal or a whole shard, by reading the files only."""
    found: set[int] = set()
    for path in out.glob("shard-*.done"):
        marker = json.loads(path.read_bytes())
        found |= set(range(marker["start"], marker["stop"]))
    for path in out.glob("shard-*.journal"):
        for line in path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                found.add(json.loads(line.partition(b" ")[2])["i"])
    return found


def kill_and_resume(folder: Path, *, rows: int, kills: int, seed: int) -> Tally:
    """Run, kill, resume, and compare with what should be there.

    Args:
        folder: an empty folder.
        rows: rows of the input.
        kills: how often to kill.
        seed: of the moments.
    """
    rng = random.Random(seed)
    source, out = folder / "in.jsonl", folder / "out"
    texts = [f"message {n} {rng.random()}" for n in range(rows)]
    lines = [json.dumps({"id": n, "text": text}) for n, text in enumerate(texts)]
    for place in sorted(rng.sample(range(rows), BAD_LINES), reverse=True):
        lines.insert(place, '{"id": "cut sho')
    source.write_text("\n".join(lines) + "\n", "utf-8")
    tally = Tally(rows)
    delays = random.Random(seed + 1)

    def answer(seen: Seen) -> Answer:
        return Answer(seen.prompt[::-1], delay=delays.uniform(0, 0.02))

    with ScriptedUpstream(answer) as upstream:
        calls_when_finished: dict[int, int] = {}
        while tally.kills < kills:
            # Mostly after some more calls; now and then after some time, which may be before the first call.
            left = rows - upstream.calls
            calls = upstream.calls + rng.randint(0, max(1, 2 * left // (kills - tally.kills + 1)))
            until = time.monotonic() + (rng.uniform(0.1, 1.0) if rng.random() < 0.25 else 30)
            process = _start(upstream.url, source, out)
            while process.poll() is None and upstream.calls < calls and time.monotonic() < until:
                time.sleep(0.0005)
            time.sleep(rng.uniform(0, 0.01))
            process.kill()
            if process.wait() == 0:
                break  # it was done before the moment came
            tally.kills += 1
            done = finished(out)
            tally.finished.append(len(done))
            for row in done:
                calls_when_finished.setdefault(row, upstream.prompts[f"Classify: {texts[row]}"])
        process = _start(upstream.url, source, out)
        if process.wait(120) != 0:
            raise RuntimeError(f"the resumed run failed with {process.returncode}")
        prompts = {row: upstream.prompts[f"Classify: {text}"] for row, text in enumerate(texts)}
        tally.calls = upstream.calls
    tally.repeated = sum(prompts[row] - count for row, count in calls_when_finished.items())
    tally.repeated_unfinished = sum(prompts.values()) - rows - tally.repeated
    _compare(tally, out, texts)
    return tally


def _start(url: str, source: Path, out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _WORKER, url, str(source), str(out)], cwd=ROOT)


def _compare(tally: Tally, out: Path, texts: list[str]) -> None:
    rows = list(read_output(out))
    seen = Counter(row["id"] for row in rows)
    tally.lost = sum(1 for n in range(tally.rows) if n not in seen)
    tally.duplicated = sum(count - 1 for count in seen.values())
    ids = [row["id"] for row in rows]
    tally.disordered = sum(a >= b for a, b in pairwise(ids))
    wanted = [f"Classify: {text}"[::-1] for text in texts]
    tally.wrong = sum(row["label"] != wanted[row["id"]] or row["length"] != len(row["label"]) for row in rows)
    tally.rejects = sum(1 for _ in read(out / "rejects.jsonl", format="jsonl"))


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Kill a run 20 times; `quick` has fewer rows and as many kills; `data` is not needed."""
    del data
    rows = 400 if quick else 2000
    with tempfile.TemporaryDirectory(prefix="pilotfish-resume-") as folder:
        tally = kill_and_resume(Path(folder), rows=rows, kills=20, seed=int(time.time()))
    values = {
        f"rows lost after {tally.kills} kills": tally.lost,
        "rows duplicated": tally.duplicated,
        "rows out of order": tally.disordered,
        "rows with a wrong result": tally.wrong,
        "calls repeated for finished rows": tally.repeated,
        f"calls repeated for rows under way (at most {CONCURRENCY} a kill)": tally.repeated_unfinished,
        f"lines of the rejects file ({BAD_LINES} is right)": tally.rejects,
    }
    cases = [
        {"case": case, "value": value, "low": value, "high": value, "unit": "count", "n": rows}
        for case, value in values.items()
    ]
    return {"name": "resume", "kills": tally.kills, "finished_at_kills": tally.finished, "cases": cases}
