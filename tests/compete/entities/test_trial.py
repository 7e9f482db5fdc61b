"""What a split would have done: against brute force, and an accuracy that holds as often as is promised."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.compete.entities import EntityBase, LinkedModel, Linker, Mention, SplitTrial, tried
from pilotfish.errors import ConfigError, DataError
from tests.compete.entities.made import mentions
from tests.fakes import ScriptedModel


def test_both_are_asked_about_every_mention(base: EntityBase) -> None:
    linker = Linker(base)
    large = ScriptedModel(lambda request: "A" if "radium" in request.prompt else "hm", name="big")
    told = [*mentions(), (Mention.alone("Zyxq"), None)]
    trial = asyncio.run(tried(LinkedModel(linker, large), told))
    small = [None if one.entity is None else one.entity.id for one in linker.link([mention for mention, _ in told])]
    assert trial.small.tolist() == [float(one == gold) for one, (_, gold) in zip(small, told, strict=True)]
    asked = len(large.requests)
    assert asked <= len(told) - 1 and (trial.tokens > 0).sum() == asked and trial.tokens[-1] == 0
    assert trial.large[-1] == 1.0 and trial.unread == sum("radium" not in one.prompt for one in large.requests)
    with pytest.raises(ConfigError, match="no large model"):
        asyncio.run(tried(LinkedModel(linker), mentions()))


rows = st.lists(st.tuples(st.sampled_from([0.1, 0.4, 0.9]), st.booleans(), st.booleans()), min_size=2, max_size=15)


@settings(max_examples=8)
@given(rows, st.sampled_from([0.0, 0.3, 0.4, 0.95]))
def test_a_threshold_by_hand(some: list[tuple[float, bool, bool]], above: float) -> None:
    columns = np.array(some, float).T
    trial = SplitTrial(columns[0], columns[1], columns[2], np.full(len(some), 5.0))
    found = trial.at(above)
    right = [small if ease >= above else large for ease, small, large in some]
    assert found["accuracy"].value == pytest.approx(np.mean(right))
    hard = np.mean([ease < above for ease, _, _ in some])
    assert found["asked"].value == pytest.approx(hard) and found["tokens saved"].value == pytest.approx(1 - hard)
    assert trial.curve.quality_at(0.0) == pytest.approx(trial.small.mean())
    assert trial.curve.quality_at(1.0) == pytest.approx(trial.large.mean())


def test_an_accuracy_is_kept_as_often_as_is_promised() -> None:
    rng = np.random.default_rng(1)
    broken, saved = 0, []
    for _ in range(60):
        ease = rng.random(300)
        trial = SplitTrial(
            ease, (rng.random(300) < ease).astype(float), (rng.random(300) < 0.9).astype(float), np.ones(300)
        )
        above = trial.reaching(0.75, 0.1)
        # The linker is right on (1 + t) / 2 of the mentions above t, which are 1 - t of all.
        at = float(np.clip(above, 0, 1))
        broken += at * 0.9 + (1 - at**2) / 2 < 0.75
        saved.append(1 - at)
    assert broken <= 12 and np.mean(saved) > 0.3


def test_what_is_not_shown() -> None:
    trial = SplitTrial(np.linspace(0, 1, 20), np.zeros(20), np.zeros(20), np.zeros(20))
    with pytest.raises(DataError, match=r"right on 0.000 of 20 mentions, is not shown to reach 0.9"):
        trial.reaching(0.9)
    with pytest.raises(DataError, match="a share between"):
        trial.reaching(1.2)
    with pytest.raises(DataError, match="no tokens"):
        trial.at(0.5)
    perfect = SplitTrial(np.linspace(0, 1, 80), np.ones(80), np.ones(80), np.ones(80))
    assert perfect.reaching(0.9) == -np.inf and perfect.at(-np.inf)["tokens saved"].value == 1.0
