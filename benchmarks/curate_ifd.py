"""Instruction-following difficulty of 2,000 rows by SmolLM2-135M, against Superfiltering's own program.

Parity first, in float32: the published scores, on the rows that the program reads as they are; it finds the answer by
its last occurrence and by the tokens of the text before it, so that where a token lies across the border, or the text
is cut, it scores other tokens. Such rows are counted and left out of the parity, not of the time. Rows a second: over
all rows, and the least and the most of five parts of them, each against its time by theirs; in bfloat16, where the
processor has it, ours is held against the same float32 program, and its ranks against our own float32.

Rows: `llms_from_scratch_instr` and `self_instruct` of the data folder. `--quick` takes the embedded support messages.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._peer import Peer
from benchmarks._result import Cases
from benchmarks.advise import SUPPORT
from benchmarks.curate_ppl import dtypes_here
from pilotfish.curate.reading import IFD
from pilotfish.curate.sift import Dropped
from pilotfish.models.local import LocalModel
from pilotfish.models.reader import Reader
from pilotfish.rows.read import read
from pilotfish.rows.stage import Outcome

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".bench" / "superfiltering"
PEER, REPO = FOLDER / "bin" / "python", FOLDER / "repo"
HINT = (
    "python -m venv .bench/superfiltering && .bench/superfiltering/bin/pip install -r "
    "benchmarks/peers/superfiltering.txt "
    "&& git clone https://github.com/tianyi-lab/Superfiltering .bench/superfiltering/repo"
)
MODEL, THREADS, LENGTH, PARTS = "smollm2-135m-instruct", 2, 1024, 5
Rows = list[dict[str, str]]


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return parity, rows a second beside the peer, and how bfloat16 ranks."""
    cases = Cases("curate-ifd", quick=quick)
    if not PEER.exists() or not REPO.exists():
        return {"name": "curate-ifd", "peer": f"Superfiltering is not installed: {HINT}", "cases": []}
    rows = support() if data is None or quick else instructions(data)
    rows = rows[:24] if quick else rows[:2000]
    with tempfile.TemporaryDirectory() as held:
        weights, file = Path(held) / "weights", Path(held) / "rows.json"
        local = LocalModel(MODEL, dtype="float32", device="cpu").load()
        local.model.save_pretrained(weights)  # the program takes the type that the files have
        local.tokenizer.save_pretrained(weights)
        right = [reads_right(local.tokenizer, row) for row in rows]
        del local
        file.write_text(json.dumps(rows), encoding="utf-8")
        stages = {
            dtype: IFD(Reader(weights, dtype=dtype, device="cpu", threads=THREADS), most=None, counted="published")
            for dtype in dtypes_here()
        }
        scores: dict[str, NDArray[np.float64]] = {}
        seconds: dict[str, list[float]] = {}
        parts = [slice(int(some[0]), int(some[-1]) + 1) for some in np.array_split(np.arange(len(rows)), PARTS)]
        for dtype, stage in stages.items():
            stage.setup()
            found = [_ours(stage, rows[part]) for part in parts]
            scores[dtype], seconds[dtype] = np.concatenate([one for one, _ in found]), [took for _, took in found]
        told = _peer(weights, file)
        theirs_took = [sum(told["seconds"][part]) for part in parts]
        theirs = np.array([one["ppl"][3] / one["ppl"][1] if one and one["ppl"][1] else np.nan for one in told["rows"]])
    same = np.array([why is None for why in right]) & ~np.isnan(theirs) & ~np.isnan(scores["float32"])
    parity = float(np.max(np.abs(scores["float32"][same] / theirs[same] - 1)))
    for dtype in stages:
        ratios = [peer / ours for peer, ours in zip(theirs_took, seconds[dtype], strict=True)]
        cases.add(
            [
                {
                    "case": f"IFD, ours in {dtype} against Superfiltering in float32: rows a second",
                    "ours": len(rows) / sum(seconds[dtype]),
                    "peer": len(rows) / sum(theirs_took),
                    "unit": "rows/s",
                    "ratio": sum(theirs_took) / sum(seconds[dtype]),
                    "ratio_min": min(ratios),
                    "ratio_max": max(ratios),
                    "parity": parity
                    if dtype == "float32"
                    else float(np.nanmax(np.abs(scores[dtype] - scores["float32"]))),
                    "n": len(rows),
                }
            ]
        )
    if "bfloat16" in scores:
        ranks = _ranks(scores["float32"], scores["bfloat16"])
        title = "rank correlation of bfloat16 with float32"
        cases.add([{"case": title, "value": ranks, "unit": "Spearman", "n": len(rows)}])
    counts = Counter(why for why in right if why is not None)
    counts["no score of theirs"] = int(np.isnan(theirs).sum())
    cases.add(
        {"case": f"rows that the peer reads otherwise: {why}", "value": float(n), "unit": "rows", "n": len(rows)}
        for why, n in counts.items()
    )
    own, _ = _ours(IFD(stages["float32"]._reading.reader, most=None), rows[parts[0]])
    told_apart = _ranks(own, scores["float32"][parts[0]])
    cases.add(
        [
            {
                "case": "the same tokens in both passes, against the published way",
                "value": told_apart,
                "unit": "Spearman",
                "n": len(own),
            }
        ]
    )
    return {"name": "curate-ifd", "peer": "Superfiltering f0764af", "cases": cases.found}


def instructions(data: Path) -> Rows:
    """Return instructions of two data sets, with people's answers and those of seven models."""
    rows = people(data)
    for file in sorted((data / "self_instruct" / "human_eval" / "predictions").glob("*.jsonl")):
        rows += [
            {"instruction": one["instruction"], "input": one["input"] or "", "output": one["response"].strip()}
            for one in read(file)
        ]
    return [row for row in rows if row["instruction"].strip() and row["output"].strip()]


def people(data: Path) -> Rows:
    """Return the instructions with the answers that come with them."""
    rows: Rows = [
        dict(one)
        for one in json.loads(
            (data / "llms_from_scratch_instr/01_main-chapter-code/instruction-data.json").read_text("utf-8")
        )
    ]
    own = data / "self_instruct"
    for file in (own / "data" / "seed_tasks.jsonl", own / "human_eval" / "user_oriented_instructions.jsonl"):
        for task in read(file):
            rows += [
                {"instruction": task["instruction"], **{key: one[key] for key in ("input", "output")}}
                for one in task["instances"]
            ]
    return rows


def support() -> Rows:
    """Return the embedded messages with their labels."""
    return [
        {"instruction": f"What is this about? {row['text']}", "input": "", "output": f"It is about {row['intent']}."}
        for row in read(SUPPORT / "labelled.jsonl")
    ]


def reads_right(tokenizer: Any, row: dict[str, str]) -> str | None:
    """Say why the program scores other tokens than the answer's; None where it does not."""
    told = row["instruction"] + "\n" + (row["input"] + "\n" if row["input"] else "")
    whole = told + row["output"]
    asked, answer, joint = (tokenizer.encode(text) for text in (told, row["output"], whole))
    if len(joint) > LENGTH or len(answer) > LENGTH - len(asked) + 1:
        return "cut at its length"
    if whole.rfind(row["output"]) != len(told):
        return "the answer stands in it twice"
    return None if joint == asked + answer else "a token across the border"


def _ours(stage: IFD, rows: Rows) -> tuple[NDArray[np.float64], float]:
    start = time.perf_counter()
    found: list[Outcome] = []
    for at in range(0, len(rows), stage.batch_size):
        found += stage.process([dict(row) for row in rows[at : at + stage.batch_size]])
    took = time.perf_counter() - start
    values = [
        (one.columns if isinstance(one, Dropped) else one).get("ifd", np.nan)
        if isinstance(one, dict | Dropped)
        else np.nan
        for one in found
    ]
    return np.array(values, dtype=np.float64), took


def _peer(weights: Path, file: Path) -> dict[str, Any]:
    side = Peer(PEER, ROOT / "benchmarks" / "peers" / "ifd_worker.py", HINT)
    told = side.ask(
        {"repo": str(REPO), "rows": str(file), "weights": str(weights), "threads": THREADS, "max_length": LENGTH}
    )
    side.close()
    return told


def _ranks(a: Sequence[float] | NDArray[np.float64], b: Sequence[float] | NDArray[np.float64]) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(a, b, nan_policy="omit").statistic)
