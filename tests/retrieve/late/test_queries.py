"""Queries that a model writes: asked once, cleaned, and kept where they find their passage again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pilotfish.errors import ConfigError
from pilotfish.model import Reply, Request
from pilotfish.retrieve.found import Found
from pilotfish.retrieve.late.queries import written_queries
from tests.fakes import ScriptedModel

PASSAGES = ["the pilot fish swims with the shark", "a mat for the cat", "the cat sat on a mat", "refunds take a week"]


class Words:
    """Finds passages by the words that they share with a query."""

    name = "words"

    def rank(self, queries: Sequence[str], k: int) -> Found:
        """Return the rows by how many words they share."""
        rows, scores = [], []
        for query in queries:
            shared = np.array([len(set(query.split()) & set(one.split())) for one in PASSAGES], np.float32)
            best = np.lexsort((np.arange(len(PASSAGES)), -shared))[:k]
            rows.append(np.pad(best, (0, k - len(best)), constant_values=-1))
            scores.append(np.pad(shared[best], (0, k - len(best)), constant_values=-np.inf))
        return Found(np.stack(rows), np.stack(scores))


def written(request: Request) -> str:
    passage = request.messages[0].text.rpartition("Passage: ")[2]
    sample = request.metadata["sample"]
    if "refunds" in passage:
        return "\n\n" if sample else "something about the cat and a mat"
    return f'1. "who said {passage}"\nand more' if sample == 0 else f"Query: {passage}"


def test_kept_where_they_find_their_passage(tmp_path: Path) -> None:
    model = ScriptedModel(written)
    found = written_queries(model, PASSAGES, tmp_path, each=2, found_by=Words(), among=1, negatives=2, from_rank=2)
    assert found.asked == 8
    assert model.calls == 8
    assert [one.query for one in found.triples[:2]] == [f"who said {PASSAGES[0]}", PASSAGES[0]]
    assert found.rows == [0, 0, 1, 1, 2, 2]
    assert found.left_out == Counter({"its passage is not found": 1, "empty answer": 1})
    assert [PASSAGES[row] for row in found.rows] == [one.positive for one in found.triples]
    assert found.triples[2].negatives == (PASSAGES[2], PASSAGES[0])
    assert all(one.positive not in one.negatives for one in found.triples)
    again = written_queries(model, PASSAGES, tmp_path, each=2)
    assert model.calls == 8  # what was asked is stored
    assert len(again.triples) == 7
    assert all(one.negatives == () for one in again.triples)
    assert again.bill.calls == 8


def test_what_says_nothing_or_is_cut_is_left_out(tmp_path: Path) -> None:
    model = ScriptedModel([Reply("who is", finish_reason="length"), Reply('""'), "who? ", "who?"])
    found = written_queries(model, PASSAGES[:2], tmp_path, each=2, concurrency=1)
    assert [one.query for one in found.triples] == ["who?"]
    assert found.left_out == Counter({"cut at max_tokens": 1, "empty answer": 1, "written twice": 1})


def test_settings_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="names no"):
        written_queries(ScriptedModel(), PASSAGES, tmp_path, prompt="Write a question.")
    with pytest.raises(ConfigError, match="1 or more"):
        written_queries(ScriptedModel(), PASSAGES, tmp_path, each=0)
    empty = written_queries(ScriptedModel(), [], tmp_path, found_by=Words())
    assert (empty.triples, empty.asked) == ([], 0)
