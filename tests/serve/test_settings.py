"""The `[serve]` table and the gateway's settings say the same, though one cannot import the other."""

from __future__ import annotations

import dataclasses

import pytest

from pilotfish.assemble._specs_serve import ServeSpec
from pilotfish.serve.settings import Settings

FIELDS = [field.name for field in dataclasses.fields(Settings)]


@pytest.mark.parametrize("name", FIELDS)
def test_a_file_that_says_nothing_has_the_gateway_s_own_default(name: str) -> None:
    said, own = getattr(ServeSpec(), name), getattr(Settings(), name)
    assert (tuple(said) if isinstance(own, tuple) else said) == own
