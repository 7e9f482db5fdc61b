"""What distillation code gets wrong, one test each: shift, padding, dropout, templates, a teacher that learns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pilotfish.distill.distiller import Distiller
from pilotfish.distill.divergence import ForwardKL
from pilotfish.errors import ConfigError
from pilotfish.models.local import LocalModel
from pilotfish.train.examples import Example
from pilotfish.train.loop import fit
from pilotfish.train.settings import Fit
from tests.distill import reference
from tests.tiny import write_lm

torch = pytest.importorskip("torch")

from pilotfish.distill.whitebox import Weighing, WhiteBox  # noqa: E402 needs torch

ROWS = [Example((5, 6, 7, 8, 9), 2, weight=0.5), Example((9, 10, 11), 1), Example((3, 2, 2, 2, 2, 2, 2, 4), 7)]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return write_lm(tmp_path / "student", "gpt2", seed=1), write_lm(tmp_path / "teacher", "gpt2", seed=2)


def loaded(folders: tuple[Path, Path]) -> list[Any]:
    return [LocalModel(folder, dtype="float32", device="cpu").load().model for folder in folders]


def still(model: Any, p: float = 0.0) -> None:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = p


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_each_token_is_judged_where_it_is_predicted(folders: tuple[Path, Path], temperature: float) -> None:
    student, teacher = loaded(folders)
    still(student)
    task = WhiteBox(student, teacher, Weighing(ForwardKL(), 0.7, temperature))
    task.zero_grad()
    total, figures = task(task.prepare(ROWS, 0))
    total.backward()
    mine = {name: weight.grad.clone() for name, weight in student.named_parameters()}
    task.zero_grad()
    wanted = torch.zeros(())
    for row in ROWS:
        ids, at = torch.tensor([row.ids]), slice(row.start - 1, -1)
        z, u = student(input_ids=ids).logits[0, at], teacher(input_ids=ids).logits[0, at].detach()
        labels = torch.tensor(row.ids[row.start :])
        wanted = wanted + row.weight * reference.loss("forward-kl", z, u, labels, 0.7, temperature, 0).sum()
    wanted.backward()
    assert total.item() == pytest.approx(wanted.item(), rel=1e-4)
    for name, weight in student.named_parameters():
        torch.testing.assert_close(mine[name], weight.grad, rtol=1e-3, atol=1e-5)
    assert figures["divergence"] > 0 and figures["cross_entropy"] > 0


def test_a_batch_with_nothing_in_the_loss_is_0(folders: tuple[Path, Path]) -> None:
    student, teacher = loaded(folders)
    task = WhiteBox(student, teacher, Weighing(ForwardKL(), 0.5))
    total, _ = task(task.prepare([Example((5, 6, 7), 3), Example((1, 2), 2)], 0))
    total.backward()
    assert total.item() == 0
    assert all(torch.isfinite(weight.grad).all() for weight in task.parameters() if weight.grad is not None)


def test_the_teacher_neither_learns_nor_drops_out(folders: tuple[Path, Path], tmp_path: Path) -> None:
    student, teacher = loaded(folders)
    teacher.train()
    still(teacher, 0.5)
    before = {name: weight.clone() for name, weight in teacher.state_dict().items()}
    task = WhiteBox(student, teacher, Weighing(ForwardKL()))
    task.train()
    assert not any(weight.requires_grad for weight in teacher.parameters())
    assert all(name.startswith("student.") for name, _ in task.named_parameters())
    rows = task.prepare(ROWS, 0)
    said = []
    for _ in range(2):
        target: Any = task.target(rows, None)
        target.begin(0, 5, 300, 1.0)
        said.append(target._held.clone())
    assert torch.equal(*said)
    fit(task, ROWS, [], Fit(steps=3, rate=1e-2, dtype="float32"), tmp_path / "run", "id", progress=False)
    assert all(torch.equal(weight, before[name]) for name, weight in teacher.state_dict().items())


def test_the_student_drops_out_while_it_learns_and_not_while_it_is_measured(folders: tuple[Path, Path]) -> None:
    student, teacher = loaded(folders)
    still(student, 0.3)
    task = WhiteBox(student, teacher, Weighing(ForwardKL()))
    rows = task.prepare(ROWS, 0)
    task.train()
    with torch.no_grad():
        assert task(rows)[0].item() != task(rows)[0].item()
        task.eval()
        assert task(rows)[0].item() == task(rows)[0].item()


def test_computing_again_changes_nothing(folders: tuple[Path, Path]) -> None:
    from pilotfish.train.lora import adapted

    grads = []
    for again in (False, True):
        student, teacher = loaded(folders)
        still(student)
        model = adapted(student, Fit(recompute=again))
        task = WhiteBox(model, teacher, Weighing(ForwardKL()))
        task.train()
        task(task.prepare(ROWS, 0))[0].backward()
        grads.append([weight.grad for weight in student.parameters()])
        assert bool(getattr(student, "is_gradient_checkpointing", False)) is again
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other)


def test_bfloat16_products_are_near(folders: tuple[Path, Path], tmp_path: Path) -> None:
    losses = []
    for dtype in ("float32", "bfloat16"):
        student, teacher = loaded(folders)
        still(student)
        task = WhiteBox(student, teacher, Weighing(ForwardKL(), 0.5))
        settings = Fit(steps=20, rate=1e-2, dtype=dtype)
        done = fit(task, ROWS, ROWS, settings, tmp_path / dtype, "id", progress=False)
        losses.append(done.looks[20]["loss"])
        assert {weight.dtype for weight in student.parameters()} == {torch.float32}
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_a_teacher_reads_in_its_own_template(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """The answers' tokens are compared wherever each template puts them: one that is longer changes nothing."""
    rows = [{"prompt": f"the cat sat {n}", "answer": f"yes it did {n}"} for n in range(12)]
    template = (folders[1] / "chat_template.jinja").read_text()
    (folders[1] / "chat_template.jinja").write_text("Read this and answer at the end.\n" + template)
    given: dict[str, Any] = {"fit": Fit(steps=2, dtype="float32"), "device": "cpu", "progress": False}
    told = Distiller(*folders, tmp_path / "out", teacher_dtype="float32", **given).fit(rows).report_
    student, teacher = (LocalModel(folder, dtype="float32", device="cpu") for folder in folders)
    held = json.loads((tmp_path / "out" / "pilotfish-distilled.json").read_text())["held_out"]
    assert held == 1
    apart = []
    for row in rows:
        from pilotfish.model import Request
        from pilotfish.train.examples import answered

        request = Request.of(str(row["prompt"]))
        mine, theirs = (answered(one.tokenizer, request, str(row["answer"]), 500) for one in (student, teacher))
        assert theirs.start > mine.start and mine.ids[mine.start :] == theirs.ids[theirs.start :]
        z, u = (
            one.model(input_ids=torch.tensor([read.ids])).logits[0, read.start - 1 : -1].detach()
            for one, read in ((student, mine), (teacher, theirs))
        )
        apart.append(float(reference.divergence("forward-kl", z.softmax(-1), u.softmax(-1)).mean()))
    assert min(abs(told.figures["divergence"].before - one) for one in apart) < 1e-3
    with pytest.raises(ConfigError, match="different chat templates: a cache needs the same"):
        Distiller(*folders, tmp_path / "none", cached=10, **given).fit(rows)
