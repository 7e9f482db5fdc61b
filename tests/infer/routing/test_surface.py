from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.infer.routing.surface import NAMES, surface


def test_features_are_what_their_names_say() -> None:
    [row] = surface(["What is 3.5 + 41? Say it\nNOW: x_1 = {2}"])
    said = dict(zip(NAMES, row, strict=True))
    assert said["log characters"] == math.log1p(39)
    assert said["log words"] == math.log1p(11)
    assert said["log lines"] == math.log1p(1)
    assert said["log numbers"] == math.log1p(4)
    assert said["share of digits"] == 6 / 39
    assert said["share of capitals"] == 5 / 39
    assert said["share of code signs"] == 5 / 39
    assert said["share beyond ASCII"] == 0
    assert said["log questions"] == math.log1p(1)


@given(st.text())
def test_any_text_has_finite_features(text: str) -> None:
    found = surface([text])
    assert found.shape == (1, len(NAMES))
    assert np.isfinite(found).all()


def test_no_texts_have_none() -> None:
    assert surface([]).shape == (0, len(NAMES))
