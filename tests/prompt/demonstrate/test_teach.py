"""A retriever that learns from a language model's feedback: the figures, the loss, and that it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.model import Request
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from pilotfish.models.reader import Reader
from pilotfish.prompt.demonstrate import (
    ByWords,
    Demonstration,
    Feedback,
    Form,
    Pool,
    RetrieverLearner,
    by_choices,
    by_reading,
    feedback,
    taught_finder,
)
from pilotfish.prompt.demonstrate.feedback import proposed
from pilotfish.prompt.demonstrate.teach import FIT, contrastive_loss

POOL = Pool(
    (
        Demonstration("the cat sat on the mat", "refund"),
        Demonstration("where is my card", "card arrival"),
        Demonstration("my card has not arrived", "card arrival"),
        Demonstration("the top up failed", "refund"),
    )
)
TRIED = [[1, 2], [2, 3], [1, 0], [0, 1]]


def test_reading_gives_what_scoring_gives(tiny_lm: LocalModel, tiny_folder: Any, tmp_path: Path) -> None:
    judge = by_reading(Reader(tiny_folder(), dtype="float32", device="cpu"))
    told = feedback(POOL, range(4), TRIED, judge, tmp_path / "run", progress=False)
    assert [one.place for one in told] == [0, 1, 2, 3]
    for one in told:
        for place, score in zip(one.places, one.scores, strict=True):
            request = Form().shown(Request.of(POOL.inputs[one.place]), [POOL.demonstrations[place]])
            (wanted,) = tiny_lm.score([(tiny_lm.render(request), POOL.outputs[one.place])])
            assert score == pytest.approx(wanted.total, abs=2e-3)
    # What has been judged is not judged again.
    again = feedback(POOL, range(4), TRIED, lambda asked: 1 / 0, tmp_path / "run", progress=False)  # type: ignore[arg-type,return-value]
    assert again == told
    with pytest.raises(ConfigError):
        feedback(POOL, range(4), TRIED, judge, tmp_path / "run", judge_is="another", progress=False)


def test_choices_are_normalised_over_the_answers(tiny_lm: LocalModel, tmp_path: Path) -> None:
    names = {"refund": "refund", "card arrival": "card arrival"}
    told = feedback(POOL, range(4), TRIED, by_choices(tiny_lm, names), tmp_path / "run", progress=False)
    for one in told:
        for place, score in zip(one.places, one.scores, strict=True):
            request = Form().shown(Request.of(POOL.inputs[one.place]), [POOL.demonstrations[place]])
            raw = tiny_lm.choices([tiny_lm.render(request)], list(names))[0]
            own = raw[list(names).index(POOL.outputs[one.place])]
            assert score == pytest.approx(own - np.logaddexp.reduce(raw), abs=1e-3)
    with pytest.raises(ConfigError, match="two outputs"):
        by_choices(tiny_lm, {"refund": "refund"})
    with pytest.raises(DataError, match="none of the 2 answers"):
        by_choices(tiny_lm, {"a": "a", "b": "b"})([(Request.of("x"), "refund")])


def test_what_has_no_room_is_left_out(tiny_folder: Any, tmp_path: Path) -> None:
    held = Pool((Demonstration("a", "b"), Demonstration("long " * 900, "c"), Demonstration("d", "e")))
    judge = by_reading(Reader(tiny_folder(), dtype="float32", device="cpu"))
    told = feedback(held, [0], [[1, 2]], judge, tmp_path / "run", progress=False)
    assert told[0].places == (2,)
    with pytest.raises(DataError, match="longer than the model takes"):
        feedback(held, [0], [[1]], judge, tmp_path / "other", progress=False)


def test_near_ones_and_some_by_chance_are_tried_and_never_itself() -> None:
    rows = tuple(Demonstration(f"question number {number} of a cat", str(number)) for number in range(40))
    held = Pool((*rows, Demonstration("Question number 3 of a cat!", "again")))
    tried = proposed(ByWords(held), [3, 7], near=4, chance=5)
    for place, some in zip([3, 7], tried, strict=True):
        assert len(some) == len(set(some)) == 9 and place not in some
    assert 40 not in tried[0]
    assert tried == proposed(ByWords(held), [3, 7], near=4, chance=5)
    assert tried != proposed(ByWords(held), [3, 7], near=4, chance=5, seed=1)


def test_the_loss_is_the_definition() -> None:
    import torch

    random = np.random.default_rng(0)
    found = torch.tensor(random.normal(size=(3, 3, 5)), dtype=torch.float64)
    wrong = torch.zeros(3, 6, dtype=torch.bool)
    wrong[0, 4] = True
    told = contrastive_loss(found, wrong, 0.5).numpy()
    unit = found.numpy() / np.linalg.norm(found.numpy(), axis=-1, keepdims=True)
    shown = np.concatenate([unit[:, 1], unit[:, 2]])
    for row in range(3):
        scores = shown @ unit[row, 0] / 0.5
        kept = [at for at in range(6) if not (row == 0 and at == 4)]
        assert told[row] == pytest.approx(np.logaddexp.reduce(scores[kept]) - scores[row])


def kinds() -> tuple[Pool, list[Feedback]]:
    """Questions of two kinds, told by one word of five; only those of the same kind help, whatever they are about."""
    words = ["cat", "dog", "bird", "sea", "song", "mat", "rate", "text"]
    made = []
    for at in range(64):
        topic, other = words[at // 2 % 8], words[at // 16]
        made.append(Demonstration(f"{topic} {other} {topic} {('refund', 'exchange')[at % 2]} {topic}", "x"))
    told = []
    random = np.random.default_rng(0)
    for place in range(64):
        near = place + 1 - 2 * (place % 2)  # the same words but for the one that counts
        tried = [near, *(int(one) for one in random.permutation(64) if one not in (place, near))][:10]
        told.append(Feedback(place, tuple(tried), tuple(float(one % 2 == place % 2) for one in tried)))
    return Pool(tuple(made)), told


def test_it_learns_what_helped_and_is_kept(tiny_encoder: Encoder, tmp_path: Path) -> None:
    held, told = kinds()
    how = replace(FIT, epochs=6, rate=2e-3, batch_tokens=1024)
    learner = RetrieverLearner(tiny_encoder, how, held_out=0.25, folder=tmp_path / "run").fit(held, told)
    report = learner.report_
    assert report.before is not None and report.after is not None and report.gain is not None
    assert report.before.value < 0.3 and report.after.value > 0.9
    assert report.gain.low > 0.3 and report.best == 1.0
    assert "gain" in str(report)
    learner.save(tmp_path / "retriever")
    finder = taught_finder(tmp_path / "retriever", held)
    texts = [f"{one.input}\n{one.output}" for one in held.demonstrations]
    both = learner.encoder_.encode([held.inputs[0], *texts])
    np.testing.assert_allclose(finder.scores([held.inputs[0]])[0], both[1:] @ both[0], atol=1e-4)
    assert type(report).from_json(report.to_json()) == report


def test_what_teaches_nothing_is_told(tiny_encoder: Encoder, tmp_path: Path) -> None:
    held, told = kinds()
    flat = [replace(one, scores=(1.0,) * len(one.scores)) for one in told]
    with pytest.raises(DataError, match="nothing to learn from"):
        RetrieverLearner(tiny_encoder).fit(held, flat)
    for settings in ({"positives": 0}, {"temperature": 0}, {"held_out": 1}):
        with pytest.raises(ConfigError):
            RetrieverLearner(tiny_encoder, **settings)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="not a saved retriever"):
        taught_finder(tmp_path, held)


def test_the_worst_are_never_positives(tiny_encoder: Encoder) -> None:
    learner = RetrieverLearner(tiny_encoder, positives=3)
    groups = learner._groups(Feedback(9, (1, 2, 3, 4, 5), (0.1, 0.5, 0.5, -1.0, 0.2)))
    assert groups == [(9, 2, 4), (9, 3, 1)]
    assert learner._groups(Feedback(9, (1, 2), (0.5, 0.5))) == []
