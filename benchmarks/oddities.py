"""10,000 odd pairs through every metric of a file: no crash, no number that is not finite, each oddity told.

Empty texts and blank ones, NULs, emoji of several code points, text from right to left with marks that turn it, letters
under 300 accents, words of 20,000 letters, markup and special tokens, halves of characters, texts of 10,000 tokens; on
either side, and lists of references. Texts of 10,000 tokens come from a pool of five, one pair in a hundred, and stand
beside each other in none: ROUGE-L is quadratic, half a minute a pair. BERTScore reads with MiniLM, as it is and with
idf and a baseline; the other models have random weights and few layers, for texts are tried here and not models, with
the cutters of MiniLM and SmolLM2. What must be told: an empty side by every metric, half a character by every metric,
a text of 10,000 tokens by every metric of a model. `--quick` takes 60 pairs, and 1,000 tokens for 10,000.
"""

from __future__ import annotations

import math
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._result import Cases
from pilotfish._extras import need
from pilotfish.assemble import Collaboration
from pilotfish.assemble._build_metrics import metric_named
from pilotfish.assemble._specs_metrics import METRICS
from pilotfish.evaluate.metric import OfRows, Scoring
from pilotfish.evaluate.readable import HALF
from pilotfish.models import _weights
from pilotfish.rows._row import Row
from pilotfish.rows.stage import Reject

PAIRS, QUICK, BATCH = 10_000, 60, 256
TOKENS, FEWER = 10_000, 1_000
PLACES = 256  # of the models that are made here
BARS = {"pairs with a finite score": 1.0, "oddities that are told": 1.0}
WORDS = ["the", "cat", "sat", "on", "a", "mat", "card", "refund", "did", "not", "arrive", "Paris", "1998", "3.14"]
ODD = {
    "empty": ("", " ", "\n\t \u3000"),
    "nul": ("\x00", "the\x00cat", "\x01\x1b[31mred\x7f"),
    "half": ("\ud800", "the \udfff cat"),
    "emoji": ("😀", "🏳️‍🌈 👩‍👩‍👧‍👦 👍🏽", "✈️" * 50),
    "right to left": ("مرحبا بالعالم", "שלום \u202e abc \u202c 123", "\u200f؟"),
    "accents": ("e" + "\u0301" * 300, "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢"),
    "one word": ("a" * 20_000, "漢" * 3_000),
    "markup": ("<script>alert(1)</script>", "[CLS] [SEP] [PAD] <s></s><|endoftext|>", "{text} {context} %s $x_1$"),
}
BY_WORDS = ("rouge", "bleu", "chrf", "exact-match", "word-f1")
# A kind -> its ways; what a metric's model is called in `made`.
WAYS: dict[str, list[dict[str, Any]]] = {
    **{name: [{}] for name in METRICS if name.startswith(BY_WORDS)},
    "bertscore": [{}, {"idf": True, "rescale": True}, {"long": "cut"}],
    "bartscore": [{"model": "causal"}, {"model": "seq2seq"}, {"model": "causal", "direction": "faithfulness"}],
    "nli": [{"model": "nli"}],
    "moverscore": [{}, {"n": 2, "idf": True}],
    "consistency": [{"model": "nli"}],
    "yes-no": [{"model": "causal", "question": question} for question in ("fluency", "consistency")],
    "perplexity": [{"model": "causal"}],
    "estimator": [{"path": "estimator"}],
    "selfcheck": [{}, {"way": "nli", "model": "nli"}],
    "semantic-entropy": [{}, {"model": "nli"}],
    "claims": [],  # it is another model's answer that is read: see its tests
}


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return, of each metric in each way, how many pairs have a finite score, and how many oddities are told.

    Raises:
        ValueError: a kind of metric is not tried here.
    """
    if left := METRICS.keys() - WAYS.keys():
        raise ValueError(f"benchmarks.oddities tries no {', '.join(sorted(left))}: say in WAYS how")
    cases = Cases("oddities", quick=quick)
    rows = pairs(QUICK, FEWER) if quick else pairs(PAIRS, TOKENS)
    with tempfile.TemporaryDirectory() as folder:
        models = made(Path(folder))
        for name, ways in WAYS.items():
            for way in ways:
                settings = way | {key: models[way[key]] for key in ("model", "path") if key in way}
                title = ", ".join([name, *(f"{key} {value}" for key, value in way.items())])
                metric = metric_named(name, Collaboration({}), settings).fitted(rows)
                words = name.startswith(BY_WORDS) or ("samples" in metric.columns and not way)
                cases.add(of_metric(title, metric, rows, by_model=not words))
    return {"name": "oddities", "bars": BARS, "cases": cases.found}


def pairs(count: int, tokens: int, seed: int = 0) -> list[Row]:
    """Return odd pairs, each row with the kinds of its sides; a long text has so many tokens at least."""
    dice = random.Random(seed)
    long = [" ".join(dice.choices(WORDS, k=tokens)) for _ in range(5)]

    def side(other: str = "") -> tuple[str, str]:
        if other != "long" and dice.random() < max(0.005, 2 / count):
            return "long", dice.choice(long)
        kind = dice.choice([*ODD, "plain"])
        if kind == "plain":
            return kind, " ".join(dice.choices(WORDS, k=dice.randint(1, 40)))
        return kind, dice.choice(ODD[kind])

    rows: list[Row] = []
    for number in range(count):
        mine, text = side()
        kinds, others = zip(*(side(mine) for _ in range(1 + (number % 5 == 0))), strict=True)
        several: Any = others[0] if len(others) == 1 else list(others)
        rows.append({"answer": text, "reference": several, "source": others[0], "kinds": [mine, *kinds]})
        rows[-1]["samples"] = [others[0], text]
    return rows


def of_metric(title: str, metric: OfRows, rows: list[Row], *, by_model: bool) -> Iterator[dict[str, Any]]:
    """Yield the shares of pairs with finite scores and of oddities that are told, and the time it took."""
    stage = Scoring(metric, BATCH)
    finite, wanted, told = 0, 0, 0
    start = time.perf_counter()
    for at in range(0, len(rows), BATCH):
        for row, found in zip(rows[at : at + BATCH], stage.outcomes(rows[at : at + BATCH]), strict=True):
            if isinstance(found, Reject) or not isinstance(found, dict):
                print(f"  {title}: {row['kinds']}: {found}", flush=True)
                continue
            numbers = [value for key, value in found.items() if key not in row and isinstance(value, float)]
            finite += all(math.isfinite(number) for number in numbers) and metric.name in found
            note = found.get(f"{metric.name}.note", "")
            sides = 2 if "samples" in metric.columns else len(metric.columns)
            seen = row["kinds"] if "reference" in metric.columns else row["kinds"][:sides]
            marks = {"empty": ["empty"], "half": [HALF], "long": ["long", "cut"] if by_model else []}
            for kind in set(seen) & marks.keys():
                if marks[kind]:
                    wanted += 1
                    told += any(mark in note for mark in marks[kind])
    seconds = time.perf_counter() - start
    yield {"case": f"{title}: finite scores", "value": finite / len(rows), "unit": "share of pairs", "n": len(rows)}
    yield {"case": f"{title}: oddities told", "value": told / wanted, "unit": "share of oddities", "n": wanted}
    yield {"case": f"{title}: time", "value": seconds, "unit": "seconds", "n": len(rows)}


def made(folder: Path) -> dict[str, str]:
    """Write models of few layers and random weights, with cutters of real ones; return their folders by name."""
    torch, transformers = need("torch", "local"), need("transformers", "local")
    cutters = {}
    for name in ("all-minilm-l6-v2", "smollm2-135m-instruct"):
        weights, _ = _weights.located(name, None)
        cutters[name] = transformers.AutoTokenizer.from_pretrained(str(weights))
    bert, smol = cutters.values()
    bert.model_max_length = smol.model_max_length = PLACES
    torch.manual_seed(0)
    tokens = {"pad_token_id": bert.pad_token_id, "eos_token_id": bert.sep_token_id, "bos_token_id": bert.cls_token_id}
    classes = dict(enumerate(("contradiction", "neutral", "entailment")))
    small = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    sides = {f"{side}_{what}": size for side in ("encoder", "decoder") for what, size in SIZES.items()}
    models = {
        "nli": (
            bert,
            transformers.BertForSequenceClassification(
                transformers.BertConfig(
                    vocab_size=len(bert),
                    id2label=classes,
                    label2id={v: k for k, v in classes.items()},
                    max_position_embeddings=PLACES,
                    **small,
                )
            ),
        ),
        "seq2seq": (
            bert,
            transformers.BartForConditionalGeneration(
                transformers.BartConfig(
                    vocab_size=len(bert),
                    d_model=64,
                    max_position_embeddings=PLACES,
                    decoder_start_token_id=bert.cls_token_id,
                    **sides,
                    **tokens,
                )
            ),
        ),
        "causal": (
            smol,
            transformers.LlamaForCausalLM(
                transformers.LlamaConfig(vocab_size=len(smol), max_position_embeddings=PLACES, **small)
            ),
        ),
    }
    for name, (cutter, model) in models.items():
        model.eval().save_pretrained(folder / name)
        cutter.save_pretrained(folder / name)
    from pilotfish.evaluate.estimator import Estimator
    from pilotfish.models.encoder import Encoder

    taught = Estimator(["source", "answer"], encoder=Encoder("all-minilm-l6-v2"))
    taught.fit([{"source": WORDS[i], "answer": WORDS[-i]} for i in range(len(WORDS))], list(range(len(WORDS))))
    taught.save(folder / "estimator")
    return {name: str(folder / name) for name in (*models, "estimator")}


SIZES = {"layers": 2, "attention_heads": 4, "ffn_dim": 128}
