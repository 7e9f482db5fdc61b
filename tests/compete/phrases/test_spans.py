"""Phrases in their sentences: the states of their own tokens, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pilotfish.compete.phrases.spans import Span, in_context
from pilotfish.errors import ConfigError, DataError
from pilotfish.models.encoder import Encoder

TEXT = "the cat sat on the mat"


def test_a_phrase_is_the_mean_of_its_tokens(tiny_encoder: Encoder) -> None:
    spans = [Span(TEXT, 4, 7), Span(TEXT, 15, 22), Span("cat", 0, 3)]
    assert [span.phrase for span in spans] == ["cat", "the mat", "cat"]
    found = in_context(tiny_encoder, spans)
    ids = torch.tensor([tiny_encoder.tokenizer(TEXT)["input_ids"]])
    with tiny_encoder.reading() as body:
        states = body(input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True).hidden_states
    for span, vector, places in zip(spans[:2], found, ([2], [5, 6]), strict=False):
        own = torch.nn.functional.normalize(states[-1][0, places].mean(0), dim=0)
        np.testing.assert_allclose(vector, own.numpy(), atol=1e-5, err_msg=span.phrase)
    both = in_context(tiny_encoder, spans[:1], layers=2)
    own = torch.nn.functional.normalize(((states[-1] + states[-2]) / 2)[0, 2], dim=0)
    np.testing.assert_allclose(both[0], own.numpy(), atol=1e-5)
    # The same word in another context is another vector.
    assert float(found[0] @ found[2]) < 0.9999
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_a_token_counts_where_it_shares_a_character(tiny_encoder: Encoder) -> None:
    whole, part = in_context(tiny_encoder, [Span(TEXT, 8, 11), Span(TEXT, 9, 10)])
    np.testing.assert_allclose(whole, part, atol=1e-6)


def test_of_a_long_text_a_window_around_the_phrase_is_read(tiny_encoder: Encoder) -> None:
    before, behind = "the cat " * 40, " the dog" * 40
    text = f"{before}bird{behind}"
    at = len(before)
    found = in_context(tiny_encoder, [Span(text, at, at + 4)])
    room = tiny_encoder.max_length - 2
    half = (room - 1) // 2
    words = text.split()
    first = 80 - half
    cut = " ".join(words[first : first + room])
    place = cut.index("bird")
    np.testing.assert_allclose(found, in_context(tiny_encoder, [Span(cut, place, place + 4)]), atol=1e-5)
    # A phrase that is itself too long is read as far as it goes.
    assert in_context(tiny_encoder, [Span(text, 0, len(text))]).shape == (1, 48)


def test_what_is_no_span_is_said(tiny_encoder: Encoder) -> None:
    for start, end in ((3, 3), (-1, 2), (0, 99)):
        with pytest.raises(DataError, match="span 2"):
            in_context(tiny_encoder, [Span(TEXT, 0, 3), Span(TEXT, start, end)])
    with pytest.raises(DataError, match="no token"):
        in_context(tiny_encoder, [Span("a  b", 1, 2)])
    with pytest.raises(ConfigError, match="1 to 2"):
        in_context(tiny_encoder, [Span(TEXT, 0, 3)], layers=3)
    assert in_context(tiny_encoder, []).shape == (0, 48)
