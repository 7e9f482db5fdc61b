"""Models that answer from passages, by a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pilotfish import ask
from pilotfish.assemble import Collaboration
from pilotfish.errors import ConfigError
from pilotfish.infer import Above
from pilotfish.measure.support import ByWords
from pilotfish.retrieve.documents import Document
from pilotfish.retrieve.index import Index
from pilotfish.retrieve.rag import NOT_FOUND, EnoughByChoice, EnoughByScore, Label, Retrieving, Sure
from pilotfish.serve.from_file import gateway_of

PROMPT = "{passages}\n{question}"
SHOWN = "[1] The boat sank in 1912.\nWhen did the boat sink?"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    log = [
        {"prompt": SHOWN, "reply": "It sank in 1912 [1]."},
        {"prompt": "When did the boat sink?", "reply": "In 1913."},
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, log)) + "\n")
    with Index.create(tmp_path / "index") as index:
        index.add([Document("boat", "The boat sank in 1912."), Document("cat", "Cats sleep all day.")])
    return tmp_path


RAG = {"use": "retrieve", "retriever": "words", "model": "x", "k": 1, "prompt": PROMPT}


def file(folder: Path, *, retrievers: dict[str, Any] | None = None, **models: Any) -> Collaboration:
    tables = {
        "models": {"x": {"use": "recorded", "path": "log.jsonl"}, **models},
        "indexes": {"docs": {"folder": "index", "bm25": {}}},
        "retrievers": {"words": {"use": "bm25", "index": "docs"}, **(retrievers or {})},
    }
    return Collaboration(tables, folder=folder)


def test_a_model_answers_from_what_a_retriever_of_the_file_finds(folder: Path) -> None:
    models = file(folder, rag=RAG | {"nli": "words", "cite": "strip", "order": "ends", "budget": 99, "least": 0.4})
    rag = models.model("rag")
    assert isinstance(rag, Retrieving)
    assert (rag.k, rag.cite, rag.order, rag.budget, rag.least) == (1, "strip", "ends", 99, 0.4)
    assert isinstance(rag.supports, ByWords)
    reply = ask(rag, "When did the boat sink?")
    assert reply.text == "It sank in 1912 [1]."
    assert [(source.id, source.cited, source.supported) for source in reply.trace.sources] == [
        (reply.trace.sources[0].id, True, 1.0)
    ]
    assert reply.trace.sources[0].document == "boat"
    gateway_of(models)


def test_whether_to_look_and_whether_that_is_enough(folder: Path) -> None:
    sure = {"by": "sure", "accept": {"score": "mean-logprob", "above": -0.5}}
    labeller = {"use": "labeller", "model": "x", "labels": ["retrieve", "answer"]}
    models = file(
        folder,
        router=labeller,
        a=RAG | {"whether": sure, "enough": {"above": 99.0}},
        b=RAG
        | {
            "whether": {"by": "label", "classifier": "router", "above": 0.7},
            "enough": {"by": "choice", "judge": "router", "label": "answer", "above": 0.6, "passages": 2},
            "condense": "x",
        },
        c=RAG | {"enough": {"above": 99.0}, "otherwise": "No idea."},
    )
    a, b, c = (models.model(name) for name in "abc")
    assert isinstance(a, Retrieving) and isinstance(b, Retrieving)
    assert isinstance(a.whether, Sure) and a.whether.model is models.model("x")
    assert isinstance(a.whether.accept, Above) and isinstance(a.enough, EnoughByScore)
    assert isinstance(b.whether, Label) and b.whether.above == 0.7
    assert isinstance(b.enough, EnoughByChoice) and b.enough.passages == 2 and b.condense is models.model("x")
    assert a.otherwise == NOT_FOUND
    assert ask(c, "When did the boat sink?").text == "No idea."


def test_what_decides_an_answer_is_the_retriever_s_tables_too(folder: Path) -> None:
    one = file(folder, rag=RAG).answers_by("rag")
    assert one["rag"]["finds"]["words"]["index"] == "docs" and "x" in one
    both = {"both": {"use": "rewrite", "of": "words", "model": "y"}}
    other = file(
        folder, retrievers=both, rag=RAG | {"retriever": "both"}, y={"use": "recorded", "path": "log.jsonl"}
    ).answers_by("rag")
    assert "y" in other and other["rag"]["finds"] != one["rag"]["finds"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"retriever": "word"}, "no retriever 'word'; did you mean 'words'"),
        ({"model": "y"}, "no such model"),
        ({"whether": {"by": "sure"}}, "needs `accept`"),
        (
            {"whether": {"by": "label", "classifier": "x", "accept": {"score": "mean-logprob", "above": 0.0}}},
            "takes no",
        ),
        ({"enough": {"by": "choice", "above": 0.5}}, "needs `judge`"),
        ({"enough": {"above": 0.5, "judge": "x"}}, "takes no `judge`"),
        ({"cite": "always"}, "cite"),
        ({"prompt": "{question}"}, "needs the place {passages}"),
        ({"retrievers": "words"}, "did you mean 'retriever'"),
    ],
)
def test_what_does_not_fit_is_told(folder: Path, changed: Any, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        file(folder, rag=RAG | changed).model("rag")
    assert told in str(caught.value)


def test_without_retrievers_it_is_told() -> None:
    tables = {"models": {"x": {"use": "recorded", "path": "log.jsonl"}, "rag": RAG}}
    with pytest.raises(ConfigError, match=r"\[models.rag\] retriever: there are no \[retrievers\]"):
        Collaboration(tables)


def test_a_model_that_its_own_retriever_asks_is_a_circle(folder: Path) -> None:
    with pytest.raises(ConfigError, match="in a circle: rag -> rag"):
        file(
            folder,
            retrievers={"new": {"use": "rewrite", "of": "words", "model": "rag"}},
            rag=RAG | {"retriever": "new"},
        )
