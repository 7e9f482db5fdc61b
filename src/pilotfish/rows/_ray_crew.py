"""The workers of a run on Ray: a pool for all stages, or one for each kind of worker that stages ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count, groupby
from pathlib import Path
from typing import Any

from pilotfish.errors import ConfigError
from pilotfish.rows._journal import Entry
from pilotfish.rows._ray_pool import Pool
from pilotfish.rows._ray_sent import sent
from pilotfish.rows._session import begun, ended
from pilotfish.rows._works import Note, StoppedError
from pilotfish.rows.engine import Ray
from pilotfish.rows.report import StageReport
from pilotfish.rows.stage import AsyncStage, Stage


class RayCrew:
    """Does the work of a run with workers of Ray; journals and shards are written here.

    Args:
        ray: the module, connected.
        engine: how many workers, and what each needs.
        stages: the run's.
        concurrency: rows under way at once in each `AsyncStage` of each worker; None goes by the stage.
        name: of the input.
        folder: of the run, whose lock is held.
        batch_size: rows that are handed on together.

    Raises:
        ConfigError: a stage cannot be sent to a worker, or the cluster cannot hold one.
    """

    def __init__(
        self,
        ray: Any,
        engine: Ray,
        stages: Sequence[Stage],
        concurrency: int | None,
        name: str,
        folder: Path,
        batch_size: int,
    ) -> None:
        self._ray, self._engine, self._stages, self._folder = ray, engine, stages, folder
        self.worker = ThreadPoolExecutor(1, "pilotfish-shards")
        self.failure: Exception | None = None
        self._pools: list[tuple[int, Pool]] = []
        self._numbers = count()
        self._under_way = 0
        self._name, self._concurrency, self._batch_size = name, concurrency, batch_size
        self._groups = grouped(stages, engine)
        self._fits()
        self._sent = [sent(ray, stage) for stage in stages]
        wide = [(concurrency or stage.concurrency) if isinstance(stage, AsyncStage) else 1 for stage in stages]
        self._slots = 2 + max(wide) // batch_size
        self.ahead = engine.workers * len(self._groups) * self._slots * batch_size

    def _fits(self) -> None:
        there = self._ray.cluster_resources()
        for number, (place, need) in enumerate(zip(("CPU", "GPU"), _sums(self._groups), strict=True)):
            one = max(needs[number] for _, needs in self._groups)
            # Kinds of workers that wait for one another's rows must all find room; of one kind a single one will do.
            least = need * self._engine.workers if len(self._groups) > 1 else one
            if least > there.get(place, 0.0) + 1e-9:
                raise ConfigError(f"Ray has {there.get(place, 0.0):g} {place}, and the workers need {least:g}")

    def begin(self) -> None:
        """Hire the workers; called in the event loop, once the folder is in order."""
        session = begun(self._folder)
        first = 0
        for stages, (cpus, gpus) in self._groups:
            # Into Ray's store once, not once a worker: a stage may hold what a model has learnt.
            some = self._ray.put(self._sent[first : first + len(stages)])
            built = (some, self._concurrency, self._name, first, len(self._stages), session)
            options = {"num_cpus": cpus, "num_gpus": gpus}
            pool = Pool(self._ray, built, len(self._stages), options, self._engine.workers, self._slots)
            self._pools.append((first, pool))
            first += len(stages)

    @property
    def reports(self) -> list[StageReport]:
        """What each stage did, in all workers."""
        found = [StageReport(stage.title) for stage in self._stages]
        for first, pool in self._pools:
            for hand in pool.hands:
                for place, report in enumerate(hand.reports):
                    found[first + place].take(report)
        return found

    async def through(self, entries: list[Entry], note: Note) -> None:
        """Put rows through the stages; `note` is told of each that must be kept."""
        self._under_way += 1
        try:
            for (first, pool), (stages, _) in zip(self._pools, self._groups, strict=True):
                todo = [entry for entry in entries if first <= entry.done < first + len(stages)]
                if not todo:
                    continue
                path = self._folder / f".asked-{next(self._numbers):08d}.journal"
                onward = await pool.through(todo, path, note)
                begun_ = {entry.row for entry in todo}
                entries = onward + [entry for entry in entries if entry.row not in begun_]
        except StoppedError:
            raise
        except Exception as error:
            self.stop(error)
            raise
        self._under_way -= 1

    def stop(self, error: Exception) -> None:
        """Begin no further row."""
        if not isinstance(error, StoppedError):
            self.failure = self.failure or error
        for _, pool in self._pools:
            pool.stop(error)

    async def let_go(self) -> None:
        """End the workers."""
        # After an error or Ctrl-C workers may be at work; nobody waits for that any more.
        gently = self._under_way == 0
        await asyncio.gather(*(pool.let_go(gently=gently) for _, pool in self._pools))
        ended(self._folder)


def grouped(stages: Sequence[Stage], engine: Ray) -> list[tuple[list[Stage], tuple[float, float]]]:
    """Return stages that follow one another and need the same, with the processors and GPUs of a worker."""

    def needs(stage: Stage) -> tuple[float, float]:
        cpus = engine.cpus if stage.cpus is None else stage.cpus
        return cpus, engine.gpus if stage.gpus is None else stage.gpus

    return [(list(some), need) for need, some in groupby(stages, needs)]


def _sums(groups: Sequence[tuple[list[Stage], tuple[float, float]]]) -> tuple[float, float]:
    return sum(cpus for _, (cpus, _) in groups), sum(gpus for _, (_, gpus) in groups)
