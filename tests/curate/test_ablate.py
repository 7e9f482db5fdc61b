"""What was kept against chance: a real training on tiny models, stopped and gone on with, honest about its ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.curate import _trials as trials
from pilotfish.curate import ablate as module
from pilotfish.curate.ablate import Ablation, ablate
from pilotfish.errors import ConfigError, DataError
from pilotfish.train.settings import Fit
from tests.tiny import write_lm

pytest.importorskip("torch")
pytest.importorskip("accelerate")

HOW = Fit(steps=8, batch_tokens=256, rate=1e-2, dtype="float32")


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lm(tmp_path_factory.mktemp("ablate") / "student", "llama", seed=4)


def texts(word: str, count: int, seed: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    return [{"text": f"the {word} sat on the {word} and the {word} {seed}{random.integers(99)}"} for _ in range(count)]


def noise(count: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(3)
    return [{"text": "".join(chr(97 + c) for c in random.integers(0, 26, 40))} for _ in range(count)]


def test_good_rows_teach_more_than_chance_and_than_noise(student: Path, tmp_path: Path) -> None:
    (tmp_path / "dropped.jsonl").write_text(
        "".join(json.dumps({"step": 1, "reason": "noise: 1", "row": row}) + "\n" for row in noise(30))
    )
    given: dict[str, Any] = {"fit": HOW, "seeds": (0, 1), "length": 64, "device": "cpu", "progress": False}
    kept, test = texts("cat", 40, 0), texts("cat", 8, 1)
    found = ablate(kept, tmp_path / "dropped.jsonl", test, student, tmp_path / "out", **given)
    assert found.rows == {"kept": 30, "random": 30, "dropped": 30} and (found.tested, found.steps) == (8, 8)
    assert found.better is True and found.gain["kept over dropped"].low > 0
    assert found.loss["kept"].value < found.loss["random"].value < found.loss["dropped"].value
    assert "teaches more than as many rows by chance" in str(found)
    again = ablate(kept, tmp_path / "dropped.jsonl", test, student, tmp_path / "out", **given)
    assert again == found
    with pytest.raises(DataError, match="another run"):
        ablate(kept[1:], tmp_path / "dropped.jsonl", test, student, tmp_path / "out", **given)


def test_what_was_taught_is_not_taught_again(student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {"fit": Fit(steps=2, batch_tokens=256), "seeds": (0,), "device": "cpu", "progress": False}
    sets = (texts("cat", 6, 0), noise(6), texts("dog", 3, 1))
    taught: list[str] = []
    real = trials.Trials.taught

    def counted(self: Any, name: str, *rest: Any) -> Any:
        if not (self.folder / f"{name}.json").exists():
            taught.append(name)
            if len(taught) == 2:
                raise KeyboardInterrupt
        return real(self, name, *rest)

    monkeypatch.setattr(trials.Trials, "taught", counted)
    with pytest.raises(KeyboardInterrupt):
        ablate(*sets, student, tmp_path / "out", **given)
    ablate(*sets, student, tmp_path / "out", **given)
    assert taught == ["kept-0", "random-0", "random-0", "dropped-0"]


def test_answers_alone_are_learnt(student: Path, tmp_path: Path) -> None:
    rows = [{"instruction": f"what is {i}?", "output": f"it is {i}"} for i in range(8)]
    long = {"instruction": "x y " * 400, "output": "too long"}
    found = ablate(
        [*rows[:3], long], rows[3:6], rows[6:], student, tmp_path / "out", text="output", prompt="instruction",
        fit=Fit(steps=2, batch_tokens=256), seeds=(5,), length=64, device="cpu", progress=False,
    )  # fmt: skip
    told = json.loads((tmp_path / "out" / "runs" / "untaught.json").read_text())["each"]
    assert [tokens < 12 for _, tokens in told] == [True, True] and found.seeds == 1


def test_no_set_is_larger_than_another_whatever_is_asked_for(student: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"fit": Fit(steps=2, batch_tokens=256), "seeds": (0,), "device": "cpu", "progress": False}
    found = ablate(texts("cat", 9, 0), noise(4), texts("dog", 2, 3), student, tmp_path / "out", rows=7, **given)
    assert found.rows == {"kept": 4, "random": 4, "dropped": 4}


def test_tested_rows_must_not_be_learnt(student: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"seeds": (0,), "progress": False}
    cats = texts("cat", 4, 0)
    with pytest.raises(DataError, match="1 rows of kept are tested rows: decontaminate"):
        ablate(cats, noise(3), [cats[2]], student, tmp_path / "out", **given)
    with pytest.raises(DataError, match="no row of dropped"):
        ablate(cats, [], noise(3), student, tmp_path / "out", **given)
    with pytest.raises(ConfigError, match="one seed"):
        ablate(cats, noise(2), texts("dog", 2, 3), student, tmp_path / "out", seeds=())


def test_an_interval_that_holds_zero_says_nothing() -> None:
    table = np.ones((2, 5, 2))
    mixed = table.copy()
    mixed[:, :, 0] += np.random.default_rng(0).normal(size=(2, 5))
    gain = module._gain([table[0], table[1]], [mixed[0], mixed[1]])
    assert gain.low < 0 < gain.high
    found = Ablation("x", "y", {}, 5, 2, 1, {}, {}, {"kept over random": gain})
    assert found.better is None and "cannot be told from" in str(found)
    exact = module._gain([table[0]], [table[0] * [3.0, 1.0]])
    assert (exact.value, exact.low, exact.high) == (2.0, 2.0, 2.0)
