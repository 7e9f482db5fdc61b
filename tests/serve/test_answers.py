"""Answers given before: equal requests, similar ones, and never opposite ones."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pilotfish.errors import ConfigError
from pilotfish.model import Call, Decision, Message, Reply, Request, TokenLogprob, Trace
from pilotfish.models.encoder import Encoder
from pilotfish.serve._same_sense import may_be_same
from pilotfish.serve._similar import Similar, unit
from pilotfish.serve.answers import ResponseCache

from .test_limits import Clock

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


def answer(text: str = "Paris") -> Reply:
    calls = (
        Call("small", tokens_in=8, tokens_out=1, seconds=0.1, cost=0.001),
        Call("large", tokens_in=8, tokens_out=2, cost=0.1),
    )
    return Reply(text, trace=Trace(calls, (Decision("assistant", "deferred", -1.0),)))


class Bags:
    """Vectors of word counts: texts of the same words lie in one place."""

    def __init__(self) -> None:
        self.words: dict[str, int] = {}
        self.calls = 0

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        self.calls += 1
        out = np.zeros((len(texts), 64), dtype=np.float32)
        for row, text in zip(out, texts, strict=True):
            for word in text.lower().rstrip("?!.").split():
                row[self.words.setdefault(word, len(self.words)) % 64] += 1
        return out


class Same:
    """One vector for every text."""

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        return np.ones((len(texts), 8), dtype=np.float32)


TURN = [{"role": "user", "content": "hello there"}]


async def asked(cache: ResponseCache, request: Request, model: str = "m", scope: str = "") -> Reply | None:
    return await cache.find(model, request, scope)


def test_an_equal_request_costs_nothing_again() -> None:
    cache = ResponseCache()
    request = Request.of("Capital of France?", max_tokens=4)

    async def story() -> Reply | None:
        assert await cache.find("m", request) is None
        await cache.keep("m", request, answer())
        return await cache.find("m", Request.of("Capital of France?", max_tokens=4))

    found = run(story())
    assert found is not None
    assert found.text == "Paris"
    assert found.cost == 0
    assert all(call.cached for call in found.trace.calls)
    assert found.usage == answer().usage
    assert found.trace.decisions[-1] == Decision("response-cache", "equal", None)
    assert (cache.hits, cache.similar, cache.misses) == (1, 0, 1)


@pytest.mark.parametrize(
    "other",
    [
        Request.of("Capital of France?", max_tokens=5),
        Request.of("Capital of France?", max_tokens=4, temperature=0.5),
        Request.of("Capital of France?", max_tokens=4, seed=1),
        Request.of("Capital of France?", max_tokens=4, metadata={"sample": 1}),
        Request.of("Capital of france?", max_tokens=4),
    ],
)
def test_another_request_is_another(other: Request) -> None:
    cache = ResponseCache()
    run(cache.keep("m", Request.of("Capital of France?", max_tokens=4), answer()))
    assert run(asked(cache, other)) is None


def test_models_and_scopes_share_nothing() -> None:
    cache = ResponseCache(encoder=Bags())
    request = Request.of("Capital of France?")
    run(cache.keep("m", request, answer(), "ann"))
    for model, scope in (("m", ""), ("m", "bob"), ("other", "ann")):
        assert run(asked(cache, request, model, scope)) is None
    assert run(asked(cache, request, "m", "ann")) is not None


def test_answers_age() -> None:
    clock = Clock()
    cache = ResponseCache(ttl=60, clock=clock, encoder=Bags())
    run(cache.keep("m", Request.of("a b c"), answer()))
    clock.now = 59.9
    assert run(asked(cache, Request.of("a b c"))) is not None
    assert run(asked(cache, Request.of("c b a"))) is not None
    clock.now = 60
    assert run(asked(cache, Request.of("c b a"))) is None
    assert run(asked(cache, Request.of("a b c"))) is None
    assert len(cache) == 0


def test_the_longest_unused_goes_first() -> None:
    cache = ResponseCache(max_entries=2)
    for text in ("one", "two"):
        run(cache.keep("m", Request.of(text), answer(text)))
    run(asked(cache, Request.of("one")))
    run(cache.keep("m", Request.of("three"), answer("three")))
    assert run(asked(cache, Request.of("two"))) is None
    assert run(asked(cache, Request.of("one"))) is not None


def test_the_size_is_bounded() -> None:
    cache = ResponseCache(max_bytes=10_000)
    for number in range(50):
        run(cache.keep("m", Request.of(f"{number}"), answer("x" * 900)))
    assert 5 <= len(cache) <= 10
    run(cache.keep("m", Request.of("huge"), answer("x" * 20_000)))
    assert run(asked(cache, Request.of("huge"))) is None
    assert run(asked(cache, Request.of("49"))) is not None


def test_an_answer_from_the_cache_is_not_kept_again() -> None:
    clock = Clock()
    cache = ResponseCache(ttl=60, clock=clock)
    request = Request.of("a")
    run(cache.keep("m", request, answer()))
    found = run(asked(cache, request))
    assert found is not None
    clock.now = 50
    run(cache.keep("m", request, found))
    clock.now = 61
    assert run(asked(cache, request)) is None


def test_a_similar_request_is_one_of_equal_context() -> None:
    encoder = Bags()
    cache = ResponseCache(encoder=encoder)
    system = Message("system", "Answer in one word.")

    def request(text: str, first: Message = system, **settings: Any) -> Request:
        return Request((first, Message("user", text)), **settings)

    run(cache.keep("m", request("the capital of France is what?"), answer()))
    found = run(asked(cache, request("what is the capital of France?")))
    assert found is not None
    decision = found.trace.decisions[-1]
    assert (decision.model, decision.verdict) == ("response-cache", "similar")
    assert decision.score == pytest.approx(1, abs=1e-6)
    same = "is what the capital of France?"
    others = [
        request(same, Message("system", "Answer in French.")),
        request(same, temperature=0.7),
        request(same, tools=({"type": "function"},)),
        request(same, n=2),
        request(same, logprobs=True),
        request(same, max_tokens=9),
        Request((*request(same).messages, Message("assistant", "Hm.")), extra={}),
        Request((system, Message("user", ({"type": "text", "text": same},)))),
    ]
    for other in others:
        assert run(asked(cache, other)) is None, other
    run(cache.keep("m", request(same, temperature=0.0), answer()))
    assert run(asked(cache, request("what the capital of France is?", temperature=0))) is not None


def test_a_vector_is_made_once_for_search_and_answer() -> None:
    encoder = Bags()
    cache = ResponseCache(encoder=encoder)

    async def story() -> None:
        await cache.find("m", Request.of("a b"))
        await cache.keep("m", Request.of("a b"), answer())

    run(story())
    assert encoder.calls == 1
    run(asked(cache, Request.of("a b")))  # equal: no vector is needed
    assert encoder.calls == 1


OPPOSITES = [
    ("How do I turn alerts on?", "How do I turn alerts off?"),
    ("Is it safe to eat raw eggs?", "Is it not safe to eat raw eggs?"),
    ("Can I cancel my order?", "Can't I cancel my order?"),
    ("How do I enable two-factor login?", "How do I disable two-factor login?"),
    ("Send $500 to my savings account", "Send $5000 to my savings account"),
    ("Transfer money from savings to checking", "Transfer money from checking to savings"),
    ("Is an ant stronger than a bee?", "Is a bee stronger than an ant?"),
    ("What happened before 1945?", "What happened after 1945?"),
    ("Which films were good in 2019?", "Which films were good in 2020?"),
    ("The payment was accepted, why?", "The payment was declined, why?"),
]
SAME = [
    ("How do I turn alerts on?", "How can I turn the alerts on?"),
    ("I have not received my card", "My card has not been received"),
    ("What is the capital of France?", "Tell me the capital of France"),
    ("I can't find 2 of my orders", "2 of my orders cannot be found"),
]


@pytest.mark.parametrize(("one", "other"), OPPOSITES)
def test_opposite_sentences_never_share_an_answer(one: str, other: str) -> None:
    """Not even where the encoder sees no difference at all, at the lowest threshold."""

    class Blind:
        def encode(self, texts: list[str]) -> NDArray[np.float32]:
            return np.ones((len(texts), 3), dtype=np.float32)

    cache = ResponseCache(encoder=Blind(), threshold=0.01)
    run(cache.keep("m", Request.of(one), answer()))
    assert run(asked(cache, Request.of(other))) is None
    assert not may_be_same(other, one)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_other_words_for_the_same_may_share_one(one: str, other: str) -> None:
    assert may_be_same(one, other)
    assert may_be_same(other, one)


@pytest.mark.models
def test_a_real_encoder_finds_the_same_question(minilm: Encoder) -> None:
    cache = ResponseCache(encoder=minilm, threshold=0.9)
    run(cache.keep("m", Request.of("What is the capital of France?"), answer()))
    assert run(asked(cache, Request.of("What's the capital of France?"))) is not None
    assert run(asked(cache, Request.of("What is the capital of Italy?"))) is None
    for one, other in OPPOSITES:
        run(cache.keep("m", Request.of(one), answer()))
        assert run(asked(cache, Request.of(other))) is None, other


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=80))
def test_the_index_finds_what_a_plain_search_finds(steps: list[tuple[bool, int]]) -> None:
    rng = np.random.default_rng(3)
    vectors = {str(i): unit(rng.normal(size=5).astype(np.float32)) for i in range(13)}
    index, present = Similar(), set[str]()
    for adds, number in steps:
        key = str(number)
        if adds:
            index.add(key, vectors[key])
            present.add(key)
        elif key in present:
            index.remove(key)
            present.remove(key)
        assert len(index) == len(present)
        query = unit(rng.normal(size=5).astype(np.float32))
        best = max(present, key=lambda k: float(vectors[k] @ query), default=None)
        found = index.near(query, 0.3, lambda _: True)
        if best is None or float(vectors[best] @ query) < 0.3:
            assert found is None
        else:
            assert found is not None
            assert math.isclose(found[1], float(vectors[best] @ query), abs_tol=1e-5)


def test_vectors_count_for_the_size_and_leave_with_their_answers() -> None:
    cache = ResponseCache(max_bytes=20_000, encoder=Bags())
    for number in range(200):
        run(cache.keep("m", Request.of([{"role": "system", "content": str(number)}, *TURN]), answer()))
    held = sum(index.nbytes for index in cache._contexts.values())
    assert held == 256 * len(cache._contexts) == 256 * len(cache)
    assert len(cache) < 20_000 / 512
    index = Similar()
    for number in range(1000):
        index.add(str(number), np.ones(64, np.float32))
    for number in range(990):
        index.remove(str(number))
    assert index.nbytes <= 4 * 10 * 256
    found = index.near(unit(np.ones(64, np.float32)), 0.9, lambda key: key == "995")
    assert found is not None


def test_a_crowd_of_near_texts_does_not_hold_up_a_search() -> None:
    """Every text of it is as near as the other, and none asks the same; a search gives up after the nearest ones."""
    clock = Clock()
    cache = ResponseCache(clock=clock, encoder=Same(), ttl=60)

    async def crowd() -> None:
        for number in range(4000):
            await cache.keep("m", Request.of(f"the price of item {number} " + "in some words " * 100), answer())

    run(crowd())
    start = time.perf_counter()
    assert run(asked(cache, Request.of("the price of item 5000 " + "in some words " * 100))) is None
    assert time.perf_counter() - start < 0.2
    clock.now = 61
    run(cache.keep("m", Request.of("the price of all"), answer()))
    assert run(asked(cache, Request.of("the price of all of it"))) is not None, "what is too old does not count"
    assert len(cache) == 1


@pytest.mark.parametrize("settings", [{"ttl": 0}, {"max_entries": 0}, {"threshold": 0.0}, {"threshold": 1.5}])
def test_settings_that_cannot_be(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        ResponseCache(**settings)


def test_logprobs_count_for_the_size() -> None:
    cache = ResponseCache(max_bytes=5000)
    tokens = tuple(TokenLogprob("x", -1.0) for _ in range(1000))
    run(cache.keep("m", Request.of("a", logprobs=True), answer().with_(logprobs=tokens)))
    assert len(cache) == 0
