"""The sets of the entities' benchmark: their answers are those that they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks._entity_sets import corrupted, dbpedia, filled, queries, record_pairs, wikigold

from pilotfish.compete.entities.names import normalised

CONLL = """Ann I-PER
Lee I-PER
met O
Bob I-PER
. O

Ann I-PER
Lee I-PER
of O
Acme I-ORG
Corp I-ORG
Inc I-ORG

Acme I-ORG
Corp I-ORG
Inc I-ORG
paid O
Ann I-PER
Lee I-PER

"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "wikigold" / "CONLL-format" / "data"
    folder.mkdir(parents=True)
    (folder / "wikigold.conll.txt").write_text(CONLL * 3)
    folder = tmp_path / "dbpedia_entity_v2"
    folder.mkdir()
    (folder / "qrels-v2.txt").write_text("q1\tQ0\t<dbpedia:Mercury_(planet)>\t2\nq1\tQ0\t<dbpedia:Paris>\t0\n")
    (folder / "queries-v2.txt").write_text("q1\tsmall planet\n")
    folder = tmp_path / "ditto_em" / "Structured" / "Fodors-Zagats"
    folder.mkdir(parents=True)
    for part in ("train", "valid", "test"):
        (folder / f"{part}.txt").write_text("COL name VAL x COL class VAL 9\tCOL name VAL x COL class VAL 9\t1\n")
    return tmp_path


def test_mentions_stand_where_they_say_and_golds_are_in_the_base(data: Path) -> None:
    for seed in range(6):
        entities, asked, names = wikigold(data, seed)
        held = {one.id for one in entities}
        assert names == {"ann lee", "bob", "acme corp inc"}
        assert len(asked) == 8 + 2 + 5  # all but the first of nine, three and six
        for one in asked:
            assert (one.gold == one.entity and one.gold in held) or (one.gold is None and one.entity not in held)
            if one.form == "same":
                assert normalised(one.mention.surface) in names
            else:
                assert normalised(one.mention.surface) not in names
        assert all(one.description and one.types for one in entities)


def test_names_queries_and_records(data: Path) -> None:
    mercury, paris = dbpedia(data)
    assert (mercury.name, mercury.types, paris.name) == ("Mercury", ("planet",), "Paris")
    assert queries(data) == ({"q1": "small planet"}, {"q1": {mercury.id: 2, paris.id: 0}})
    (pair,) = record_pairs(data, "Structured/Fodors-Zagats")["test"]
    assert dict(pair.left) == {"name": "x"}


def test_invented_names_are_new() -> None:
    from pilotfish.compete.entities import Entity

    some = [Entity(str(n), name) for n, name in enumerate(["Ann Lee", "Bob Ray Coe", "Cy Dee Fox"])]
    made = filled(some, 8)
    names = {normalised(one.name) for one in [*some, *made]}
    assert len(made) == 5 and len(names) == 8


def test_what_is_typed_is_another_name() -> None:
    rng = np.random.default_rng(0)
    kinds = set()
    for _ in range(60):
        surface, kind = corrupted("Bank of England", rng)
        kinds.add(kind)
        assert surface.strip()
        if kind == "order":
            assert surface == "of England Bank"
        if kind == "left out":
            assert len(surface.split()) == 2
    assert kinds == {"typo", "two typos", "order", "left out"}
