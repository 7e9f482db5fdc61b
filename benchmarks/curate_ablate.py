"""What is kept against as much by chance: SmolLM2-135M taught on both, three seeds, its loss on unseen texts.

Web-like text: half the articles of WikiText-2 as good paragraphs and spoilt ones, and lines of other data sets (as in
`curate-quality`); kept by a classifier that has learnt on other articles, or the half of lower perplexity; tested on
good paragraphs of a fifth of the articles. Instructions: people's answers and those of seven models; kept are answers
that their instruction helps to say (IFD below 1), and of them the hardest half; tested on people's answers to other
instructions. Splits are by article and by instruction, before anything learns. The gain is in nats a token, positive
where what was kept teaches more; intervals draw seeds and tested rows again. What was taught is kept
(`.bench/curate-ablate`). `--quick` takes few rows, 4 steps and one seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks._result import Cases
from benchmarks.curate_ifd import instructions, people
from benchmarks.curate_quality import Doc, documents, lesson
from pilotfish.curate import curate
from pilotfish.curate.ablate import Ablation, ablate
from pilotfish.curate.barrier import Barrier
from pilotfish.curate.quality import HashedClassifier, Quality
from pilotfish.curate.reading import IFD, Perplexity
from pilotfish.curate.select import Best
from pilotfish.rows.split import split
from pilotfish.rows.stage import Stage
from pilotfish.train.settings import Fit

OUT = Path(__file__).resolve().parents[1] / ".bench" / "curate-ablate"
MODEL = "smollm2-135m-instruct"
SEEDS, STEPS, TOKENS, RATE, ROWS, TESTED = (0, 1, 2), 16, 512, 1e-4, 200, 100
Steps = Sequence[Stage | Barrier]
Rows = list[dict[str, Any]]


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return what each way of keeping gains over chance, and over what it dropped."""
    if data is None:
        return {"name": "curate-ablate", "peer": "needs --data: the folder of data sets", "cases": []}
    cases = Cases("curate-ablate", quick=quick)
    for name, pool, steps, test, columns in tries(data, quick):
        out = OUT / f"{name.replace(' ', '-')}{'-quick' if quick else ''}"
        found = curate(pool, steps, out / "curated", text=columns["text"], progress=False)
        proved = ablate(
            out / "curated" / "kept.jsonl",
            out / "curated" / "dropped.jsonl",
            test,
            MODEL,
            out / "ablation",
            rows=20 if quick else ROWS,
            seeds=SEEDS[:1] if quick else SEEDS,
            fit=Fit(steps=4 if quick else STEPS, batch_tokens=TOKENS, rate=RATE),
            length=256,
            text=columns["text"],
            prompt=columns.get("prompt"),
        )
        cases.add(told(name, proved, found.kept / len(pool)))
    return {"name": "curate-ablate", "peer": "as many rows by chance", "cases": cases.found}


def tries(data: Path, quick: bool) -> Iterator[tuple[str, Rows, Steps, Rows, dict[str, str]]]:
    """Yield a name, the rows, the steps that sift them, the tested rows, and which columns are learnt."""
    docs = documents(data, [])
    parts = split(len(docs), {"classifier": 0.3, "pool": 0.5, "test": 0.2}, 0, group=[doc.group for doc in docs])
    learnt, pool, test = ([docs[i] for i in parts[name]] for name in ("classifier", "pool", "test"))
    classifier = HashedClassifier().fit(*lesson(learnt), groups=[doc.group for doc in learnt])
    least = 10 if quick else TESTED
    good = rows_of([doc for doc in test if doc.kind == "good"][:least])
    few = rows_of(pool[:120] if quick else pool)
    yield "text by a classifier", few, [Quality(classifier, threshold=0.5)], good, {"text": "text"}
    asked = [{**row, "prompt": f"{row['instruction']}\n{row['input']}".strip()} for row in instructions(data)]
    theirs = {(row["instruction"], row["output"]) for row in people(data)}
    parts = split(len(asked), {"pool": 0.8, "test": 0.2}, 0, group=[row["instruction"] for row in asked])
    rows, held = ([asked[i] for i in parts[name]] for name in ("pool", "test"))
    wanted = [row for row in held if (row["instruction"], row["output"]) in theirs][:least]
    hardest: Steps = [IFD(MODEL), Best("ifd", share=0.5)]
    yield "instructions by IFD", rows[:120] if quick else rows, hardest, wanted, {"text": "output", "prompt": "prompt"}
    lowest: Steps = [Perplexity(MODEL), Best("perplexity", share=0.5, lowest=True)]
    yield "text of lower perplexity", few, lowest, good, {"text": "text"}


def rows_of(docs: Sequence[Doc]) -> Rows:
    """Return texts as rows."""
    return [{"text": doc.text, "kind": doc.kind} for doc in docs]


def told(name: str, proved: Ablation, kept: float) -> Iterator[dict[str, Any]]:
    """Yield the gains, the losses and the share that was kept."""
    yield {"case": f"{name}: kept", "value": kept, "unit": "share of the rows", "n": sum(proved.rows.values())}
    for kind, unit, found in (("", "nats a token less", proved.gain), ("loss, ", "nats a token", proved.loss)):
        for which, one in found.items():
            ends = {"value": one.value, "low": one.low, "high": one.high, "unit": unit, "n": proved.tested}
            yield {"case": f"{name}: {kind}{which}", **ends}
