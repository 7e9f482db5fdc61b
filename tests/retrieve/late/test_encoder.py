"""The encoder against its recipe written out with transformers, and the folders it reads and writes."""

from __future__ import annotations

import json
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pilotfish.errors import ConfigError, ModelError
from pilotfish.retrieve.late._layout import Dense, write_layout
from pilotfish.retrieve.late.encoder import LateEncoder
from pilotfish.retrieve.late.settings import LateSettings
from tests.tiny import TEXTS, write_lm

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
save_file = pytest.importorskip("safetensors.numpy").save_file

LONG = "the cat sat on the mat, and " * 20
MANY = [*TEXTS, "", "a", LONG, " refund. ", "!!!", "日本語 🙂"]
SETTINGS = LateSettings(query_length=12, document_length=20)


@pytest.fixture(scope="module")
def folder(tiny_encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PyLate folder as PyLate writes it: two Dense modules, one with a bias, an activation and a residual."""
    made = tmp_path_factory.mktemp("pylate") / "model"
    encoder = LateEncoder(tiny_encoder_folder, SETTINGS, device="cpu")
    encoder.save(made)
    random = np.random.default_rng(0)

    def drawn(*shape: int) -> NDArray[np.float32]:
        return random.normal(size=shape).astype(np.float32) * 0.3

    layers = [Dense(drawn(32, 48), drawn(32), "Tanh", drawn(32, 48)), Dense(drawn(16, 32))]
    write_layout(made, layers, SETTINGS, 48, lower=False)
    return made


def written_out(folder: Path, texts: list[str], kind: str, **changed: Any) -> list[NDArray[np.float32]]:
    """The recipe one text at a time: tokens, marker behind the first, masks, layers, lengths of 1."""
    told = json.loads((folder / "config_sentence_transformers.json").read_text()) | changed
    body = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    query = kind == "query"
    length = told[f"{kind}_length"]
    mark = told[f"{kind}_prefix"]
    found = []
    for text in texts:
        ids = tokenizer(text.strip(), truncation=True, max_length=length - bool(mark))["input_ids"]
        if mark:
            ids = [ids[0], tokenizer.convert_tokens_to_ids(mark), *ids[1:]]
        seen = [1] * len(ids)
        if query and told["do_query_expansion"]:
            missing = length - len(ids)
            ids = ids + [tokenizer.mask_token_id] * missing
            seen = seen + [int(told["attend_to_expansion_tokens"])] * missing
        with torch.no_grad():
            given = {"input_ids": torch.tensor([ids]), "attention_mask": torch.tensor([seen])}
            states = body(**given).last_hidden_state[0].double()
            for module in sorted(folder.glob("*_Dense")):
                layer = json.loads((module / "config.json").read_text())
                held = {
                    name: value.double()
                    for name, value in pytest.importorskip("safetensors.torch")
                    .load_file(module / "model.safetensors")
                    .items()
                }
                new = states @ held["linear.weight"].T + held.get("linear.bias", 0)
                new = torch.tanh(new) if layer["activation_function"].endswith("Tanh") else new
                states = new + states @ held["residual.weight"].T if layer["use_residual"] else new
        vectors = (states / states.norm(dim=-1, keepdim=True)).numpy()
        skipped = [] if query else tokenizer.convert_tokens_to_ids(told["skiplist_words"])
        unknown = tokenizer.unk_token_id
        keep = [i not in skipped or i == unknown for i in ids]
        found.append(vectors[keep].astype(np.float32))
    return found


def near(mine: list[NDArray[np.float32]], theirs: list[NDArray[np.float32]], atol: float = 2e-5) -> None:
    assert [one.shape for one in mine] == [one.shape for one in theirs]
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=atol)


@pytest.mark.parametrize("batch_tokens", [1, 100, 4096])
def test_a_pylate_folder_gives_its_recipes_vectors(folder: Path, batch_tokens: int) -> None:
    encoder = LateEncoder(folder, device="cpu", batch_tokens=batch_tokens)
    finished: list[int] = []
    got = encoder.documents(MANY, progress=finished.append)
    assert sum(finished) == len(MANY)
    assert encoder.dimension == 16
    assert encoder.settings == SETTINGS
    near(got, written_out(folder, MANY, "document"))
    near(encoder.queries(MANY), written_out(folder, MANY, "query"))
    assert {one.shape for one in encoder.queries(MANY)} == {(12, 16)}
    assert max(map(len, got)) < 20  # cut at 20, with commas left out
    for one in got:
        assert one.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(one, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    "changed",
    [
        {"attend_to_expansion_tokens": True},
        {"do_query_expansion": False},
        {"query_prefix": "", "document_prefix": "", "skiplist_words": []},
        {"query_length": 5, "document_length": 7},
    ],
)
def test_every_setting_of_a_folder_counts(folder: Path, tmp_path: Path, changed: dict[str, Any]) -> None:
    shutil.copytree(folder, tmp_path / "model")
    path = tmp_path / "model" / "config_sentence_transformers.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    encoder = LateEncoder(tmp_path / "model", device="cpu")
    plain = LateEncoder(folder, device="cpu")
    near(encoder.queries(MANY), written_out(folder, MANY, "query", **changed))
    near(encoder.documents(MANY), written_out(folder, MANY, "document", **changed))
    assert encoder.identity != plain.identity
    assert any(
        a.shape != b.shape or np.abs(a - b).max() > 1e-4
        for a, b in zip(encoder.queries(MANY), plain.queries(MANY), strict=True)
    )


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(len(MANY))), batch_tokens=st.integers(1, 300))
def test_neither_the_order_nor_the_batches_matter(folder: Path, order: list[int], batch_tokens: int) -> None:
    encoder = LateEncoder(folder, device="cpu")
    expected = encoder.documents(MANY)
    encoder.batch_tokens = batch_tokens
    near(encoder.documents([MANY[i] for i in order]), [expected[i] for i in order])


def test_saved_and_read_again(folder: Path, tmp_path: Path) -> None:
    first = LateEncoder(folder, device="cpu")
    first.save(tmp_path / "again")
    again = LateEncoder(tmp_path / "again", device="cpu")
    near(again.documents(MANY), first.documents(MANY), atol=0)
    near(again.queries(MANY), first.queries(MANY), atol=0)
    told = json.loads((tmp_path / "again" / "modules.json").read_text())
    assert [one["type"].split(".")[0] for one in told] == ["sentence_transformers", "pylate", "pylate"]
    again.save(tmp_path / "again")  # over itself
    near(LateEncoder(tmp_path / "again", device="cpu").queries(MANY), first.queries(MANY), atol=0)
    assert not list(tmp_path.rglob("*.bin"))
    assert not list(tmp_path.rglob("*.pkl"))


def test_a_plain_encoder_without_training(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    plain = LateEncoder(tiny_encoder_folder, device="cpu")
    assert plain.settings == LateSettings.untrained()
    assert plain.dimension == 48
    body = transformers.AutoModel.from_pretrained(tiny_encoder_folder).eval()
    ids = plain.tokenizer("the cat sat")["input_ids"]
    with torch.no_grad():
        states = body(input_ids=torch.tensor([ids])).last_hidden_state[0]
    expected = torch.nn.functional.normalize(states, dim=-1).numpy()
    np.testing.assert_allclose(plain.queries(["the cat sat"])[0], expected, atol=1e-5)
    np.testing.assert_allclose(plain.documents(["the cat sat"])[0], expected, atol=1e-5)
    # Without a projection PyLate would make one by chance: what is saved has one that changes nothing.
    plain.save(tmp_path)
    saved = LateEncoder(tmp_path, device="cpu")
    assert saved.load().module.layers()[0].weight.tolist() == np.eye(48).tolist()
    near(saved.queries(MANY), plain.queries(MANY))
    projected = [LateEncoder(tiny_encoder_folder, dimension=8, seed=seed, device="cpu") for seed in (0, 0, 1)]
    vectors = [one.queries(["the cat sat"])[0] for one in projected]
    assert vectors[0].shape == (5, 8)
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert np.abs(vectors[0] - vectors[2]).max() > 0.01


def test_markers_are_two_and_the_same_each_time(tiny_encoder_folder: Path) -> None:
    first, again = (LateEncoder(tiny_encoder_folder, SETTINGS, device="cpu") for _ in range(2))
    near(first.queries(MANY), again.queries(MANY), atol=0)
    query, document = first.cut(["the cat"], "query")[0], first.cut(["the cat"], "document")[0]
    assert query.ids[1] != document.ids[1]
    assert query.ids[: query.seen][2:] == document.ids[2:]
    known = len(LateEncoder(tiny_encoder_folder, device="cpu").load().tokenizer)
    assert sorted([query.ids[1], document.ids[1]]) == [known, known + 1]


def test_a_colbert_checkpoint(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    body = transformers.AutoModel.from_pretrained(tiny_encoder_folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_encoder_folder)
    projection = np.random.default_rng(0).normal(size=(16, 48)).astype(np.float32)
    weights = {f"bert.{name}": value.contiguous().numpy() for name, value in body.state_dict().items()}
    tokenizer.save_pretrained(tmp_path)
    save_file({**weights, "linear.weight": projection}, tmp_path / "model.safetensors", {"format": "pt"})
    config = body.config.to_dict() | {"architectures": ["HF_ColBERT"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    told = {"query_token_id": "[MASK]", "doc_token_id": "[UNK]", "query_maxlen": 9, "doc_maxlen": 15}
    (tmp_path / "artifact.metadata").write_text(json.dumps({**told, "attend_to_mask_tokens": True}))
    encoder = LateEncoder(tmp_path, device="cpu")
    assert (encoder.load().settings.query_length, encoder.settings.document_length) == (9, 15)
    assert encoder.settings.attend_to_expansion_tokens
    ids = tokenizer("the cat")["input_ids"]
    ids = [ids[0], tokenizer.mask_token_id, *ids[1:]]
    with torch.no_grad():
        states = body.eval()(input_ids=torch.tensor([ids + [tokenizer.mask_token_id] * (9 - len(ids))]))
    expected = torch.nn.functional.normalize(states.last_hidden_state[0] @ torch.from_numpy(projection).T, dim=-1)
    np.testing.assert_allclose(encoder.queries(["the cat"])[0], expected.numpy(), atol=1e-5)
    assert len(encoder.documents([LONG])[0]) < 15
    (tmp_path / "artifact.metadata").unlink()
    assert LateEncoder(tmp_path, device="cpu").load().settings.query_prefix == "[unused0]"


def test_half_precision_and_threads(folder: Path) -> None:
    whole, half = LateEncoder(folder, device="cpu"), LateEncoder(folder, device="cpu", dtype="bfloat16")
    for one, other in zip(whole.documents(TEXTS), half.documents(TEXTS), strict=True):
        assert other.dtype == np.float32
        assert np.einsum("ij,ij->i", one, other).min() > 0.99
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(lambda _: whole.queries(MANY), range(8)):
            near(got, whole.queries(MANY), atol=0)
    near(pickle.loads(pickle.dumps(whole)).queries(TEXTS), whole.queries(TEXTS), atol=0)
    near(whole.copied().queries(TEXTS), whole.queries(TEXTS), atol=1e-5)


def test_fewer_vectors_a_document(folder: Path) -> None:
    whole = LateEncoder(folder, device="cpu").documents(MANY)
    encoder = LateEncoder(folder, device="cpu", pool_factor=2)
    halves = encoder.documents(MANY)
    for one, other in zip(whole, halves, strict=True):
        assert len(other) == 1 + max((len(one) - 1) // 2, 1) or len(other) == len(one) <= 2
        np.testing.assert_allclose(np.linalg.norm(other, axis=1), 1, atol=1e-5)
    near(encoder.queries(MANY), LateEncoder(folder, device="cpu").queries(MANY))
    assert encoder.identity != LateEncoder(folder, device="cpu").identity


def test_what_is_wrong_is_said(folder: Path, tiny_encoder_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="its vectors have 16 numbers, not 8"):
        LateEncoder(folder, dimension=8, device="cpu").load()
    with pytest.raises(ConfigError, match="4 or more, not 3"):
        LateSettings(query_length=3)
    with pytest.raises(ConfigError, match="pool_factor"):
        LateEncoder(folder, pool_factor=0)
    shutil.copytree(folder, tmp_path / "odd")
    modules = json.loads((folder / "modules.json").read_text())
    modules.insert(1, {"idx": 1, "name": "1", "path": "1_LSTM", "type": "sentence_transformers.models.LSTM"})
    (tmp_path / "odd" / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelError, match="LSTM"):
        LateEncoder(tmp_path / "odd", device="cpu").load()
    (tmp_path / "odd" / "modules.json").write_text((folder / "modules.json").read_text())
    (tmp_path / "odd" / "1_Dense" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="only safetensors"):
        LateEncoder(tmp_path / "odd", device="cpu").load()
    with pytest.raises(ModelError, match="language model"):
        LateEncoder(write_lm(tmp_path / "lm"), device="cpu").load()
    assert LateEncoder(folder, device="cpu").queries([]) == []
