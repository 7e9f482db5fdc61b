"""Learning: losses against their formulas, in-batch negatives, a teacher's order, and a run that was killed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.retrieve.late.encoder import LateEncoder
from pilotfish.retrieve.late.losses import contrastive_loss, distillation_loss, maxsim_scores, scaled
from pilotfish.retrieve.late.maxsim import maxsim
from pilotfish.retrieve.late.settings import LateSettings
from pilotfish.retrieve.late.teach import Candidates, LateLearner, Triple
from pilotfish.train import loop
from pilotfish.train.checkpoint import Checkpoint
from pilotfish.train.settings import Fit
from tests.retrieve.late.made import documents, queries_of

torch = pytest.importorskip("torch")

FIT = Fit(epochs=6, batch_tokens=800, rate=2e-3, dtype="float32")
SETTINGS = LateSettings(query_length=10, document_length=16)
WORDS = "cat dog bird mat song sea card refund rate text category money exchange answer name".split()  # noqa: SIM905


@pytest.fixture(scope="module")
def encoder(tiny_encoder_folder: Path) -> LateEncoder:
    return LateEncoder(tiny_encoder_folder, SETTINGS, dimension=16, device="cpu")


def triples(count: int, *, seed: int = 0) -> list[Triple]:
    """A query names two things, and so does its passage, behind another marker."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        one, two, three = random.choice(WORDS, 3, replace=False)
        found.append(Triple(f"{one} {two}", f"the {one} {two}", (f"the {one} {three}",)))
    return found


def test_scores_in_torch_are_maxsim() -> None:
    some = documents(5, 8)
    asked = queries_of(some, 3)

    def padded(rows: list[np.ndarray[tuple[int, int], np.dtype[np.float32]]]) -> tuple[object, object]:
        most = max(map(len, rows))
        held = np.full((len(rows), most, 8), 7.0, np.float32)  # what is padded must not count
        kept = np.zeros((len(rows), most), bool)
        for place, row in enumerate(rows):
            held[place, : len(row)], kept[place, : len(row)] = row, True
        return torch.from_numpy(held), torch.from_numpy(kept)

    got = maxsim_scores(*padded(asked), *padded(some))
    np.testing.assert_allclose(got.numpy(), np.stack([maxsim(query, some) for query in asked]), rtol=1e-5, atol=1e-5)
    vectors, kept = padded(some)
    own = maxsim_scores(*padded(asked), vectors[None].expand(3, -1, -1, -1), kept[None].expand(3, -1, -1))  # type: ignore[index]
    torch.testing.assert_close(own, got)


def test_the_losses_are_their_formulas() -> None:
    scores = torch.tensor([[2.0, 1.0, 0.0], [0.5, 0.0, 3.0]])
    found = contrastive_loss(scores, torch.tensor([0, 1]), 0.5)
    expected = [math.log(sum(math.exp(2 * (x - own)) for x in row)) for row, own in (((2, 1, 0), 2), ((0.5, 0, 3), 0))]
    torch.testing.assert_close(found, torch.tensor(expected))
    there = torch.tensor([[True, True, True], [True, True, False]])
    torch.testing.assert_close(scaled(scores, there)[0], torch.tensor([1.0, 0.5, 0.0]))
    torch.testing.assert_close(scaled(scores, there)[1, :2], torch.tensor([1.0, 0.0]))
    teacher = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 9.0]])
    got = distillation_loss(scores, teacher, there, 1.0)

    def softmax(row: tuple[float, ...]) -> list[float]:
        return [math.exp(x) / sum(map(math.exp, row)) for x in row]

    for number, (mine, theirs) in enumerate((((2, 1, 0), (1, 0, 0)), ((0.5, 0), (1, 0)))):
        p, q = softmax(theirs), softmax(mine)
        assert got[number].item() == pytest.approx(
            sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)), abs=1e-5
        )
    torch.testing.assert_close(distillation_loss(teacher, teacher, there, 1.0), torch.zeros(2))


def test_triples_are_learnt_and_saved(encoder: LateEncoder, tmp_path: Path) -> None:
    before = encoder.queries(["cat dog"])[0].copy()
    learner = LateLearner(encoder, FIT, held_out=0.2).fit(triples(300))
    told = learner.report_
    assert told.queries + told.held_out == 300
    assert told.before is not None
    assert told.after is not None
    assert told.after.low > told.before.high
    assert told.after.value > 0.6
    np.testing.assert_array_equal(encoder.queries(["cat dog"])[0], before)
    assert np.abs(learner.encoder_.queries(["cat dog"])[0] - before).max() > 0.01
    learner.save(tmp_path / "taught")
    again = LateEncoder(tmp_path / "taught", device="cpu")
    np.testing.assert_allclose(again.queries(["cat dog"])[0], learner.encoder_.queries(["cat dog"])[0], atol=1e-5)
    assert again.settings == SETTINGS


def test_a_teachers_order_is_learnt(encoder: LateEncoder) -> None:
    random = np.random.default_rng(0)
    examples = []
    for one in triples(300):
        passages = (one.positive, *one.negatives, f"the {random.choice(WORDS)}")
        scores = (9.0, 1.0, 3.0)
        count = 3 if passages[2] not in passages[:2] and random.random() < 0.7 else 2
        order = random.permutation(count)
        examples.append(Candidates(one.query, tuple(passages[i] for i in order), tuple(scores[i] for i in order)))
    how = Fit(epochs=12, batch_tokens=800, rate=5e-3, dtype="float32")
    report = LateLearner(encoder, how, held_out=0.2, temperature=0.3).fit(examples).report_
    assert report.before is not None
    assert report.after is not None
    assert report.after.value > 0.85
    assert report.after.low > report.before.value


def test_adapters_learn_too(encoder: LateEncoder) -> None:
    pytest.importorskip("peft")
    how = Fit(epochs=8, batch_tokens=800, rate=1e-2, rank=8, dtype="float32")
    learner = LateLearner(encoder, how, held_out=0.2).fit(triples(300))
    assert learner.report_.before is not None
    assert learner.report_.after is not None
    assert learner.report_.after.value > learner.report_.before.value
    assert not [name for name, _ in learner.encoder_.module.named_parameters() if "lora" in name]


def test_a_killed_training_goes_on(encoder: LateEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    how = Fit(epochs=1, batch_tokens=150, rate=1e-3, dtype="float32", every=1)
    some = triples(40)
    whole = LateLearner(encoder, how, held_out=0.0, folder=tmp_path / "whole").fit(some)
    assert whole.report_.steps > 4
    assert whole.report_.after is None
    writes = 0
    write = Checkpoint.write

    def killed(self: Checkpoint, *given: object, **named: object) -> None:
        nonlocal writes
        write(self, *given, **named)  # type: ignore[arg-type]
        writes += 1
        if writes == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        LateLearner(encoder, how, held_out=0.0, folder=tmp_path / "cut").fit(some)
    monkeypatch.undo()
    steps: list[int] = []
    step = loop._Run._step

    def noted(self: Any, number: int) -> dict[str, float]:
        steps.append(number)
        return step(self, number)

    monkeypatch.setattr(loop._Run, "_step", noted)
    again = LateLearner(encoder, how, held_out=0.0, folder=tmp_path / "cut").fit(some)
    assert steps[0] == 3
    for mine, theirs in zip(again.encoder_.queries(WORDS), whole.encoder_.queries(WORDS), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_what_is_wrong_is_said(encoder: LateEncoder) -> None:
    learner = LateLearner(encoder, FIT)
    one = Triple("cat", "the dog")
    with pytest.raises(DataError, match="at least two"):
        learner.fit([one])
    with pytest.raises(DataError, match="give one kind"):
        learner.fit([one, Candidates("a", ("b", "c"), (1.0, 0.0))])  # type: ignore[arg-type]
    with pytest.raises(DataError, match="triple 2: its positive"):
        learner.fit([one, Triple("cat", "the dog", ("the dog",))])
    with pytest.raises(DataError, match="candidates 1: two passages"):
        learner.fit([Candidates("a", ("b",), (1.0,))] * 2)
    with pytest.raises(DataError, match="candidates 1: a passage twice"):
        learner.fit([Candidates("a", ("b", "b"), (1.0, 2.0))] * 2)
    with pytest.raises(ConfigError, match="temperature"):
        LateLearner(encoder, temperature=0.0)
