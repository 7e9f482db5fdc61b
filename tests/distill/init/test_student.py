"""Students as folders: they load anywhere, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from pilotfish import ask
from pilotfish.distill.init import Width, drop_layers, student_of
from pilotfish.errors import ConfigError, DataError
from pilotfish.model import Request
from pilotfish.models.local import LocalModel
from tests.distill.init.models import tiny
from tests.tiny import TEXTS, tokenizer


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made: dict[tuple[str, str], Path] = {}

    def folder(family: str = "llama", dtype: str = "float32") -> Path:
        if (family, dtype) not in made:
            path = tmp_path_factory.mktemp("teacher") / f"{family}-{dtype}"
            cutter = tokenizer()
            model = tiny(family, dtype=getattr(torch, dtype))
            model.save_pretrained(path)
            cutter.save_pretrained(path)
            (path / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
            made[family, dtype] = path
        return made[family, dtype]

    return folder


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "gpt2"])
def test_a_student_loads_scores_and_answers(teachers: Any, tmp_path: Path, family: str) -> None:
    width = Width(hidden=16, intermediate=40, heads=2)
    made = student_of(teachers(family), tmp_path / "out", layers=3, width=width, calibration=TEXTS)
    assert made.layers == [0, 2, 5] and made.importance == "activations"
    student = LocalModel(made.folder, dtype="float32", device="cpu")
    assert student.parameters == made.parameters < made.teacher_parameters
    assert student.model.config.num_hidden_layers == 3 and student.model.config.hidden_size == 16
    assert student.score([("the cat", " sat")])[0].total < 0
    request = Request.of("Where is my card?", max_tokens=4, temperature=0.0)
    assert ask(student, request).text == ask(LocalModel(made.folder, dtype="float32", device="cpu"), request).text
    assert student.tokenizer.chat_template and student.licence == "Apache-2.0"
    assert f"{made.parameters:,} weights" in str(made)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_dtype_is_that_of_the_teachers_files(teachers: Any, tmp_path: Path, dtype: str) -> None:
    made = student_of(teachers("llama", dtype), tmp_path / "out", layers=[0, 5])
    assert json.loads((Path(made.folder) / "config.json").read_text())["dtype"] == dtype
    from safetensors.torch import load_file

    weights = load_file(Path(made.folder) / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {getattr(torch, dtype)}
    assert made.importance is None


def test_a_loaded_teacher_gives_its_own_weights(teachers: Any, tmp_path: Path) -> None:
    teacher = LocalModel(teachers(), dtype="float32", device="cpu")
    made = student_of(teacher, tmp_path / "out", layers=[1, 2])
    loaded = LocalModel(made.folder, dtype="float32", device="cpu").model
    ids = torch.tensor([[3, 4, 5, 6]])
    expected = drop_layers(teacher.model, layers=[1, 2])
    assert torch.equal(loaded(input_ids=ids).logits, expected(input_ids=ids).logits)


def test_random_students_are_seeded(teachers: Any, tmp_path: Path) -> None:
    sizes = {"num_hidden_layers": 2, "hidden_size": 16}
    folders = [
        student_of(teachers(), tmp_path / str(i), sizes=sizes, seed=seed).folder for i, seed in enumerate([1, 1, 2])
    ]
    files = [(Path(folder) / "model.safetensors").read_bytes() for folder in folders]
    assert files[0] == files[1] != files[2]
    with pytest.raises(ConfigError, match="vocab_size 10 is less"):
        student_of(teachers(), tmp_path / "small", sizes={"vocab_size": 10})
    assert not (tmp_path / "small").exists()


def test_a_student_is_made_once_and_nothing_is_overwritten(teachers: Any, tmp_path: Path) -> None:
    first = student_of(teachers(), tmp_path / "out", layers=2)
    written = (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns
    assert student_of(teachers(), tmp_path / "out", layers=2) == first
    assert (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns == written
    with pytest.raises(DataError, match="another student"):
        student_of(teachers(), tmp_path / "out", layers=3)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not touch")
    with pytest.raises(DataError, match="thesis"):
        student_of(teachers(), tmp_path / "mine", layers=2)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="is a file"):
        student_of(teachers(), tmp_path / "file", layers=2)
    (tmp_path / "empty").mkdir()
    assert student_of(teachers(), tmp_path / "empty", layers=2).layers == [0, 5]


def test_a_failure_leaves_no_folder(teachers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the power went")

    teacher = LocalModel(teachers(), dtype="float32", device="cpu").load()
    monkeypatch.setattr(teacher.tokenizer, "save_pretrained", broken)
    with pytest.raises(RuntimeError, match="power"):
        student_of(teacher, tmp_path / "out", layers=2)
    assert list(tmp_path.iterdir()) == []


def test_settings_that_clash_are_said_before_anything_runs(teachers: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="less of"):
        student_of("no-such-model", tmp_path / "out")
    with pytest.raises(ConfigError, match="random weights"):
        student_of("no-such-model", tmp_path / "out", layers=2, sizes={"hidden_size": 8})
    with pytest.raises(ConfigError, match="intermediate must be"):
        student_of(teachers(), tmp_path / "out", width=Width(intermediate=999))
    with pytest.raises(ConfigError, match="from 1 to 6"):
        student_of(teachers(), tmp_path / "out", layers=7)
    assert not (tmp_path / "out").exists()
