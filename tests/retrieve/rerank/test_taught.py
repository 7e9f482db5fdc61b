"""A re-ranker that is taught here: it learns an order, is saved and loaded as it is, and goes on when killed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.models.encoder import Encoder
from pilotfish.retrieve.rerank import Judgement, Learnt, TaughtReranker
from pilotfish.train.settings import Fit

QUERIES = ["where is the cat", "a refund", "the dog did not", "card arrival", "exchange rate", "the bird sang"]
HOW = Fit(epochs=30, batch_tokens=512, rate=3e-3, dtype="float32")


def judgements() -> list[Judgement]:
    """Passages with the word "refund" are relevant, whatever is asked."""
    good = ["I want a refund", "the refund failed", "refund status wrong"]
    bad = ["the cat sat on the mat", "a song of the sea", "the exchange rate is wrong"]
    return [Judgement(query, text, float(text in good)) for query in QUERIES for text in (*good, *bad)]


def test_learns_and_lasts(tmp_path: Path, tiny_encoder: Encoder) -> None:
    before = tiny_encoder.encode(["the cat"])
    taught = TaughtReranker(tiny_encoder, HOW, held_out=0.3).fit(judgements())
    assert taught.report_.ordered is not None and taught.report_.ordered.value == 1.0
    assert taught.report_.held_out == 2 and taught.report_.judgements == 24
    np.testing.assert_array_equal(tiny_encoder.encode(["the cat"]), before)  # its own copy learnt
    pairs = [(query, text) for query in QUERIES[:2] for text in ("my refund", "the mat and the sea")]
    told = taught.read(pairs)
    assert told.scores[0] > told.scores[1] and told.scores[2] > told.scores[3] and (told.tokens > 0).all()
    taught.save(tmp_path / "taught")
    again = TaughtReranker.load(tmp_path / "taught")
    np.testing.assert_allclose(again.read(pairs).scores, told.scores, atol=1e-5)
    assert again.report_ == taught.report_ and "in order" in str(again.report_)
    assert Learnt.from_json(taught.report_.to_json()) == taught.report_


def test_the_same_data_learns_the_same(tiny_encoder: Encoder) -> None:
    how = Fit(epochs=1, batch_tokens=512, rate=1e-3, dtype="float32")
    one, other = (TaughtReranker(tiny_encoder, how, held_out=0.0).fit(judgements()) for _ in range(2))
    np.testing.assert_array_equal(one.weight_, other.weight_)
    assert one.report_.ordered is None and one.report_.judgements == 36


def test_what_is_wrong_is_said(tmp_path: Path, tiny_encoder: Encoder) -> None:
    with pytest.raises(DataError, match="judgement 2: relevant is 0 to 1, not 3"):
        TaughtReranker(tiny_encoder).fit([Judgement("q", "p", 1.0), Judgement("q", "r", 3.0)])
    with pytest.raises(DataError, match="all of 2 are alike"):
        TaughtReranker(tiny_encoder, held_out=0).fit([Judgement("q", "p", 1.0), Judgement("q", "r", 1.0)])
    with pytest.raises(ConfigError, match="held_out a share"):
        TaughtReranker(tiny_encoder, held_out=1.0)
    with pytest.raises(ModelError, match="not a saved re-ranker"):
        TaughtReranker.load(tmp_path)
