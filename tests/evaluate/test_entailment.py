"""Entailment of a candidate by its source: the classifier's own numbers, passages, and the sentences it contradicts."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.errors import DataError
from pilotfish.evaluate.entailment import Entailment
from pilotfish.evaluate.nli import Nli
from pilotfish.evaluate.states import TokenStates
from pilotfish.models.encoder import Encoder
from tests.evaluate.test_nli import write_nli

SAID = {"yes.": (0.9, 0.05, 0.05), "no.": (0.1, 0.1, 0.8), "": (0.2, 0.7, 0.1)}


def infers(pairs: Sequence[tuple[str, str]]) -> Any:
    return np.array([(0.0, 1.0, 0.0) if source == "other" else SAID[mine] for source, mine in pairs]).reshape(-1, 3)


def test_it_is_the_probability_and_the_passage_with_the_evidence_counts() -> None:
    found = Entailment(infers)(["yes.", "no.", "", "yes."], ["s", ["other", "s"], " ", ["other"]])
    assert found.values.tolist() == pytest.approx([0.9, 0.1, 0.2, 0.0])
    assert found.parts["contradiction"].tolist() == pytest.approx([0.05, 0.8, 0.1, 0.0])
    assert found.notes == ["", "", "the candidate is empty; the source is empty", ""]
    with pytest.raises(DataError, match="row 2: no source"):
        Entailment(infers)(["yes.", "yes."], ["s", []])
    with pytest.raises(DataError, match="1 candidates, 2 sources"):
        Entailment(infers)(["yes."], ["s", "s"])


def test_contradicted_sentences_are_marked() -> None:
    mine, source = Entailment(infers).marked("yes. no.", "s")
    assert [piece for piece, _ in mine.pieces] == ["yes. ", "no."]
    assert [share for _, share in mine.pieces] == pytest.approx([0.95, 0.2])
    assert (source.title, source.pieces) == ("source", [("s", None)])
    assert Entailment(infers).marked("", ["a", "b"])[0].pieces == []


def test_a_model_travels_without_its_weights_and_what_it_has_read(tiny_encoder: Encoder, tmp_path: Path) -> None:
    model = Nli(write_nli(tmp_path / "it", tiny_encoder.tokenizer))
    found = model([("the cat", "a")])
    sent = pickle.dumps(model)
    assert len(sent) < 2000
    assert pickle.loads(sent)([("the cat", "a")]) == pytest.approx(found)
    states = TokenStates(tiny_encoder)
    states.of(["the cat"])
    assert states._size > 0
    assert (states.__getstate__()["_size"], len(states.__getstate__()["_kept"])) == (0, 0) and states._kept


def test_what_a_model_does_not_take_is_told(tiny_encoder: Encoder, tmp_path: Path) -> None:
    model = Nli(write_nli(tmp_path / "it", tiny_encoder.tokenizer))
    long = "the cat sat on the mat " * 40
    found = Entailment(model)(["the cat", long, "the cat", long], ["the cat sat", "the cat", ["a", long], long])
    assert np.isfinite(found.values).all() and found.metric == "nli (it)"
    assert [note.partition(":")[0] for note in found.notes] == ["", "cut", "cut", "cut"]
    pairs = [("the cat", "a"), (long, long)]
    whole = len(model.load()[1](long, long)["input_ids"])
    assert model.left_out(pairs) == [0, whole - model.most] and model.left_out([]) == []
