"""Tokens as the model that reads them counts them, or guessed."""

from __future__ import annotations

from pilotfish.models.counting import counter, tokens_guessed
from pilotfish.models.local import LocalModel
from tests.fakes import ScriptedModel


def test_a_guess_errs_high() -> None:
    assert tokens_guessed("") == 0
    assert 15 <= tokens_guessed("The quick brown fox jumps over the lazy dog.") <= 20


def test_a_model_s_own_tokenizer_counts(tiny_lm: LocalModel) -> None:
    assert counter(tiny_lm)("the cat sat") == tiny_lm.count("the cat sat")
    assert counter(ScriptedModel())("the cat sat") == tokens_guessed("the cat sat")
