"""Pairs of a text, all kinds together."""

from __future__ import annotations

import pytest

from pilotfish.compete.phrases.mine import KINDS, USUAL, mined
from pilotfish.compete.phrases.pair import Pair
from pilotfish.errors import ConfigError

TEXTS = [
    "The European Central Bank (ECB) sets the interest rate. The interest rates rose.",
    "An e-mail about the interest rate came, and one more email. The email said that interest rates fall.",
    "E-mail again: email is short. The ECB wrote an e-mail.",
]


def test_every_pair_has_the_kind_that_says_most() -> None:
    found = mined(TEXTS, least=2)
    assert list(found.counts) == [kind for kind in KINDS if kind in USUAL]
    pairs = {frozenset((pair.a.casefold(), pair.b.casefold())): pair.kind for pair in found.pairs}
    assert pairs[frozenset(("european central bank", "ecb"))] == "abbreviation"
    assert pairs[frozenset(("e-mail", "email"))] == "spelling"
    assert pairs[frozenset(("interest rate", "interest rates"))] == "morphology"
    assert sum(found.counts.values()) == len(found.pairs) and "typo" not in found.counts
    assert f"{len(found.pairs)} pairs of {len(found.phrases)} phrases" in str(found)


def test_what_is_measured_on_is_not_given() -> None:
    assert Pair("European Central Bank", "ECB", "abbreviation") in mined(TEXTS, ["abbreviation"]).pairs
    assert mined(TEXTS, ["abbreviation"], without=[("ecb", "European central bank")]).pairs == []
    some = mined(TEXTS, ["typo"], least=1, most=3)
    assert len(some.pairs) == 3 and some.counts == {"typo": 3}


def test_an_unknown_kind_is_said() -> None:
    with pytest.raises(ConfigError, match="did you mean 'spelling'"):
        mined(TEXTS, ["speling"])
    with pytest.raises(ConfigError, match="which pairs"):
        mined(TEXTS, [])
