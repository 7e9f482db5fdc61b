"""Map stages over rows, so that `kill -9` at any moment loses nothing and repeats no finished row.

The output folder holds shards of the output in the order of the input, a marker for each whole shard, a journal for
each shard under way, and at the end `rejects.jsonl` and `report.json`. A row is finished once its line is in the
journal; a row that went through a model is noted there after each such stage, so no paid answer is asked for twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pilotfish._sync import wait
from pilotfish.errors import ConfigError, DataError, did_you_mean
from pilotfish.rows import _manifest
from pilotfish.rows._describe import class_name
from pilotfish.rows._input import Input
from pilotfish.rows._lock import locked
from pilotfish.rows._remote import is_url, local
from pilotfish.rows._row import Row
from pilotfish.rows._runner import Crew, Run
from pilotfish.rows._shards import Marker, markers
from pilotfish.rows._store import Store
from pilotfish.rows._works import Works
from pilotfish.rows.engine import Engine, engine_of
from pilotfish.rows.read import read
from pilotfish.rows.report import RunReport
from pilotfish.rows.stage import EachRow, Outcome, Stage

__all__ = ["RunReport", "read_output", "run"]

SHARDS = ("jsonl", "parquet")
READ_OPTIONS = {"format", "encoding", "columns", "split", "strict", "max_row_bytes"}


def run(
    source: str | Path | Sequence[Row],
    stages: Stage | Callable[[Row], Outcome] | Sequence[Stage | Callable[[Row], Outcome]],
    out_dir: str | Path,
    *,
    batch_size: int | None = None,
    shard_rows: int = 10_000,
    shards: str = "jsonl",
    concurrency: int | None = None,
    resume: bool = True,
    progress: bool = True,
    read_options: Mapping[str, Any] | None = None,
    engine: Engine | None = None,
) -> RunReport:
    """Put every row of a source through the stages and write what comes out, resuming where an earlier run stopped.

    Results pass through the journal as JSON: numpy values become plain ones, dates ISO text, in Parquet shards too.
    A row that was rejected because an endpoint failed, not for its own sake, is tried anew by the next run.

    Args:
        source: a path, a URL that fsspec knows, `-` for standard input (these two are copied into the output folder
            first), or a list of rows.
        stages: one stage or several, one after another; a plain function from row to row is a stage too.
        out_dir: the output folder, or the URL of one, as `s3://bucket/run`: then the work is done in a folder of the
            user's cache, journals stay there, and each shard is put behind the URL when it is whole, its marker last.
        batch_size: rows handed on together; None goes by the stages.
        shard_rows: input rows a shard.
        shards: `jsonl` or `parquet`.
        concurrency: rows under way at once in each `AsyncStage`; None goes by the stage.
        resume: go on with what is in the folder; False discards it first.
        progress: show a bar on standard error.
        read_options: for `read`: format, encoding, columns, split, strict, max_row_bytes.
        engine: `local`, `ray`, or a `Ray` that says how many workers and what each needs; None goes by `using`, else it
            is local. The folder is the same with either, so a run that was begun with one may go on with the other. On
            Ray `concurrency` is each worker's.

    Raises:
        ConfigError: the folder holds another run (the text names `--fresh`), another process is writing there, or a
            setting is wrong.
        DataError: the input cannot be read, the disk is full, or a finished shard was changed.
        UpstreamError: the endpoint fails for row after row; what is finished stays, run again to go on.
        KeyboardInterrupt: on Ctrl-C; what is finished stays.
    """
    pipeline = _pipeline(stages)
    for name, value in (("batch_size", batch_size), ("shard_rows", shard_rows), ("concurrency", concurrency)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} must be at least 1, not {value}")
    if shards not in SHARDS:
        raise ConfigError(f"shards are written as {' or '.join(SHARDS)}, not {shards!r}")
    options = dict(read_options or {})
    for name in options.keys() - READ_OPTIONS:
        raise ConfigError(f"unknown read option {name!r}{did_you_mean(name, READ_OPTIONS)}")
    workers = engine_of(engine)
    store = Store(out_dir) if isinstance(out_dir, str) and is_url(out_dir) else None
    folder = local(out_dir) if store is None else store.folder
    with locked(folder):
        if not resume:
            _manifest.clear(folder)
            if store is not None:
                store.clear(_manifest.PATTERNS)
        elif store is not None:
            store.pull()
        given = Input.of(source, options, folder / "input.spool")
        wanted = {
            "input": given.config(),
            "stages": [{"class": class_name(type(s)), "config": s.config()} for s in pipeline],
            "shard_rows": shard_rows,
            "shards": shards,
        }
        _manifest.check(folder, wanted)
        if store is not None:
            store.put([_manifest.NAME])
        size = batch_size or max(stage.batch_size for stage in pipeline)

        def go(crew: Crew) -> RunReport:
            return wait(Run(given, len(pipeline), crew, folder, size, shard_rows, shards, store).go(progress))

        if workers is None:
            return go(Works(pipeline, concurrency, given.name))
        from pilotfish.rows._ray_crew import RayCrew

        with workers.up() as ray:
            return go(RayCrew(ray, workers, pipeline, concurrency, given.name, folder, size))


def read_output(out_dir: str | Path) -> Iterator[Row]:
    """Yield the output rows of a finished run, in the order of the input.

    Raises:
        DataError: the folder is no finished run.
    """
    folder = local(out_dir)
    if isinstance(out_dir, str) and is_url(out_dir):
        store = Store(out_dir)
        store.pull()
        folder = store.folder
    try:
        total = json.loads((folder / "report.json").read_bytes())["rows_in"]
    except (OSError, ValueError, KeyError):
        raise DataError(f"{folder}: not the folder of a finished run; run it (again) to its end") from None
    done = markers(folder)
    starts = [0, *(marker.stop for marker in done)]
    if starts[-1] != total or any(marker.start != start for marker, start in zip(done, starts, strict=False)):
        raise DataError(f"{folder}: a shard is missing; run it again to make it anew")
    return _shard_rows(folder, done)


def _shard_rows(folder: Path, done: Iterable[Marker]) -> Iterator[Row]:
    for marker in done:
        if marker.file is not None:
            # A row of the output may be of any length: it is ours, and was written whole.
            yield from read(folder / marker.file, strict=True, max_row_bytes=1 << 40)


def _pipeline(
    stages: Stage | Callable[[Row], Outcome] | Sequence[Stage | Callable[[Row], Outcome]],
) -> list[Stage]:
    several = list(stages) if isinstance(stages, Sequence) else [stages]
    if not several:
        raise ConfigError("a run needs at least one stage")
    return [stage if isinstance(stage, Stage) else EachRow(stage) for stage in several]
