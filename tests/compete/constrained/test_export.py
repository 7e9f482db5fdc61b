"""Exports of tiny models for every way to run them: what they compute, and what their folders hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish import ask
from pilotfish.compete.constrained import Manifest, Way, open
from pilotfish.compete.constrained.export import Exporter, source_of
from pilotfish.compete.constrained.quantize import group_of, grouped, rows_of
from pilotfish.compete.constrained.task import FitTask
from pilotfish.compete.constrained.way import missing
from pilotfish.errors import ModelError
from pilotfish.models.classify import Labeller
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel

TEXTS = ["the cat sat on the mat", "Where is my card?", "a refund for the top up that failed, and more of it"]
SIMILAR = FitTask("similarity", ({"a": "x", "b": "y", "score": 1.0},))
CLASSES = FitTask(
    "classes",
    ({"text": "my card has not arrived", "label": "card"},),
    ("card", "refund"),
    train=tuple((f"my card {n} has not arrived", "card") for n in range(6))
    + tuple((f"a refund of {n}", "refund") for n in range(6)),
    tune=(0, 1, 10, 11),
)
TEXT = FitTask("text", ({"text": "the cat sat"},))
GRAPHS = [Way(runtime, precision) for runtime in ("onnx", "openvino") for precision in ("fp32", "int8", "int4")]


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.mark.parametrize("way", GRAPHS, ids=str)
def test_an_encoder_gives_its_vectors(way: Way, tiny_encoder_folder: Path, exports: Path) -> None:
    folder = Exporter(SIMILAR, exports).export(source_of(str(tiny_encoder_folder)), way)
    wanted = Encoder(tiny_encoder_folder, device="cpu").encode(TEXTS)
    found = open(folder, check=True).encode(TEXTS)
    least = {"fp32": 0.99999, "int8": 0.99, "int4": 0.9}[way.precision]
    assert ((wanted * found).sum(axis=1) > least).all()
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("way", GRAPHS, ids=str)
def test_a_language_model_gives_its_scores(way: Way, tiny_folder: Any, exports: Path) -> None:
    source = source_of(str(tiny_folder("qwen2")))
    folder = Exporter(TEXT, exports).export(source, way)
    local = LocalModel(tiny_folder("qwen2"), dtype="float32", device="cpu")
    model = open(folder, name="fitted")
    pairs = [("", text) for text in TEXTS]
    wanted = np.concatenate([one.logprobs for one in local.score(pairs)])
    found = np.concatenate([one.logprobs for one in model.score(pairs)])
    # Of random weights few bits leave little; what is measured on real ones is what counts.
    assert np.abs(wanted - found).mean() < {"fp32": 1e-3, "int8": 1.0, "int4": 3.0}[way.precision]
    if way.precision == "fp32":
        assert ask(model, TEXTS[1], max_tokens=8).text == ask(local, TEXTS[1], max_tokens=8).text
    assert Manifest.load(folder, check=True).facts["vocabulary"] == model.vocabulary


def rounded(folder: Path, precision: str) -> Encoder:
    """The encoder in torch with its weights rounded by hand, as graphs in few bits are to hold them."""
    import torch

    encoder = Encoder(folder, device="cpu").copied()
    for part in encoder.model[0].auto_model.modules():
        if not isinstance(part, torch.nn.Linear | torch.nn.Embedding) or part.weight.numel() < 1024:
            continue
        weight = part.weight.detach().numpy()
        codes, scales = rows_of(weight)
        found = codes * scales
        if precision == "int4" and isinstance(part, torch.nn.Linear):
            found = grouped(weight, 4, group_of(weight.shape[1]) or 1).weight
        part.weight.data = torch.from_numpy(found.astype(np.float32))
    return encoder


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_a_graph_in_few_bits_computes_what_its_rounded_weights_do(
    precision: Any, tiny_encoder_folder: Path, exports: Path
) -> None:
    source, exporter = source_of(str(tiny_encoder_folder)), Exporter(SIMILAR, exports)
    wanted = rounded(tiny_encoder_folder, precision).encode(TEXTS)
    lost = np.abs(wanted - Encoder(tiny_encoder_folder, device="cpu").encode(TEXTS)).max()
    # OpenVINO rounds the weights alone, ONNX Runtime what they are multiplied by, too.
    found = open(exporter.export(source, Way("openvino", precision))).encode(TEXTS)
    assert np.abs(found - wanted).max() < lost / 20
    if precision == "int4":
        found = open(exporter.export(source, Way("onnx", precision))).encode(TEXTS)
        assert np.abs(found - wanted).max() < lost / 2


def test_weights_in_few_bits_take_less_room(tiny_encoder_folder: Path, exports: Path) -> None:
    source, exporter = source_of(str(tiny_encoder_folder)), Exporter(SIMILAR, exports)
    for runtime, ending in (("onnx", ".data"), ("openvino", ".bin")):
        size = {}
        for precision in ("fp32", "int8", "int4"):
            folder = exporter.export(source, Way(runtime, precision))  # type: ignore[arg-type]
            size[precision] = sum(path.stat().st_size for path in folder.glob(f"model*{ending}"))
        assert size["fp32"] > 2 * size["int8"] and size["int8"] > size["int4"]


@pytest.mark.parametrize("precision", ["int8", "int4", "bf16"])
def test_an_encoder_in_torch_in_few_bits(precision: Any, tiny_encoder_folder: Path, exports: Path) -> None:
    folder = Exporter(SIMILAR, exports).export(source_of(str(tiny_encoder_folder)), Way("torch", precision))
    wanted = Encoder(tiny_encoder_folder, device="cpu").encode(TEXTS)
    found = open(folder).encode(TEXTS)
    assert ((wanted * found).sum(axis=1) > {"bf16": 0.999, "int8": 0.99, "int4": 0.9}[precision]).all()
    assert not np.array_equal(wanted, found)


def test_a_task_of_classes_comes_with_its_head(tiny_encoder_folder: Path, exports: Path) -> None:
    source, exporter = source_of(str(tiny_encoder_folder)), Exporter(CLASSES, exports)
    told = {}
    for way in (Way("torch", "fp32"), Way("onnx", "fp32")):
        model = open(exporter.export(source, way), name="fitted")
        reply = ask(model, "my card 3 has not arrived")
        assert reply.text == "card" and reply.trace.calls[0].model == "fitted"
        told[way.runtime] = model.classifier.predict_proba(TEXTS)
    assert told["onnx"] == pytest.approx(told["torch"], abs=1e-3)


def test_a_language_model_labels(tiny_folder: Any, exports: Path) -> None:
    source = source_of(str(tiny_folder("qwen2")))
    model = open(Exporter(CLASSES, exports).export(source, Way("onnx", "fp32")))
    assert isinstance(model, Labeller) and list(model.labels) == ["card", "refund"]
    assert ask(model, "x").text in ("card", "refund")


def test_what_is_there_is_kept_and_what_is_damaged_made_anew(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    source, exporter = source_of(str(tiny_encoder_folder)), Exporter(SIMILAR, tmp_path)
    folder = exporter.export(source, Way("onnx", "fp32"))
    before = (folder / "manifest.json").stat().st_mtime_ns
    assert exporter.export(source, Way("onnx", "fp32")) == folder
    assert (folder / "manifest.json").stat().st_mtime_ns == before
    (folder / "model.onnx").unlink()
    exporter.export(source, Way("onnx", "fp32"))
    Manifest.load(folder, check=True)


def test_a_graph_that_lies_far_from_torch_is_not_used(
    tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pilotfish.compete.constrained.encoder import SessionEncoder

    real = SessionEncoder.encode
    monkeypatch.setattr(SessionEncoder, "encode", lambda self, texts: real(self, texts) + 0.01)
    with pytest.raises(ModelError, match=r"lies 0\.01 from torch; it is not used"):
        Exporter(SIMILAR, tmp_path).export(source_of(str(tiny_encoder_folder)), Way("onnx", "fp32"))
    assert not (tmp_path / "encoder-onnx-fp32").exists()


def test_a_classifier_that_stands_on_a_folder_elsewhere_is_refused(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    from pilotfish.models.classify import EncoderFeatures, TextClassifier, TfidfFeatures

    texts, labels = [text for text, _ in CLASSES.train], [label for _, label in CLASSES.train]
    own = Way("own", "as saved")
    whole = TextClassifier(TfidfFeatures()).fit(texts, labels)
    (tmp_path / "words").mkdir()
    whole.save(tmp_path / "words")
    folder = Exporter(CLASSES, tmp_path / "out").export(source_of(str(tmp_path / "words")), own)
    assert ask(open(folder), texts[0]).text == "card"
    leaning = TextClassifier(EncoderFeatures(Encoder(tiny_encoder_folder, device="cpu"))).fit(texts, labels)
    (tmp_path / "leaning").mkdir()
    leaning.save(tmp_path / "leaning")
    with pytest.raises(ModelError, match="not in its folder"):
        Exporter(CLASSES, tmp_path / "out").export(source_of(str(tmp_path / "leaning")), own)


@pytest.mark.parametrize("way", [Way("onnx", "fp32"), Way("openvino", "fp32")], ids=str)
def test_what_is_deployed_loads_no_torch(way: Way, tiny_folder: Any, exports: Path) -> None:
    folder = Exporter(TEXT, exports).export(source_of(str(tiny_folder("qwen2"))), way)
    script = (
        "import sys\nfrom pilotfish import ask\nfrom pilotfish.compete.constrained import open\n"
        f"print(len(ask(open({str(folder)!r}), 'the cat', max_tokens=3).text) > 0)\n"
        "print([m for m in ('torch', 'transformers', 'sklearn', 'onnx', 'scipy') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[1] == "[]"


def test_bfloat16_in_openvino(tiny_encoder_folder: Path, exports: Path) -> None:
    way = Way("openvino", "bf16")
    if (why := missing(way)) is not None:
        assert "bfloat16" in why
        return
    found = open(Exporter(SIMILAR, exports).export(source_of(str(tiny_encoder_folder)), way)).encode(TEXTS)
    assert ((Encoder(tiny_encoder_folder, device="cpu").encode(TEXTS) * found).sum(axis=1) > 0.99).all()
