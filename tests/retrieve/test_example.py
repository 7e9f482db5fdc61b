"""examples/retrieval and the file in the guide are what they say: they build, find and are judged."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import pytest

from pilotfish.assemble import Collaboration
from pilotfish.retrieve import documents
from pilotfish.retrieve.evaluate import evaluated, queries_of
from pilotfish.rows.qrels import read_qrels

pytest.importorskip("bm25s")
ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "retrieval"


def test_the_judgements_are_of_its_documents_and_queries() -> None:
    names = {one.id for one in documents(EXAMPLE / "fish.jsonl")}
    qrels = read_qrels(EXAMPLE / "qrels.txt")
    assert set(qrels) == set(queries_of(EXAMPLE / "queries.jsonl"))
    assert {name for grades in qrels.values() for name in grades} <= names


@pytest.mark.models
def test_it_builds_and_finds(tmp_path: Path) -> None:
    folder = shutil.copytree(EXAMPLE, tmp_path / "retrieval", ignore=shutil.ignore_patterns("index"))
    models = Collaboration.load(folder / "find.toml")
    models.index("docs", new=True).add(documents(folder / "fish.jsonl"))
    found = models.retriever("both").search(["what do small fish do for large ones"], 3)[0]
    assert found[0].passage.id in ("pilot-fish", "cleaner-wrasse", "remora")
    queries, qrels = queries_of(folder / "queries.jsonl"), read_qrels(folder / "qrels.txt")
    quality = {
        name: evaluated(models.retriever(name), queries, qrels)[0].mean("ndcg@10").value
        for name in ("words", "meaning", "both")
    }
    assert quality["both"] > quality["words"] and quality["both"] > 0.6


def test_the_guide_s_file_is_one() -> None:
    text = (ROOT / "docs" / "guides" / "retrieval.md").read_text(encoding="utf-8")
    lines = re.findall(r"(?:^ {4}.*\n|^\n)+", text.split("## In a file")[1], re.MULTILINE)
    file = "\n".join(line[4:] for line in max(lines, key=len).splitlines())
    models = Collaboration(tomllib.loads(file))
    assert models.retrieval is not None
    assert list(models.retrieval.retrievers) == ["words", "meaning", "both", "better", "rewritten"]
