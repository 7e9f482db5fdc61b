"""BERTScore against bert_score: the same numbers, and pairs a second, with MiniLM and a RoBERTa of random weights.

SummEval's 1,600 summaries with one reference and with eleven, and QAGS's sentences with their articles, cut where the
model ends, as the peer cuts. Plain, with idf, rescaled by a baseline of our own that both are given. The peer runs in
an environment of its own on the same weights, with batches of 64 and the same threads; rounds alternate. MiniLM's
tokenizer is the quick one there (its default are slow ones); RoBERTa's is the slow one, for by the quick one it cuts a
text's first word otherwise than all others. Its cosines below 0 count as 0 where a text shares a batch with a longer
one: rows with a token whose best cosine is below 0 are counted and left out of the parity. bfloat16 where the processor
has it; the peer's in float32 is then the other side. `--quick` takes 40 pairs.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks._peer import Peer
from benchmarks._result import Cases
from benchmarks.curate_ppl import dtypes_here
from pilotfish._extras import need
from pilotfish.evaluate.bertscore import Baseline, BertScore, Idf, baseline_of
from pilotfish.models import _weights
from pilotfish.models.encoder import Encoder
from pilotfish.rows.read import read

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".bench" / "bert-score" / "bin" / "python"
HINT = "python -m venv .bench/bert-score && .bench/bert-score/bin/pip install -r benchmarks/peers/bert-score.txt"
THREADS, ROUNDS = 2, 3
BARS = {"parity in float32": 1e-5, "pairs a second, float32": 1.5, "pairs a second, bfloat16": 3.0}
References = Sequence[str | Sequence[str]]


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return parity and speed of each model and way."""
    if data is None or not PYTHON.exists():
        lacks = "needs --data: the folder of data sets" if data is None else f"bert_score is not installed: {HINT}"
        return {"name": "bertscore", "peer": lacks, "cases": []}
    cases = Cases("bertscore", quick=quick)
    sets = {name: (mine[:40], theirs[:40]) if quick else (mine, theirs) for name, (mine, theirs) in pairs(data).items()}
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        peer = Peer(PYTHON, ROOT / "benchmarks" / "peers" / "bertscore_worker.py", HINT)
        minilm, _ = _weights.located("all-minilm-l6-v2", None)
        models = {"MiniLM": (minilm, 6), "RoBERTa of random weights": (roberta(folder / "roberta", sets), 6)}
        for name, (weights, layers) in models.items():
            cases.add(of_model(name, weights, layers, sets, peer, folder, quick=quick))
        peer.close()
    return {"name": "bertscore", "peer": "bert_score 0.3.13", "bars": BARS, "cases": cases.found}


def pairs(data: Path) -> dict[str, tuple[list[str], References]]:
    """Return candidates and references of each set."""
    articles = json.loads((data / "bartscore_human" / "summeval.json").read_text(encoding="utf-8")).values()
    written = [(one["sys_summ"], each) for each in articles for one in each["sys_summs"].values()]
    asked = [
        (part["sentence"], row["article"])
        for row in read(data / "qags" / "mturk_cnndm.jsonl")
        for part in row["summary_sentences"]
    ]
    few = written[:320]
    return {
        "SummEval": ([text for text, _ in written], [each["ref_summ"] for _, each in written]),
        "SummEval, 11 references": (
            [text for text, _ in few],
            [each["ref_summs"] for _, each in few],
        ),
        "QAGS": ([text for text, _ in asked], [article for _, article in asked]),
    }


def roberta(folder: Path, sets: dict[str, tuple[list[str], References]]) -> Path:
    """Write a RoBERTa of six layers with random weights and a tokenizer of its own, and return its folder."""
    torch, transformers, tokenizers = (need(name, "local") for name in ("torch", "transformers", "tokenizers"))
    folder.mkdir()
    cutter = tokenizers.ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    cutter.train_from_iterator(sets["SummEval"][0], vocab_size=8000, special_tokens=special, show_progress=False)
    cutter.save_model(str(folder))
    cutter.post_processor = tokenizers.processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    cutter.save(str(folder / "tokenizer.json"))
    told = {"tokenizer_class": "RobertaTokenizer", "model_max_length": 512, "add_prefix_space": False}
    names = ("bos", "pad", "eos", "unk", "mask", "cls", "sep")
    marks = dict(zip(names, (*special, "<s>", "</s>"), strict=True))
    told |= {f"{name}_token": mark for name, mark in marks.items()}
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    torch.manual_seed(0)
    config = transformers.RobertaConfig(
        vocab_size=8000,
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
        max_position_embeddings=514,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        type_vocab_size=1,
    )
    transformers.RobertaModel(config).eval().save_pretrained(folder)
    return folder


def of_model(
    name: str,
    weights: Path,
    layers: int,
    sets: dict[str, tuple[list[str], References]],
    peer: Peer,
    folder: Path,
    *,
    quick: bool,
) -> Iterator[dict[str, Any]]:
    """Yield the cases of a model."""
    encoders = {dtype: Encoder(weights, dtype=dtype, device="cpu", threads=THREADS) for dtype in dtypes_here()}
    plain = BertScore(encoders["float32"], layers, long="cut")
    base = baseline_of(plain, sets["SummEval"][0], pairs=100 if quick else 2000)
    file = folder / "baseline.csv"
    lines = [f"{layer},{base.precision!r},{base.recall!r},{base.f1!r}" for layer in range(layers + 1)]
    file.write_text("\n".join(["LAYER,P,R,F", *lines, ""]))
    for which, (mine, theirs) in sets.items():
        ways: dict[str, dict[str, Any]] = {"plain": {}}
        if which == "SummEval":
            flat = [one for one in theirs if isinstance(one, str)]
            ways |= {"idf": {"idf": flat}, "rescaled": {"baseline": base}}
        given = folder / "pairs.json"
        given.write_text(json.dumps({"candidates": mine, "references": theirs}), encoding="utf-8")
        for way, how in ways.items():
            job = {
                "weights": str(weights),
                "layers": layers,
                "threads": THREADS,
                "idf": how.get("idf"),
                "baseline": str(file) if "baseline" in how else None,
                "pairs": str(given),
                "fast": name == "MiniLM",
            }
            yield from beside(f"{name}, {which}, {way}", encoders, layers, how, mine, theirs, peer, job, quick=quick)


def beside(
    title: str,
    encoders: dict[str, Encoder],
    layers: int,
    how: dict[str, Any],
    mine: list[str],
    theirs: References,
    peer: Peer,
    job: dict[str, Any],
    *,
    quick: bool,
) -> Iterator[dict[str, Any]]:
    """Yield the cases of one way: ours in each type beside the peer in float32, in rounds."""
    seconds: dict[str, list[float]] = {"peer": [], **{dtype: [] for dtype in encoders}}
    found: dict[str, NDArray[np.float64]] = {}
    told: dict[str, Any] = {}
    base: Baseline | None = how.get("baseline")
    for _ in range(1 if quick else ROUNDS):
        told = peer.ask(job)
        seconds["peer"].append(told["seconds"])
        for dtype, encoder in encoders.items():
            encoder.load()
            metric = BertScore(encoder, layers, baseline=base, long="cut")  # a new one: nothing is held from before
            start = time.perf_counter()
            if "idf" in how:
                metric.idf = Idf.over(how["idf"], metric.states)
            scores = metric(mine, theirs)
            seconds[dtype].append(time.perf_counter() - start)
            found[dtype] = np.stack([scores.parts["precision"], scores.parts["recall"], scores.values])
    below = negative(BertScore(encoders["float32"], layers, long="cut"), mine, theirs)
    # Of several references the peer takes the best precision, recall and F each by itself: F is the same.
    other = np.array(told["scores"])
    compared = slice(None) if all(isinstance(one, str) for one in theirs) else slice(2, 3)
    for dtype in encoders:
        apart = np.abs(found[dtype] - other)[compared][:, ~below]
        ratios = [a / b for a, b in zip(seconds["peer"], seconds[dtype], strict=True)]
        yield {
            "case": f"{title}: ours in {dtype} against bert_score, pairs a second",
            "ours": len(mine) / median(seconds[dtype]),
            "peer": len(mine) / median(seconds["peer"]),
            "unit": "pairs/s",
            "ratio": median(ratios),
            "ratio_min": min(ratios),
            "ratio_max": max(ratios),
            "parity": float(apart.max(initial=0.0)),
            "n": len(mine),
        }
        if dtype != "float32":
            ranks = float(spearmanr(found[dtype][2], found["float32"][2]).statistic)
            yield {
                "case": f"{title}: ranks of {dtype} against float32",
                "value": ranks,
                "unit": "Spearman",
                "n": len(mine),
            }
    title = f"{title}: rows with a token whose best cosine is below 0, left out of the parity"
    yield {"case": title, "value": float(below.sum()), "unit": "rows", "n": len(mine)}


def negative(metric: BertScore, mine: list[str], theirs: References) -> NDArray[np.bool_]:
    """Return the rows that have a token whose nearest one is more than a right angle away."""
    found = []
    for one, some in zip(mine, theirs, strict=True):
        states = metric.states.of([one.strip(), *([some.strip()] if isinstance(some, str) else map(str.strip, some))])
        near = [states[0].vectors @ other.vectors.T for other in states[1:]]
        found.append(any(bool((each.max(0).values < 0).any() or (each.max(1).values < 0).any()) for each in near))
    return np.array(found)
