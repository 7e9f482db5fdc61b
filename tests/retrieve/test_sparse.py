"""Learnt words: SPLADE's formula by hand, products by hand, and changes as a fresh index."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.errors import ConfigError, ModelError
from pilotfish.retrieve import Encoders, Index
from pilotfish.retrieve.sparse import Lists, Sparse
from pilotfish.retrieve.splade import Splade, Weighed, Weighs
from pilotfish.retrieve.way import Way
from tests.retrieve.made import DOCUMENTS

TEXTS = ["the cat sat on the mat", "I want a refund for the top up", "the bird sang a song of the sea, " * 8]


def write_mlm(folder: Path, encoder: Path) -> Path:
    """A BERT with a masked-language head of random weights over the tiny encoder's tokenizer."""
    torch, transformers = need("torch", "local"), need("transformers", "local")
    torch.manual_seed(11)
    model = transformers.BertForMaskedLM(transformers.AutoConfig.from_pretrained(encoder))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2 + (1.0 if parameter.ndim == 1 else 0.0))
    model.eval().save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def mlm(tmp_path_factory: pytest.TempPathFactory, tiny_encoder_folder: Path) -> Path:
    return write_mlm(tmp_path_factory.mktemp("mlm") / "mlm", tiny_encoder_folder)


class Letters(Weighs):
    """Weighs the letters a to z of a text: each by how often it is there."""

    name, weights = "letters", "letters"

    @property
    def size(self) -> int:
        return 26

    def passages(self, texts: Sequence[str]) -> list[Weighed]:
        found = []
        for text in texts:
            entries, counts = np.unique([ord(one) - 97 for one in text if "a" <= one <= "z"], return_counts=True)
            found.append(Weighed(entries.astype(np.int32), counts.astype(np.float32)))
        return found

    queries = passages

    def entries(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        return [one.entries for one in self.passages(texts)]


def test_weights_by_the_formula(mlm: Path) -> None:
    torch, transformers = need("torch", "local"), need("transformers", "local")
    splade = Splade(mlm, device="cpu", batch_tokens=24, most=None)
    model = transformers.AutoModelForMaskedLM.from_pretrained(mlm).eval()
    cutter = transformers.AutoTokenizer.from_pretrained(mlm)
    for told, asked, text in zip(splade.passages(TEXTS), splade.queries(TEXTS), TEXTS, strict=True):
        given = cutter(text, truncation=True, max_length=splade.model.max_seq_length, return_tensors="pt")
        with torch.inference_mode():
            logits = model(**given).logits[0]
        wanted = torch.log1p(torch.relu(logits)).max(dim=0).values.numpy()
        assert told.entries.tolist() == np.flatnonzero(wanted > 0).tolist() == asked.entries.tolist()
        np.testing.assert_allclose(told.weights, wanted[told.entries], atol=1e-5)
    (few,) = Splade(mlm, device="cpu", most=5).passages(TEXTS[:1])
    (all_,) = splade.passages(TEXTS[:1])
    assert sorted(all_.weights.tolist())[-5:] == pytest.approx(sorted(few.weights.tolist()), abs=1e-6)
    assert splade.passages([]) == []


def test_scores_are_products_of_both(tmp_path: Path) -> None:
    way = Sparse(tmp_path, Letters())
    assert isinstance(way, Way)
    way.add(["aab", "bcc", "zz", ""])
    way.settle()
    found = way.rank(["ab", "cx", "y"], 3)
    assert found.rows.tolist() == [[0, 1, -1], [1, -1, -1], [-1, -1, -1]]
    assert found.scores[0, :2].tolist() == [3.0, 1.0] and found.scores[1, 0] == 2.0


def test_queries_without_a_model_weigh_rare_words_more(tmp_path: Path) -> None:
    way = Sparse(tmp_path, Letters(), Lists("idf"))
    way.add(["ab", "a", "ab", "c"])
    way.delete([2])
    way.settle()

    def idf(holding: int) -> float:
        return math.log(1 + (3 - holding + 0.5) / (holding + 0.5))

    found = way.rank(["aab"], 4)
    assert found.rows[0].tolist() == [0, 1, -1, -1]
    assert found.scores[0, :2] == pytest.approx([idf(2) + idf(1), idf(2)], rel=1e-6)


def test_changes_end_as_a_fresh_index(tmp_path: Path, mlm: Path) -> None:
    splade = Splade(mlm, device="cpu")
    encoders = Encoders(sparse=splade)
    index = Index.create(tmp_path / "index", ["sparse"], encoders=encoders)
    index.add(DOCUMENTS[:3])
    index.add(DOCUMENTS[3:])
    index.delete(["bread"])
    index.close()
    again = Index.open(tmp_path / "index")  # by the weights that the index names
    fresh = Index.create(tmp_path / "fresh", ["sparse"], encoders=encoders)
    fresh.add([one for one in DOCUMENTS if one.id != "bread"])
    for query in ("the sea", "a boat goes"):
        one, other = (index.retriever("sparse").search([query], 6)[0] for index in (again, fresh))
        assert [hit.passage.id for hit in one] == [hit.passage.id for hit in other]
        assert [hit.score for hit in one] == pytest.approx([hit.score for hit in other], rel=1e-4)
        assert "bread" not in {hit.passage.id for hit in one}


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="by model or by idf"):
        Lists("both")  # type: ignore[arg-type]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="empty"):
        Splade(tmp_path / "empty").passages(["a"])
