from __future__ import annotations

from pathlib import Path

from benchmarks.resume import BAD_LINES, CONCURRENCY, kill_and_resume


def test_kill_9_loses_nothing_and_repeats_no_finished_row(tmp_path: Path) -> None:
    tally = kill_and_resume(tmp_path, rows=200, kills=3, seed=3)
    assert tally.kills == 3
    assert any(0 < done < 200 for done in tally.finished), "the kills came too early or too late to mean anything"
    assert (tally.lost, tally.duplicated, tally.disordered, tally.wrong) == (0, 0, 0, 0)
    assert tally.repeated == 0
    assert tally.repeated_unfinished <= CONCURRENCY * tally.kills
    assert tally.rejects == BAD_LINES
