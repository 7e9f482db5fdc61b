"""A knowledge base: found by each way, changed in place, whole after a kill."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from pilotfish.compete.entities import Entity, EntityBase, entities
from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.retrieve import Encoders, Index
from pilotfish.rows import Rejects
from tests.compete.entities.made import ENTITIES


def ids(base: EntityBase, query: str, *ways: str) -> list[str]:
    return [hit.passage.id for hit in base.search([query], 5, ways)[0]]


def test_found_by_names_and_by_words(base: EntityBase) -> None:
    assert base.ways == ["names", "bm25"] and len(base) == len(ENTITIES)
    assert ids(base, "Europaen Union", "names")[0] == "eu"
    assert ids(base, "maria sklodowska", "names")[0] == "curie"
    assert ids(base, "radium", "bm25") == ["curie"] and ids(base, "radium", "names") == []
    both = base.search(["Mercury sandals"], 3)[0]
    god = next(hit for hit in both if hit.passage.id == "god")
    assert set(god.parts) == {"names", "bm25"} and god.parts["bm25"] > both[0].parts["bm25"]
    assert list(base) == ENTITIES and base.get(["who", "nobody"]) == [ENTITIES[6], None]


def test_entities_come_and_go_and_ids_stay(base: EntityBase) -> None:
    changed = Entity("eu", "European Union", ("EU", "Union européenne"), description="Brussels.")
    added = base.add([Entity("kyiv", "Kyiv", ("Kiev",)), changed, ENTITIES[0]])
    assert (added.new, added.changed, added.same) == (1, 1, 1)
    assert ids(base, "Kiew", "names")[0] == "kyiv" and ids(base, "union europeenne", "names")[0] == "eu"
    assert base.remove(["god"]) == 1 and "god" not in ids(base, "Mercury", "names")
    with pytest.raises(DataError, match="no document 'god'"):
        base.remove(["god"])
    base.close()
    with EntityBase.open(base.folder) as again:
        assert len(again) == len(ENTITIES) and again.get(["eu", "god"]) == [changed, None]
        assert ids(again, "Mercury", "names")[:2] == ["planet", "metal"] and ids(again, "Kiev", "names")[0] == "kyiv"


def test_names_catch_up_with_an_index_that_was_killed_behind(base: EntityBase) -> None:
    base.close()
    with Index.open(base.folder / "index") as index:
        from pilotfish.compete.entities.base import _document

        index.add([_document(Entity("oslo", "Oslo"))])
        index.delete(["planet"])
    with EntityBase.open(base.folder) as again:
        assert ids(again, "Osло Oslo", "names")[0] == "oslo"
        assert "planet" not in ids(again, "Mercury", "names")


def test_meaning_finds_too(tmp_path: Path, tiny_encoder_folder: Path) -> None:
    encoders = Encoders(dense=str(tiny_encoder_folder))
    with EntityBase.create(tmp_path / "b", ("dense",), encoders=encoders) as base:
        base.add(ENTITIES)
        assert set(ids(base, ENTITIES[3].text, "dense")[:1]) == {"city"}
    with EntityBase.open(tmp_path / "b") as again:
        assert ids(again, ENTITIES[3].text, "dense")[0] == "city"


def test_mistakes(tmp_path: Path, base: EntityBase) -> None:
    with pytest.raises(ModelError, match="no knowledge base"):
        EntityBase.open(tmp_path / "nothing")
    with pytest.raises(ConfigError, match=r"no way 'bm26'.*bm25"):
        base.search(["x"], ways=["bm26"])
    with pytest.raises(ConfigError, match="k is 1 or more"):
        base.search(["x"], 0, ["names"])


def _adds(folder: Path) -> None:
    with EntityBase.create(folder, ("bm25",)) as base:
        base.add(Entity(f"e{number}", f"Name number {number}") for number in range(4000))


def test_a_killed_build_goes_on(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for delay in (0.05, 0.25):
        child = context.Process(target=_adds, args=(tmp_path / "b",))
        child.start()
        time.sleep(delay)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join()
    _adds(tmp_path / "b")
    with EntityBase.open(tmp_path / "b") as base:
        assert len(base) == 4000 and base.names.rows == 4000
        assert ids(base, "Nmae number 3210", "names")[0] == "e3210"


def test_rows_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(
        '{"id": 7, "name": "A", "aliases": "B", "types": ["t"], "description": null, "colour": "red"}\n'
        '{"id": "x"}\n{"name": "no id"}\n{"id": "y", "name": "Y", "aliases": [1]}\n'
        '{"id": "z", "name": "Z", "prior": -1}\n'
    )
    rejects = Rejects(None)
    (one,) = entities(path, rejects=rejects)
    assert one == Entity("7", "A", ("B",), ("t",), "", 0.0, {"colour": "red"}) and len(rejects) == 4
    assert Entity.of_row(one.to_json()) == one and one.text == "A (B). t"
    with pytest.raises(DataError, match=r"rows.jsonl, row 2: 'name' is None"):
        list(entities(path))
