"""A quantised local model: what is scored is what runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish._sync import ask
from pilotfish.errors import ConfigError
from pilotfish.model import Request
from pilotfish.models import _decoded_scoring, _scoring
from pilotfish.models._tokens import encode, encode_pair
from pilotfish.models.local import LocalModel
from tests.tiny import TEXTS

torch = pytest.importorskip("torch")

PAIRS = [(TEXTS[i], " " + TEXTS[j]) for i in range(3) for j in range(3)] + [("", TEXTS[0]), (TEXTS[0], ""), ("a", "b")]


@pytest.mark.parametrize("batch_tokens", [1, 64, 4096])
@pytest.mark.parametrize("logits", [1, 3000, 10**9])
def test_scores_through_a_decoder_are_those_of_the_forward_pass(
    tiny_lm: LocalModel, monkeypatch: pytest.MonkeyPatch, batch_tokens: int, logits: int
) -> None:
    monkeypatch.setattr(_decoded_scoring, "LOGITS", logits)
    rows = [encode_pair(tiny_lm.tokenizer, *pair) for pair in PAIRS]
    seen: list[int] = []
    ours = _decoded_scoring.score_ids(tiny_lm.decoder(), rows, batch_tokens=batch_tokens, progress=seen.append)
    theirs = _scoring.score_ids(tiny_lm.model, rows, batch_tokens=batch_tokens)
    assert sum(seen) == len(PAIRS)
    for one, other in zip(ours, theirs, strict=True):
        assert (one.tokens, one.greedy) == (other.tokens, other.greedy)
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_next_logits_through_a_decoder_are_those_of_the_forward_pass(tiny_lm: LocalModel) -> None:
    rows = [encode(tiny_lm.tokenizer, text) for text in TEXTS]
    ours = _decoded_scoring.next_logits(tiny_lm.decoder(), rows, batch_tokens=64)
    assert np.abs(ours - _scoring.next_logits(tiny_lm.model, rows, batch_tokens=64)).max() < 1e-4
    assert _decoded_scoring.next_logits(tiny_lm.decoder(), [], batch_tokens=64).shape == (0, 0)


@pytest.mark.parametrize("quantize", ["int8", "int4"])
def test_what_is_scored_is_what_runs(tiny_lm: LocalModel, tiny_folder: Callable[..., Path], quantize: Any) -> None:
    lm = LocalModel(tiny_folder(), dtype="float32", device="cpu", quantize=quantize)
    request = Request.of("Where is my card?", max_tokens=10, logprobs=True)
    reply = ask(lm, request)
    assert reply.logprobs is not None
    # The answer's own tokens: its text may be cut otherwise.
    decoder, prompt, said = lm.decoder(), lm.prompt_ids(request), []
    (row,), logits = decoder.start([[prompt]])
    for _ in reply.logprobs:
        said.append(int(logits[-1].argmax()))
        (logits,) = decoder.feed([row], [said[-1:]])
    (scored,) = _decoded_scoring.score_ids(decoder, [(prompt + said, len(prompt))], batch_tokens=2048)
    assert scored.greedy
    assert scored.logprobs == pytest.approx([one.logprob for one in reply.logprobs], abs=2e-3)
    pairs = [("the cat", " sat on the mat")]
    rows = [encode_pair(lm.tokenizer, *pair) for pair in pairs]
    assert lm.score(pairs) == _decoded_scoring.score_ids(decoder, rows, batch_tokens=2048)
    assert lm.score(pairs)[0].logprobs != tiny_lm.score(pairs)[0].logprobs
    assert lm.score(pairs)[0].total == pytest.approx(tiny_lm.score(pairs)[0].total, rel=0.3)
    assert lm.choices(["the"], [" cat", " dog"])[0, 0] == pytest.approx(lm.score([("the", " cat")])[0].total, abs=1e-3)
    after = lm.next_logits(["the cat"])
    assert np.abs(after - tiny_lm.next_logits(["the cat"])).max() > 1e-5


def test_lossless_says_the_same(tiny_folder: Callable[..., Path]) -> None:
    request = Request.of("Where is my card?", max_tokens=10)
    plain, less = (LocalModel(tiny_folder(), dtype="bfloat16", quantize=kind) for kind in ("none", "lossless"))
    assert ask(less, request).text == ask(plain, request).text
    pairs = [("the cat", " sat on the mat")]
    assert less.score(pairs) == plain.score(pairs)


def test_words_that_are_not_known_are_said_at_once() -> None:
    wrong: Any = "int3"
    with pytest.raises(ConfigError, match="quantize must be one of none, lossless, int8, int4, not 'int3'"):
        LocalModel("x", quantize=wrong)
    with pytest.raises(ConfigError, match="backend must be one of auto, native, torch, transformers, not 'int3'"):
        LocalModel("x", backend=wrong)


def test_decoders_that_are_alike_are_one(tiny_lm: LocalModel) -> None:
    assert tiny_lm.decoder() is tiny_lm.decoder()
    assert tiny_lm.decoder(layers=1) is not tiny_lm.decoder()
    assert tiny_lm.decoder(exits=(1,)) is tiny_lm.decoder(exits=[1])
