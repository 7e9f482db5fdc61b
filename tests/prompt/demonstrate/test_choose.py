"""Which demonstrations a question gets: the nearest, unlike each other, and never the question itself."""

from __future__ import annotations

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.models.encoder import Encoder
from pilotfish.prompt.demonstrate import ByChance, ByVectors, ByWords, Chooser, Demonstration, Finder, Pool
from pilotfish.rows._describe import describe
from pilotfish.rows.dedupe import near_duplicates

INPUTS = [
    "the cat sat on the mat",
    "the cat sat on a red mat",
    "the bird sang a song of the sea",
    "the exchange rate is wrong",
    "my card has not arrived yet",
    "where is my card",
]
OUTPUTS = ["cat", "cat", "bird", "rate", "card", "card"]


def pool() -> Pool:
    return Pool(tuple(Demonstration(*pair) for pair in zip(INPUTS, OUTPUTS, strict=True)))


def test_a_pool_holds_each_once() -> None:
    rows = [{"q": "A b", "a": "x"}, {"q": "a  B!", "a": "X"}, {"q": "a b", "a": "y"}]
    made = Pool.of(rows, "q", "a")
    assert [(one.input, one.output) for one in made.demonstrations] == [("A b", "x"), ("a b", "y")]
    with pytest.raises(DataError, match="row 2: column 'a' has no text"):
        Pool.of([{"q": "x", "a": "y"}, {"q": "x", "a": ""}], "q", "a")
    with pytest.raises(DataError, match="row 1"):
        Pool.of([{"q": "x"}], "q", "a")
    with pytest.raises(DataError, match="no demonstrations"):
        Pool.of([])


def test_near_copies_are_those_of_rows_dedupe() -> None:
    held = pool()
    for text in [*INPUTS, "The cat sat on the mats.", "a cat", "WHERE is my card?"]:
        for least in (0.3, 0.6, 0.8, 1.0):
            found = held.same(text, range(len(held)), least)
            for place, one in enumerate(INPUTS):
                groups = near_duplicates([text, one], least, method="exact")
                assert found[place] == (groups.group[0] == groups.group[1]), (text, one, least)


@pytest.mark.parametrize("kind", ["words", "encoder"])
def test_the_nearest_come_and_the_question_itself_does_not(kind: str, tiny_encoder: Encoder) -> None:
    held = pool()
    finder: Finder = ByWords(held) if kind == "words" else ByVectors(held, tiny_encoder)
    (chosen,) = Chooser(finder, 2).choose(["The cat sat on the mat!"])
    assert chosen.places[0] == 1 and 0 not in chosen.places and chosen.same == 1
    assert list(chosen.scores) == sorted(chosen.scores, reverse=True)
    (shown,) = Chooser(finder, 2, same=None).choose(["The cat sat on the mat!"])
    assert shown.places[0] == 0 and shown.same == 0
    (strict,) = Chooser(finder, 2, same=0.5).choose(["The cat sat on the mat!"])
    assert not {0, 1} & set(strict.places) and strict.same == 2


def test_what_is_chosen_stands_next_to_the_question() -> None:
    chooser = Chooser(ByWords(pool()), 3)
    (chosen,) = chooser.choose(["where is the cat"])
    assert chooser.ordered(chosen.places, chosen.scores)[-1] == chosen.places[0]
    first = Chooser(ByWords(pool()), 3, order="best-first")
    assert first.ordered(chosen.places, chosen.scores)[0] == chosen.places[0]


def test_diversity_takes_other_ones(tiny_encoder: Encoder) -> None:
    finder = ByVectors(pool(), tiny_encoder)
    question = ["the cat sat on the red mat"]
    near = Chooser(finder, 2, same=1.0).choose(question)[0].places
    assert set(near) == {0, 1}
    for way in ("mmr", "determinantal"):
        found = Chooser(finder, 2, diverse=way, relevance=0.1, same=1.0).choose(question)[0].places
        assert found[0] == near[0] and set(found) != {0, 1}
    cover = Chooser(finder, 2, diverse="facility-location", same=1.0).choose(question)[0].places
    alike = finder.alike(range(6)).clip(min=0)
    assert cover[0] == int(alike.sum(axis=1).argmax())
    balanced = Chooser(finder, 4, diverse="balanced", same=1.0).choose(question)[0].places
    assert {OUTPUTS[place] for place in balanced} == {"cat", "bird", "rate", "card"}


def test_all_at_once_is_one_by_one(tiny_encoder: Encoder) -> None:
    held = pool()
    for finder in (ByWords(held), ByVectors(held, tiny_encoder)):
        questions = ["my cat", "the rate", "my cat"]
        together = Chooser(finder, 3, diverse="mmr").choose(questions)
        alone = [Chooser(finder, 3, diverse="mmr").choose([one])[0] for one in questions]
        assert [one.places for one in together] == [one.places for one in alone]
        for one, other in zip(together, alone, strict=True):
            assert one.scores == pytest.approx(other.scores, abs=1e-5)


def test_chance_is_seeded_and_the_same_for_every_question() -> None:
    held = pool()
    one, other = Chooser(ByChance(held, 1), 3).choose(["where is a dog", "who"])
    assert one.places == other.places == Chooser(ByChance(held, 1), 3).choose(["x"])[0].places
    assert len({Chooser(ByChance(held, seed), 3).choose(["x"])[0].places for seed in range(8)}) > 1
    itself = INPUTS[one.places[0]]
    assert one.places[0] not in Chooser(ByChance(held, 1), 3).choose([itself])[0].places


def test_more_than_there_are_and_none() -> None:
    (all_of_them,) = Chooser(ByWords(pool()), 99).choose(["the cat"])
    assert sorted(all_of_them.places) == list(range(6))
    assert Chooser(ByWords(pool()), 0).choose(["the cat"])[0].places == ()


def test_a_copy_fills_no_place_even_where_many_stand_in_front() -> None:
    rows = tuple(Demonstration("the very same question", f"answer {number}") for number in range(300))
    held = Pool((*rows, Demonstration("something else", "x")))
    (chosen,) = Chooser(ByWords(held), 2).choose(["the very same question"])
    assert chosen.places == (300,) and chosen.same == 300


def test_other_demonstrations_and_other_weights_are_another_model(tiny_encoder: Encoder) -> None:
    other = Pool((*pool().demonstrations, Demonstration("new", "x")))
    finders: list[Finder] = [
        ByWords(pool()),
        ByWords(other),
        ByVectors(pool(), tiny_encoder),
        ByVectors(pool(), tiny_encoder, "{output}"),
    ]
    assert len({repr(describe(Chooser(finder))) for finder in finders}) == 4
    assert ByVectors(pool(), tiny_encoder).identity


def test_vectors_may_be_of_input_and_output(tiny_encoder: Encoder) -> None:
    held = pool()
    found = ByVectors(held, tiny_encoder, "{input}\n{output}").scores(["my card"])
    texts = [f"{one.input}\n{one.output}" for one in held.demonstrations]
    both = tiny_encoder.encode(["my card", *texts])
    np.testing.assert_allclose(found[0], both[1:] @ both[0], atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"k": -1},
        {"diverse": "maximal"},
        {"order": "last"},
        {"relevance": 2},
        {"same": 0},
        {"candidates": 0},
        {"diverse": "determinantal", "relevance": 1},
    ],
)
def test_what_is_wrong_is_told(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Chooser(ByWords(pool()), **settings)  # type: ignore[arg-type]


def test_chance_and_diversity_do_not_go_together(tiny_encoder: Encoder) -> None:
    with pytest.raises(ConfigError, match="chance"):
        Chooser(ByChance(pool()), diverse="mmr")
    with pytest.raises(ConfigError, match="chance"):
        ByChance(pool()).alike([0, 1])
    with pytest.raises(ConfigError, match="in braces"):
        ByVectors(pool(), tiny_encoder, "{label}")
