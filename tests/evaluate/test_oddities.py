"""Odd pairs through every metric: no crash, no NaN, each oddity counted."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.assemble import Collaboration
from pilotfish.assemble._build_metrics import metric_named
from pilotfish.assemble._specs_metrics import METRICS
from pilotfish.evaluate.estimator import Estimator
from pilotfish.evaluate.metric import Scoring
from pilotfish.evaluate.readable import HALF, readable
from pilotfish.rows import read_output, run
from pilotfish.rows._row import Row
from tests.evaluate.test_likelihood import write_seq2seq
from tests.evaluate.test_nli import write_nli
from tests.tiny import CORPUS

pytest.importorskip("torch")
BY_WORDS = ("rouge", "bleu", "chrf", "exact-match", "word-f1")
LONG = " ".join(CORPUS * 200)[:40_000]
ODD = {
    "empty": "",
    "space": " \n\t ",
    "nul": "\x00",
    "nuls": "the\x00cat\x00",
    "surrogate": "\ud800 the cat \udfff",
    "emoji": "😀 🏳️‍🌈 👩‍👩‍👧‍👦",
    "right-to-left": "مرحبا بالعالم \u202e abc",
    "marks": "<script>alert(1)</script> [SEP] [PAD] </s>",
    "accents": "e" + "\u0301" * 300,
    "long": LONG,
    "one long word": "a" * 20_000,
    "plain": "the cat sat on the mat",
}
ROWS: list[Row] = [
    {"answer": mine, "reference": theirs, "source": theirs, "samples": [theirs, mine], "kind": f"{one} | {other}"}
    for one, mine in ODD.items()
    for other, theirs in ODD.items()
    if "plain" in (one, other) or (one == other != "long")
] + [
    {
        "answer": "the cat",
        "reference": ["", "the cat", "\x00"],
        "source": ["", LONG],
        "samples": ["a", "b"],
        "kind": "several",
    }
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Any, tiny_folder: Any) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    taught = Estimator(["source", "answer"], encoder=tiny_encoder)
    taught.fit([{"source": str(i), "answer": str(-i)} for i in range(12)], list(range(12)))
    taught.save(folder / "estimator")
    nli = str(write_nli(folder / "nli", tiny_encoder.tokenizer))
    return {
        "bertscore": str(tiny_encoder.weights),
        "moverscore": str(tiny_encoder.weights),
        "consistency": nli,
        "yes-no": str(tiny_folder()),
        "perplexity": str(tiny_folder()),
        "estimator": str(folder / "estimator"),
        "bartscore": str(write_seq2seq(folder / "bart", "bart")),
        "causal": str(tiny_folder()),
        "nli": nli,
    }


def of_models(name: str, models: dict[str, str], other: str | None = None) -> dict[str, str]:
    key = "path" if name == "estimator" else "model"
    return {key: models[other or name]} if (other or name) in models else {}


EVERY: list[tuple[str, dict[str, Any]]] = [
    # What a model claims of a text is its answer, not the text: see test_claims.
    *((name, {}) for name in METRICS if name not in ("bartscore", "claims")),
    ("yes-no", {"question": "consistency"}),
    ("moverscore", {"n": 2, "idf": True}),
    ("selfcheck", {"way": "nli", "model": "nli"}),
    ("selfcheck", {"way": "bertscore", "model": "bertscore"}),
    ("semantic-entropy", {"model": "nli"}),
    ("bertscore", {"idf": True, "rescale": True}),
    ("bertscore", {"long": "cut"}),
    *(("bartscore", {"direction": direction}) for direction in ("faithfulness", "f")),
    ("bartscore", {"model": "causal"}),
]


@pytest.mark.parametrize(("name", "settings"), EVERY)
def test_every_metric_takes_them(name: str, settings: dict[str, Any], models: dict[str, str], tmp_path: Path) -> None:
    given = settings | of_models(name, models, settings.get("model"))
    wanted = [row for row in ROWS if settings.get("direction") != "faithfulness" or isinstance(row["source"], str)]
    metric = metric_named(name, Collaboration({}), given).fitted(wanted)
    # No file of rows can hold half a character, a list of them can.
    halves = [row for row in wanted if "surrogate" in row["kind"]]
    read = [row for row in halves if any("\ud800" in "".join(row[column]) for column in metric.columns)]
    assert metric(halves).odd()[HALF.partition(":")[0]] == len(read) >= 2 and len(halves) == 3
    wanted = [row for row in wanted if row not in halves]
    report = run(wanted, Scoring(metric), tmp_path / "out", progress=False)
    assert (report.rows_out, report.rejected) == (len(wanted), 0), dict(report.reasons)
    rows = list(read_output(tmp_path / "out"))
    numbers = [value for row in rows for key, value in row.items() if key.startswith(name) and isinstance(value, float)]
    assert len(numbers) >= len(rows) and all(math.isfinite(number) for number in numbers)
    told = {row["kind"]: row.get(f"{name}.note", "") for row in rows}
    # BERTScore reads what is long in pieces, and SelfCheck by it leaves nothing out.
    by_words = name.startswith(BY_WORDS) or (
        name in ("selfcheck", "semantic-entropy") and settings.get("model") != "nli"
    )
    for kind in ("empty | plain", "space | plain"):
        assert "empty" in told[kind], (kind, told[kind])
    if not by_words:
        assert all(told[kind] for kind in ("long | plain", "plain | long")[: len(metric.columns)]), told
    # Each row again, by itself: what stands beside it changes nothing.
    for row in rows[::7]:
        own = {key: row[key] for key in ("answer", "reference", "source", "samples")}
        assert metric([own]).values[0] == pytest.approx(row[name], abs=2e-4)
    assert np.isfinite(metric(wanted[:3]).mean().value)
    for row in wanted[::5]:
        assert metric.explained(row)


def test_halves_are_joined_or_replaced() -> None:
    assert readable("\ud83d\ude00 a\ud800b\udc00") == "😀 a\ufffdb\ufffd" and readable("😀") == "😀"


def test_a_plain_pair_is_not_odd(models: dict[str, str]) -> None:
    for name in METRICS:
        if name == "claims":
            continue
        given = of_models(name, models)
        row: Row = {"answer": "the cat", "reference": "the cat sat", "source": "the cat sat", "samples": ["the", "cat"]}
        assert metric_named(name, Collaboration({}), given)([row]).odd() == {}
