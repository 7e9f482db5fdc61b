"""Prompts in fewer tokens, against LLMLingua 0.2.2 with the same small model (SmolLM2-135M): speed, budgets, answers.

Speed: tokens of the prompt a second, from text to text at a rate of a half, on prose of 1,000 and 4,000 tokens
(WikiText-2); the token losses of both sides are compared first. The peer has the settings of its README; ours is the
same iterative procedure (segments of 200), and one pass. bfloat16 only where the processor multiplies it. Budgets: how
far a prompt of 20 to 20,000 tokens is from what was asked for, in the small model's tokens. Answers: XQuAD's questions
over five paragraphs of their article; the answer counts as kept where it stands in the compressed text. LongLLMLingua
(question-aware, its README's settings) is given a rate, and ours on the same question as many tokens as the peer then
kept, so that a peer that keeps more is no better for it; differences are paired, over articles. Random words kept and
every way of ours are shown by rate. The token classifier is taught on the questions of half of the articles (the
sentence with the answer is what is kept), and measured on the others. Exact match: Qwen2.5-Coder-1.5B (int8) answers
from what was kept, on a sample drawn with a seed. `--quick` takes short texts, and a few questions where `--data` is.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks._compress_task import Asked, kept, lengthened, texts_here, xquad
from benchmarks._peer import Peer
from benchmarks._result import Cases, estimated
from benchmarks.curate_ppl import dtypes_here
from pilotfish.measure.extractive import exact_match
from pilotfish.measure.intervals import bootstrap, paired_bootstrap
from pilotfish.model import Request
from pilotfish.models._weights import located, tokenizer_of
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from pilotfish.models.reader import Reader
from pilotfish.prompt.compress import (
    AnsweringDocuments,
    AtRandom,
    Blend,
    ByPerplexity,
    ByQuestion,
    BySentences,
    ByTokens,
    Compressor,
    Mixed,
    Pair,
    Prompt,
    Protect,
    RankByVectors,
    RankByWords,
    Scored,
    TokenClassifier,
    Way,
    counted_by,
    teach,
)
from pilotfish.prompt.compress import Asked as Units
from pilotfish.rows.run import read_output, run
from pilotfish.rows.sentences import spans_of
from pilotfish.rows.stage import AsyncStage
from pilotfish.train.settings import Fit

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".bench" / "llmlingua" / "bin" / "python"
HINT = "python -m venv .bench/llmlingua && .bench/llmlingua/bin/pip install -r benchmarks/peers/llmlingua.txt"
RUNS = ROOT / ".bench" / "compress"
MODEL, ENCODER, LARGE = "smollm2-135m-instruct", "all-minilm-l6-v2", "qwen2.5-coder-1.5b-instruct"
THREADS, ROUNDS = 2, 3
RATES = (0.7, 0.5, 0.3, 0.2, 0.1)
AGAINST = (0.5, 0.3)
LENGTHS = (20, 50, 100, 150, 200, 500, 1000, 2000, 5000, 10_000, 20_000)
BESIDE, PEER_ASKED, LARGE_ASKED = 4, 100, 100
# LongLLMLingua's README.
LONG = {
    "condition_in_question": "after_condition",
    "reorder_context": "sort",
    "dynamic_context_compression_ratio": 0.3,
    "condition_compare": True,
    "context_budget": "+100",
    "rank_method": "longllmlingua",
    "concate_question": False,
}
BARS = {
    "parity of token losses": 1e-3,
    "tokens a second, float32": 2.0,
    "tokens a second, bfloat16": 4.0,
    "budgets met within 1 token": 1.0,
    "answers kept, ours less the peer's": 0.0,
}
Case = dict[str, Any]
NONE = Protect(())


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return speed, budgets and answers kept."""
    cases = Cases("compress", quick=quick)
    tokenizer = tokenizer_of(MODEL)
    texts = texts_here(data)
    peer = None
    if PYTHON.exists():
        peer = Peer(PYTHON, ROOT / "benchmarks" / "peers" / "llmlingua_worker.py", HINT, {"HF_HUB_OFFLINE": "1"})
    told = "LLMLingua 0.2.2" if peer else f"LLMLingua is not installed: {HINT}"
    reader = Reader(MODEL, dtype="float32", device="cpu", threads=THREADS).load()
    if peer is not None:
        cases.add(speed(peer, reader, texts, tokenizer, quick=quick))
        load(peer, "float32")
    cases.add(budgets(peer, texts, tokenizer, quick=quick))
    if data is not None:
        cases.add(answers(peer, reader, data, quick=quick))
    if peer is not None:
        peer.close()
    return {"name": "compress", "peer": told, "bars": BARS, "cases": cases.found}


def load(peer: Peer, dtype: str) -> None:
    """Have the peer load the small model."""
    peer.ask({"do": "load", "weights": str(located(MODEL, None)[0]), "dtype": dtype, "threads": THREADS})


def speed(peer: Peer, reader: Reader, texts: Sequence[str], tokenizer: Any, *, quick: bool) -> Iterator[Case]:
    """Yield parity of the token losses, and tokens a second of both in each type."""
    count = counted_by(tokenizer)
    load(peer, "float32")
    some = [lengthened(texts, tokenizer, 300, seed) for seed in range(4)]
    theirs = peer.ask({"do": "losses", "texts": some, "threads": THREADS})["losses"]
    apart = 0.0
    for text, other in zip(some, theirs, strict=True):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        # The peer's first token is read behind nothing.
        mine = -reader.logprobs([(ids, 1)])[0]
        apart = max(apart, float(np.abs(mine - np.array(other)).max()))
    yield {"case": "token losses: the largest difference", "value": apart, "unit": "nats", "n": len(some)}
    for dtype in dtypes_here():
        own = reader if dtype == "float32" else Reader(MODEL, dtype=dtype, device="cpu", threads=THREADS).load()
        ways = {
            "iterative": Compressor(ByPerplexity(own), count, protect=NONE),
            "iterative, nothing read again": Compressor(ByPerplexity(own, again=False), count, protect=NONE),
            "one pass": Compressor(ByPerplexity(own, segment=None), count, protect=NONE),
        }
        for peers in dict.fromkeys(("float32", dtype)):
            if not (quick and dtype != "float32"):
                load(peer, peers)
            for tokens in (400,) if quick else (1000, 4000):
                prompts = [lengthened(texts, tokenizer, tokens, seed) for seed in range(1 if quick else 4)]
                title = f"{tokens:,} tokens, ours in {dtype}, peer {peers}"
                yield from raced(peer, ways, prompts, count, title, apart, 1 if quick else ROUNDS)


def raced(
    peer: Peer,
    ways: dict[str, Compressor],
    prompts: Sequence[str],
    count: Callable[[str], int],
    title: str,
    apart: float,
    rounds: int,
) -> Iterator[Case]:
    """Yield tokens a second of each way against the peer's, in turn."""
    total = sum(count(one) for one in prompts)
    jobs = [{"documents": [one], "question": "", "settings": {"target_token": count(one) // 2}} for one in prompts]
    seconds: dict[str, list[float]] = {"peer": [], **{name: [] for name in ways}}
    for turn in range(rounds + 1):
        spent = sum(peer.ask({"do": "compress", "prompts": jobs, "threads": THREADS})["each"])
        if turn:  # the first fills caches
            seconds["peer"].append(spent)
        for name, way in ways.items():
            start = time.perf_counter()
            for one in prompts:
                way.text(one, rate=0.5)
            if turn:
                seconds[name].append(time.perf_counter() - start)
    for name in ways:
        ratios = [a / b for a, b in zip(seconds["peer"], seconds[name], strict=True)]
        yield {
            "case": f"{name}, {title}",
            "ours": total / median(seconds[name]),
            "peer": total / median(seconds["peer"]),
            "unit": "tokens/s",
            "ratio": median(ratios),
            "ratio_min": min(ratios),
            "ratio_max": max(ratios),
            "parity": apart,
            "n": len(prompts),
        }


def budgets(peer: Peer | None, texts: Sequence[str], tokenizer: Any, *, quick: bool) -> Iterator[Case]:
    """Yield how often budgets are met within a token, and how far off each side is by the prompt's length."""
    count = counted_by(tokenizer)
    ours = Compressor(AtRandom(), count)
    met: list[float] = []
    seconds: list[float] = []
    for length in LENGTHS:
        prompts = [lengthened(texts, tokenizer, length, seed) for seed in range(3 if quick else 20)]
        asked = [(one, max(1, round(count(one) * rate))) for one in prompts for rate in (0.5, 0.3)]
        off = []
        for text, budget in asked:
            start = time.perf_counter()
            found = ours.text(text, budget=budget)
            seconds.append(time.perf_counter() - start)
            off.append(count(found.text) - budget)
        met += [float(-1 <= one <= 0) for one in off]
        yield told_off(f"ours, {length:,} tokens", off)
        if peer is None or (quick and length > 200):
            continue
        few = asked[:: 1 if length <= 500 else 2 if length <= 2000 else 10]
        jobs = [{"documents": [text], "question": "", "settings": {"target_token": most}} for text, most in few]
        said = peer.ask({"do": "compress", "prompts": jobs, "threads": THREADS})["texts"]
        there = [(text, most) for text, (_, most) in zip(said, few, strict=True) if text is not None]
        if len(there) < len(few):
            case = f"LLMLingua, {length:,} tokens: prompts that it fails on"
            yield {"case": case, "value": float(len(few) - len(there)), "unit": "prompts", "n": len(few)}
        if there:
            yield told_off(f"LLMLingua, {length:,} tokens", [count(text) - most for text, most in there])
    yield {"case": "ours: budgets met within 1 token", "value": float(np.mean(met)), "unit": "", "n": len(met)}
    case = "ours: the longest that fitting took, of any length"
    yield {"case": case, "value": max(seconds), "unit": "s", "n": len(seconds)}


def told_off(title: str, off: Sequence[int]) -> Case:
    """Return the median of how far budgets were missed, and the worst."""
    worst = max(off, key=abs)
    case = f"{title}: tokens off the budget, the median of absolute errors (worst {worst:+d})"
    return {"case": case, "value": float(np.median(np.abs(off))), "unit": "tokens", "n": len(off)}


def answers(peer: Peer | None, reader: Reader, data: Path, *, quick: bool) -> Iterator[Case]:
    """Yield how many answers are kept, by rate and way; against the peer; and what the large model answers."""
    asked = xquad(data, BESIDE)
    random.Random(11).shuffle(asked)
    articles = sorted({one.article for one in asked})
    half = set(articles[::2])
    test = [one for one in asked if one.article not in half]
    taught = [one for one in xquad(data, 1) if one.article in half]
    encoder = Encoder(ENCODER, device="cpu", threads=THREADS)
    ways = ways_of(reader, encoder, None if quick else classifier(encoder, taught))
    some = test[:6] if quick else test
    for name, way in ways.items():
        # What is conditioned on what was kept is read anew for each rate. It is held against the peer, below.
        if name in ITERATIVE or (quick and name not in ("random", "sentences by words")):
            continue
        few = some if name in FAST else some[:PEER_ASKED]
        for rate in AGAINST if quick else RATES:
            found = [kept(shortened(way, one, rate=rate), one.truths) for one in few]
            interval = bootstrap(found, groups=[one.article for one in few])
            yield estimated(f"answers kept at a rate of {rate}: {name}", interval, "")
    if peer is not None and not quick:
        yield from versus(peer, ways, test[:PEER_ASKED])


ITERATIVE = ("perplexity", "question (LongLLMLingua)")
FAST = ("random", "sentences by words", "sentences by words and vectors", "tokens, question-aware")


def ways_of(reader: Reader, encoder: Encoder, tokens: TokenClassifier | None) -> dict[str, Compressor]:
    """Return the ways, by their names."""
    count = counted_by(reader.tokenizer)
    both = Mixed((RankByWords(), RankByVectors(encoder)))
    plain = Compressor(AtRandom(), count, protect=NONE)
    ranked = replace(plain, rank=AnsweringDocuments(reader), spread=0.3)
    once = Once(ByQuestion(reader, segment=None))
    blend = Blend((once, BySentences(both)), (1.0, 2.0))
    found = {
        "random": plain,
        "perplexity": replace(plain, way=ByPerplexity(reader)),
        "perplexity, one pass": replace(plain, way=Once(ByPerplexity(reader, segment=None))),
        "question (LongLLMLingua)": replace(ranked, way=ByQuestion(reader)),
        "question, one pass": replace(plain, way=once),
        "question and sentences": replace(plain, way=blend),
        "sentences by words": replace(plain, way=BySentences(RankByWords())),
        "sentences by words and vectors": replace(plain, way=BySentences(both)),
    }
    if tokens is not None:
        found["tokens, question-aware"] = replace(plain, way=ByTokens(tokens))
    return found


class Once:
    """A way whose scores do not depend on what is kept, asked once for each text and question."""

    def __init__(self, way: Way) -> None:
        self.way, self.name = way, way.name
        self.known: dict[tuple[str, str], Scored] = {}

    def __call__(self, asked: Units) -> Scored:
        """Return what the way says."""
        key = (asked.text, asked.question)
        if key not in self.known:
            self.known[key] = self.way(asked)
        return self.known[key]


def classifier(encoder: Encoder, taught: Sequence[Asked]) -> TokenClassifier:
    """Return a token classifier that has learnt to keep the sentence with the answer; kept for the next run."""
    folder = RUNS / "classifier"
    if (folder / "keeps.json").is_file():
        return TokenClassifier.load(folder, device="cpu")
    pairs = []
    for one in taught:
        text = "\n\n".join(one.documents)
        holding = [text[a:b] for a, b in spans_of(text) if any(truth in text[a:b] for truth in one.truths)]
        if holding:
            pairs.append(Pair(text, holding[0], one.question))
    how = Fit(epochs=2, batch_tokens=2048, rate=5e-5, decay=0.01, dtype="auto")
    made, _ = teach(encoder, pairs, how, gap=0.0, folder=folder / "run")
    made.save(folder)
    return made


def shortened(way: Compressor, one: Asked, **budget: Any) -> str:
    """Return what a way leaves of a question's documents."""
    return way.prompt(Prompt(one.documents), question=one.question, **budget).text


def versus(peer: Peer, ways: dict[str, Compressor], asked: Sequence[Asked]) -> Iterator[Case]:
    """Yield answers kept by the peer, by ours in as many tokens, their difference, and exact match of both."""
    count = ways["random"].count
    groups = [one.article for one in asked]
    texts: dict[str, list[str]] = {"whole paragraphs": ["\n\n".join(one.documents) for one in asked]}
    for rate in AGAINST:
        jobs = [
            {"documents": list(one.documents), "question": one.question, "settings": {**LONG, "rate": rate}}
            for one in asked
        ]
        said = peer.ask({"do": "compress", "prompts": jobs, "threads": THREADS})
        if any(text is None for text in said["texts"]):
            raise RuntimeError(f"the peer failed: {said['errors'][0]}")
        sizes = [max(1, count(text)) for text in said["texts"]]
        whole = [count("\n\n".join(one.documents)) for one in asked]
        actual = bootstrap([a / b for a, b in zip(sizes, whole, strict=True)])
        yield estimated(f"LongLLMLingua at a rate of {rate}: the rate it reached", actual, "")
        theirs = [kept(text, one.truths) for text, one in zip(said["texts"], asked, strict=True)]
        case = f"answers kept by LongLLMLingua asked for a rate of {rate}"
        yield estimated(case, bootstrap(theirs, groups=groups), "")
        texts[f"LongLLMLingua at {rate}"] = said["texts"]
        for name, way in ways.items():
            mine = [shortened(way, one, budget=size) for one, size in zip(asked, sizes, strict=True)]
            texts[f"{name} at {rate}"] = mine
            found = [kept(text, one.truths) for text, one in zip(mine, asked, strict=True)]
            yield estimated(
                f"answers kept in as many tokens as LongLLMLingua's at {rate}: {name}",
                bootstrap(found, groups=groups),
                "",
            )
            yield estimated(
                f"the same, {name} less LongLLMLingua at {rate}", paired_bootstrap(found, theirs, groups=groups), ""
            )
    yield from read_by_large(texts, asked[:LARGE_ASKED])


def read_by_large(texts: dict[str, list[str]], asked: Sequence[Asked]) -> Iterator[Case]:
    """Yield the large model's exact match from what each way left."""
    model = LocalModel(LARGE, quantize="int8", threads=THREADS)
    groups = [one.article for one in asked]
    wanted = [name for name in texts if not name.startswith(("perplexity", "question, one", "sentences by words at"))]
    right: dict[str, list[float]] = {}
    for name in wanted:
        rows = [{"prompt": asking(text, one.question)} for text, one in zip(texts[name], asked, strict=False)]
        folder = RUNS / "answers" / "".join(c if c.isalnum() else "-" for c in name)
        run(rows, Answering(model), folder, shard_rows=1000)
        said = [str(row["answer"]) for row in read_output(folder)]
        right[name] = [exact_match(text, one.truths) for text, one in zip(said, asked, strict=True)]
        yield estimated(f"exact match of {LARGE} from {name}", bootstrap(right[name], groups=groups), "")
    for rate in AGAINST:
        theirs = right[f"LongLLMLingua at {rate}"]
        for name, mine in right.items():
            if name.endswith(f"at {rate}") and not name.startswith("LongLLMLingua"):
                apart = paired_bootstrap(mine, theirs, groups=groups)
                yield estimated(f"exact match, {name} less LongLLMLingua", apart, "")


def asking(text: str, question: str) -> str:
    """Return what the large model is asked."""
    return f"{text}\n\nAnswer the question from the text above, with a few of its words and nothing else.\n{question}"


class Answering(AsyncStage):
    """Asks a model, and keeps its answer."""

    def __init__(self, model: LocalModel) -> None:
        self.model = model

    async def each(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the row with the answer."""
        reply = await self.model.reply(Request.of(row["prompt"], temperature=0.0, max_tokens=32))
        return row | {"answer": reply.text.strip()}
