"""What may stand in a lockstep is told from its class, before anything loads."""

from __future__ import annotations

import pytest

from pilotfish.decode.target import white_box
from pilotfish.errors import ConfigError
from tests.fakes import ScriptedModel


def test_a_black_box_is_refused_with_its_place_and_a_remedy() -> None:
    with pytest.raises(
        ConfigError, match=r"contrastive amateur: 'gpt'.*answers, not next-token logits.*use = \"local\""
    ):
        white_box(ScriptedModel("yes", name="gpt"), "contrastive amateur")


def test_nothing_is_loaded() -> None:
    class Lazy:
        name = "lazy"

        @property
        def tokenizer(self) -> object:
            raise AssertionError("loaded")

        ends = tokenizer

        def decoder(self) -> None: ...

        def prompt(self) -> None: ...

    model: object = Lazy()
    assert id(white_box(model, "here")) == id(model)
