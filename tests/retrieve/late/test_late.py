"""Texts in, rows out: the ranker against MaxSim of its encoder's own vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.retrieve.found import Ranker
from pilotfish.retrieve.late.encoder import LateEncoder
from pilotfish.retrieve.late.index import LateIndex
from pilotfish.retrieve.late.late import Late
from pilotfish.retrieve.late.maxsim import maxsim
from tests.tiny import TEXTS

pytest.importorskip("torch")

QUERIES = ["the cat and the dog", "where is my refund", "exchange rate"]


@pytest.fixture(scope="module")
def encoder(tiny_encoder_folder: Path) -> LateEncoder:
    return LateEncoder(tiny_encoder_folder, device="cpu")


def test_rows_by_maxsim(encoder: LateEncoder, tmp_path: Path) -> None:
    finished: list[int] = []
    late = Late.build(encoder, tmp_path, iter(TEXTS[:5]), progress=finished.append)
    assert sum(finished) == 5
    assert isinstance(late, Ranker)
    assert late.name == "late"
    assert late.add(TEXTS[5:]) == range(5, 7)
    assert late.delete([3]) == 1
    found = late.rank(QUERIES, 7)
    for number, query in enumerate(encoder.queries(QUERIES)):
        scores = maxsim(query, [late.index.vectors(row) for row in range(7)])
        scores[3] = -np.inf
        np.testing.assert_allclose(found.scores[number][:6], np.sort(scores)[::-1][:6], rtol=1e-5)
        assert found.rows[number, 0] == scores.argmax()
        assert sorted(found.rows[number].tolist()) == [-1, 0, 1, 2, 4, 5, 6]
        exact = maxsim(query, encoder.documents(TEXTS))
        np.testing.assert_allclose(scores[:3], exact[:3], rtol=0.03)  # those that the codec was learnt from
    mask = np.arange(7) < 2
    assert set(late.rank(QUERIES, 7, alive=mask).rows.ravel().tolist()) == {-1, 0, 1}
    again = Late(encoder, LateIndex(tmp_path))
    np.testing.assert_array_equal(again.rank(QUERIES, 7).rows, found.rows)


def test_another_encoders_index_is_refused(encoder: LateEncoder, tiny_encoder_folder: Path, tmp_path: Path) -> None:
    late = Late.build(encoder, tmp_path, TEXTS)
    other = LateEncoder(tiny_encoder_folder, dimension=8, device="cpu")
    with pytest.raises(ConfigError, match="another encoder's"):
        Late(other, late.index)
    with pytest.raises(DataError, match="no token"):
        Late.build(encoder, tmp_path / "none", [])
