"""A part of a curation between two barriers: one run, and what it leaves for the next."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pilotfish.curate._stages import DROPPED, NUMBER, ROW, Decided, Enter, Through, title_of
from pilotfish.curate.barrier import Barrier
from pilotfish.curate.report import StepReport, Tally, key_of
from pilotfish.errors import ConfigError
from pilotfish.rows._atomic import atomic
from pilotfish.rows._json import encoded
from pilotfish.rows._manifest import FRESH
from pilotfish.rows._row import Row
from pilotfish.rows.read import read
from pilotfish.rows.run import read_output, run
from pilotfish.rows.stage import Stage

__all__ = ["Segment", "segments"]

KEPT, LEFT_OUT, BAD, DONE = "kept.jsonl", "dropped.jsonl", "rejects.jsonl", "segment.json"
_RUN, _LOOK = "run", "look"


@dataclass
class Segment:
    """Steps that one run does.

    Attributes:
        folder: its own.
        first: whether its input is the user's file, and not what a segment before it kept.
        barrier: the step whose findings come first, and its number.
        stages: the further steps, each with its number.
        scoring: the stage that the next segment's barrier wants the rows put through, and that step's number.
    """

    folder: Path
    first: bool
    barrier: tuple[int, Barrier] | None = None
    stages: list[tuple[int, Stage]] = field(default_factory=list)
    scoring: tuple[int, Barrier] | None = None

    def identity(self, before: str) -> str:
        """Return a digest of all that decides what comes out, of the segments before too."""
        told = [before, *(stage.config() for stage in self._throughs())]
        if self.barrier is not None:
            number, barrier = self.barrier
            told.append({"number": number, "class": type(barrier).__qualname__, **barrier.config()})
        return hashlib.sha256(encoded(told)).hexdigest()

    def finished(self, identity: str) -> dict[str, Any] | None:
        """Return what was noted at the end of this segment, if it has one.

        Raises:
            ConfigError: it is the end of another.
        """
        try:
            told: dict[str, Any] = json.loads((self.folder / DONE).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self.folder / DONE}: cannot be read ({error}); {FRESH}") from None
        if told["identity"] != identity:
            raise ConfigError(f"{self.folder}: cannot resume, the input or a step has changed; {FRESH}")
        return told

    def go(self, source: Any, identity: str, text: str, **options: Any) -> dict[str, Any]:
        """Run the steps over the source, write what was kept and dropped, and return the tallies."""
        stages: list[Stage] = [Enter()] if self.first else []
        if self.barrier is not None:
            number, barrier = self.barrier
            look = self.folder / _LOOK
            look.mkdir(parents=True, exist_ok=True)
            stages.append(Decided(barrier, barrier.look(_rows_of(source), look), number))
        stages += self._throughs()
        report = run(source, stages, self.folder / _RUN, **options)
        told = self._collected(text)
        told |= {"identity": identity, "rows_in": report.rows_in, "unread": report.unread}
        with atomic(self.folder / DONE) as file:
            file.write(json.dumps(told, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace") + b"\n")
        # What the run wrote stands in the files now, and would take the place a second time.
        for name in (_RUN, _LOOK):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        return told

    def _throughs(self) -> list[Through]:
        found = [Through(stage, number, stage.title) for number, stage in self.stages]
        if self.scoring is not None:
            number, barrier = self.scoring
            assert barrier.before is not None
            found.append(Through(barrier.before, number, barrier.title))
        for through in found:
            through.cpus, through.gpus = through.stage.cpus, through.stage.gpus
        return found

    def tallies(self) -> list[Tally]:
        """Return one tally a step; where rows are scored for a barrier it has one too, for those that go there."""
        found: list[Tally] = []
        if self.barrier is not None:
            number, barrier = self.barrier
            found.append(Tally(number, barrier.title, barrier.measure))
        found += [Tally(number, stage.title, getattr(stage, "measure", None)) for number, stage in self.stages]
        if self.scoring is not None:
            found.append(Tally(self.scoring[0], self.scoring[1].title))
        return found

    def _collected(self, text: str) -> dict[str, Any]:
        """Write the rows that are kept and those that are not, each file whole or not at all, and count."""
        tallies = self.tallies()
        kept = dropped = 0
        with atomic(self.folder / KEPT) as on, atomic(self.folder / LEFT_OUT) as off:
            for row in read_output(self.folder / _RUN):
                inner, mark = row[ROW], row.get(DROPPED)
                key = key_of(said := _text(inner, text))
                for tally in tallies:
                    if mark is not None and tally.report.number == mark["step"]:
                        tally.drop(key, said, inner, mark["reason"])
                        break
                    tally.passed(key, said, inner)
                if mark is None:
                    on.write(encoded({NUMBER: kept, ROW: inner}) + b"\n")
                    kept += 1
                else:
                    off.write(encoded({**mark, ROW: inner}) + b"\n")
                    dropped += 1
        rejected = self._rejects(tallies)
        steps = [tally.done().to_json() for tally in tallies]
        return {"kept": kept, "dropped": dropped, "rejected": rejected, "steps": steps}

    def _rejects(self, tallies: Sequence[Tally]) -> int:
        """Write the bad rows without their covers; return how many."""
        by_title = {title_of(tally.report.number, tally.report.title): tally for tally in tallies}
        path = self.folder / _RUN / "rejects.jsonl"
        count = 0
        with atomic(self.folder / BAD) as file, path.open("rb") as lines:
            for line in lines:
                told = json.loads(line)
                count += 1
                if (at := by_title.get(told["source"])) is not None:
                    _counted(tallies, at)
                    with suppress(ValueError, KeyError, TypeError):
                        told["raw"] = json.dumps(json.loads(told["raw"])[ROW], ensure_ascii=False)
                file.write(encoded(told) + b"\n")
        return count


def segments(steps: Sequence[Stage | Barrier], folder: Path) -> list[Segment]:
    """Return the steps in runs: each barrier begins one."""
    found = [Segment(folder / "0", first=True)]
    for number, step in enumerate(steps, 1):
        if isinstance(step, Barrier):
            if step.before is not None:
                found[-1].scoring = (number, step)
            found.append(Segment(folder / str(number), first=False, barrier=(number, step)))
        else:
            found[-1].stages.append((number, step))
    return found


def merged(told: Sequence[Mapping[str, Any]]) -> list[StepReport]:
    """Return one report a step; a barrier that scored first has rows in two segments."""
    found: dict[int, StepReport] = {}
    for one in (StepReport.from_json(step) for part in told for step in part["steps"]):
        if one.number in found:
            earlier = found[one.number]
            # What it let pass where it scored came to it again where it decided.
            one.rows_in += earlier.dropped + earlier.rejected
            one.dropped += earlier.dropped
            one.rejected += earlier.rejected
            for kind, count in earlier.reasons.items():
                one.reasons[kind] = one.reasons.get(kind, 0) + count
            one.dropped_samples = {**earlier.dropped_samples, **one.dropped_samples}
        found[one.number] = one
    return [found[number] for number in sorted(found)]


def _counted(tallies: Sequence[Tally], at: Tally) -> None:
    """Count a row that was bad to one step, and good to those before it."""
    for tally in tallies:
        if tally is at:
            tally.reject()
            return
        tally.report.rows_in += 1


def _rows_of(source: Any) -> Iterator[Row]:
    for row in read(source, strict=True, max_row_bytes=1 << 40):
        yield row[ROW]


def _text(row: Row, text: str) -> str:
    value = row.get(text)
    return value if isinstance(value, str) else ""
