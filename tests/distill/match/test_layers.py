"""Which layer learns from which."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.distill.match import layer_map
from pilotfish.errors import ConfigError


def test_tinyberts_map() -> None:
    assert layer_map(4, 12) == {0: 0, 1: 3, 2: 6, 3: 9, 4: 12}
    assert layer_map(3, 3) == {0: 0, 1: 1, 2: 2, 3: 3}
    assert layer_map(4, 6) == {0: 0, 1: 2, 2: 3, 3: 5, 4: 6}


@given(st.integers(1, 60), st.integers(0, 60))
def test_uniform_maps_rise_from_the_embedding_to_the_last_layer(student: int, more: int) -> None:
    found = layer_map(student, student + more)
    assert list(found) == list(range(student + 1))
    assert found[0] == 0 and found[student] == student + more
    assert all(found[i] < found[i + 1] for i in range(student))


def test_the_last_layers_and_maps_of_ones_own() -> None:
    assert layer_map(3, 12, "last") == {1: 10, 2: 11, 3: 12}
    assert layer_map(6, 12, {6: 12}) == {6: 12}
    assert layer_map(12, 6, {12: 6, 0: 0}) == {0: 0, 12: 6}


def test_what_cannot_be_mapped_is_said() -> None:
    with pytest.raises(ConfigError, match="more than its teacher"):
        layer_map(7, 6)
    with pytest.raises(ConfigError, match="layer 4 from 6"):
        layer_map(3, 6, {4: 6})
    with pytest.raises(ConfigError, match="layer 3 from -1"):
        layer_map(3, 6, {3: -1})
    with pytest.raises(ConfigError, match="empty"):
        layer_map(3, 6, {})
    with pytest.raises(ConfigError, match="first"):
        layer_map(3, 6, "first")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="need a layer"):
        layer_map(0, 6)


def test_maps_are_made_without_torch() -> None:
    script = "import sys, pilotfish.distill.match as m; m.layer_map(2, 4); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    import pilotfish.distill.match as match

    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        match.Nothing  # noqa: B018
