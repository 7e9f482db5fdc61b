"""llama.cpp on a GGUF file against the same weights in torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pilotfish import ask
from pilotfish.compete.constrained import FitTask, Manifest, Way, open
from pilotfish.compete.constrained.export import Exporter, Source, source_of
from pilotfish.compete.constrained.lm import SessionLM
from pilotfish.errors import ModelError
from pilotfish.models.local import LocalModel
from tests.models.tiny_gguf import byte_level_tokenizer, tiny_model, write_gguf

TASK = FitTask("text", ({"text": "the cat sat"},))
TEXTS = ["the cat sat on the mat, it's 2024", "Où est l'été ?", "def f(x):\n    return x + 1\n"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("gguf")
    tokenizer = byte_level_tokenizer()
    path = write_gguf(folder / "tiny.gguf", tiny_model("llama", tokenizer.get_vocab_size()), tokenizer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PILOTFISH_HOME", str(folder / "home"))
        return source_of(str(path))


@pytest.fixture(scope="module")
def both(source: Source, tmp_path_factory: pytest.TempPathFactory) -> tuple[SessionLM, LocalModel]:
    made = Exporter(TASK, tmp_path_factory.mktemp("exports")).export(source, Way("llamacpp", "as saved"))
    assert "model.gguf" in Manifest.load(made, check=True).files
    model = open(made, threads=1)
    assert isinstance(model, SessionLM)
    return model, LocalModel(source.folder, dtype="float32", device="cpu")


def test_it_scores_and_chooses_as_torch_does(both: tuple[SessionLM, LocalModel]) -> None:
    ours, theirs = both
    pairs = [("", text) for text in TEXTS] + [(TEXTS[0], " and 2024"), (TEXTS[2], "def")]
    for a, b in zip(ours.score(pairs), theirs.score(pairs), strict=True):
        assert a.tokens == b.tokens
        # Keys and values are held in float16 there.
        assert a.logprobs == pytest.approx(b.logprobs, abs=0.15)
    options = [" the mat", " 2024", " it's 2024"]
    assert ours.choices(TEXTS, options) == pytest.approx(theirs.choices(TEXTS, options), abs=0.3)


def test_rows_beside_one_another_do_not_mix(both: tuple[SessionLM, LocalModel]) -> None:
    engine = both[0].engine
    first = engine.extend([5, 6, 7], 0, [2])
    rows = [[8 + n, 9] for n in range(40)]  # more than stand there at a time
    together = engine.beside(rows, 3, [0, 1])
    alone = [engine.beside([row], 3, [0, 1])[0] for row in rows]
    assert together == pytest.approx(np.stack(alone), abs=0.05)
    assert engine.extend([7], 2, [0]) == pytest.approx(first, abs=0.05)  # what is held stayed as it was
    assert engine.extend([5, 6, 7], 0, [2]) == pytest.approx(first, abs=0.05)


def test_it_answers_as_torch_does(both: tuple[SessionLM, LocalModel]) -> None:
    ours, theirs = both
    assert ask(ours, TEXTS[0], max_tokens=6).text == ask(theirs, TEXTS[0], max_tokens=6).text


def test_a_damaged_file_is_told(both: tuple[SessionLM, LocalModel], tmp_path: Path) -> None:
    from pilotfish.compete.constrained.llamacpp import LlamaEngine

    (tmp_path / "m.gguf").write_bytes(b"GGUF nonsense")
    with pytest.raises(ModelError, match=r"m.gguf: llama.cpp does not load it"):
        LlamaEngine(tmp_path / "m.gguf", 64, 1)
