"""The ways to score: each number is the formula's, whatever is read together, held or read in pieces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pilotfish.errors import ConfigError, ModelError
from pilotfish.models.encoder import Encoder
from pilotfish.models.reader import Reader
from pilotfish.prompt.compress import (
    AnsweringDocuments,
    Asked,
    AtRandom,
    Blend,
    ByPerplexity,
    ByQuestion,
    BySentences,
    Mixed,
    RankBySupport,
    RankByVectors,
    RankByWords,
    Ranked,
    TellingDocuments,
)
from pilotfish.prompt.compress._reading import Tokens, Walk, lead_of, losses, segments
from pilotfish.prompt.compress.perplexity import kept_tokens
from pilotfish.prompt.compress.question import RESTRICT
from pilotfish.prompt.compress.shares import keeps, priorities, shares_of
from pilotfish.prompt.compress.units import per_unit, units_of

pytest.importorskip("torch")

TEXT = (
    "My card has not arrived yet. Where is it? I want a refund for the top up that failed, and the bird sang a song of "
    "the sea. The exchange rate is wrong, wrong, wrong! the cat sat on the mat, it's 2024 and the dog did not."
)
QUESTION = "Where is my card?"


@pytest.fixture(scope="module")
def reader(tiny_folder: Callable[..., Path]) -> Reader:
    return Reader(tiny_folder("llama", "bos"), dtype="float32", device="cpu").load()


def asked(text: str = TEXT, question: str = "", share: float = 0.5) -> Asked:
    units = units_of(text)
    return Asked(text, units, question, np.full(len(units), share))


def alone(reader: Reader, before: list[int], ids: list[int]) -> NDArray[np.float64]:
    """Return −log p of tokens behind others, read in one go."""
    return -reader.logprobs([([*before, *ids], len(before))])[0].astype(np.float64)


def encoded(reader: Reader, text: str) -> list[int]:
    return list(reader.tokenizer(text, add_special_tokens=False)["input_ids"])


def test_tokens_belong_to_units(reader: Reader) -> None:
    tokens = Tokens.of(reader.tokenizer, TEXT, units_of(TEXT))
    units = units_of(TEXT)
    for (start, end), unit in zip(tokens.places, tokens.units.tolist(), strict=True):
        if TEXT[start:end].strip():
            assert units[unit][0] < end and start < units[unit][1]


def test_segments_end_between_units() -> None:
    units = np.repeat(np.arange(10), 3)
    assert list(segments(units, 8)) == [(0, 6), (6, 12), (12, 18), (18, 24), (24, 30)]
    # A unit that is longer than a segment is cut.
    assert list(segments(np.zeros(20, np.int64), 8)) == [(0, 8), (8, 16), (16, 20)]


def test_a_window_of_one_pass_has_read_what_stands_before(reader: Reader) -> None:
    ids = Tokens.of(reader.tokenizer, TEXT, units_of(TEXT)).ids
    lead = lead_of(reader.tokenizer)
    found, _ = losses(reader, ids, lead, 4096)
    np.testing.assert_allclose(found, alone(reader, lead, ids), atol=1e-5)
    found, read = losses(reader, ids, lead, 41)
    # Windows of 40 tokens: the second reads its first 10 again, which the first one has scored.
    np.testing.assert_allclose(found[:40], alone(reader, lead, ids[:40]), atol=1e-5)
    np.testing.assert_allclose(found[40:70], alone(reader, [*lead, *ids[30:40]], ids[40:70]), atol=1e-5)
    assert len(found) == len(ids) and read > len(ids)


def test_each_segment_is_read_behind_what_was_kept(reader: Reader) -> None:
    """Equations 5 to 7, spelled out: every segment's losses by one pass over what was kept and the segment."""
    size = 24
    way = ByPerplexity(reader, segment=size)
    given = asked()
    found = way(given)
    tokens = Tokens.of(reader.tokenizer, TEXT, given.units)
    before = lead_of(reader.tokenizer)
    values, expected_groups = np.zeros(len(tokens.ids)), np.zeros(len(given.units), np.int64)
    reads = 0
    for number, (start, end) in enumerate(segments(tokens.units, size)):
        some = tokens.ids[start:end]
        values[start:end] = alone(reader, before, some)
        kept, units = kept_tokens(given, tokens, values, start, end)
        before = [*before, *(token for token, keep in zip(some, kept.tolist(), strict=True) if keep)]
        expected_groups[units] = number
        reads += len(some)
    np.testing.assert_allclose(found.values, per_unit(given.units, tokens.places, values), atol=1e-4)
    assert found.groups is not None
    assert (found.groups == expected_groups).all()
    # What is kept is read twice, all else once.
    assert reads < found.read <= reads + len(before) + len(expected_groups)


def test_a_long_past_is_cut_to_its_last_half(reader: Reader) -> None:
    walk = Walk(reader, lead_of(reader.tokenizer), context=40)
    ids = Tokens.of(reader.tokenizer, TEXT, units_of(TEXT)).ids
    kept: list[int] = []
    for at in range(0, 60, 10):
        some = ids[at : at + 10]
        found = walk.step(some)
        if len(kept) + 11 <= 40:
            np.testing.assert_allclose(found, alone(reader, [walk.lead[0], *kept], some), atol=1e-5)
        else:
            # 40 tokens, less the segment and the start token, by half.
            np.testing.assert_allclose(found, alone(reader, [walk.lead[0], *kept[-14:]], some), atol=1e-5)
            break
        walk.keep(np.ones(10, bool))
        kept += some
    else:
        raise AssertionError("the past never got too long")


@pytest.mark.parametrize("segment", [None, 24])
def test_a_question_makes_its_words_likelier(reader: Reader, segment: int | None) -> None:
    given = asked(question=QUESTION)
    way = ByQuestion(reader, segment=segment, plain=0.25)
    found = way(given)
    tokens = Tokens.of(reader.tokenizer, TEXT, given.units)
    lead, with_question = lead_of(reader.tokenizer), lead_of(reader.tokenizer, QUESTION)
    first = slice(0, None) if segment is None else slice(0, 24)
    plain = alone(reader, lead, tokens.ids[first])
    told = alone(reader, with_question, tokens.ids[first])
    wanted = per_unit(given.units, tokens.places[first], plain - told + 0.25 * plain)
    some = tokens.units[first][-1] - 1
    np.testing.assert_allclose(found.values[:some], wanted[:some], atol=1e-4)
    with pytest.raises(ConfigError, match="there is no question"):
        way(asked())


def test_documents_by_the_likelihood_of_the_question(reader: Reader) -> None:
    texts = ["My card has not arrived yet.", "the bird sang a song", ""]
    found = AnsweringDocuments(reader)(QUESTION, texts)
    wanted = [
        -alone(
            reader, [*lead_of(reader.tokenizer), *encoded(reader, text)], encoded(reader, f"\n\n{QUESTION} {RESTRICT}")
        ).mean()
        for text in texts
    ]
    np.testing.assert_allclose(found.values, wanted, atol=1e-5)
    with pytest.raises(ConfigError, match="there is none"):
        AnsweringDocuments(reader)(" ", texts)


def test_demonstrations_by_their_perplexity(reader: Reader) -> None:
    texts = ["My card has not arrived yet.", "the bird sang a song", ""]
    found = TellingDocuments(reader)("", texts)
    wanted = [alone(reader, lead_of(reader.tokenizer), encoded(reader, text)).mean() for text in texts[:2]]
    np.testing.assert_allclose(found.values, [*wanted, 0.0], atol=1e-5)


def test_what_was_kept_need_not_be_read_again(reader: Reader) -> None:
    given = asked(share=0.999)
    # What keeps all has read each segment behind all of the text before it, in either way.
    whole = [ByPerplexity(reader, segment=24, again=again)(given) for again in (True, False)]
    tokens = Tokens.of(reader.tokenizer, TEXT, given.units)
    lead = lead_of(reader.tokenizer)
    walks = [Walk(reader, lead, again=again) for again in (True, False)]
    ids = tokens.ids
    for walk in walks:
        walk.step(ids[:20])
        walk.keep(np.ones(20, bool))
        np.testing.assert_allclose(walk.step(ids[20:40]), alone(reader, [*lead, *ids[:20]], ids[20:40]), atol=1e-5)
    assert whole[1].read < whole[0].read
    # Nothing kept: the next segment stands behind the start alone, at its own position.
    walk = Walk(reader, lead, again=False)
    walk.step(ids[:20])
    walk.keep(np.zeros(20, bool))
    prefix = reader.prefix()
    wanted = -prefix.read([*lead, *ids[20:30]], 1, [0, *range(21, 31)])
    np.testing.assert_allclose(walk.step(ids[20:30]), wanted, atol=1e-5)
    # A few kept: as the prefix of their places has it.
    walk = Walk(reader, lead, again=False)
    walk.step(ids[:20])
    walk.keep(np.isin(np.arange(20), [3, 7, 12]))
    prefix = reader.prefix()
    prefix.read([*lead, *ids[:20]], 1)
    prefix.select([0, 4, 8])
    wanted = -prefix.read([ids[12], *ids[20:30]], 1, [13, *range(21, 31)])
    np.testing.assert_allclose(walk.step(ids[20:30]), wanted, atol=1e-5)
    assert walk.read == 1 + 20 + 1 + 10


def test_settings_that_cannot_be(reader: Reader) -> None:
    with pytest.raises(ConfigError, match="half of the context"):
        ByPerplexity(reader, segment=200, context=300)
    with pytest.raises(ConfigError, match="16 tokens or more"):
        ByQuestion(reader, segment=None, context=3)
    slow = type("Slow", (), {"is_fast": False})()
    with pytest.raises(ModelError, match="does not tell where tokens lie"):
        Tokens.of(slow, "a", [(0, 1)])


SENTENCES = ["The sea is cold.", "Payments take two days to arrive.", "Ask the bank about cards.", "A bird sings."]


def test_sentences_by_their_words() -> None:
    rank = RankByWords()
    values = rank("When do my payments arrive?", SENTENCES).values
    assert values.argmax() == 1 and values[3] == 0.0
    # Other endings are the same word.
    assert rank("A singing bird?", SENTENCES).values.argmax() == 3
    # Without a question what is said of is what most is said of.
    central = RankByWords()("", ["the fees of payments", "payments cost fees", "quantum flux"])
    # Of seven long words "fees" and "payments" are said twice, "cost", "quantum" and "flux" once.
    np.testing.assert_allclose(central.values, [2 / 7, 5 / 3 / 7, 1 / 7])


def test_sentences_by_vectors(tiny_encoder: Encoder) -> None:
    rank = RankByVectors(tiny_encoder)
    found = rank(SENTENCES[2], SENTENCES)
    assert found.values.argmax() == 2
    assert found.values[2] == pytest.approx(1.0, abs=1e-5)
    vectors = tiny_encoder.encode(SENTENCES)
    mean = vectors.mean(0) / np.linalg.norm(vectors.mean(0))
    np.testing.assert_allclose(rank("", SENTENCES).values, vectors @ mean, atol=1e-5)
    assert found.read > 0 and len(rank("x", []).values) == 0


def test_sentences_by_a_judge_and_several_rankers() -> None:
    judge = RankBySupport(lambda pairs: [float(len(text)) for text, _ in pairs])
    assert judge("Which?", SENTENCES).values.tolist() == [float(len(one)) for one in SENTENCES]
    with pytest.raises(ConfigError, match="there is none"):
        judge("", SENTENCES)
    other = lambda question, texts: Ranked(np.array([0.0, 0.0, 0.0, 1.0]), 7)  # noqa: E731
    both = Mixed((judge, other), (1.0, 2.0))
    lengths = np.array([float(len(one)) for one in SENTENCES])
    last = np.array([0.0, 0.0, 0.0, 1.0])
    wanted = (lengths - lengths.mean()) / lengths.std() + 2 * (last - last.mean()) / last.std()
    np.testing.assert_allclose(both("?", SENTENCES).values, wanted)
    assert both("?", SENTENCES).read == 7
    with pytest.raises(ConfigError, match="as many weights"):
        Mixed((judge,), (1.0, 2.0))


def test_whole_sentences_come_one_after_another() -> None:
    text = " ".join(SENTENCES)
    given = asked(text, "When do payments arrive?")
    found = BySentences(RankByWords())(given)
    order = np.argsort(-found.values)
    words = [text[start:end] for start, end in given.units]
    said = [words[i] for i in order]
    assert said[:7] == ["Payments", "take", "two", "days", "to", "arrive", "."]
    # A neighbour of the best sentence is worth a part of it.
    near = BySentences(RankByWords(), near=0.5)(given)
    second = [words[i] for i in np.argsort(-near.values)][7]
    assert second in ("The", "Ask")


def test_ways_blend_by_their_places() -> None:
    given = asked("a bb ccc dddd", "")

    class Fixed:
        name = "fixed"

        def __init__(self, values: list[float]) -> None:
            self.values = values

        def __call__(self, asked: Asked) -> object:
            from pilotfish.prompt.compress import Scored

            return Scored(np.array(self.values), None, 3)

    one, other = Fixed([4.0, 3.0, 2.0, 1.0]), Fixed([1.0, 2.0, 3.0, 400.0])
    even = Blend((one, other))(given)  # type: ignore[arg-type]
    assert np.allclose(even.values, even.values[0])
    assert even.read == 6
    assert Blend((one, other), (1.0, 3.0))(given).values.argmax() == 3  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="as many weights"):
        Blend((one,), (1.0, 1.0))  # type: ignore[arg-type]


def test_chance_is_the_same_again() -> None:
    assert (AtRandom(3)(asked()).values == AtRandom(3)(asked()).values).all()
    assert (AtRandom(3)(asked()).values != AtRandom(4)(asked()).values).any()


def test_groups_keep_their_shares() -> None:
    random = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2], [100, 200, 50])
    shares = np.where(groups == 0, 0.2, np.where(groups == 1, 0.5, 0.8))
    values = random.random(350) + groups * 10  # of no matter between groups
    order = np.argsort(-priorities(values, np.ones(350), shares, groups), kind="stable")
    kept = order[: 20 + 100 + 40]
    assert np.bincount(groups[kept], minlength=3) == pytest.approx([20, 100, 40], abs=1)
    # At half of it each keeps half.
    assert np.bincount(groups[order[:80]], minlength=3) == pytest.approx([10, 50, 20], abs=1)
    # Within a group the best are kept.
    mine = values[groups == 1]
    assert set(np.sort(mine)[-99:]) <= set(values[kept])


def test_keeps_is_a_share_by_weight() -> None:
    kept = keeps(np.array([3.0, 2.0, 1.0]), np.array([1.0, 1.0, 8.0]), np.full(3, 0.2))
    assert kept.tolist() == [True, True, False]


def test_better_documents_keep_more() -> None:
    found = shares_of(np.arange(4), 0.5, 0.3)
    # Equation 5: (1 − 2 · I / 4) · 0.3 + 0.5
    np.testing.assert_allclose(found, [0.8, 0.65, 0.5, 0.35])
    assert shares_of(np.arange(2), 0.9, 0.3)[0] == 1.0
    assert shares_of(np.arange(9), 0.1, 0.5).min() > 0
