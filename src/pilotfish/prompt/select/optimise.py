"""The search for an instruction: rows are split first, candidates sifted by small models, raced, and the winner proved.

Sources: Zhou et al. 2023 (APE), algorithm 1; Yang et al. 2024 (OPRO), section 3; Shi et al. 2024 (TRIPLE).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.intervals import bootstrap, paired_bootstrap
from pilotfish.prompt.select.judges import PromptJudge
from pilotfish.prompt.select.propose import Proposer
from pilotfish.prompt.select.race import race
from pilotfish.prompt.select.report import PromptReport, Tried
from pilotfish.prompt.select.scorer import PromptScorer
from pilotfish.rows._atomic import atomic
from pilotfish.rows.asking import Bill
from pilotfish.rows.dedupe import near_duplicates
from pilotfish.rows.split import split

__all__ = ["PROMPT", "REPORT", "Search", "optimise"]

PROMPT, REPORT = "prompt.txt", "report.json"
_WIDER = 4  # proposals asked for where a learnt scorer takes its pick


@dataclass(frozen=True)
class Search:
    """How an instruction is searched for.

    Attributes:
        held_out: the share of rows that prove the winner and choose nothing.
        rounds: of proposals and races; each further one sees what was tried before.
        proposals: instructions that a round adds, where there is a model to propose them.
        finalists: that are raced by the large model where a small one sifts, the best so far and the present one beside
            them; without a small one all are raced.
        proxy_rows: rows to choose on that the small model looks at.
        first: rows of a race's first look.
        eta: of a race, see `race`.
        most: judgements of the large model altogether, of an instruction on a row; a half is for the proof at most.
            None: as many as it takes.
        seed: of the split, the order of rows, and the proposals.

    Raises:
        ConfigError: a setting out of range.
    """

    held_out: float = 0.5
    rounds: int = 1
    proposals: int = 8
    finalists: int = 8
    proxy_rows: int = 100
    first: int = 16
    eta: float = 2.0
    most: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1:
            raise ConfigError(f"held_out is a share between 0 and 1, not {self.held_out}")
        for name in ("rounds", "finalists", "proxy_rows"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is 1 or more, not {getattr(self, name)}")
        if self.proposals < 0 or (self.most is not None and self.most < 4):
            raise ConfigError("proposals are 0 or more, and `most` 4 or more: two to choose on and two to prove on")


async def optimise(
    judge: PromptJudge,
    examples: Sequence[tuple[str, str]],
    present: str,
    candidates: Sequence[str],
    out: str | Path,
    search: Search | None = None,
    *,
    proposer: Proposer | None = None,
    proxy: PromptJudge | None = None,
    scorer: PromptScorer | None = None,
    names: Mapping[str, str] | None = None,
) -> PromptReport:
    """Search for an instruction, and write it and the report to a folder.

    Args:
        judge: the large model's; its rows are those of `examples`, in their order.
        examples: (what is asked, the right answer) of every row; near-copies are chosen on, or proved on, together.
        present: the instruction there is; "" for none.
        candidates: others to look at.
        out: the folder, of `prompt.txt` and `report.json`.
        search: how.
        proposer: proposes more.
        proxy: a small model's judge of the same rows, which sifts before the large one is asked.
        scorer: an untaught small scorer of instructions, which takes the most promising of a later round's proposals.
        names: what "large", "small" and "proposer" are called in the bills.

    Raises:
        DataError: too few rows, or none but one instruction to look at.
    """
    search = search or Search()
    tune, held = _parted(examples, search)
    tested = held if search.most is None else held[: max(1, search.most // 4)]
    room = None if search.most is None else search.most - 2 * len(tested)
    pool: dict[str, Tried] = {present: Tried(present, "present")}
    for one in candidates:
        pool.setdefault(one, Tried(one, "given"))
    best, judged, spent = present, 0, False
    for number in range(search.rounds):
        new = [one for one in pool if pool[one].mean is None and one != best]
        if proposer is not None and search.proposals:
            proposed = await _proposed(proposer, scorer, pool, best, [examples[at] for at in tune], search, number)
            pool |= {one: Tried(one, "proposed") for one in proposed if one not in pool}
            new += [one for one in proposed if one not in new]
        if proxy is not None and new:
            told = await proxy.scores(new, tune[: search.proxy_rows])
            for one, row in zip(new, told, strict=True):
                pool[one] = replace(pool[one], proxy=float(np.nanmean(row)) if not np.isnan(row).all() else None)
            liked = sorted(new, key=lambda one: -(value if (value := pool[one].proxy) is not None else -np.inf))
            new = liked[: search.finalists]
        contenders = list(dict.fromkeys([best, present, *new]))
        if len(pool) < 2:
            raise DataError("there is no other instruction to look at: give candidates, or a model that proposes some")
        if len(contenders) < 2:
            break
        share = None if room is None else (room - judged) // (search.rounds - number)
        raced = await race(judge, contenders, tune, first=search.first, eta=search.eta, most=share)
        judged, spent = judged + raced.judged, spent or raced.spent
        for at, one in enumerate(contenders):
            # A later race may be shorter than the one that the best so far has run.
            if raced.rows[at] > pool[one].rows:
                pool[one] = replace(pool[one], mean=float(raced.means[at]), rows=int(raced.rows[at]))
        best = contenders[raced.order[0]]
    report = await _proved(judge, pool, present, best, tune, tested, judged, spent, search)
    called = {"large": "large", "small": "small", "proposer": "proposer", **(names or {})}
    bills: dict[str, Bill] = {called["large"]: judge.bill}
    if proxy is not None:
        bills[called["small"]] = proxy.bill
    if proposer is not None and called["proposer"] not in bills:
        bills[called["proposer"]] = proposer.calls.bill
    report = replace(report, bills=bills)
    _write(report, Path(out))
    return report


def _write(report: PromptReport, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in ((PROMPT, report.chosen), (REPORT, json.dumps(report.to_json(), indent=1, ensure_ascii=False))):
        with atomic(folder / name) as file:
            file.write(text.encode("utf-8", "surrogatepass"))


def _parted(examples: Sequence[tuple[str, str]], search: Search) -> tuple[list[int], list[int]]:
    """Return the rows that are chosen on and those that prove, each in a random order."""
    if len(examples) < 4:
        raise DataError(f"{len(examples)} rows: an instruction is chosen on some and proved on others; give 4 or more")
    group = near_duplicates([text for text, _ in examples], 0.9).group
    parts = split(
        len(examples), {"tune": 1 - search.held_out, "held": search.held_out}, search.seed, group=group.tolist()
    )
    random = np.random.default_rng(search.seed)
    tune, held = ([int(at) for at in random.permutation(parts[name])] for name in ("tune", "held"))
    if not tune or not held:
        raise DataError("all rows are near-copies of one another: none is left to prove an instruction on")
    return tune, held


async def _proposed(
    proposer: Proposer,
    scorer: PromptScorer | None,
    pool: Mapping[str, Tried],
    best: str,
    examples: Sequence[tuple[str, str]],
    search: Search,
    number: int,
) -> list[str]:
    tried = [one for one in pool.values() if one.mean is not None]
    wider = scorer is not None and len(tried) > 2
    found = await proposer.propose(
        best,
        examples,
        search.proposals * (_WIDER if wider else 1),
        tried=[(one.prompt, one.mean) for one in tried if one.mean is not None],
        seed=search.seed + 1000 * number,
    )
    if not wider or len(found) <= search.proposals:
        return [one for one in found if one not in pool]
    assert scorer is not None
    means = np.array([one.mean for one in tried], np.float64)
    rows = np.array([one.rows for one in tried], np.float64)
    # The variance of a mean of scores between 0 and 1, kept off 0 where all of few rows were alike.
    noise = np.maximum(means * (1 - means), 0.05) / rows
    scorer.fit([one.prompt or "none" for one in tried], means, noise)
    return [found[at] for at in scorer.promising(found, search.proposals)]


async def _proved(
    judge: PromptJudge,
    pool: Mapping[str, Tried],
    present: str,
    best: str,
    tune: Sequence[int],
    tested: Sequence[int],
    judged: int,
    spent: bool,
    search: Search,
) -> PromptReport:
    shown = [present] if best == present else [present, best]
    told: NDArray[np.float64] = await judge.scores(shown, tested)
    whole = ~np.isnan(told).any(axis=0)
    before, after = told[0, whole], told[-1, whole]
    tried = sorted(
        pool.values(), key=lambda one: (one.prompt != best, -(one.mean if one.mean is not None else -np.inf))
    )
    found = PromptReport(
        present,
        best,
        tuple(tried),
        len(tune),
        int(whole.sum()),
        None,
        None,
        None,
        judged + len(shown) * len(tested),
        spent or not bool(whole.all()),
    )
    if not whole.any():
        return found
    was, now = bootstrap(before, seed=search.seed), bootstrap(after, seed=search.seed)
    gain = None if best == present else paired_bootstrap(after, before, seed=search.seed)
    return replace(found, before=was, after=now, gain=gain)
