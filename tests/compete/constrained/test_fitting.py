"""A fit of tiny models, whole: exported, measured in processes of their own, chosen, proven, resumed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pilotfish import ask
from pilotfish.assemble import Collaboration
from pilotfish.compete.constrained import Fit, FitSettings, FitTask, Limits, Manifest, fit, fitting, open
from pilotfish.compete.constrained.folder import write_folder
from pilotfish.compete.constrained.measured import How
from pilotfish.compete.constrained.page import page
from pilotfish.errors import ConfigError, ModelError
from pilotfish.measure.report import render_html

HOW = How(seconds=0.2, batch=8, threads=1)


def rows(count: int, first: int = 0) -> list[tuple[str, str]]:
    made = []
    for n in range(first, first + count):
        made += [(f"my card {n} has not arrived", "card"), (f"a refund of {n} for the top up", "refund")]
    return made


TASK = FitTask(
    "classes",
    tuple({"text": text, "label": label} for text, label in rows(12, 50)),
    ("card", "refund"),
    train=tuple(rows(12)),
    tune=(0, 1, 2, 3),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fit")


@pytest.fixture(scope="module")
def found(folder: Path, tiny_encoder_folder: Path) -> Fit:
    limits = Limits(memory=2**31, p95=30.0)
    settings = FitSettings(limits, ("onnx",), ("fp32", "int8"), how=HOW)
    return write_folder(fit(TASK, [str(tiny_encoder_folder)], folder, settings), folder)


def test_each_candidate_is_measured_and_one_is_chosen(found: Fit) -> None:
    assert {str(one.way) for one in found.candidates} == {"onnx fp32", "onnx int8"} and not found.skipped
    for one in found.candidates:
        m = one.measured
        assert one.quality.value == 1.0 and one.quality.n == 24 and one.fits
        assert 0 < m.p50 <= m.p95 < m.cold_start < 30
        # A process without torch: its libraries are some tens of megabytes.
        assert 20 * 2**20 < m.memory_single <= m.memory < 300 * 2**20
        assert m.rows_per_second > 1 and m.joules > 0 and m.energy in ("measured", "estimated")
        assert m.about.startswith("onnxruntime") and m.machine["instructions"] is not None
        assert m.waited is None or 0 <= m.waited <= 1
    lost = next(one.lost for one in found.candidates if one.way.precision == "int8")
    assert lost is not None and lost.value == 0 and lost.low < 0 < lost.high
    assert next(one for one in found.candidates if one.way.precision == "fp32").lost is None


def test_the_choice_is_exported_and_proven_after_it_was_loaded_again(found: Fit, folder: Path) -> None:
    chosen = found.verdict.chosen
    assert chosen is not None and found.proof == {"rows": 24, "largest_change": 0.0}
    manifest = Manifest.load(folder / "model", check=True)
    assert manifest.way == chosen.way and manifest.measured["p95"] == chosen.measured.p95
    assert manifest.measured["quality"]["value"] == 1.0
    model = open(folder / "model")
    assert [ask(model, row["text"]).text for row in TASK.rows[:2]] == ["card", "refund"]
    told = json.loads((folder / "fit.json").read_text())
    assert told["verdict"]["chosen"] == chosen.name and len(told["candidates"]) == 2


def test_the_file_that_is_written_answers(found: Fit, folder: Path) -> None:
    models = Collaboration.load(folder / "pilotfish.toml")
    reply = ask(models.model(models.default), "a refund of 7 for the top up")
    assert reply.text == "refund" and reply.trace.calls[0].model == "fitted"
    assert reply.mean_logprob is not None and reply.mean_logprob < 0


def test_a_fit_that_was_stopped_measures_nothing_twice(
    found: Fit, folder: Path, tiny_encoder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(fitting, "apart", never)
    said: list[str] = []
    again = fit(TASK, [str(tiny_encoder_folder)], folder, found.settings, say=said.append)
    assert [one.to_json() for one in again.candidates] == [one.to_json() for one in found.candidates]
    assert all("measured before" in line for line in said) and len(said) == 2
    # Other limits change the verdict and need no measurement; other rows do.
    tight = replace(found.settings, limits=Limits(memory=2**20))
    none = fit(TASK, [str(tiny_encoder_folder)], folder, tight)
    assert none.verdict.chosen is None and none.verdict.nearest is not None
    with pytest.raises(AssertionError, match="measured again"):
        fit(TASK, [str(tiny_encoder_folder)], folder, found.settings, again=True)
    fewer = replace(TASK, rows=TASK.rows[:10])
    with pytest.raises(AssertionError, match="measured again"):
        fit(fewer, [str(tiny_encoder_folder)], folder, found.settings)


def test_where_nothing_fits_nothing_is_exported(found: Fit, tmp_path: Path, tiny_encoder_folder: Path) -> None:
    from pilotfish.compete.constrained.verdict import decide

    limits = Limits(memory=2**20)
    broken = tuple(replace(one, broken=tuple(limits.broken(one.measured))) for one in found.candidates)
    settings = replace(found.settings, limits=limits)
    none = Fit(TASK, settings, broken, (), decide(broken, limits, "classes"))
    (tmp_path / "model").mkdir()
    written = write_folder(none, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fit.json", "report.html"]
    assert written.proof == {} and "Nothing fits" in (tmp_path / "report.html").read_text()


def test_a_copy_that_answers_otherwise_is_not_exported(found: Fit, tmp_path: Path) -> None:
    chosen = found.verdict.chosen
    assert chosen is not None
    wrong = replace(chosen, measured=replace(chosen.measured, scores=[[0.0]] * 24))
    TASK.save(tmp_path / "rows.json")
    with pytest.raises(ModelError, match="scores a row by 1 otherwise than was measured"):
        write_folder(replace(found, verdict=replace(found.verdict, chosen=wrong)), tmp_path)
    assert not (tmp_path / "model").exists() and not (tmp_path / "fit.json").exists()


def test_the_page_says_what_was_measured(found: Fit) -> None:
    html = render_html(page(found))
    for one in found.candidates:
        assert str(one.way) in html
    assert "to run encoder, 24 rows" in html
    for words in ("What would flip it", "Cold start", "Peak memory", "Instruction sets", "float32 itself", "Proof"):
        assert words in html
    assert "None" not in html.replace("None of", "")


def test_a_process_that_fails_is_told_and_the_others_go_on(
    found: Fit, folder: Path, tiny_encoder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pilotfish.compete.constrained.measured import apart as real

    def fails(path: Path, *rest: Any, **how: Any) -> Any:
        if "int8" in path.name:
            raise ModelError("its process was ended by signal 9; is there memory enough?")
        return real(path, *rest, **how)

    monkeypatch.setattr(fitting, "apart", fails)
    one = replace(TASK, rows=TASK.rows[:6])
    told = fit(one, [str(tiny_encoder_folder)], folder, found.settings)
    assert [each.way.precision for each in told.candidates] == ["fp32"]
    assert [(each.name, each.failed) for each in told.skipped] == [("encoder onnx int8", True)]
    assert "signal 9" in render_html(page(told))


def test_the_worker_says_in_one_line_what_is_wrong(folder: Path, tmp_path: Path, found: Fit) -> None:
    from pilotfish.compete.constrained.measured import apart

    with pytest.raises(ModelError, match="not a saved fitted model"):
        apart(tmp_path, folder / "rows.json", HOW, tmp_path / "out.json")
    assert found.verdict.chosen is not None
    with pytest.raises(ModelError, match="it was not done after 0 s"):
        apart(found.verdict.chosen.folder, folder / "rows.json", replace(HOW, limit=0.01), tmp_path / "out.json")


def test_models_that_do_not_do_the_task_are_refused(
    tiny_folder: Any, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    similar = FitTask("similarity", ({"a": "x", "b": "y", "score": 1.0},) * 3)
    with pytest.raises(ConfigError, match="a task of similarity takes encoder"):
        fit(similar, [str(tiny_folder())], tmp_path)
    with pytest.raises(ConfigError, match="no model was named"):
        fit(similar, [], tmp_path)
    other = tmp_path / "encoder"
    other.symlink_to(tiny_encoder_folder)
    twin = tmp_path / "in" / "encoder"
    twin.mkdir(parents=True)
    for path in tiny_encoder_folder.iterdir():
        (twin / path.name).symlink_to(path)
    with pytest.raises(ConfigError, match="two of the models are called 'encoder'"):
        fit(similar, [str(other), str(twin)], tmp_path)


def test_texts_are_scored_and_gone_on_with(tiny_folder: Any, folder: Path) -> None:
    from pilotfish.compete.constrained.task import perplexity

    task = FitTask("text", tuple({"text": f"the cat sat on the mat number {n}"} for n in range(6)))
    settings = FitSettings(runtimes=("onnx",), precisions=("fp32",), how=replace(HOW, new_tokens=3))
    (one,) = fit(task, [str(tiny_folder("qwen2"))], folder / "lm", settings).candidates
    assert one.quality.value < 0 and perplexity(one.measured.table) > 1
    assert one.measured.table.shape == (6, 3) and (one.measured.table[:, 1] >= 28).all()
