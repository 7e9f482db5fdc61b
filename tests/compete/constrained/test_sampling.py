from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from pilotfish.compete.constrained.sampling import pick
from pilotfish.errors import ModelError
from pilotfish.model import Request

LOGITS = np.log(np.array([0.5, 0.3, 0.15, 0.05], dtype=np.float32))


def drawn(draws: int = 4000, told: tuple[int, ...] = (), **settings: Any) -> dict[int, float]:
    random = np.random.default_rng(0)
    request = Request.of("x", **settings)
    counts = Counter(pick(LOGITS, told, request, random)[0] for _ in range(draws))
    return {token: count / draws for token, count in sorted(counts.items())}


def test_without_a_temperature_the_likeliest() -> None:
    assert drawn(5) == {0: 1.0}


def test_a_temperature_draws_by_probability() -> None:
    assert drawn(temperature=1.0) == pytest.approx({0: 0.5, 1: 0.3, 2: 0.15, 3: 0.05}, abs=0.03)
    squared = np.array([0.5, 0.3, 0.15, 0.05]) ** 2
    assert list(drawn(temperature=0.5).values()) == pytest.approx(list(squared / squared.sum()), abs=0.03)


def test_a_nucleus_holds_the_token_that_crosses_it() -> None:
    assert drawn(temperature=1.0, top_p=0.6) == pytest.approx({0: 0.625, 1: 0.375}, abs=0.03)
    assert drawn(temperature=1.0, top_p=0.5) == {0: 1.0}
    assert set(drawn(temperature=1.0, top_p=1.0)) == {0, 1, 2, 3}


def test_penalties_turn_from_what_was_said() -> None:
    assert drawn(3, told=(0, 0), frequency_penalty=0.3) == {1: 1.0}
    assert drawn(3, told=(0,), frequency_penalty=0.3) == {0: 1.0}
    assert drawn(3, told=(0,), presence_penalty=0.6) == {1: 1.0}


def test_log_probabilities_are_the_models_own() -> None:
    request = Request.of("x", temperature=2.0, logprobs=True, top_logprobs=2)
    token, logprob, top = pick(LOGITS, (), request, np.random.default_rng(0))
    assert logprob == pytest.approx(float(LOGITS[token]), abs=1e-6)
    assert [one for one, _ in top] == [0, 1]


@pytest.mark.parametrize("settings", [{"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.5}])
def test_settings_out_of_range(settings: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="temperature is 0 or more"):
        drawn(1, **settings)
