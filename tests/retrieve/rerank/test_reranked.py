"""The order of a reader: cross-encoders as the library scores them, a language model's yes, tokens' best matches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.errors import ConfigError, ModelError
from pilotfish.model import Request
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from pilotfish.retrieve import Hit, Passage, traced
from pilotfish.retrieve.rerank import Asked, ByTokens, Cross, Reads, Relevance, Reranked
from tests.retrieve.test_hybrid import Fixed
from tests.tiny import TEXTS

PAIRS = [("the cat", "the cat sat on the mat"), ("refund", "I want a refund"), ("bird", "where is my card, " * 9)]


class Longest:
    """Finds long passages relevant."""

    name = "longest"

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []

    def read(self, pairs: Sequence[tuple[str, str]]) -> Relevance:
        self.pairs += pairs
        return Relevance(np.array([float(len(passage)) for _, passage in pairs]), np.full(len(pairs), 7))


def write_cross(folder: Path, encoder: Path, outputs: int = 1) -> Path:
    """A BERT with a classifier of random weights over the tiny encoder's tokenizer."""
    torch, transformers = need("torch", "local"), need("transformers", "local")
    torch.manual_seed(5)
    config = transformers.AutoConfig.from_pretrained(encoder, num_labels=outputs)
    model = transformers.BertForSequenceClassification(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3 + (1.0 if parameter.ndim == 1 else 0.0))
    model.eval().save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)
    return folder


def test_the_reader_s_order_with_both_scores() -> None:
    found, reader = Fixed("first", aaa=3.0, bb=2.0, cccc=1.0, d=0.5), Longest()
    assert isinstance(reader, Reads)
    hits, traces = traced(Reranked(found, reader, depth=3), ["q", "r"], 2)
    assert [[hit.passage.id for hit in some] for some in hits] == [["cccc", "aaa"]] * 2
    assert dict(hits[0][0].parts) == {"first": 1.0, "longest": 4.0} and hits[0][0].score == 4.0
    assert found.asked == [3] and len(reader.pairs) == 6
    assert traces[0].usage.tokens_in == 21 and traces[0].calls[0].role == "reranker"


def test_equal_scores_keep_the_order_and_nothing_stays_nothing() -> None:
    found = Fixed("first", ab=3.0, cd=2.0, ef=1.0)
    assert [hit.passage.id for hit in Reranked(found, Longest()).search(["q"])[0]] == ["ab", "cd", "ef"]
    assert Reranked(Fixed("none"), Longest()).search(["q"]) == [[]]
    with pytest.raises(ConfigError, match="at least one"):
        Reranked(found, Longest(), depth=0)


def test_a_cross_encoder_s_scores_are_transformers_own(tmp_path: Path, tiny_encoder_folder: Path) -> None:
    torch, transformers = need("torch", "local"), need("transformers", "local")
    folder = write_cross(tmp_path / "cross", tiny_encoder_folder)
    cross = Cross(folder, device="cpu", batch_tokens=40)
    told = cross.read(PAIRS)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    cutter = transformers.AutoTokenizer.from_pretrained(folder)
    for (query, passage), score, tokens in zip(PAIRS, told.scores, told.tokens, strict=True):
        given = cutter(query, passage, truncation=True, max_length=cross.max_length, return_tensors="pt")
        with torch.inference_mode():
            assert score == pytest.approx(float(model(**given).logits[0, 0]), abs=1e-4)
        assert tokens == given["input_ids"].shape[1]
    assert len(cross.read([]).scores) == 0
    need("sentence_transformers", "local").CrossEncoder(str(folder), device="cpu").save(str(tmp_path / "saved"))
    np.testing.assert_allclose(Cross(tmp_path / "saved", device="cpu").read(PAIRS).scores, told.scores, atol=1e-4)


def test_a_classifier_of_several_outputs_is_no_cross_encoder(tmp_path: Path, tiny_encoder_folder: Path) -> None:
    folder = write_cross(tmp_path / "cross", tiny_encoder_folder, outputs=3)
    with pytest.raises(ModelError, match="3 outputs; a cross-encoder has one"):
        Cross(folder, device="cpu").read(PAIRS)
    with pytest.raises(ModelError):
        Cross(tmp_path / "nothing").read(PAIRS)


def test_a_language_model_s_yes_over_its_no(tiny_lm: LocalModel) -> None:
    reader = Asked(tiny_lm, "{query} / {passage}?")
    told = reader.read([("red {passage}", "fox"), ("blue", "whale")])
    for score, text in zip(told.scores, ["red {passage} / fox?", "blue / whale?"], strict=True):
        context = tiny_lm.render(Request.of(text))
        (yes, no) = tiny_lm.choices([context], ["yes", "no"])[0]
        assert score == pytest.approx(yes - no, abs=1e-5)
    assert told.tokens.tolist() == [
        tiny_lm.count(tiny_lm.render(Request.of(text))) for text in ("red {passage} / fox?", "blue / whale?")
    ]


def test_a_passage_too_long_is_cut_and_a_query_too_long_is_an_error(tiny_lm: LocalModel) -> None:
    reader = Asked(tiny_lm)
    told = reader.read([("cat", "the cat sat on the mat " * 400)])
    assert np.isfinite(told.scores).all() and tiny_lm.max_length * 0.8 < told.tokens[0] <= tiny_lm.max_length
    with pytest.raises(ModelError, match="the query alone is longer"):
        reader.read([("the cat sat on the mat " * 400, "cat")])


def test_a_model_that_gives_no_probabilities_is_refused() -> None:
    from tests.fakes import ScriptedModel

    with pytest.raises(ConfigError, match="does not tell how likely"):
        Asked(ScriptedModel())  # type: ignore[arg-type]


def test_tokens_best_matches_by_hand() -> None:
    table: dict[str, NDArray[Any]] = {
        "q": np.array([[1.0, 0.0], [0.0, 1.0]]),
        "near": np.array([[0.6, 0.8], [1.0, 0.0]]),
        "far": np.array([[-1.0, 0.0]]),
        "": np.zeros((0, 2)),
    }

    class Table:
        name = "table"

        def queries(self, texts: Sequence[str]) -> list[NDArray[Any]]:
            return [table[text] for text in texts]

        documents = queries

    told = ByTokens(Table()).read([("q", "near"), ("q", "far"), ("q", "")])
    assert told.scores.tolist() == pytest.approx([1.0 + 0.8, -1.0 + 0.0, 0.0], abs=1e-6)
    assert told.tokens.tolist() == [4, 3, 2]


def test_finds_are_read_with_their_titles(tiny_encoder: Encoder) -> None:
    class One:
        name = "one"

        def search(self, queries: Sequence[str], k: int = 10) -> list[list[Hit]]:
            return [[Hit(Passage("a", TEXTS[0], "Title"), 1.0)] for _ in queries]

    reader = Longest()
    Reranked(One(), reader).search(["q"])
    assert reader.pairs == [("q", f"Title\n{TEXTS[0]}")]
