from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, ModelError
from pilotfish.infer.accept import SCORES, Above
from pilotfish.model import Reply, Request, TokenLogprob

ASKED = Request.of("?")


def reply(*logprobs: float, top: tuple[tuple[str, float], ...] = ()) -> Reply:
    return Reply("x", logprobs=tuple(TokenLogprob("x", value, top) for value in logprobs))


@given(st.lists(st.floats(-20, 0), min_size=1, max_size=9), st.floats(-20, 0))
def test_scores_are_what_their_names_say(values: list[float], above: float) -> None:
    mean = sum(values) / len(values)
    said = reply(*values)
    assert Above("mean-logprob", above)(ASKED, said).score == pytest.approx(mean)
    assert Above("sum-logprob", above)(ASKED, said).score == pytest.approx(sum(values))
    assert Above("min-logprob", above)(ASKED, said).score == min(values)
    assert Above("confidence", 0.5)(ASKED, said).score == pytest.approx(math.exp(mean))
    verdict = Above("min-logprob", above)(ASKED, said)
    assert verdict.accepted == (min(values) >= above)


@given(st.lists(st.floats(-20, 0), min_size=1, max_size=9), st.floats(0, 1))
def test_the_quantile_is_numpy_s(values: list[float], quantile: float) -> None:
    said = Above("quantile-logprob", 0, quantile)(ASKED, reply(*values)).score
    assert said == pytest.approx(float(np.quantile(values, quantile)), abs=1e-9)


def test_the_bias_of_sums_and_means_is_what_their_text_says() -> None:
    short, long = reply(-0.5, -0.5), reply(*[-0.5] * 20)
    assert Above("sum-logprob", 0)(ASKED, long).score < Above("sum-logprob", 0)(ASKED, short).score  # type: ignore
    unsure = reply(-5.0, *[-0.1] * 99)
    assert Above("mean-logprob", -0.2)(ASKED, unsure).accepted
    assert not Above("quantile-logprob", -0.2, 0.0)(ASKED, unsure).accepted


def test_a_score_at_the_threshold_is_trusted() -> None:
    assert Above("mean-logprob", -1.0)(ASKED, reply(-0.5, -1.5)).accepted
    assert not Above("mean-logprob", -0.99)(ASKED, reply(-0.5, -1.5)).accepted


def test_the_margin_is_between_the_two_likeliest_whatever_their_order() -> None:
    top = (("b", math.log(0.2)), ("a", math.log(0.7)), ("c", math.log(0.1)))
    assert Above("margin", 0)(ASKED, reply(math.log(0.7), top=top)).score == pytest.approx(0.5)


def test_the_margin_needs_two_alternatives() -> None:
    with pytest.raises(ModelError, match="top_logprobs"):
        Above("margin", 0)(ASKED, reply(-0.1, top=(("a", -0.1),)))


def test_a_reply_without_log_probabilities_is_an_error_not_a_guess() -> None:
    for score in SCORES:
        with pytest.raises(ModelError, match="log-probabilities"):
            Above(score, 0)(ASKED, Reply("x"))


def test_wrong_settings_are_said_at_construction() -> None:
    with pytest.raises(ConfigError, match="did you mean 'mean-logprob'"):
        Above("mean_logprob", 0)
    with pytest.raises(ConfigError, match="needs `quantile`"):
        Above("quantile-logprob", 0)
    with pytest.raises(ConfigError, match="no other score takes it"):
        Above("min-logprob", 0, 0.1)
    with pytest.raises(ConfigError, match="NaN"):
        Above("confidence", math.nan)


def test_a_threshold_of_infinity_trusts_nothing() -> None:
    assert not Above("confidence", math.inf)(ASKED, reply(0.0)).accepted
