"""NLI: as the model says pair by pair; pieces of a long premise give evidence and do not vote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.errors import ConfigError, ModelError
from pilotfish.evaluate.nli import Nli, over_pieces
from tests.tiny import CORPUS

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def write_nli(folder: Path, cutter: Any, labels: Sequence[str] = ("CONTRADICTION", "NEUTRAL", "ENTAILMENT")) -> Path:
    torch.manual_seed(1)
    config = transformers.BertConfig(
        vocab_size=len(cutter),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.5,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    transformers.BertForSequenceClassification(config).eval().save_pretrained(folder)
    cutter.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def nli(tiny_encoder: Any, tmp_path_factory: pytest.TempPathFactory) -> Nli:
    return Nli(write_nli(tmp_path_factory.mktemp("nli") / "it", tiny_encoder.tokenizer), batch_tokens=60)


PAIRS = [(one, other) for one in ("the cat sat", "where is my card", "a refund", "") for other in ("the cat", "it is")]


def test_it_says_what_the_model_says_of_each_pair_alone(nli: Nli) -> None:
    model, cutter = nli.load()
    found = nli([*PAIRS, PAIRS[0]])
    for number, (one, other) in enumerate(PAIRS):
        with torch.inference_mode():
            logits = model(**cutter(one, other, return_tensors="pt")).logits[0]
        assert found[number] == pytest.approx(logits.softmax(-1).flip(0).tolist(), abs=1e-5)
    assert (found[-1] == found[0]).all()
    assert found.sum(axis=1) == pytest.approx(1)
    assert found.std(axis=0).max() > 0.01
    assert nli([]).shape == (0, 3)


def test_a_long_premise_is_cut_and_the_hypothesis_is_not(nli: Nli) -> None:
    long = " ".join(CORPUS * 20)
    one, other = nli([(long, "the cat"), (long, "where is it")])
    assert not np.allclose(one, other)


def test_names_tell_which_class_is_which(tiny_encoder: Any, tmp_path: Path) -> None:
    two = Nli(write_nli(tmp_path / "two", tiny_encoder.tokenizer, ("not_entailment", "entailment")))
    found = two(PAIRS)
    assert (found[:, 1] == 0).all() and found[:, [0, 2]].sum(axis=1) == pytest.approx(1)
    bare = write_nli(tmp_path / "bare", tiny_encoder.tokenizer, ("LABEL_0", "LABEL_1", "LABEL_2"))
    with pytest.raises(ConfigError, match="say which by `labels`"):
        Nli(bare)(PAIRS)
    named = Nli(bare, labels={"contradiction": 0, "neutral": 1, "entailment": 2})
    same = Nli(write_nli(tmp_path / "same", tiny_encoder.tokenizer))
    assert named(PAIRS) == pytest.approx(same(PAIRS))
    with pytest.raises(ModelError, match="not a model"):
        Nli(tmp_path)(PAIRS)


def test_a_piece_about_something_else_does_not_outvote_the_evidence() -> None:
    said = {
        "evidence": (0.9, 0.05, 0.05),
        "other": (0.05, 0.9, 0.05),
        "odd": (0.1, 0.3, 0.6),
        "against": (0.0, 0.1, 0.9),
    }

    def infers(pairs: Sequence[tuple[str, str]]) -> Any:
        return np.array([said[piece] for piece, _ in pairs])

    found = over_pieces(infers, [(["other", "evidence", "odd"], "h"), (["other", "against"], "h"), (["other"], "h")])
    assert found[0] == pytest.approx((0.9, 0.05, 0.05))
    assert found[1] == pytest.approx((0.05, 0.05, 0.9))
    assert found[2] == pytest.approx((0.05, 0.9, 0.05))
    assert found.sum(axis=1) == pytest.approx(1)
    # However many others there are.
    many = over_pieces(infers, [(["other"] * 50 + ["against"], "h")])
    assert many[0] == pytest.approx((0.05, 0.05, 0.9))


def test_what_is_cut_beforehand_changes_nothing(nli: Nli, monkeypatch: pytest.MonkeyPatch) -> None:
    _, cutter = nli.load()
    long = [" ".join(CORPUS * 20), "a" * 3000 + " the cat", "😀the\x00" * 400, " ".join(CORPUS * 24)]
    # Of two long ones the tokenizer's own cutting takes the square of their tokens: one such pair is enough.
    pairs = [*((one, "it is") for one in long), *(("the cat", one) for one in long), (long[2], long[0])]
    found, lost = nli(pairs), nli.left_out(pairs)
    most = nli.most
    whole = cutter([one for one, _ in pairs], [other for _, other in pairs], verbose=False)["input_ids"]
    assert lost == [max(0, len(ids) - most) for ids in whole]
    begun = nli._beginnings([text for pair in pairs for text in pair])
    assert len(begun) >= 2 and all(text.startswith(short) and len(short) < len(text) for text, short in begun.items())
    monkeypatch.setattr(nli, "_beginnings", lambda texts: {})
    assert nli(pairs) == pytest.approx(found, abs=1e-6)
