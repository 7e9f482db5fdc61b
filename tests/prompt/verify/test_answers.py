"""A verifier that learns which answers were right."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.model import Reply, Request
from pilotfish.models.best_of import BestOfN
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from pilotfish.models.reader import Reader
from pilotfish.prompt.verify import AnswerVerifier, Judgement, Trusts
from pilotfish.prompt.verify.answers import _cut, _plain
from tests.fakes import ScriptedModel


def judged(count: int = 120, seed: int = 0) -> list[Judgement]:
    """Answers of which those with cats are right; two to each prompt."""
    rng = np.random.default_rng(seed)
    words = ["dog", "sat", "mat", "on", "the"]
    found = []
    for number in range(count):
        right = bool(rng.random() < 0.5)
        said = [*rng.choice(words, 4), *(["cat"] * 4 if right else ["dog"] * 4)]
        found.append(Judgement(f"prompt {number // 2}", " ".join(rng.permutation(said)), right))
    return found


@pytest.fixture(scope="module")
def reader(tiny_lm: LocalModel) -> Reader:
    return Reader(tiny_lm.weights, dtype="float32", device="cpu")


def test_it_learns_what_log_probabilities_do_not_tell(reader: Reader, tmp_path: Path) -> None:
    made = AnswerVerifier(reader, held_out=0.4).fit(judged(300))
    told = made.report_
    assert told.rows + told.held_out == 300
    assert told.area is not None and told.area.value > 0.8
    assert told.gain is not None and told.gain.low > 0
    assert "best half" in str(told)
    right, wrong = made("prompt", ["the cat cat cat sat", "the dog dog dog sat"])
    assert 0 <= wrong < right <= 1
    assert made.scores([]).shape == (0,)
    made.save(tmp_path / "v")
    again = AnswerVerifier.load(tmp_path / "v")
    assert again.report_ == told
    np.testing.assert_allclose(again("prompt", ["the cat cat cat sat"]), [right], atol=1e-6)
    best = BestOfN(ScriptedModel(["the dog dog dog", "the cat cat cat"]), again, 2)
    reply = asyncio.run(best.reply(Request.of("prompt")))
    assert reply.text == "the cat cat cat"


def test_no_prompt_is_learnt_from_and_measured_on(reader: Reader) -> None:
    made = AnswerVerifier(reader, held_out=0.3, seed=3)
    seen: list[tuple[str, str]] = []
    features = made.features

    def noted(asked: list[tuple[str, str]], progress: object = None) -> object:
        seen.extend(asked)
        return features(asked)

    made.features = noted  # type: ignore[method-assign,assignment]
    rows = judged(60)
    made.fit(rows)
    assert made.report_.held_out % 2 == 0 and made.report_.rows % 2 == 0
    assert len(seen) == 60


def test_an_encoder_can_read_too(tiny_encoder: Encoder, tmp_path: Path) -> None:
    made = AnswerVerifier(tiny_encoder, held_out=0.3).fit(judged(80))
    assert made.report_.by_logprob is None and made.report_.area is not None
    made.save(tmp_path)
    again = AnswerVerifier.load(tmp_path)
    assert isinstance(again.reads, Encoder)
    np.testing.assert_allclose(again("p", ["the cat"]), made("p", ["the cat"]), atol=1e-5)


def test_it_trusts_from_a_probability_on(reader: Reader) -> None:
    made = AnswerVerifier(reader).fit(judged(100))
    (score,) = made("prompt", ["the cat cat cat sat"])
    request, reply = Request.of("prompt"), Reply("the cat cat cat sat")
    above = asyncio.run(Trusts(made, above=score - 0.01)(request, reply))
    below = asyncio.run(Trusts(made, above=min(1, score + 0.01))(request, reply))
    assert above.accepted and above.score == pytest.approx(score) and above.why == ""
    assert not below.accepted and below.why
    with pytest.raises(ConfigError):
        Trusts(made, above=2)


def test_long_prompts_lose_their_beginning_and_answers_their_end() -> None:
    assert _cut([1, 2, 3, 4, 5], 3, 10) == ([1, 2, 3, 4, 5], 3)
    assert _cut([1, 2, 3, 4, 5], 3, 4) == ([2, 3, 4, 5], 2)
    assert _cut([1, 2, 3, 4, 5], 1, 3) == ([1, 2, 3], 1)


def test_sums_are_features() -> None:
    assert _plain("1 + 1 = 2 and so on; 2 + 2 = 5")[1:] == [pytest.approx(np.log(3)), 0.5]


def test_what_teaches_nothing_is_told(reader: Reader, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="right ones and wrong ones"):
        AnswerVerifier(reader).fit([Judgement(str(i), "x", True) for i in range(20)])
    with pytest.raises(ConfigError):
        AnswerVerifier(reader, held_out=1.0)
    with pytest.raises(ModelError):
        AnswerVerifier.load(tmp_path)
