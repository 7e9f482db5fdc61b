"""The cross-entropy task against whole logits; plans, rates and examples."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.errors import DataError
from pilotfish.model import Request
from pilotfish.models.local import LocalModel
from pilotfish.train.examples import Example, answered, pieces
from pilotfish.train.plan import batches, planned, rate_at
from pilotfish.train.settings import Fit
from tests.tiny import write_lm

torch = pytest.importorskip("torch")

from pilotfish.train.causal import Causal  # noqa: E402 needs torch


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    folder: Path = write_lm(tmp_path_factory.mktemp("lm") / "lm", "llama")
    return LocalModel(folder, dtype="float32", device="cpu").load()


def test_losses_are_those_of_whole_logits_alone(local: LocalModel) -> None:
    texts = ["the cat sat", "the dog did not, it's 2024 and the bird sang a song of the sea " * 3]
    examples = pieces(local.tokenizer, texts, 200)
    losses, counts = Causal(local.model, batch_tokens=10_000).each(examples)
    for example, loss, count in zip(examples, losses, counts, strict=True):
        whole = local.model(input_ids=torch.tensor([example.ids])).logits[0].detach().log_softmax(-1)
        wanted = -float(whole[range(len(example.ids) - 1), example.ids[1:]].sum())
        assert loss == pytest.approx(wanted, rel=1e-5)
        assert count == len(example.ids) - 1


def test_padding_is_told_by_length_and_never_by_an_id(local: LocalModel) -> None:
    pad = local.tokenizer.pad_token_id  # the end token, as in many models
    assert pad == local.tokenizer.eos_token_id
    rows = [Example((5, 6, pad), 1), Example((9, 10, pad, 11, 12, 13, 14, pad), 2), Example((4, pad, pad, 7), 3)]
    task = Causal(local.model, batch_tokens=10_000)
    together = task.each(rows)[0]
    alone = [float(task.each([row])[0][0]) for row in rows]
    assert together == pytest.approx(alone, rel=1e-5)
    assert task.each(rows)[1].tolist() == [2, 6, 1]


def test_gradients_are_those_of_whole_logits(local: LocalModel) -> None:
    rows = [Example((5, 6, 7, 8), 2, weight=0.5), Example((9, 10, 11), 1)]
    task = Causal(local.model)
    task.zero_grad()
    task(task.prepare(rows, 0))[0].backward()
    mine = {name: weight.grad.clone() for name, weight in local.model.named_parameters()}
    task.zero_grad()
    total = 0.0
    for row in rows:
        logits = local.model(input_ids=torch.tensor([row.ids])).logits[0]
        labels = torch.tensor(row.ids[row.start :])
        part = torch.nn.functional.cross_entropy(logits[row.start - 1 : -1], labels, reduction="sum")
        total = total + row.weight * part
    total.backward()  # type: ignore[attr-defined]
    for name, weight in local.model.named_parameters():
        torch.testing.assert_close(mine[name], weight.grad, rtol=1e-4, atol=1e-6)


def test_long_texts_are_cut_so_that_each_token_is_predicted_once(local: LocalModel) -> None:
    text = "the dog did not, it's 2024 and the bird sang " * 9
    whole = [*local.tokenizer(text)["input_ids"], local.tokenizer.eos_token_id]
    found = pieces(local.tokenizer, [text], 16)
    assert all(len(one.ids) <= 16 for one in found)
    assert [token for one in found for token in one.ids[one.start :]] == whole[1:]


def test_a_long_answer_loses_its_end_and_never_its_prompt(local: LocalModel) -> None:
    request = Request.of("what is it?")
    whole = answered(local.tokenizer, request, "it is the cat and the dog", 500)
    assert whole.ids[-1] == local.tokenizer.eos_token_id
    prompt = local.tokenizer(local.render(request))["input_ids"]
    assert list(whole.ids[: whole.start]) == prompt  # what the model is asked with, to the token
    short = answered(local.tokenizer, request, "it is the cat and the dog", whole.start + 2)
    assert short.ids == whole.ids[: whole.start + 2] and short.start == whole.start
    with pytest.raises(DataError, match="all there is room for"):
        answered(local.tokenizer, request, "it is", whole.start)
    with pytest.raises(DataError, match="the answer is empty"):
        answered(local.tokenizer, request, "", 500)


def test_the_rate_rises_then_falls() -> None:
    fit = Fit(rate=2.0, warmup=0.1)
    rates = [rate_at(step, 100, fit) for step in range(100)]
    assert rates[0] == pytest.approx(0.2) and max(rates) == 2.0 == rates[9] == rates[10]
    assert rates[-1] < 0.01 and all(a >= b for a, b in itertools.pairwise(rates[10:]))
    assert rate_at(55, 100, Fit(rate=2.0, warmup=0.1, schedule="linear")) == pytest.approx(1.0)
    assert rate_at(99, 100, Fit(rate=2.0, warmup=0.0, schedule="constant")) == 2.0


@settings(max_examples=50, deadline=None)
@given(
    lengths=st.lists(st.integers(2, 30), min_size=1, max_size=60),
    budget=st.integers(5, 200),
    accumulate=st.integers(1, 4),
    epochs=st.integers(1, 3),
    seed=st.integers(0, 9),
)
def test_a_plan_sees_every_example_once_an_epoch(
    lengths: list[int], budget: int, accumulate: int, epochs: int, seed: int
) -> None:
    examples = [Example(tuple(range(length)), 1) for length in lengths]
    fit = Fit(epochs=epochs, batch_tokens=budget, accumulate=accumulate, seed=seed)
    plan = planned(examples, fit)
    assert plan == planned(examples, fit)
    seen = [i for step in plan for rows in step for i in rows]
    assert sorted(seen) == sorted([*range(len(lengths))] * epochs)
    assert all(len(step) == accumulate for step in plan[:-1]) and 1 <= len(plan[-1]) <= accumulate
    for step in plan:
        for rows in step:
            assert len(rows) == 1 or len(rows) * max(lengths[i] for i in rows) <= budget
    steps = planned(examples, Fit(steps=7, batch_tokens=budget, accumulate=accumulate, seed=seed))
    assert len(steps) == 7


def test_batches_keep_the_order() -> None:
    found = batches([3, 3, 9, 1, 50, 2], 12)
    assert [row for batch in found for row in batch] == list(range(6))
    assert np.array([len(batch) for batch in found]).tolist() == [2, 1, 1, 1, 1]
