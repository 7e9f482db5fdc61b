"""Gradient influence: the sketch's products, Adam's step, single gradients, and their sum."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.curate import curate
from pilotfish.curate.influence import Influence, influences
from pilotfish.curate.influence import influence as module
from pilotfish.curate.influence.gradients import Moments, gradients
from pilotfish.curate.influence.sketch import Sketch
from pilotfish.errors import ConfigError, DataError
from pilotfish.models.local import LocalModel
from pilotfish.train.causal import Causal
from pilotfish.train.examples import pieces
from pilotfish.train.lora import adapted
from pilotfish.train.settings import Fit

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

FIT = Fit(epochs=2, rank=4, rate=5e-3, batch_tokens=128, dtype="float32")


def test_products_of_sketches_are_right_on_average() -> None:
    random = np.random.default_rng(0)
    x, y = (torch.from_numpy(random.normal(size=3000).astype(np.float32)) for _ in range(2))
    y = 0.5 * x + y
    found = []
    for seed in range(300):
        sketch = Sketch(3000, 512, seed=seed)
        found.append(float(sketch(x) @ sketch(y)))
    spread = float(x.norm() * y.norm()) / 512**0.5
    assert np.mean(found) == pytest.approx(float(x @ y), abs=4 * spread / 300**0.5)
    assert 0.5 * spread < np.std(found) < 2 * spread
    first = Sketch(3000, 512, seed=1)
    torch.testing.assert_close(first(x + 2 * y), first(x) + 2 * first(y), atol=1e-3, rtol=1e-3)
    for wrong in ((0, 8), (5, 7)):
        with pytest.raises(ConfigError):
            Sketch(*wrong)


def test_the_direction_is_adam_s_own_step() -> None:
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(30))
    optimizer = torch.optim.AdamW([weight], lr=1e-3, weight_decay=0.0)
    for _ in range(5):
        weight.grad = torch.randn(30)
        optimizer.step()
    state = optimizer.state[weight]
    moments = Moments(state["exp_avg"].clone(), state["exp_avg_sq"].clone(), int(state["step"]))
    gradient, before = torch.randn(30), weight.detach().clone()
    weight.grad = gradient
    optimizer.step()
    torch.testing.assert_close(moments.update(gradient), (before - weight.detach()) / 1e-3, atol=2e-3, rtol=2e-3)


@pytest.fixture(scope="module")
def folder(tiny_folder: Callable[..., Path]) -> Path:
    return tiny_folder("llama", "plain")


def test_each_gradient_is_of_one_example_s_mean_loss(folder: Path) -> None:
    local = LocalModel(folder, dtype="float32", device="cpu").load()
    task = Causal(adapted(local.model, FIT), name="tiny")
    weights = {name: value for name, value in task.named_parameters() if value.requires_grad}
    examples = pieces(local.tokenizer, ["the cat sat on the mat", "a refund"], 64)
    found = list(gradients(task, examples, weights))
    for example, gradient in zip(examples, found, strict=True):
        ids = torch.tensor([example.ids])
        logits = task.student(input_ids=ids).logits[0, :-1]
        loss = torch.nn.functional.cross_entropy(logits, ids[0, 1:])
        wanted = torch.autograd.grad(loss, list(weights.values()))
        torch.testing.assert_close(gradient, torch.cat([one.reshape(-1) for one in wanted]), atol=1e-5, rtol=1e-4)


CATS = [{"instruction": f"say {i}", "output": f"the cat sat on the mat, the cat {i}"} for i in range(10)]
NOISE = [{"instruction": f"say {i}", "output": f"zq{i * 7} xv{i} jk{i} wq bn{i * 3}"} for i in range(10)]
WANTED = [{"instruction": f"say {i}", "output": f"the cat sat on the cat, the mat {i}"} for i in range(90, 94)]


def test_rows_like_those_that_are_wanted_have_more_influence(folder: Path, tmp_path: Path) -> None:
    rows = [row for pair in zip(CATS, NOISE, strict=True) for row in pair] + [{"instruction": "x", "output": " "}]
    how = replace(FIT, epochs=4, rate=1e-2)
    step = Influence(folder, WANTED, warm_up=1.0, fit=how, size=1024, length=64, device="cpu")
    curate(rows, [step], tmp_path / "out", text="output", progress=False)
    kept, dropped = (
        [json.loads(line) for line in (tmp_path / "out" / f"{name}.jsonl").read_text().splitlines()]
        for name in ("kept", "dropped")
    )
    values = {row["output"]: row["influence"] for row in kept}
    cats, noise = ([values[row["output"]] for row in some] for some in (CATS, NOISE))
    above = np.mean([a > b for a in cats for b in noise])
    assert above > 0.9 and len(dropped) == 1
    assert dropped[0]["reason"].startswith("influence.none")


def test_it_is_the_sum_of_rates_times_cosines(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    real = module._at

    def noted(*given: Any, **settings: Any) -> Any:
        seen.append(real(*given, **settings))
        return seen[-1]

    monkeypatch.setattr(module, "_at", noted)
    wanted = [{**row, "task": "ab"[i % 2]} for i, row in enumerate(WANTED)]
    given: dict[str, Any] = {"fit": FIT, "warm_up": 0.5, "size": 128, "length": 64, "device": "cpu", "progress": False}
    found = influences(folder, CATS, wanted, tmp_path, task="task", **given)
    log = next(tmp_path.iterdir()) / "warm-up" / "log.jsonl"
    rates = [json.loads(line)["rate"] for line in log.read_text().splitlines()]
    both = list(zip(np.array_split(rates, 2), seen, strict=True))

    def by_hand(which: list[int]) -> Any:
        return sum(np.mean(half) * (mine @ theirs[which].mean(axis=0)) for half, (mine, theirs) in both)

    a, b = by_hand([0, 2]), by_hand([1, 3])
    np.testing.assert_allclose(found, np.maximum(a, b), rtol=1e-5)
    assert all(np.allclose(np.linalg.norm(one, axis=1), 1, atol=1e-5) for pair in seen for one in pair)


def test_a_stopped_run_goes_on(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {"fit": FIT, "warm_up": 0.5, "size": 128, "length": 64, "device": "cpu", "progress": False}
    whole = influences(folder, CATS, WANTED, tmp_path / "whole", **given)
    monkeypatch.setattr(module, "_PIECE", 3)
    from pilotfish.curate.influence import gradients as inner

    made: list[int] = []
    real = inner.sketched

    def counted(task: Any, examples: Any, *rest: Any) -> Any:
        made.append(len(examples))
        if len(made) == 3:
            raise KeyboardInterrupt
        return real(task, examples, *rest)

    monkeypatch.setattr(inner, "sketched", counted)
    with pytest.raises(KeyboardInterrupt):
        influences(folder, CATS, WANTED, tmp_path / "broken", **given)
    found = influences(folder, CATS, WANTED, tmp_path / "broken", **given)
    np.testing.assert_allclose(found, whole, rtol=1e-5)
    assert sum(made) == 2 * (10 + 4) + 3  # each gradient once, and the piece in which it stopped


def test_settings_that_cannot_be(folder: Path, tmp_path: Path) -> None:
    for wrong in ({"warm_up": 0.0}, {"fit": Fit(steps=3, rank=4)}, {"fit": Fit(epochs=2)}):
        with pytest.raises(ConfigError):
            Influence(folder, WANTED, **wrong)
    with pytest.raises(DataError, match="no wanted row has an answer"):
        influences(folder, CATS, [{"instruction": "x"}], tmp_path, fit=FIT, device="cpu")
    mine, other = (Influence(folder, rows, size=size) for rows, size in ((WANTED, 64), (WANTED[1:], 64)))
    assert mine.config() != other.config()
