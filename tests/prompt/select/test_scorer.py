"""The Gaussian process over instructions: against its closed form, and that it knows what it does not know."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.prompt.select import PromptScorer


def encode(texts: Sequence[str]) -> np.ndarray:
    """Vectors on the circle, by the number that a text is."""
    angles = np.array([float(text) for text in texts])
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_it_is_the_closed_form() -> None:
    prompts, scores, noise = ["0", "0.5", "1", "2"], np.array([0.2, 0.4, 0.7, 0.6]), np.array([0.01, 0.02, 0.01, 0.005])
    made = PromptScorer(encode).fit(prompts, scores, noise)
    mean, spread = made.predict(["0.25", "3"])

    def kernel(left: list[str], right: list[str]) -> np.ndarray:
        return np.asarray(made.scale_ * np.exp(-(1 - encode(left) @ encode(right).T) / made.length_))

    inverse = np.linalg.inv(kernel(prompts, prompts) + np.diag(noise))
    across = kernel(["0.25", "3"], prompts)
    centre = np.average(scores, weights=1 / noise)
    np.testing.assert_allclose(mean, centre + across @ inverse @ (scores - centre), rtol=1e-5)
    variance = made.scale_ - np.einsum("ij,jk,ik->i", across, inverse, across)
    np.testing.assert_allclose(spread, np.sqrt(variance), rtol=1e-4)


def test_it_finds_the_bump_and_what_it_has_not_seen() -> None:
    tried = [str(round(at, 2)) for at in np.arange(0, 1.6, 0.1)]
    worth = [np.exp(-((float(one) - 0.8) ** 2) / 0.05) for one in tried]
    made = PromptScorer(encode).fit(tried, worth, np.full(len(tried), 1e-3))
    assert made.promising(["0.1", "0.79", "1.5"], 1, beta=0) == [1]
    mean, spread = made.predict(["0.79", "3.1"])
    assert spread[1] > 3 * spread[0]
    assert made.promising(["0.3", "3.1"], 2, beta=50)[0] == 1
    assert mean[1] == pytest.approx(made.mean_, abs=0.1)


def test_scores_that_are_alike_foretell_their_mean() -> None:
    made = PromptScorer(encode).fit(["0", "1"], [0.5, 0.5], [0.01, 0.01])
    assert made.predict(["2"])[0] == pytest.approx([0.5])
    assert made.predict([])[0].shape == (0,)


def test_what_is_wrong_is_told() -> None:
    for prompts, scores, noise in (
        (["0"], [1.0, 2.0], [1.0]),
        ([], [], []),
        (["0"], [np.nan], [1.0]),
        (["0"], [1.0], [0.0]),
    ):
        with pytest.raises(DataError):
            PromptScorer(encode).fit(prompts, scores, noise)
    with pytest.raises(ConfigError, match="beta"):
        PromptScorer(encode).fit(["0"], [1.0], [1.0]).promising(["1"], 1, beta=-1)
