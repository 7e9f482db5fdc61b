"""Embeddings of an encoder."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from pilotfish.models.encoder import Encoder
from tests.fakes import ScriptedModel
from tests.serve.gateways import running

TEXTS = ["a small fish", "a shark that swims"]


def test_vectors_as_numbers_and_as_bytes(tiny_encoder: Encoder) -> None:
    expected = tiny_encoder.encode(TEXTS)
    with running({}, encoders={"tiny": tiny_encoder}) as gateway:
        plain = gateway.post("embeddings", {"model": "tiny", "input": TEXTS})
        packed = gateway.post("embeddings", {"model": "tiny", "input": TEXTS[1], "encoding_format": "base64"}).json()
        tokens = gateway.metrics()['pilotfish_tokens_total{model="tiny",direction="input"}']
        assert [row["id"] for row in gateway.client.get("/v1/models").json()["data"]] == ["tiny"]
    rows = plain.json()["data"]
    assert [row["index"] for row in rows] == [0, 1]
    assert np.allclose([row["embedding"] for row in rows], expected, atol=1e-6)
    assert np.allclose(np.frombuffer(base64.b64decode(packed["data"][0]["embedding"]), "<f4"), expected[1], atol=1e-6)
    lengths = tiny_encoder.lengths(TEXTS)
    assert plain.json()["usage"] == {"prompt_tokens": sum(lengths), "total_tokens": sum(lengths)}
    assert tokens == sum(lengths) + lengths[1]
    assert plain.headers["x-pilotfish-model"] == "tiny"


def test_token_ids_are_read_by_the_encoders_own_tokenizer(tiny_encoder: Encoder) -> None:
    ids = tiny_encoder.tokenizer(TEXTS[0], add_special_tokens=False)["input_ids"]
    with running({}, encoders={"tiny": tiny_encoder}) as gateway:
        by_ids = gateway.post("embeddings", {"model": "tiny", "input": ids}).json()["data"][0]["embedding"]
    assert np.allclose(by_ids, tiny_encoder.encode([TEXTS[0]])[0], atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({}, 400, "input must be"),
        ({"input": []}, 400, "input must be"),
        ({"input": [""]}, 400, "not empty"),
        ({"input": ["a", 3]}, 400, "each input must be a text"),
        ({"input": ["a"] * 3000}, 400, "3000 texts"),
        ({"input": "a", "encoding_format": "hex"}, 400, "float or base64"),
        ({"input": "a", "dimensions": 7}, 400, "gives 48 dimensions"),
        ({"input": "a", "model": "small"}, 404, "no model 'small' here"),
    ],
)
def test_what_cannot_be_done_is_told(tiny_encoder: Encoder, fields: dict[str, Any], status: int, said: str) -> None:
    with running({"small": ScriptedModel(name="small")}, encoders={"tiny": tiny_encoder}) as gateway:
        answer = gateway.post("embeddings", {"model": "tiny", **fields})
    assert answer.status_code == status
    assert said in answer.json()["error"]["message"]
