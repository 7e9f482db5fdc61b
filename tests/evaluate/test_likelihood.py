"""BARTScore against its formula: one pair at a time, without batches, in every direction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.evaluate.likelihood import BartScore, Continues
from pilotfish.evaluate.seq2seq import Seq2Seq
from pilotfish.models.local import LocalModel
from pilotfish.models.reader import Reader
from tests.tiny import CORPUS, tokenizer

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

GIVEN = ["the cat sat on the mat", "My card has not arrived yet.", "a", CORPUS[0]]
TEXTS = ["the cat sat", "where is it", "the dog did not sing a song of the sea", "refund"]


def write_seq2seq(folder: Path, family: str) -> Path:
    cutter = tokenizer()
    cutter.pad_token = cutter.pad_token or cutter.eos_token
    torch.manual_seed(0)
    common: dict[str, Any] = {"vocab_size": len(cutter), "pad_token_id": cutter.pad_token_id}
    common |= {"eos_token_id": cutter.eos_token_id, "decoder_start_token_id": cutter.eos_token_id}
    if family == "bart":
        sizes = {f"{side}_{what}": count for side in ("encoder", "decoder") for what, count in WIDTHS.items()}
        config = transformers.BartConfig(d_model=32, max_position_embeddings=64, **sizes, **common)
        model = transformers.BartForConditionalGeneration(config)
    else:
        config = transformers.T5Config(d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, **common)
        model = transformers.T5ForConditionalGeneration(config)
    model.eval().save_pretrained(folder)
    cutter.save_pretrained(folder)
    return folder


WIDTHS = {"layers": 2, "attention_heads": 4, "ffn_dim": 64}


@pytest.fixture(scope="module", params=["bart", "t5"])
def seq2seq(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Seq2Seq:
    return Seq2Seq(write_seq2seq(tmp_path_factory.mktemp("seq2seq") / request.param, request.param), batch_tokens=40)


def test_a_sequence_to_sequence_model_s_is_the_formula(seq2seq: Seq2Seq) -> None:
    model, cutter = seq2seq.load()
    found = BartScore(seq2seq)(GIVEN, TEXTS)
    for number, (given, text) in enumerate(zip(GIVEN, TEXTS, strict=True)):
        ids = cutter(text_target=text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            # The model's own loss is the mean over the labels.
            loss = model(input_ids=cutter(given, return_tensors="pt")["input_ids"], labels=ids).loss
        assert found.values[number] == pytest.approx(-float(loss), abs=1e-5)


def test_a_causal_model_s_is_the_formula(tiny_folder: Any) -> None:
    reader = Reader(tiny_folder(), dtype="float32", device="cpu")
    found = BartScore(Continues(reader, "Text: {text}\nShort: "))(GIVEN, TEXTS)
    plain = LocalModel(tiny_folder(), dtype="float32", device="cpu").load()
    model, cutter = plain.model, plain.tokenizer
    for number, (given, text) in enumerate(zip(GIVEN, TEXTS, strict=True)):
        whole = cutter(f"Text: {given}\nShort: {text}", return_tensors="pt")["input_ids"]
        start = len(cutter(f"Text: {given}\nShort:")["input_ids"])
        with torch.inference_mode():
            logs = model(whole).logits[0, :-1].log_softmax(-1)
        own = logs.gather(-1, whole[0, 1:, None])[start - 1 :, 0]
        assert found.values[number] == pytest.approx(float(own.mean()), abs=1e-4)


def test_directions(seq2seq: Seq2Seq) -> None:
    metric = BartScore(seq2seq)
    found = metric.directions(TEXTS, sources=GIVEN, references=[[text, GIVEN[0]] for text in GIVEN])
    assert found.faithfulness is not None and found.precision is not None and found.recall is not None
    assert found.faithfulness.values == pytest.approx(metric(GIVEN, TEXTS).values)
    both = [metric([one], [TEXTS[1]]).values[0] for one in (GIVEN[1], GIVEN[0])]
    assert found.precision.values[1] == pytest.approx(max(both), abs=1e-5)
    back = [metric([TEXTS[1]], [one]).values[0] for one in (GIVEN[1], GIVEN[0])]
    assert found.recall.values[1] == pytest.approx(max(back), abs=1e-5)
    assert found.f is not None
    assert found.f.values == pytest.approx((found.precision.values + found.recall.values) / 2)
    assert metric.directions(TEXTS, sources=GIVEN).f is None


def test_equal_pairs_are_read_once(seq2seq: Seq2Seq, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    own = Seq2Seq.of

    def counted(self: Seq2Seq, pairs: Any, **how: Any) -> Any:
        read.append(len(pairs))
        return own(self, pairs, **how)

    monkeypatch.setattr(Seq2Seq, "of", counted)
    BartScore(seq2seq)(GIVEN * 3, TEXTS * 3)
    assert read == [4]


def test_what_is_odd_is_told(tmp_path: Path, tiny_folder: Any) -> None:
    long = " ".join(CORPUS * 30)
    bart = Seq2Seq(write_seq2seq(tmp_path / "bart", "bart"))
    for model in (bart, Continues(Reader(tiny_folder(), dtype="float32", device="cpu"))):
        found = BartScore(model)([long, "", "\x00"], ["the cat", "the cat", "مرحبا 😀"])
        assert np.isfinite(found.values).all()
        assert found.odd() == {"cut": 1, "what was given is empty": 1}
        ends = BartScore(model)(["the cat"], [long])
        assert np.isfinite(ends.values).all() and ends.odd()["long"] == 1
    empty = BartScore(Continues(Reader(tiny_folder(), dtype="float32", device="cpu")))(["the cat"], [""])
    assert empty.odd() == {"the text is empty": 1} and empty.values[0] == 0


def test_mistakes(tmp_path: Path, tiny_folder: Any) -> None:
    metric = BartScore(Continues(Reader(tiny_folder(), dtype="float32", device="cpu")))
    with pytest.raises(DataError, match="2 texts to start from, 1"):
        metric(["a", "b"], ["a"])
    with pytest.raises(DataError, match="sources, or references"):
        metric.directions(["a"])
    with pytest.raises(DataError, match="of one at least"):
        metric.directions(["a"], references=[[]])
    with pytest.raises(ConfigError, match="needs the place"):
        Continues(metric.likelihoods.reader, "none")  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="no sequence-to-sequence model"):
        Seq2Seq(tiny_folder()).load()


def test_what_is_odd_about_any_reference_is_told(tiny_lm: LocalModel) -> None:
    metric = BartScore(Continues(Reader(tiny_lm.weights)))
    found = metric.directions(["the cat sat"], references=[["the cat sat", "", "a dog"]])
    assert found.recall is not None and "empty" in found.recall.notes[0]
    assert found.f is not None and "empty" in found.f.notes[0]
