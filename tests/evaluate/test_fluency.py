"""Perplexity: exp of the mean loss, long texts in windows each token of which is read once; SLOR beside it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pilotfish.errors import DataError
from pilotfish.evaluate.fluency import Perplexity, unigrams
from pilotfish.models.local import LocalModel
from pilotfish.models.reader import Reader
from tests.tiny import CORPUS

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def reader(tiny_lm: LocalModel) -> Reader:
    return Reader(tiny_lm.weights)


def losses(model: Any, ids: list[int]) -> np.ndarray:
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([ids])).logits[0].double()
    return np.asarray(-logits.log_softmax(-1)[torch.arange(len(ids) - 1), torch.tensor(ids[1:])])


def test_it_is_the_formula(tiny_lm: LocalModel, reader: Reader) -> None:
    texts = ["the cat sat on the mat", "refund", "", CORPUS[1]]
    found = Perplexity(reader)(texts)
    for number, text in enumerate(texts):
        ids = reader.ids(text)
        nll = losses(tiny_lm.model, ids).mean() if len(ids) > 1 else 0.0
        assert found.parts["nll"][number] == pytest.approx(nll, abs=1e-5)
        assert found.values[number] == pytest.approx(math.exp(nll), rel=1e-4)
    assert found.notes == ["", "", "the text is empty", ""] and found.values[2] == 1


def test_a_long_text_is_read_in_windows(tiny_lm: LocalModel, reader: Reader) -> None:
    text = " ".join(CORPUS * 40)
    ids, most = reader.ids(text), reader.max_length
    assert len(ids) > 2 * most
    wanted = list(losses(tiny_lm.model, ids[:most]))
    at = most
    while at < len(ids):
        begin = at - most // 2
        wanted += list(losses(tiny_lm.model, ids[begin : begin + most])[at - begin - 1 :])
        at = min(len(ids), begin + most)
    found = Perplexity(reader)([text])
    assert len(wanted) == len(ids) - 1
    assert found.parts["nll"][0] == pytest.approx(np.mean(wanted), abs=1e-4)
    assert found.notes[0].startswith("long: read in")


def test_slor_leaves_out_what_rare_words_cost(reader: Reader) -> None:
    alone = unigrams(reader, CORPUS)
    assert np.exp(alone).sum() == pytest.approx(1)
    text = "the cat sat"
    found = Perplexity(reader, unigram=alone)([text, ""])
    own = alone[reader.ids(text)[1:]].mean()
    assert found.parts["slor"][0] == pytest.approx(-found.parts["nll"][0] - own)
    with pytest.raises(DataError, match="texts"):
        unigrams(reader, [])
