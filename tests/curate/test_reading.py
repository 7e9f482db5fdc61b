"""Perplexity, compression, differences of losses, IFD: against the models' own forward and the papers' formulas."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.curate import curate
from pilotfish.curate.reading import IFD, Compression, LossDifference, Perplexity
from pilotfish.curate.reading.losses import Reading, windows
from pilotfish.errors import ConfigError, DataError
from pilotfish.models.reader import Reader
from pilotfish.rows.run import run
from pilotfish.rows.stage import Stage
from tests.tiny import write_lm

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TEXTS = ["the cat sat on the mat", "Où est l'été ? Ça va.", "wrong, wrong, wrong! " * 30, "a"]
PAIRS: list[dict[str, Any]] = [
    {"instruction": "Where is my card?", "input": "", "output": "My card has not arrived yet."},
    {"instruction": "Sort the text.", "input": "the exchange rate is wrong", "output": "exchange rate"},
    {"instruction": "Sing.", "output": "the bird sang a song of the sea, the bird sang a song of the sea"},
]


@pytest.fixture(scope="module")
def folder(tiny_folder: Callable[..., Path]) -> Path:
    return tiny_folder("llama", "plain")


@pytest.fixture(scope="module")
def reader(folder: Path) -> Reader:
    return Reader(folder, dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Any:
    """The model itself, in float64: (ids, start) -> −log p of the tokens from there on."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()

    def losses(ids: list[int], start: int) -> Any:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids])).logits[0, :-1].double()
        return -logits.log_softmax(-1).gather(-1, torch.tensor(ids[1:])[:, None])[start - 1 :, 0].numpy()

    return losses


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def out(stage: Stage, rows: list[dict[str, Any]], folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows and the rejects of a run."""
    run(rows, stage, folder, progress=False)
    return lines(folder / "shard-00000.jsonl"), lines(folder / "rejects.jsonl")


@given(st.integers(1, 60), st.integers(1, 60), st.integers(2, 20), st.data())
def test_windows_score_each_token_once(size: int, start: int, length: int, data: Any) -> None:
    stride = data.draw(st.integers(1, length - 1))
    ids = list(range(size))
    found = list(windows(ids, start, length, stride))
    assert [one for piece, at in found for one in piece[at:]] == ids[start:]
    for number, (piece, at) in enumerate(found):
        assert len(piece) <= length and list(piece) == list(range(piece[0], piece[0] + len(piece)))
        assert not number or at >= length - stride


def test_perplexity_is_that_of_the_model(tmp_path: Path, reader: Reader, plain: Any) -> None:
    rows = [{"text": text} for text in TEXTS]
    kept, _ = out(Perplexity(reader), rows, tmp_path / "token")
    for row in kept:
        losses = plain(reader.ids(row["text"]), 1)
        assert row["perplexity"] == pytest.approx(math.exp(losses.mean()), rel=1e-4)
    by_byte, _ = out(Perplexity(reader, per="byte", into="p"), rows, tmp_path / "byte")
    losses = plain(reader.ids(TEXTS[1]), 1)
    assert by_byte[1]["p"] == pytest.approx(math.exp(losses.sum() / len(TEXTS[1].encode())), rel=1e-4)


def test_long_documents_are_read_by_windows(reader: Reader, plain: Any) -> None:
    ids = reader.ids(TEXTS[2])
    assert len(ids) > 60
    (found,) = Reading(reader, length=32, stride=12).losses([(ids, 1)])
    wanted = [plain(ids[:32], 1)]
    for at in range(32, len(ids), 12):
        wanted.append(plain(ids[at - 20 : at + 12], 20))
    np.testing.assert_allclose(found, np.concatenate(wanted), atol=3e-5, rtol=3e-5)
    whole = Reading(reader).losses([(ids, 1)])[0]
    np.testing.assert_allclose(whole, plain(ids, 1), atol=3e-5, rtol=3e-5)


def test_of_long_documents_the_beginning_may_do(tmp_path: Path, reader: Reader, plain: Any) -> None:
    kept, _ = out(Perplexity(reader, most_tokens=20), [{"text": TEXTS[2]}], tmp_path / "run")
    wanted = plain(reader.ids(TEXTS[2])[:21], 1)
    assert kept[0]["perplexity"] == pytest.approx(math.exp(wanted.mean()), rel=1e-4)


def test_perplexities_out_of_bounds_go_with_their_value(tmp_path: Path, reader: Reader) -> None:
    rows = [{"text": text} for text in [*TEXTS, "  "]]
    all_of_them, _ = out(Perplexity(reader), rows[:4], tmp_path / "all")
    second = sorted(row["perplexity"] for row in all_of_them)[1]
    curate(rows, [Perplexity(reader, most=second)], tmp_path / "some", progress=False)
    dropped = lines(tmp_path / "some" / "dropped.jsonl")
    assert len(dropped) == 3 and dropped[-1]["reason"] == "perplexity.empty: no words"
    assert dropped[0]["reason"].startswith("perplexity: ") and dropped[0]["row"]["perplexity"] > second


def test_compression_needs_no_model(tmp_path: Path) -> None:
    kept, rejected = out(Compression(least=0.2), [{"text": text} for text in [*TEXTS, ""]], tmp_path / "run")
    assert [row["text"] for row in kept] == [TEXTS[0], TEXTS[1], TEXTS[3]]
    assert kept[0]["compression"] == len(zlib.compress(TEXTS[0].encode(), 9)) / len(TEXTS[0].encode())
    assert [one["reason"].partition(":")[0] for one in rejected] == ["compression", "compression.empty"]


def test_a_difference_of_losses(tmp_path: Path, tiny_folder: Any, reader: Reader, plain: Any) -> None:
    other = Reader(write_lm(tmp_path / "other", "llama", "plain", seed=11), dtype="float32", device="cpu")
    kept, _ = out(LossDifference(reader, other), [{"text": text} for text in TEXTS], tmp_path / "run")
    ids = reader.ids(TEXTS[0])
    wanted = plain(ids, 1).mean() + float(np.mean(other.logprobs([(ids, 1)])[0]))
    assert kept[0]["loss_difference"] == pytest.approx(wanted, abs=1e-4)
    melting = Reader(tiny_folder("llama", "melting"), dtype="float32", device="cpu")
    with pytest.raises(ConfigError, match="cut texts into other tokens"):
        out(LossDifference(reader, melting), [{"text": TEXTS[1]}], tmp_path / "cut")


@pytest.mark.parametrize("counted", ["same", "published"])
def test_ifd_is_the_ratio_of_two_perplexities_of_the_same_tokens(
    tmp_path: Path, reader: Reader, plain: Any, counted: Any
) -> None:
    kept, _ = out(IFD(reader, most=None, counted=counted), PAIRS, tmp_path / "run")
    for row, pair in zip(kept, PAIRS, strict=True):
        told = pair["instruction"] + "\n" + (pair["input"] + "\n" if pair.get("input") else "")
        question, answer = (reader.tokenizer(text)["input_ids"] for text in (told, pair["output"]))
        given, alone = plain(question + answer, len(question)), plain(answer, 1)
        if counted == "same":
            given = given[1:]
        assert row["ifd"] == pytest.approx(math.exp(given.mean() - alone.mean()), rel=1e-4)
        assert row["ifd_alone"] == pytest.approx(alone.mean(), abs=1e-4)


def test_a_model_with_a_first_token_counts_all_of_the_answer(tmp_path: Path, tiny_folder: Any) -> None:
    reader = Reader(tiny_folder("llama", "bos"), dtype="float32", device="cpu")
    kept, _ = out(IFD(reader, most=None), PAIRS[:1], tmp_path / "run")
    start = reader.tokenizer.bos_token_id
    answer = reader.tokenizer(PAIRS[0]["output"], add_special_tokens=False)["input_ids"]
    alone = -float(reader.logprobs([([start, *answer], 1)])[0].mean())
    assert kept[0]["ifd_alone"] == pytest.approx(alone, abs=1e-5)


def test_rows_that_have_no_ifd(tmp_path: Path, reader: Reader) -> None:
    rows = [*PAIRS, {"instruction": "Say nothing.", "output": ""}, {"instruction": " ", "output": "x"}, {"output": "x"}]
    curate(rows, [IFD(reader)], tmp_path / "out", text="output", progress=False)
    kept, dropped, bad = (lines(tmp_path / "out" / f"{name}.jsonl") for name in ("kept", "dropped", "rejects"))
    assert len(kept) + len(dropped) == 4 and len(bad) == 2
    assert all(row["ifd"] < 1 for row in kept)
    assert all(one["row"]["ifd"] >= 1 for one in dropped if "empty" not in one["reason"])
    assert any(one["reason"] == "ifd.empty: the answer has 0 tokens: too few to compare" for one in dropped)
    assert [one["reason"] for one in bad] == [
        "no instruction: 'instruction' is empty",
        "no text: 'instruction' is missing",
    ]


def test_settings_that_cannot_be(reader: Reader) -> None:
    for wrong in ({"length": 1}, {"stride": 1}, {"length": 8, "stride": 8}):
        with pytest.raises(ConfigError):
            Perplexity(reader, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="per token, byte, word"):
        Perplexity(reader, per="line")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="same or published"):
        IFD(reader, counted="all")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="takes 512"):
        Reading(reader, length=1000).losses([([1, 2, 3], 1)])
    assert Perplexity(reader).config()["weights"] == reader.identity
