"""The distiller from end to end on tiny models: it teaches, tells what it did, and repeats nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.distill.distiller import REPORT, Distiller
from pilotfish.distill.matching import Matching
from pilotfish.distill.rows import parted
from pilotfish.distill.sampling import Sampling
from pilotfish.errors import ConfigError, DataError
from pilotfish.models.local import LocalModel
from pilotfish.train.log import read_log
from pilotfish.train.settings import Fit
from tests.tiny import TEXTS, write_lm

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

ROWS: list[Any] = [f"{text} {n}" for n in range(6) for text in TEXTS]
ROWS += [{"prompt": f"what is {n}?", "answer": f"it is {n}, and the cat sat"} for n in range(20)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    base = tmp_path_factory.mktemp("models")
    return write_lm(base / "student", "llama", seed=1), write_lm(base / "teacher", "llama", seed=2)


def distiller(models: tuple[Path, Path], out: Path, fit: dict[str, Any] | None = None, **settings: Any) -> Distiller:
    how = Fit(**{"steps": 40, "batch_tokens": 500, "rate": 1e-2, "dtype": "float32", **(fit or {})})
    given: dict[str, Any] = {"fit": how, "length": 64, "device": "cpu", "progress": False, **settings}
    return Distiller(models[0], models[1], out, teacher_dtype="float32", **given)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"divergence": "reverse-kl"},
        {"divergence": "jsd", "settings": {"beta": 0.3}, "alpha": 0.98, "temperature": 2.0},
        {"cached": 100},
        {"fit": {"rank": 8, "rate": 5e-2}},
    ],
    ids=["forward", "reverse", "jsd and data", "cached", "adapters"],
)
def test_a_student_comes_nearer_to_its_teacher(models: tuple[Path, Path], tmp_path: Path, settings: Any) -> None:
    out = tmp_path / "out"
    report = distiller(models, out, **settings).fit(ROWS).report_
    assert report.figures["divergence"].gain.high < 0
    assert report.figures["divergence"].after < 0.8 * report.figures["divergence"].before
    assert (report.rows, report.held_out, report.refused, report.steps) == (56, 6, 0, 40)
    assert "agreement" in str(report) and "KL" in str(report)
    # What was saved is what was measured: of plain weights, the student answers as reported.
    saved = LocalModel(out, dtype="float32", device="cpu")
    again = distiller((out, models[1]), tmp_path / "again", {"steps": 1, "rate": 1e-12}, cached=settings.get("cached"))
    told = again.fit(ROWS).report_
    for name, figure in report.figures.items():
        assert told.figures[name].before == pytest.approx(figure.after, rel=1e-4, abs=1e-6), name
    assert saved.score([("the cat", " sat")])[0].total < 0
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json", REPORT} <= {
        p.name for p in out.iterdir()
    }
    assert not (out / "run" / "checkpoints").exists()


def test_the_card_tells_of_data_loss_and_agreement_and_not_of_the_machine(
    models: tuple[Path, Path], tmp_path: Path
) -> None:
    distiller(models, tmp_path / "out", alpha=0.5, temperature=2.0).fit(ROWS)
    card = (tmp_path / "out" / "README.md").read_text()
    for word in (
        "`student`",
        "`teacher`",
        "0.5 x forward-kl + 0.5 x cross-entropy, temperature 2",
        "56 rows",
        "seed 0",
    ):
        assert word in card
    assert "same likeliest token" in card and str(tmp_path) not in card


def test_a_finished_run_is_not_repeated_and_another_is_refused(models: tuple[Path, Path], tmp_path: Path) -> None:
    first = distiller(models, tmp_path / "out", {"steps": 3}).fit(ROWS).report_
    written = (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns
    assert distiller(models, tmp_path / "out", {"steps": 3}).fit(ROWS).report_ == first
    assert (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns == written
    for other in ({"fit": {"steps": 4}}, {"fit": {"steps": 3}, "alpha": 0.5}):
        with pytest.raises(DataError, match="another run"):
            distiller(models, tmp_path / "out", **other).fit(ROWS)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not touch")
    with pytest.raises(DataError, match=r"holds thesis\.txt"):
        distiller(models, tmp_path / "mine").fit(ROWS)


def test_a_run_is_known_where_its_folders_were_moved_and_not_with_other_weights(
    models: tuple[Path, Path], tmp_path: Path
) -> None:
    student, teacher = models
    here = tmp_path / "here"
    shutil.copytree(student, here / "student")

    def fitted(where: Path) -> Distiller:
        given: dict[str, Any] = {"cached": 8, "cache": where / "cache"}
        return distiller((where / "student", teacher), where / "out", {"steps": 2}, **given).fit(ROWS)

    seconds = fitted(here).report_.seconds
    there = here.rename(tmp_path / "there")
    assert fitted(there).report_.seconds == seconds  # read, not trained again
    write_lm(there / "student", seed=77)
    with pytest.raises(DataError, match="another run"):
        fitted(there)


def test_the_teacher_is_loaded_once_or_never(
    models: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    load = LocalModel.load

    def counted(self: LocalModel) -> LocalModel:
        if self._loaded is None:
            loaded.append(Path(self.weights).name)
        return load(self)

    monkeypatch.setattr(LocalModel, "load", counted)
    cache = tmp_path / "cache"
    one = distiller(models, tmp_path / "one", {"steps": 10}, cached=200, cache=cache).fit(ROWS).report_
    assert loaded == ["student", "teacher"]
    loaded.clear()
    two = distiller(models, tmp_path / "two", {"steps": 10, "rate": 2e-2}, cached=200, cache=cache).fit(ROWS).report_
    assert loaded == ["student"]
    assert two.figures["divergence"].before == one.figures["divergence"].before
    with pytest.raises(ConfigError, match="captured at temperature 1; a loss at 2"):
        distiller(models, tmp_path / "hot", cached=200, cache=cache, temperature=2.0).fit(ROWS)


def test_a_cache_of_nearly_all_tokens_teaches_what_the_teacher_does(models: tuple[Path, Path], tmp_path: Path) -> None:
    losses = []
    for cached in (None, 300):
        out = tmp_path / str(cached)
        distiller(models, out, {"steps": 10}, cached=cached).fit(ROWS)
        losses.append([row["loss"] for row in read_log(out / "run") if "rate" in row])
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert losses[1] != losses[0]


def test_only_answers_are_learnt(models: tuple[Path, Path], tmp_path: Path) -> None:
    rows = [{"prompt": "the cat sat on the mat " * 3 + str(n), "answer": f"yes {n}"} for n in range(10)]
    report = distiller(models, tmp_path / "out", {"steps": 2, "batch_tokens": 10_000}).fit(rows).report_
    tokenizer = LocalModel(models[0], device="cpu").tokenizer
    lengths = [len(tokenizer(str(row["answer"]))["input_ids"]) + 1 for row in rows]
    assert report.tokens <= 2 * sum(lengths)


def test_a_teacher_with_another_tokenizer_is_aligned_by_bytes(models: tuple[Path, Path], tmp_path: Path) -> None:
    other = write_lm(tmp_path / "other", "llama", "melting", seed=3)
    report = distiller((models[0], other), tmp_path / "out").fit(ROWS).report_
    figure = report.figures["divergence"]
    assert figure.gain.high < 0 and figure.after < 0.9 * figure.before
    assert LocalModel(tmp_path / "out", device="cpu").score([("the cat", " sat")])[0].total < 0
    for settings in ({"cached": 10}, {"on_policy": Sampling()}, {"matching": Matching()}):
        with pytest.raises(ConfigError, match="different vocabularies"):
            distiller((models[0], other), tmp_path / "none", **settings).fit(ROWS)


@pytest.mark.parametrize("what", ["hidden", "attention"])
def test_what_goes_on_inside_is_matched(tmp_path: Path, models: tuple[Path, Path], what: str) -> None:
    matching = Matching(weight=2.0, what=what)  # type: ignore[arg-type]
    distiller(models, tmp_path / "out", matching=matching).fit(ROWS)
    losses = [row["matching"] for row in read_log(tmp_path / "out" / "run") if "matching" in row]
    assert losses[-1] < 0.8 * losses[0]
    names = LocalModel(tmp_path / "out", device="cpu").model.state_dict()
    assert not any("projection" in name or "match" in name for name in names)  # what was learnt to compare is left out


def test_a_student_answers_itself(models: tuple[Path, Path], tmp_path: Path) -> None:
    prompts = [row for row in ROWS if not isinstance(row, str)]
    sampling = Sampling(share=1.0, max_tokens=8)
    report = distiller(models, tmp_path / "out", {"steps": 30}, on_policy=sampling).fit(prompts).report_
    assert report.figures["divergence"].gain.high < 0
    assert "over the student's own answers (gkd)" in report.loss
    for settings in ({"cached": 10, "on_policy": sampling}, {"matching": Matching(), "on_policy": sampling}):
        with pytest.raises(ConfigError, match="on_policy"):
            distiller(models, tmp_path / "none", **settings).fit(ROWS)  # type: ignore[arg-type]


def test_rows_that_give_nothing_are_told(models: tuple[Path, Path], tmp_path: Path) -> None:
    rows = [
        *ROWS,
        "",
        {"prompt": "long " * 200, "answer": "x"},
        {"answer": "to nothing"},
        {"prompt": "p", "answer": ""},
    ]
    assert distiller(models, tmp_path / "out", {"steps": 1}).fit(rows).report_.refused == 4
    with pytest.raises(DataError, match=r"two different rows at least.*text is empty"):
        distiller(models, tmp_path / "none").fit(["", "the cat sat", "the cat sat"])
    with pytest.raises(ConfigError, match="alpha is a share"):
        distiller(models, tmp_path / "none", alpha=1.5).fit(ROWS)


def test_without_the_teacher_s_share_only_the_data_are_learnt(models: tuple[Path, Path], tmp_path: Path) -> None:
    report = distiller(models, tmp_path / "out", alpha=0.0).fit(ROWS).report_
    assert report.figures["cross_entropy"].gain.high < -1
    assert report.figures["divergence"].gain.low > 0  # the random teacher knows nothing of the data
    assert "divergence" not in read_log(tmp_path / "out" / "run")[0]


@pytest.mark.parametrize("rank", [0, 4])
def test_a_student_is_saved_in_the_dtype_it_came_in(models: tuple[Path, Path], tmp_path: Path, rank: int) -> None:
    low = LocalModel(models[0], dtype="bfloat16", device="cpu")
    low.model.save_pretrained(tmp_path / "low")
    low.tokenizer.save_pretrained(tmp_path / "low")
    report = distiller((tmp_path / "low", models[1]), tmp_path / "out", {"steps": 5, "rank": rank}).fit(ROWS).report_
    saved = tmp_path / "out" / "model.safetensors"
    assert saved.stat().st_size == pytest.approx((tmp_path / "low" / "model.safetensors").stat().st_size, rel=0.01)
    again = distiller((tmp_path / "out", models[1]), tmp_path / "again", {"steps": 1, "rate": 1e-12}).fit(ROWS).report_
    assert again.figures["divergence"].before == pytest.approx(report.figures["divergence"].after, rel=0.01)


def test_answers_alone_are_learnt_without_a_teacher(models: tuple[Path, Path], tmp_path: Path) -> None:
    rows = [row for row in ROWS if not isinstance(row, str)]
    one = distiller(models, tmp_path / "out", alpha=0.0)
    one.teacher, one.answers_of = None, "gpt-large"
    report = one.fit(rows).report_
    assert set(report.figures) == {"cross_entropy"} and report.teacher is None
    assert report.figures["cross_entropy"].gain.high < -1
    assert "perplexity" in str(report) and "agreement" not in str(report)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "Student of the answers of `gpt-large`" in card and "Loss: cross-entropy." in card
    other = distiller(models, tmp_path / "none")
    other.teacher = None
    with pytest.raises(ConfigError, match="without a teacher"):
        other.fit(rows)


def test_all_answers_to_a_question_stay_in_one_part(models: tuple[Path, Path]) -> None:
    tokenizer = LocalModel(models[0], device="cpu").tokenizer
    rows: list[Any] = [
        {"prompt": f"what is {n}?", "answer": f"it is {n}, no. {k}"} for n in range(20) for k in range(3)
    ]
    made = [{"prompt": f"[{task}] {n}", "answer": str(n), "source": {"n": n}} for n in range(20) for task in ("a", "b")]
    for data, key in ((rows, "prompt"), (made, "source")):
        parts = parted(tokenizer, data, 64, share=0.3, seed=0, name="x")
        held, train = ({str(data[one.row][key]) for one in part} for part in (parts.held_out, parts.train))
        assert len(held) == 6 and len(train) == 14 and not held & train


def test_the_log_has_what_was_looked_at(models: tuple[Path, Path], tmp_path: Path) -> None:
    distiller(models, tmp_path / "out", {"steps": 6, "evaluate_every": 3}).fit(ROWS)
    looks = [row for row in read_log(tmp_path / "out" / "run") if "held-out/divergence" in row]
    assert [row["step"] for row in looks] == [3, 6]
    assert json.loads((tmp_path / "out" / REPORT).read_text())["steps"] == 6
    assert np.isfinite([row["held-out/perplexity"] for row in looks]).all()
