"""Compressed models, and compressed passages, in a collaboration file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pilotfish import ask
from pilotfish.assemble import Collaboration
from pilotfish.errors import ConfigError
from pilotfish.prompt.compress import (
    AnsweringDocuments,
    Blend,
    ByPerplexity,
    ByQuestion,
    BySentences,
    Compressing,
    Mixed,
    Protect,
    RankByVectors,
    RankByWords,
)
from pilotfish.retrieve.documents import Document
from pilotfish.retrieve.index import Index
from pilotfish.retrieve.rag import Retrieving
from tests.tiny import tokenizer

TURN = "Read.\n\nPayments take two days. The sea is salt and wide. Birds sing.\n\nHow long do payments take?"
SHORT = {"use": "compressed", "model": "x", "by": "sentences", "budget": 10, "count": "words", "protect": []}


def file(folder: Path, **models: Any) -> Collaboration:
    return Collaboration({"models": models}, where="c.toml", folder=folder)


def recorded(folder: Path, *prompts: str) -> dict[str, Any]:
    (folder / "log.jsonl").write_text(
        "\n".join(json.dumps({"prompt": prompt, "reply": "Two days [1]."}) for prompt in prompts) + "\n"
    )
    return {"use": "recorded", "path": "log.jsonl"}


def compressing(models: Collaboration, name: str) -> Compressing:
    made = models.model(name)
    assert isinstance(made, Compressing)
    return made


def test_a_file_compresses_prompts(tmp_path: Path) -> None:
    log = recorded(tmp_path, "Read.\n\nPayments take two days.\n\nHow long do payments take?")
    made = file(tmp_path, x=log, short=SHORT).model("short")
    assert isinstance(made, Compressing) and made.name == "short"
    said = ask(made, TURN)
    assert said.text == "Two days [1]."
    assert said.trace.decisions[0].verdict == "compressed: 18 to 10 words, 8 saved"


def test_every_way_of_a_file(tmp_path: Path, tiny_folder: Callable[..., Path], tiny_encoder_folder: Path) -> None:
    lm = str(tiny_folder("llama", "plain"))
    base = {"use": "compressed", "model": "x", "rate": 0.5, "weights": lm, "count": lm, "device": "cpu"}
    models = file(
        tmp_path,
        x=recorded(tmp_path, "-"),
        perplexity={**base, "by": "perplexity", "one_pass": True, "patterns": ["X+"], "protect_kept": "whole"},
        question={**base, "by": "question", "segment": 50, "plain": 0.5, "rank": "question", "spread": 0.3},
        blend={**base, "by": "question", "relevance": 2.0, "areas": "paragraphs", "rank": "words", "factor": 3.0},
        both={"use": "compressed", "model": "x", "rate": 0.5, "by": "sentences", "rank": "both"}
        | {"encoder": str(tiny_encoder_folder), "count": "characters", "near": 0.2},
    )
    one = compressing(models, "perplexity").compressor
    assert isinstance(one.way, ByPerplexity) and one.way.segment is None and one.rank is None
    assert one.protect == Protect(patterns=("X+",), kept="whole")
    text = "the cat sat on the mat, it's 2024 and the dog did not; the bird sang a song of the sea"
    found = one.text(text, rate=0.5)
    assert found.unit == "tokens" and found.short <= 1 and found.read > 0
    two = compressing(models, "question").compressor
    assert isinstance(two.way, ByQuestion) and isinstance(two.rank, AnsweringDocuments)
    assert (two.way.segment, two.way.plain, two.spread) == (50, 0.5, 0.3)
    assert two.rank.reader is two.way.reader  # one model, loaded once
    three = compressing(models, "blend").compressor
    assert isinstance(three.way, Blend) and three.way.weights == (1.0, 2.0)
    assert (three.areas, three.factor) == ("paragraphs", 3.0)
    four = compressing(models, "both").compressor
    assert isinstance(four.way, BySentences) and isinstance(four.way.rank, Mixed) and four.way.near == 0.2
    assert isinstance(four.way.rank.ranks[1], RankByVectors) and four.count.unit == "characters"


def test_the_targets_own_tokenizer_counts(tmp_path: Path, tiny_folder: Callable[..., Path]) -> None:
    table = {"use": "local", "weights": str(tiny_folder("llama", "bos")), "dtype": "float32", "device": "cpu"}
    models = file(tmp_path, x=table, short={"use": "compressed", "model": "x", "by": "sentences", "budget": 5})
    made = compressing(models, "short")
    assert made.compressor.count("the cat sat") == len(tokenizer("bos")("the cat sat")["input_ids"]) - 1


def test_compressed_passages_are_cited_and_held_against_the_whole_ones(tmp_path: Path) -> None:
    with Index.create(tmp_path / "index") as index:
        whole = "The sea is salt. Payments take two days. Birds sing all day long in every garden."
        index.add([Document("pay", whole), Document("sea", "The sea takes long payments of salt from every river.")])
    retrieve = {
        "use": "retrieve",
        "retriever": "found",
        "model": "x",
        "k": 2,
        "budget": 30,
        "nli": "words",
        "prompt": "{passages}\n{question}",
        "compress": {"by": "sentences", "rank": "words", "count": "words", "protect": []},
    }
    (tmp_path / "log.jsonl").write_text("")
    data = {
        "models": {"x": recorded(tmp_path, "-"), "rag": retrieve},
        "indexes": {"docs": {"folder": "index", "bm25": {}}},
        "retrievers": {"found": {"use": "bm25", "index": "docs"}},
    }
    made = Collaboration(data, where="c.toml", folder=tmp_path).model("rag")
    assert isinstance(made, Retrieving) and made.shorten is not None
    texts, trace = made.shorten("How long do payments take?", [whole], 4)
    assert texts == ["Payments take two days."]
    assert trace.calls[0].model == "rag"


@pytest.mark.parametrize(
    ("table", "match"),
    [
        ({"by": "sentences"}, "does not tell its tokenizer"),
        ({"by": "tokens"}, "needs `weights`"),
        ({"by": "sentences", "segment": 100}, "takes no `segment`"),
        ({"by": "perplexity", "one_pass": True, "segment": 100}, "one pass has no segments"),
        ({"by": "perplexity", "encoder": "x"}, "an `encoder` is of"),
        ({"by": "perplexity", "factor": 2.0}, "give `rank`"),
        ({"by": "sentences", "rank": "perplexity"}, "sentences are ranked by"),
        ({"by": "sentences", "rate": 0.5}, "`budget` in tokens or a `rate`"),
        ({"by": "sentences", "protect": ["number"]}, "protect"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path: Path, table: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        file(
            tmp_path, x=recorded(tmp_path, "-"), short={"use": "compressed", "model": "x", "budget": 9, **table}
        ).model("short")


def test_rank_by_words_is_what_sentences_go_by(tmp_path: Path) -> None:
    way = compressing(file(tmp_path, x=recorded(tmp_path, "-"), short=SHORT), "short").compressor.way
    assert isinstance(way, BySentences) and isinstance(way.rank, RankByWords)
