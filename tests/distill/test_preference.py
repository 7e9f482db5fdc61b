"""Preferences: the gradient against autograd over whole logits, and a student that learns to prefer."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from pilotfish.models.local import LocalModel
from pilotfish.train.examples import Example
from pilotfish.train.loop import fit
from pilotfish.train.settings import Fit
from tests.tiny import write_lm

torch = pytest.importorskip("torch")

from pilotfish.distill.preference import Pair, Preferring, referred  # noqa: E402 needs torch

PAIRS = [
    Pair(Example((5, 6, 7, 8, 9), 3), Example((5, 6, 7, 3), 3), row=0),
    Pair(Example((9, 10, 11), 1), Example((9, 4, 4, 4, 4), 1), weight=0.5, row=1),
]


@pytest.fixture
def local(tmp_path: Path) -> LocalModel:
    return LocalModel(write_lm(tmp_path / "student", "llama", seed=1), dtype="float32", device="cpu").load()


def test_before_anything_is_learnt_the_loss_is_log_2(local: LocalModel) -> None:
    task = Preferring(local.model)
    looked = task.looked(referred(task, PAIRS))
    assert looked["loss"] == pytest.approx(math.log(2), rel=1e-4)
    assert looked["margin"] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_gradient_is_that_of_whole_logits(local: LocalModel, smoothing: float) -> None:
    task = Preferring(local.model, beta=0.3, label_smoothing=smoothing)
    pairs = [Pair(one.chosen, one.rejected, (-20.0, -18.0), one.weight) for one in PAIRS]
    task.zero_grad()
    total, figures = task(task.prepare(pairs, 0))
    total.backward()
    mine = {name: weight.grad.clone() for name, weight in local.model.named_parameters()}
    task.zero_grad()
    wanted = torch.zeros(())
    margins = 0.0
    for pair in pairs:
        said = []
        for row in (pair.chosen, pair.rejected):
            logits = local.model(input_ids=torch.tensor([row.ids])).logits[0, row.start - 1 : -1].log_softmax(-1)
            said.append(logits.gather(1, torch.tensor(row.ids[row.start :])[:, None]).sum())
        margin = (said[0] + 20) - (said[1] + 18)
        log_sigmoid = torch.nn.functional.logsigmoid
        loss = -(1 - smoothing) * log_sigmoid(0.3 * margin) - smoothing * log_sigmoid(-0.3 * margin)
        wanted = wanted + pair.weight * loss
        margins += pair.weight * margin.item()
    wanted.backward()
    assert total.item() == pytest.approx(wanted.item(), rel=1e-4)
    assert figures["margin"].item() == pytest.approx(margins, rel=1e-3)
    for name, weight in local.model.named_parameters():
        torch.testing.assert_close(mine[name], weight.grad, rtol=2e-3, atol=1e-5)


def test_a_student_learns_to_prefer(local: LocalModel, tmp_path: Path) -> None:
    task = Preferring(local.model, beta=0.5)
    pairs = [Pair(Example((5, n, 7, 8), 2, row=n), Example((5, n, 9, 8), 2, row=n), row=n) for n in range(20, 60)]
    pairs = referred(task, pairs)
    train, held = pairs[:30], pairs[30:]
    done = fit(
        task, train, held, Fit(epochs=4, batch_tokens=64, rate=1e-3, dtype="float32"), tmp_path, "id", progress=False
    )
    look = done.looks[done.steps]
    assert look["preferred"] > 0.9 and look["margin"] > 1
    assert look["loss"] < 0.5 * math.log(2)
    assert done.tokens == 4 * 30  # pairs, which are what is counted


def test_rows_of_pairs_make_a_student(tmp_path: Path) -> None:
    from pilotfish.distill.prefer import prefer
    from pilotfish.errors import DataError

    folder = write_lm(tmp_path / "start", "llama", seed=1)
    rows = [{"prompt": f"what is {n}?", "chosen": f"it is {n}", "rejected": f"the dog {n}"} for n in range(30)]
    bad = [{"prompt": "x", "chosen": "a"}, {"prompt": "x", "chosen": "a", "rejected": "a"}]
    settings = Fit(epochs=6, batch_tokens=400, rate=2e-3, dtype="float32")
    report = prefer(folder, [*rows, *bad], tmp_path / "out", fit=settings, held_out=0.3, device="cpu", progress=False)
    assert (report.pairs, report.held_out, report.refused) == (21, 9, 2)
    assert report.preferred.value > 0.9 and report.margin.low > 1
    again = prefer(folder, [*rows, *bad], tmp_path / "out", fit=settings, held_out=0.3, device="cpu", progress=False)
    assert again == report and "chosen answer" in str(report)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "tags: [dpo, pilotfish]" in card and "21 pairs; 9 were held out" in card and str(tmp_path) not in card
    told = LocalModel(tmp_path / "out", dtype="float32", device="cpu")
    assert told.score([("the", " cat")])[0].total < 0
    with pytest.raises(DataError, match="no row gives a pair"):
        prefer(folder, bad, tmp_path / "none", progress=False)
