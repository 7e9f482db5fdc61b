"""A student of half its teacher's layers, taught in several ways: which way leaves it nearest to the data?

SmolLM2-135M teaches a copy of itself with 15 of its 30 layers, 400 steps of 256 tokens on WikiText-2's evaluation part;
a fifth of its articles is held out before anything learns. Each way runs with three seeds; the gain in nats a token
over the cross-entropy alone is a paired bootstrap over the held-out articles of all seeds. A run that was stopped goes
on, and one that has ended is not repeated (`.bench/kd-train`). Before all that, our loop's speed and memory are
measured beside those of TRL's trainer for one batch, which both take again and again: the losses have to be the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._kd_trainer import HINT, PEER, against_trl
from benchmarks._result import Cases
from benchmarks._wikitext import parts
from pilotfish._extras import need
from pilotfish.distill.distiller import Distiller
from pilotfish.distill.init import student_of
from pilotfish.distill.matching import Matching
from pilotfish.measure.intervals import drawn_again
from pilotfish.models.local import LocalModel
from pilotfish.train.examples import pieces
from pilotfish.train.settings import Fit

RUNS = Path(__file__).resolve().parents[1] / ".bench" / "kd-train"
TEACHER, LAYERS, LENGTH, SEEDS = "smollm2-135m-instruct", 15, 256, (0, 1, 2)
# Half of each loss is the cross-entropy of the data, but for the first, which is all of it.
WAYS: dict[str, dict[str, Any]] = {
    "cross-entropy only": {"alpha": 0.0},
    "forward KL": {"alpha": 0.5},
    "reverse KL": {"alpha": 0.5, "divergence": "reverse-kl"},
    "JSD 0.5": {"alpha": 0.5, "divergence": "jsd", "settings": {"beta": 0.5}},
    "forward KL, cached top 128": {"alpha": 0.5, "cached": 128},
    "forward KL and hidden states": {"alpha": 0.5, "matching": Matching(weight=1.0)},
}


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return each way's perplexity, and its gain over the cross-entropy alone."""
    if data is None:
        return {"name": "kd-train", "peer": "not run: give --data (wikitext2_eval)", "cases": []}
    cases = Cases("kd-train", quick=quick)
    train, test = parts(data)
    if quick:
        train, test = train[:6], test[:3]
    folder = RUNS / "quick" if quick else RUNS
    half = folder / "half"
    student_of(TEACHER, half, layers=LAYERS)
    if PEER.exists():
        cases.add(_speed(folder, half, train, quick=quick))
    losses: dict[str, list[NDArray[np.float64]]] = {way: [] for way in WAYS}
    counts: NDArray[np.float64] | None = None
    for seed in SEEDS[:1] if quick else SEEDS:
        for way, settings in WAYS.items():
            out = folder / f"{way.replace(' ', '-').replace(',', '')}-{seed}"
            told = _taught(half, out, train, test, seed, settings, steps=3 if quick else 400)
            losses[way].append(told[0])
            counts = told[1]
    assert counts is not None
    cases.add(compared(losses, counts))
    peer = "TRL, see benchmarks/peers/trl.txt" if PEER.exists() else f"TRL is not installed: {HINT}"
    return {"name": "kd-train", "peer": peer, "cases": cases.found}


def _speed(folder: Path, half: Path, train: Sequence[str], *, quick: bool) -> list[dict[str, Any]]:
    """Return our loop beside TRL's; measured once, first of all, since the hours that follow are no time to measure."""
    kept = folder / "speed.json"
    if not kept.exists():
        shape: dict[str, int] = {"rows": 2, "length": LENGTH, "steps": 4, "rounds": 1}
        found = against_trl(half, TEACHER, train, **shape if quick else shape | {"steps": 12, "rounds": 2})
        kept.write_text(json.dumps(found), encoding="utf-8")
    return list(json.loads(kept.read_text(encoding="utf-8")))


def _taught(
    half: Path, out: Path, train: Sequence[str], test: Sequence[str], seed: int, settings: dict[str, Any], steps: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the held-out articles' summed cross-entropy under a taught student, and their tokens: (articles,)."""
    kept = out / "held-out.json"
    if not kept.exists():
        own = dict(settings)
        if "cached" in own:
            own["cache"] = out.parent / "teacher"  # one for all seeds
        how = Fit(steps=steps, batch_tokens=LENGTH, rate=3e-4, seed=seed, every=50)
        Distiller(half, TEACHER, out, fit=how, length=LENGTH, held_out=0.02, **own).fit(train)
        kept.write_text(json.dumps([one.tolist() for one in _measured(out, test)]), encoding="utf-8")
    losses, counts = (np.array(one) for one in json.loads(kept.read_text(encoding="utf-8")))
    return losses, counts


def _measured(out: Path, test: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from pilotfish.train.causal import Causal

    torch = need("torch", "train")
    local = LocalModel(out, dtype="float32").load()
    examples = pieces(local.tokenizer, test, LENGTH)
    # Products as in training: measured on one student, 4.1655 nats a token against 4.1653 in float32.
    with torch.autocast("cpu", torch.bfloat16):
        each, tokens = Causal(local.model).each(examples)
    losses, counts = np.zeros(len(test)), np.zeros(len(test))
    where = [one.row for one in examples]
    np.add.at(losses, where, each)
    np.add.at(counts, where, tokens)
    return losses, counts


def compared(losses: dict[str, list[NDArray[np.float64]]], counts: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Return the perplexities, and the gains over the first way and of the cached teacher over the one asked.

    Intervals draw seeds and articles again, both ways of a difference together.
    """
    cases = []
    tables = {way: np.stack([np.stack([one, counts], axis=-1) for one in each]) for way, each in losses.items()}

    def told(title: str, table: NDArray[np.float64], unit: str, turn: Any = float) -> None:
        found = drawn_again(table, lambda drawn: turn(drawn[..., 0].sum() / drawn[..., 1].sum()))
        ends = {"value": found.value, "low": found.low, "high": found.high}
        cases.append({"case": title, **ends, "unit": unit, "n": table.shape[1], "seeds": table.shape[0]})

    def less(one: str, other: str) -> NDArray[np.float64]:
        both = tables[one].copy()
        both[..., 0] -= tables[other][..., 0]
        return both

    for way, table in tables.items():
        told(f"{way}: perplexity", table, "perplexity", lambda mean: float(np.exp(mean)))
        if way != "cross-entropy only":
            told(f"{way}: gain over the cross-entropy alone", less("cross-entropy only", way), "nats a token")
    cached = less("forward KL, cached top 128", "forward KL")
    told("cached over asked: perplexity", cached, "ratio", lambda mean: float(np.exp(mean)))
    return cases
