"""Indexes and retrievers of a file: built with all they name; what is wrong is one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pilotfish.assemble import Collaboration
from pilotfish.errors import ConfigError, ModelError
from pilotfish.retrieve import Hybrid, Index, Rewritten
from pilotfish.retrieve.rerank import Asked, Cross, Reranked
from tests.retrieve.made import DOCUMENTS
from tests.retrieve.rerank.test_reranked import write_cross

pytest.importorskip("bm25s")
pytest.importorskip("Stemmer")

FILE = """
[models.vectors]
use = "encoder"
weights = "encoder"

[models.small]
use = "local"
weights = "lm"
dtype = "float32"
device = "cpu"

[indexes.docs]
folder = "index"
documents = "docs.jsonl"
bm25 = { stemmer = "none", k1 = 1.2 }
dense = { encoder = "vectors" }
chunk = { unit = "words", size = 50 }

[retrievers.words]
use = "bm25"
index = "docs"

[retrievers.meaning]
use = "dense"
index = "docs"

[retrievers.both]
use = "hybrid"
of = ["words", "meaning"]
weights = [2.0, 1]

[retrievers.better]
use = "rerank"
of = "both"
cross = "cross"
depth = 3

[retrievers.asked]
use = "rerank"
of = "words"
model = "small"

[retrievers.rewritten]
use = "rewrite"
of = "both"
model = "small"
way = "keywords"
max_tokens = 4
"""


@pytest.fixture
def folder(tmp_path: Path, tiny_encoder_folder: Path, tiny_folder: Any) -> Path:
    (tmp_path / "encoder").symlink_to(tiny_encoder_folder)
    (tmp_path / "lm").symlink_to(tiny_folder())
    write_cross(tmp_path / "cross", tiny_encoder_folder)
    rows = [{"id": one.id, "title": one.title, "text": one.text} for one in DOCUMENTS]
    (tmp_path / "docs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "file.toml").write_text(FILE)
    return tmp_path


def test_all_of_a_file(folder: Path) -> None:
    models = Collaboration.load(folder / "file.toml")
    with pytest.raises(ModelError, match="not a saved index"):
        models.retriever("words")
    index = models.index("docs", new=True)
    index.add(DOCUMENTS)
    assert (index.chunks.unit, index.info()["ways"]["bm25"]["settings"]["stemmer"]) == ("words", None)
    index.close()

    models = Collaboration.load(folder / "file.toml")
    words, both = models.retriever("words"), models.retriever("both")
    assert words.name == "words" and words.search(["sails"], 1)[0][0].passage.id == "boats"
    assert isinstance(both, Hybrid) and both.weights == [2.0, 1.0] and both.retrievers[0] is words
    assert set(both.search(["the wind over the sea"], 2)[0][0].parts) == {"words", "meaning"}
    better = models.retriever("better")
    assert isinstance(better, Reranked) and isinstance(better.reader, Cross) and len(better.search(["sea"], 5)[0]) == 3
    asked = models.retriever("asked")
    assert isinstance(asked, Reranked) and isinstance(asked.reader, Asked) and asked.search(["sea"], 2)[0]
    rewritten = models.retriever("rewritten")
    assert isinstance(rewritten, Rewritten) and rewritten.model is models.model("small")
    assert rewritten.search(["sea"], 2)[0] and models.retriever("rewritten") is rewritten
    with pytest.raises(ConfigError, match=r"say which of its \[retrievers\]: words, meaning"):
        models.retriever()


def test_an_index_that_was_made_otherwise_is_refused(folder: Path) -> None:
    Index.create(folder / "index", ["bm25"]).close()
    with pytest.raises(ConfigError, match="the index there has chunks"):
        Collaboration.load(folder / "file.toml").index("docs", new=True)


WORDS = {"use": "bm25", "index": "docs"}
INDEXES = {"docs": {"folder": "index"}}


@pytest.mark.parametrize(
    ("indexes", "retrievers", "said"),
    [
        ({"docs": {"folders": "x"}}, {}, r"\[indexes.docs\]: unknown key 'folders'; did you mean 'folder'"),
        ({"docs": {"folder": "x", "bm25": {"k2": 1}}}, {}, "unknown key 'bm25.k2'; did you mean"),
        ({"docs": {"folder": "x", "chunk": {"unit": "words", "size": 3, "overlap": 3}}}, {}, "is to be less than size"),
        (INDEXES, {"a": {"index": "docs"}}, "the key 'use' is missing; known: bm25"),
        (INDEXES, {"a": {"use": "hybrids", "of": []}}, "unknown use 'hybrids'; did you mean 'hybrid'"),
        (INDEXES, {"a": {"use": "dense", "index": "doc"}}, "index = 'doc': no such index; did you mean 'docs'"),
        (INDEXES, {"a": WORDS, "b": {"use": "hybrid", "of": ["a", "aa"]}}, "of.1 = 'aa': no such retriever"),
        (INDEXES, {"a": {"use": "rewrite", "of": "a", "model": "m"}}, "model = 'm': no such model"),
        (INDEXES, {"a": {"use": "rerank", "of": "a"}}, "one of `cross`, `model` and `late`"),
        (INDEXES, {"a": WORDS, "b": {"use": "hybrid", "of": ["a", "a"], "weights": [1.0]}}, "weights: 1 for 2"),
        (
            INDEXES,
            {"a": {"use": "rerank", "of": "b", "cross": "x"}, "b": {"use": "rerank", "of": "a", "cross": "x"}},
            "in a circle: a -> b -> a",
        ),
    ],
)
def test_what_is_wrong_is_said(indexes: dict[str, Any], retrievers: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Collaboration({"indexes": indexes, "retrievers": retrievers})


def test_names_that_are_not_there() -> None:
    with pytest.raises(ConfigError, match=r"no \[retrievers\] in it"):
        Collaboration({}).retriever()
    with pytest.raises(ConfigError, match=r"no \[indexes\] in it"):
        Collaboration({}).index("docs")
    models = Collaboration({"indexes": INDEXES, "retrievers": {"words": WORDS}})
    with pytest.raises(ConfigError, match="no retriever 'word'; did you mean 'words'"):
        models.retriever("word")
    with pytest.raises(ConfigError, match="say how it is searched"):
        models.index("docs", new=True)
