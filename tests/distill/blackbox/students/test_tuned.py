"""The encoder student: its loss, what it learns, that a killed fit goes on, and that it is saved whole."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pilotfish.distill.blackbox.students import EncoderStudent, TeacherLabels
from pilotfish.distill.blackbox.students.tuned import label_loss
from pilotfish.errors import ConfigError, ModelError
from pilotfish.models.classify import TextClassifier
from pilotfish.models.encoder import Encoder
from pilotfish.train.settings import Fit

torch = pytest.importorskip("torch")

WORDS = {"refund": ["refund", "money", "failed"], "card": ["card", "arrived", "yet"]}
CLASSES = sorted(WORDS)
FAST = Fit(epochs=4, batch_tokens=128, rate=1e-3, dtype="float32")


def texts(count: int, seed: int) -> tuple[list[str], list[str]]:
    random = np.random.default_rng(seed)
    labels = [CLASSES[i] for i in random.integers(0, 2, count)]
    other = ["the", "cat", "sat", "on", "dog", "bird", "sang", "song"]
    return [" ".join(random.permutation([random.choice(WORDS[y]), *random.choice(other, 3)])) for y in labels], labels


def accuracy(student: EncoderStudent, given: list[str], labels: list[str]) -> float:
    return float(np.mean([a == b for a, b in zip(student.predict(given), labels, strict=True)]))


def test_it_learns_from_people_and_teacher_and_the_given_encoder_stays(tiny_encoder: Encoder, tmp_path: Path) -> None:
    few, few_y = texts(16, 1)
    more, more_y = texts(150, 2)
    test, test_y = texts(100, 3)
    soft = np.array([[0.85 if name == label else 0.15 for name in CLASSES] for label in [*few_y, *more_y]])
    before = tiny_encoder.encode(test)
    student = EncoderStudent(tiny_encoder, temperature=2.0, fit=FAST, head_rate=10)
    student.fit([*few, *more], [*few_y, *[None] * 150], TeacherLabels(tuple(CLASSES), soft))
    assert accuracy(student, test, test_y) > 0.9
    np.testing.assert_array_equal(tiny_encoder.encode(test), before)
    assert np.abs(student.tuned_.encode(test) - before).max() > 1e-3
    student.save(tmp_path / "a")
    expected = student.predict_proba(test)
    np.testing.assert_allclose(TextClassifier.load(tmp_path / "a").predict_proba(test), expected, atol=1e-5)
    shutil.move(tmp_path / "a", tmp_path / "b")
    assert str(tmp_path) not in (tmp_path / "b" / "encoder.json").read_text()
    moved = EncoderStudent.load(tmp_path / "b")
    np.testing.assert_allclose(moved.predict_proba(test), expected, atol=1e-5)
    np.testing.assert_allclose(TextClassifier.load(tmp_path / "b").predict_proba(test), expected, atol=1e-5)
    assert moved.report_ == student.report_
    with pytest.raises(ModelError):
        EncoderStudent.load(tmp_path / "a")


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_loss_is_its_formula_and_its_gradient_is_right(temperature: float) -> None:
    torch.manual_seed(1)
    z = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    gold, soft = torch.tensor([2, 0, 1, 0]), torch.softmax(torch.randn(4, 3, dtype=torch.float64), dim=1)
    soft[1] = torch.tensor([1.0, 0.0, 0.0])  # 0 log 0 is 0
    soft[3] = 0.0
    by_gold, by_teacher = torch.tensor([0.3, 0.0, 0.3, 0.3]), torch.tensor([0.7, 0.7, 0.7, 0.0])
    got = label_loss(z, gold, soft, by_gold, by_teacher, temperature)
    for row in range(4):
        p = torch.softmax(z[row].detach(), 0).numpy()
        q = torch.softmax(z[row].detach() / temperature, 0).numpy()
        kl = sum(float(t) * np.log(float(t) / s) for t, s in zip(soft[row], q, strict=True) if t > 0)
        expected = float(by_gold[row]) * -np.log(p[gold[row]]) + float(by_teacher[row]) * temperature**2 * kl
        assert got[row].item() == pytest.approx(expected, rel=1e-6)
    assert torch.autograd.gradcheck(lambda x: label_loss(x, gold, soft, by_gold, by_teacher, temperature), (z,))
    same = torch.softmax(z.detach() / temperature, dim=1)
    nothing = label_loss(z, gold, same, torch.zeros(4), torch.ones(4), temperature)
    np.testing.assert_allclose(nothing.detach().numpy(), 0, atol=1e-12)


def test_a_stopped_fit_goes_on_to_the_same_weights(tiny_encoder: Encoder, tmp_path: Path) -> None:
    some, labels = texts(40, 5)
    whole = EncoderStudent(tiny_encoder, fit=FAST, alpha=1.0).fit(some, labels)

    from pilotfish.train import loop

    class Stopped(Exception):  # noqa: N818
        pass

    step = loop._Run._step

    def stopping(self: loop._Run, number: int) -> dict[str, float]:
        if number == 5:
            raise Stopped
        return step(self, number)

    often = replace(FAST, every=2)
    patch = pytest.MonkeyPatch()
    patch.setattr(loop._Run, "_step", stopping)
    with pytest.raises(Stopped):
        EncoderStudent(tiny_encoder, fit=often, alpha=1.0, folder=tmp_path).fit(some, labels)
    patch.undo()
    again = EncoderStudent(tiny_encoder, fit=often, alpha=1.0, folder=tmp_path).fit(some, labels)
    np.testing.assert_allclose(again.coef_, whole.coef_, atol=1e-5)
    np.testing.assert_allclose(again.tuned_.encode(some), whole.tuned_.encode(some), atol=1e-5)


def test_settings_are_checked(tiny_encoder: Encoder) -> None:
    some, labels = texts(20, 6)
    with pytest.raises(ConfigError, match="temperature"):
        EncoderStudent(tiny_encoder, temperature=0.0).fit(some, labels)
