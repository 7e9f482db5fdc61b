"""Label models against majority vote, crowd-kit and Snorkel, on crowds and on rules; and Dawid-Skene's speed.

Sets: three crowds (duck, product, face), YouTube's ten spam rules, the soft votes of eight small classifiers on the
test sets of SST-2 and TREC (200 rows taught each), and of four taught film reviews and four taught product reviews on
both (600 each); all rows at once and no truth seen, but by what is named "gold": those rows are then left out of the
comparison. Settings are the defaults, the same on every set. They come from the papers, but for three
that followed a first look: that MACE starts near even, as its authors' programme does; that data programming judges by
votes alone, which YouTube's validation rows decided; and that GLAD takes a soft vote for one that was not seen, which
votes of specialists on TREC's training rows decided (`weak-to-strong`): divided by their shares, it had fallen to .06.
Rules take `abstain = "vote"` where a model has it; a model that refuses votes
has no case. Accuracy is over the rows with a vote; a tie counts as one over the classes that lead, for all sides, so no
rule of ties favours anyone. Differences are paired, rows of one group (copies of a text, pairs of one product) drawn
together. Peers run in environments of their own with their defaults, on the same votes, handed over by file, where
votes are hard. crowd-kit's MACE takes one worker's habits for another's unless workers are named in the order they come
in, so it runs both ways. Bars: each label model not worse than the peer's of its name within the interval; Dawid-Skene
3 times crowd-kit's speed at 50,000 votes, the same posterior to 1e-6.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks._label_sets import LabelSet, made, real, specialists
from benchmarks._peer import Peer
from benchmarks._result import Cases
from pilotfish.errors import DataError
from pilotfish.measure.intervals import Interval, bootstrap, paired_bootstrap
from pilotfish.measure.label_models import (
    BayesianEnsemble,
    CoSupervised,
    DataProgramming,
    DawidSkene,
    Glad,
    LabelModel,
    Mace,
    Majority,
    OneCoin,
    SoftEnsemble,
    Weighted,
)
from pilotfish.measure.label_models._ties import leaders
from pilotfish.measure.metrics import ece, macro_f1

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "benchmarks" / "peers"
SCRIPT = HERE / "label_worker.py"
BARS = {"Dawid-Skene's speed over crowd-kit's": 3.0, "parity of posteriors": 1e-6}
ONE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# Peer: its models, and ours of the same kind.
PEERS: dict[str, dict[str, str | None]] = {
    "crowd-kit": {
        "MajorityVote": "majority",
        "DawidSkene": "dawid-skene",
        "OneCoinDawidSkene": "one-coin",
        "GLAD": "glad",
        "MACE": "mace",
        "MACE, workers named in order": "mace",
        "Wawa": None,
        "ZeroBasedSkill": None,
        "MMSR": None,
    },
    "snorkel": {"MajorityLabelVoter": "majority", "LabelModel": "data-programming"},
}
STEPS = 20
Floats = NDArray[np.float64]


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return accuracies with intervals, differences to majority and to peers, and Dawid-Skene's speed."""
    if data is None and not quick:
        return {"name": "label-models", "peer": "needs --data: the folder of data sets", "cases": []}
    cases, missing = Cases("label-models", quick=quick), []
    sets: Iterable[LabelSet] = [made(300, workers=20), specialists(1000)]
    if data is not None and not quick:
        sets = [*real(data), made(10_000), specialists(4000)]
    peers = {}
    for name in PEERS:
        python = ROOT / ".bench" / name / "bin" / "python"
        if python.exists():
            peers[name] = Peer(python, SCRIPT, hint(name), ONE)
        else:
            missing.append(f"{name} is not installed: {hint(name)}")
    with tempfile.TemporaryDirectory() as folder:
        for each in sets:
            print(f"{each.name}: {each.votes.rows:,} rows, {len(each.votes):,} votes", file=sys.stderr, flush=True)
            found = own(each)
            cases.add(compared(each, found))
            cases.add(with_gold(each))
            votes = each.handed(Path(folder) / "votes.json")
            # Peers take one class a vote.
            for name, peer in peers.items() if each.votes.hard else ():
                cases.add(beside(each, found, name, peer, votes, quick=quick))
        if "crowd-kit" in peers:
            cases.add([speed(peers["crowd-kit"], Path(folder), quick=quick)])
    for peer in peers.values():
        peer.close()
    said = "; ".join(missing) if missing else "crowd-kit and Snorkel, see benchmarks/peers"
    return {"name": "label-models", "peer": said, "bars": BARS, "cases": cases.found}


def hint(name: str) -> str:
    """Return how a peer's environment is made."""
    return f"python -m venv .bench/{name} && .bench/{name}/bin/pip install -r benchmarks/peers/{name}.txt"


def own(each: LabelSet) -> dict[str, Floats]:
    """Return the posteriors of all our label models that a set has what they need for."""
    models: dict[str, LabelModel] = {
        one.kind: one for one in (Majority(), DawidSkene(), OneCoin(), Glad(), Mace(), BayesianEnsemble())
    }
    models["mace, EM"] = Mace("em")
    if not each.votes.hard:
        models["soft-ensemble"] = SoftEnsemble()
    models["data-programming"] = DataProgramming(abstain="vote" if each.rules else "missing")
    if each.rules:
        models["dawid-skene, silence counts"] = DawidSkene(abstain="vote")
        models["bayesian-ensemble, silence counts"] = BayesianEnsemble(abstain="vote")
    found = {}
    for name, model in models.items():
        try:
            found[name] = model.fit(each.votes).posterior_
        except DataError as error:
            print(f"  {each.name}: {name} refuses: {error}", file=sys.stderr)
    if each.domains is not None and not each.rules:
        found["co-supervised, domains"] = CoSupervised().fit(each.votes, domains=each.domains).posterior_
    if (features := each.features()) is not None:
        model = CoSupervised(abstain="vote" if each.rules else "missing")
        found["co-supervised, features"] = model.fit(each.votes, features=features).posterior_
    return found


def with_gold(each: LabelSet) -> Iterator[dict[str, Any]]:
    """Yield what gold rows add: the same rows for all, gold ones left out."""
    gold: list[Any] = [None] * each.votes.rows
    for at in each.gold.tolist():
        gold[at] = each.votes.classes[each.truth[at]]
    rest = each.votes.voted.copy()
    rest[each.gold] = False
    majority = right(each, Majority().fit(each.votes).posterior_)[rest]
    groups = np.array(each.groups)[rest]
    silence: Literal["missing", "vote"] = "vote" if each.rules else "missing"
    soft = [] if each.votes.hard else [SoftEnsemble()]
    for model in (Weighted(), DawidSkene(abstain=silence), BayesianEnsemble(abstain=silence), *soft):
        scores = right(each, model.fit(each.votes, gold).posterior_)[rest]
        title = f"{each.name}: {model.kind}, {len(each.gold)} gold"
        yield case(f"{title}: accuracy", bootstrap(scores, groups=groups))
        yield case(f"{title}: accuracy over majority", paired(scores, majority, groups))


def right(each: LabelSet, posterior: Floats) -> Floats:
    """Return how often each row is right on average, whatever way ties fall: (rows,); 0 for a row of NaN."""
    lead = leaders(posterior)
    return np.asarray(lead[np.arange(len(lead)), each.truth] / np.maximum(lead.sum(axis=1), 1))


def compared(each: LabelSet, found: dict[str, Floats]) -> Iterator[dict[str, Any]]:
    """Yield each model's accuracy, macro-F1 and calibration, and its difference to majority."""
    rows = each.votes.voted
    groups, majority = np.array(each.groups)[rows], right(each, found["majority"])[rows]
    yield {"case": f"{each.name}: rows with a vote", "value": float(rows.mean()), "unit": "share", "n": each.votes.rows}
    for name, posterior in found.items():
        scores = right(each, posterior)[rows]
        yield case(f"{each.name}: {name}: accuracy", bootstrap(scores, groups=groups))
        if name != "majority":
            yield case(f"{each.name}: {name}: accuracy over majority", paired(scores, majority, groups))
        told, truth = posterior[rows], each.truth[rows]
        plain = {"unit": "share", "n": int(rows.sum())}
        guess = told.argmax(axis=1).tolist()
        yield {"case": f"{each.name}: {name}: macro-F1", "value": macro_f1(truth.tolist(), guess), **plain}
        yield {"case": f"{each.name}: {name}: calibration error", "value": ece(told, truth), **plain}


def beside(
    each: LabelSet, found: dict[str, Floats], name: str, peer: Peer, votes: Path, *, quick: bool
) -> Iterator[dict[str, Any]]:
    """Yield a peer's accuracies on the same votes, and what ours of the same kind have more."""
    rows = each.votes.voted
    groups = np.array(each.groups)[rows]
    for model, kind in PEERS[name].items():
        if quick and model in ("GLAD", "MMSR"):
            continue
        plain, _, named = model.partition(", workers named ")
        told = peer.ask({"which": name, "model": plain, "votes": str(votes), "options": {}, "named": named})
        if "error" in told:
            print(f"  {each.name}: {name}'s {model} fails: {told['error']}", file=sys.stderr)
            continue
        empty = [np.nan] * len(each.votes.classes)
        table = np.array([empty if row is None else row for row in told["posterior"]], np.float64)
        scores = right(each, table)[rows]
        yield case(f"{each.name}: {name}'s {model}: accuracy", bootstrap(scores, groups=groups))
        for own_name in (kind, f"{kind}, silence counts"):
            if own_name in found:
                mine = right(each, found[own_name])[rows]
                yield case(f"{each.name}: {own_name} over {name}'s {model}", paired(mine, scores, groups))


def paired(a: Floats, b: Floats, groups: NDArray[Any]) -> Interval:
    """Return a - b with its interval, groups drawn together."""
    return paired_bootstrap(a, b, method="percentile", resamples=5000, groups=groups)


def case(title: str, interval: Interval) -> dict[str, Any]:
    """Return a case of a number with its interval."""
    ends = {"low": interval.low, "high": interval.high}
    return {"case": title, "value": interval.value, **ends, "unit": "share", "n": interval.n}


def speed(peer: Peer, folder: Path, *, quick: bool) -> dict[str, Any]:
    """Return Dawid-Skene at 50,000 votes against crowd-kit: as many steps, no smoothing, in turn; and parity."""
    votes = str(made(10_000).handed(folder / "many.json"))
    ours = Peer(Path(sys.executable), SCRIPT, "this environment", ONE)
    sides = {
        "ours": (ours, {"model": "dawid-skene", "options": {"smoothing": 0.0, "max_iter": STEPS, "tol": 0.0}}),
        "crowd-kit": (peer, {"model": "DawidSkene", "options": {"n_iter": STEPS, "tol": "-inf"}}),
    }
    seconds: dict[str, list[float]] = {which: [] for which in sides}
    tables = {}
    for turn in range(3 if quick else 8):
        for which, (side, job) in sides.items():
            told = side.ask({**job, "which": which, "votes": votes})
            tables[which] = np.array(told["posterior"], np.float64)
            if turn:  # the first of each warms up imports
                seconds[which].append(told["seconds"])
    ours.close()
    ratios = [b / a for a, b in zip(seconds["ours"], seconds["crowd-kit"], strict=True)]
    return {
        "case": f"Dawid-Skene, 50,000 votes, {STEPS} steps, against crowd-kit",
        "ours": statistics.median(seconds["ours"]),
        "peer": statistics.median(seconds["crowd-kit"]),
        "unit": "seconds",
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "parity": float(np.abs(tables["ours"] - tables["crowd-kit"]).max()),
        "n": len(ratios),
    }
