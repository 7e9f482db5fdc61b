"""GGUF files: the converted model must answer as the one that the file was written from."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import struct
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.errors import ModelError
from pilotfish.models import _gguf
from pilotfish.models._gguf_layout import config_of
from pilotfish.models._gguf_read import read_gguf
from pilotfish.models._gguf_tokens import merges_of
from tests.forks import forked
from tests.models.tiny_gguf import SPECIAL, byte_level_tokenizer, tiny_model, write_gguf

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")
pytest.importorskip("gguf")

# Where the embedded models are; most tests here use a home of their own.
HOME = os.environ.get("PILOTFISH_HOME")
TOKENIZER = byte_level_tokenizer()
VOCABULARY = TOKENIZER.get_vocab_size()
IDS = torch.tensor([[1, 40, 77, 120, 9, 300, 301, 5, 2, 60, 61, 62]])


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("PILOTFISH_HOME", str(home))
    return home


def logits(model: Any) -> np.ndarray[Any, Any]:
    with torch.no_grad():
        return np.asarray(model(IDS).logits.float().numpy())


def loaded(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(folder).eval()


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("llama", {}),
        ("llama", {"tie_word_embeddings": True}),
        ("llama", {"attention_bias": True, "mlp_bias": True}),
        ("qwen2", {}),
        ("qwen3", {}),
    ],
)
def test_the_converted_model_computes_the_same(tmp_path: Path, family: str, changes: dict[str, Any]) -> None:
    model = tiny_model(family, VOCABULARY, **changes)
    gguf = write_gguf(tmp_path / "m.gguf", model, TOKENIZER)
    found = loaded(_gguf.converted(gguf, "float32", progress=False))
    assert found.dtype == torch.float32
    assert np.abs(logits(found) - logits(model)).max() < 1e-5
    assert found.config.tie_word_embeddings == model.config.tie_word_embeddings


def test_it_agrees_with_how_transformers_itself_reads_the_file(tmp_path: Path) -> None:
    gguf = write_gguf(tmp_path / "m.gguf", tiny_model("llama", VOCABULARY), TOKENIZER, quantisation="Q8_0")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="m.gguf", dtype=torch.float32)
    ours = loaded(_gguf.converted(gguf, "float32", progress=False))
    assert np.abs(logits(ours) - logits(theirs)).max() < 1e-4


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"])
def test_every_quantisation_comes_near_the_weights_it_was_made_from(tmp_path: Path, kind: str) -> None:
    from safetensors.torch import load_file

    model = tiny_model("llama", VOCABULARY)
    gguf = write_gguf(tmp_path / "m.gguf", model, TOKENIZER, quantisation=kind)
    weights = load_file(_gguf.converted(gguf, "float32", progress=False) / "model.safetensors")
    assert set(weights) == set(model.state_dict())
    worst = {"F16": 1e-3, "BF16": 0.005, "Q8_0": 0.01}.get(kind, 0.15)
    for name, value in model.state_dict().items():
        assert (weights[name] - value).abs().max() <= worst * value.abs().max(), name


def test_the_dtype_is_the_one_asked_for(tmp_path: Path) -> None:
    gguf = write_gguf(tmp_path / "m.gguf", tiny_model("llama", VOCABULARY), TOKENIZER)
    first = _gguf.converted(gguf, progress=False)
    second = _gguf.converted(gguf, "float16", progress=False)
    assert first != second
    assert loaded(first).dtype == torch.bfloat16
    assert loaded(second).dtype == torch.float16
    with pytest.raises(ModelError, match="int8"):
        _gguf.converted(gguf, "int8", progress=False)


def test_tokenizer_chat_template_and_ends_survive(tmp_path: Path) -> None:
    gguf = write_gguf(tmp_path / "m.gguf", tiny_model("llama", VOCABULARY), TOKENIZER)
    folder = _gguf.converted(gguf, progress=False)
    found = transformers.AutoTokenizer.from_pretrained(folder)
    assert [found.encode(token) for token in SPECIAL] == [[0], [1], [2]]
    assert (found.bos_token, found.eos_token, found.pad_token) == ("<|im_start|>", "<|im_end|>", "<|endoftext|>")
    chat = found.apply_chat_template([{"role": "user", "content": "the cat"}], tokenize=False)
    assert chat == "<|im_start|>user\nthe cat<|im_end|>\n"
    assert found.encode(chat)[0] == 1
    assert found.decode(found.encode(chat), skip_special_tokens=True) == "user\nthe cat\n"
    assert loaded(folder).generation_config.eos_token_id == [2, 0]
    assert loaded(folder).generation_config.pad_token_id == 0
    assert json.loads((folder / "pilotfish.json").read_text())["licence"] == "Apache-2.0"


@settings(max_examples=80, deadline=None)
@given(
    text=st.text(max_size=60)
    | st.sampled_from(["<|im_end|>the cat's 2024<|im_start|>", "in 2024", "  \n\n\t x", "ＡＢ ﬁ"])
)
def test_every_text_is_cut_as_by_the_original_tokenizer(text: str) -> None:
    assert _found_tokenizer().encode(text).ids == TOKENIZER.encode(text).ids


def _found_tokenizer(cache: list[Any] = []) -> Any:  # noqa: B006  one conversion for all examples
    if not cache:
        from pilotfish.models._gguf_tokens import tokenizer_files

        with tempfile.TemporaryDirectory() as folder:
            gguf = write_gguf(Path(folder) / "m.gguf", tiny_model("llama", VOCABULARY), TOKENIZER)
            cache.append(tokenizers.Tokenizer.from_str(tokenizer_files(read_gguf(gguf))["tokenizer.json"]))
    return cache[0]


@settings(max_examples=150, deadline=None)
@given(
    scores=st.lists(st.floats(-20, 0, allow_nan=False), min_size=9, max_size=9, unique=True),
    text=st.text("abc", min_size=1, max_size=12),
)
def test_merges_cut_as_sentencepiece_does(scores: list[float], text: str) -> None:
    singles = {"a": -30.0, "b": -31.0, "c": -32.0}
    pieces = singles | dict(zip(["ab", "bc", "abc", "ca", "aa", "aab", "bca", "cc", "abca"], scores, strict=True))
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    found = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=merges_of(pieces))).encode(text).tokens
    parts = list(text)
    while True:  # SentencePiece: join the neighbours whose union scores highest, leftmost first
        joins = [(pieces[a + b], -i) for i, (a, b) in enumerate(itertools.pairwise(parts)) if a + b in pieces]
        if not joins:
            break
        at = -max(joins)[1]
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    assert found == parts


def test_a_file_is_converted_once_and_anew_when_it_changes(tmp_path: Path, own_home: Path) -> None:
    gguf = write_gguf(tmp_path / "m.gguf", tiny_model("llama", VOCABULARY), TOKENIZER)
    folder = _gguf.converted(gguf, progress=False)
    before = (folder / "model.safetensors").stat().st_ino
    copy = Path(shutil.copy(gguf, tmp_path / "copy.gguf"))
    assert _gguf.converted(gguf, progress=False) == _gguf.converted(copy, progress=False) == folder
    assert (folder / "model.safetensors").stat().st_ino == before
    (folder / "model.safetensors").write_bytes(b"cut short")
    assert loaded(_gguf.converted(gguf, progress=False)).config.vocab_size == VOCABULARY
    write_gguf(gguf, tiny_model("llama", VOCABULARY, tie_word_embeddings=True), TOKENIZER)
    os.utime(gguf, ns=(1, 1))
    changed = _gguf.converted(gguf, progress=False)
    assert changed != folder
    assert loaded(changed).config.tie_word_embeddings
    assert _gguf.forget_converted(gguf) > 0
    assert [p.name for p in (own_home / "converted").iterdir()] == [folder.name]


def llama3_factors(factor: float) -> np.ndarray[Any, Any]:
    """The factors that llama.cpp's converter writes for Llama 3.1 and later, computed one frequency at a time."""
    found = []
    for i in range(0, 16, 2):
        wavelength = 2 * np.pi * 50_000.0 ** (i / 16)
        if wavelength < 8192 / 4:
            found.append(1.0)
        elif wavelength > 8192 / 1:
            found.append(factor)
        else:
            smooth = (8192 / wavelength - 1) / (4 - 1)
            found.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(found)


def test_llama_3_positions_are_understood_and_others_are_refused(tmp_path: Path) -> None:
    scaling = {
        "rope_type": "llama3",
        "rope_theta": 50_000.0,
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    model = tiny_model("llama", VOCABULARY, rope_scaling=scaling)
    gguf = write_gguf(tmp_path / "m.gguf", model, TOKENIZER, factors=llama3_factors(32.0))
    found = loaded(_gguf.converted(gguf, "float32", progress=False))
    assert np.allclose(found.model.rotary_emb.inv_freq, model.model.rotary_emb.inv_freq, rtol=1e-3)
    assert not np.allclose(found.model.rotary_emb.inv_freq, tiny_model("llama", VOCABULARY).model.rotary_emb.inv_freq)
    gguf = write_gguf(tmp_path / "n.gguf", model, TOKENIZER, factors=np.linspace(1, 9, 8))
    with pytest.raises(ModelError, match="rotary factors"):
        _gguf.converted(gguf, progress=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "mamba"}, "family 'mamba' cannot be converted"),
        ({"pre": "viking"}, "split 'viking' is not known"),
        ({"extra_tensor": "blk.0.ssm_a"}, "tensor 'blk.0.ssm_a'"),
        ({"llama__rope__scaling__type": "longrope"}, "stretched by 'longrope'"),
    ],
)
def test_what_is_not_known_is_said_and_leaves_nothing(
    tmp_path: Path, own_home: Path, changes: dict[str, str], message: str
) -> None:
    gguf = write_gguf(tmp_path / "m.gguf", tiny_model("llama", VOCABULARY), TOKENIZER, **changes)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=message) as caught:
        _gguf.converted(gguf, progress=False)
    assert "\n" not in str(caught.value)
    assert list((own_home / "converted").glob("*")) == []


@settings(max_examples=60, deadline=None)
@given(share=st.floats(0, 0.999))
def test_a_file_cut_anywhere_is_one_clear_error(share: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cut = Path(folder) / "cut.gguf"
        whole = _whole()
        cut.write_bytes(whole[: int(len(whole) * share)])
        with pytest.MonkeyPatch.context() as patch, pytest.raises(ModelError) as caught:
            patch.setenv("PILOTFISH_HOME", folder + "/home")
            _gguf.converted(cut, progress=False)
        assert "\n" not in str(caught.value)
        assert "cut.gguf" in str(caught.value)


def _whole(cache: list[bytes] = []) -> bytes:  # noqa: B006  written once for all examples
    if not cache:
        with tempfile.TemporaryDirectory() as folder:
            path = write_gguf(Path(folder) / "m.gguf", tiny_model("llama", VOCABULARY), TOKENIZER)
            cache.append(path.read_bytes())
    return cache[0]


@settings(max_examples=150, deadline=None)
@given(at=st.integers(4, 2_000), value=st.integers(0, 255))
def test_a_header_with_nonsense_in_it_is_one_clear_error_at_worst(at: int, value: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PILOTFISH_HOME", folder + "/home")
        odd = Path(folder) / "odd.gguf"
        data = bytearray(_whole())
        data[at] = value
        odd.write_bytes(data)
        try:
            _gguf.converted(odd, progress=False)
        except ModelError as error:
            assert "\n" not in str(error)
            assert list((Path(folder) / "home" / "converted").glob("*")) == []


LIMITED = """
import resource, sys
from pathlib import Path
from pilotfish.models import _gguf
import torch, safetensors.torch, tokenizers
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
_gguf.converted(Path(sys.argv[1]), progress=False)
"""


def test_a_disk_that_takes_no_more_is_one_line_and_leaves_nothing(tmp_path: Path, own_home: Path) -> None:
    gguf = write_gguf(tmp_path / "m.gguf", tiny_model("llama", VOCABULARY), TOKENIZER)
    process = forked(LIMITED, gguf)
    _, said = process.communicate(timeout=60)
    assert process.wait() == 1
    assert "pilotfish.errors.ModelError: writing " in said.decode().splitlines()[-1]
    assert list((own_home / "converted").glob("*")) == []


@pytest.mark.parametrize("lost", ["output_norm.weight", "blk.1.ffn_up.weight", "token_embd.weight"])
def test_a_model_that_lacks_a_part_is_refused(tmp_path: Path, lost: str) -> None:
    header = read_gguf(write_gguf(tmp_path / "m.gguf", tiny_model("llama", VOCABULARY), TOKENIZER))
    del header.tensors[lost]
    with pytest.raises(ModelError, match=f"no {lost}"):
        config_of(header, dtype="float32")


def test_a_damaged_count_of_layers_takes_neither_time_nor_memory(tmp_path: Path) -> None:
    header = read_gguf(write_gguf(tmp_path / "m.gguf", tiny_model("llama", VOCABULARY), TOKENIZER))
    header.fields["llama.block_count"] = 2**32 - 1
    tracemalloc.start()
    with pytest.raises(ModelError, match=r"no blk\.2\.attn_norm\.weight"):
        config_of(header, dtype="float32")
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("field", ["U32 0", "array of arrays"])
def test_fields_that_cannot_be_are_one_clear_error(tmp_path: Path, field: str) -> None:
    key = b"general.alignment"
    name = struct.pack("<Q", len(key)) + key
    # An alignment of nothing; and arrays in arrays, deeper than anybody nests them.
    value = struct.pack("<II", 4, 0) if field == "U32 0" else struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 5000
    file = tmp_path / "odd.gguf"
    file.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + name + value)
    with pytest.raises(ModelError, match="damaged or cut short"):
        read_gguf(file)


def test_what_is_no_gguf_is_said(tmp_path: Path) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(b"PK\x03\x04 not this")
    with pytest.raises(ModelError, match="not a GGUF file"):
        read_gguf(file)
    with pytest.raises(ModelError, match="no such file"):
        _gguf.converted(tmp_path / "none.gguf", progress=False)


@pytest.mark.models
def test_the_embedded_model_speaks_english(monkeypatch: pytest.MonkeyPatch) -> None:
    from pilotfish.models.catalog import Catalog

    monkeypatch.delenv("PILOTFISH_HOME")
    if HOME is not None:
        monkeypatch.setenv("PILOTFISH_HOME", HOME)
    folder = _gguf.converted(Catalog.load().path("smollm2-135m-instruct", pull=False), progress=False)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = loaded(folder)
    assert [tokenizer.encode(token) for token in SPECIAL] == [[0], [1], [2]]
    assert tokenizer.tokenize("in 2024") == ["in", "Ġ", "2", "0", "2", "4"]
    chat = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]
    prompt = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    inputs = tokenizer(prompt, return_tensors="pt")
    out = model.generate(**inputs, max_new_tokens=12, do_sample=False)[0][inputs.input_ids.shape[1] :]
    assert "Paris" in tokenizer.decode(out, skip_special_tokens=True)
    assert out[-1] == tokenizer.eos_token_id, "it stops by itself"
