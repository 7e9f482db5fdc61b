"""The faces of white-box adaptation against whole forward passes of each model."""

from __future__ import annotations

import math
from functools import partial

import pytest

from pilotfish import ask
from pilotfish.adapt.logits import Experts, Pair, ProxyTuned
from pilotfish.decode import rules
from pilotfish.errors import ConfigError
from pilotfish.model import Message, Request
from tests.asking import are_answers_alone
from tests.decode.tinies import greedy, last_logits, local, shown
from tests.fakes import ScriptedModel

ASKED = Request.of("Where is my card?", max_tokens=12)


def test_proxy_tuned_says_what_the_formula_says() -> None:
    model = ProxyTuned(local(1), local(2), local(3), alpha=0.6)
    reply = ask(model, ASKED.with_(logprobs=True, top_logprobs=2))
    models = [local(1), local(2), local(3)]
    prompts = [one.prompt_ids(ASKED) for one in models]
    tokens, logprobs = greedy(partial(rules.proxy_tuning, alphas=(0.6,)), models, prompts, 12)
    assert tokens and reply.text == shown(local(1), tokens)
    assert reply.logprobs is not None
    assert [one.logprob for one in reply.logprobs] == pytest.approx(logprobs, abs=1e-3)
    calls = [(call.model, call.role, call.tokens_in) for call in reply.trace.calls]
    size = len(prompts[0])
    assert calls == [("tiny-1", "base", size), ("tiny-2", "expert", size), ("tiny-3", "anti-expert", size)]
    assert all(call.tokens_out >= len(tokens) - 1 and call.seconds > 0 for call in reply.trace.calls)


def test_it_differs_from_its_base() -> None:
    model = ProxyTuned(local(1), local(2), local(3))
    assert ask(model, ASKED).text != ask(local(1), ASKED).text
    assert ask(ProxyTuned(local(1), local(2), local(3), alpha=0.0), ASKED).text == ask(local(1), ASKED).text


def test_several_pairs_each_with_its_own_strength() -> None:
    pairs = [Pair(local(2), local(3), 0.7), Pair(local(4), local(3), -0.4)]
    model = ProxyTuned(local(1), pairs=pairs)
    models = [local(seed) for seed in (1, 2, 3, 4, 3)]
    prompts = [one.prompt_ids(ASKED) for one in models]
    tokens, _ = greedy(partial(rules.proxy_tuning, alphas=(0.7, -0.4)), models, prompts, 12)
    reply = ask(model, ASKED)
    assert reply.text == shown(local(1), tokens)
    roles = [call.role for call in reply.trace.calls]
    assert roles == ["base", "expert 1", "anti-expert 1", "expert 2", "anti-expert 2"]


def test_each_part_may_have_a_system_turn_of_its_own() -> None:
    told = {"expert": "Text: refund", "anti-expert": ""}
    model = ProxyTuned(local(1), local(2), local(3), system=told)
    request = Request((Message("system", "Answer."), Message("user", "the cat")), max_tokens=8)
    views = [
        request,
        request.with_(messages=(Message("system", "Text: refund"), request.messages[1])),
        request.with_(messages=request.messages[1:]),
    ]
    models = [local(1), local(2), local(3)]
    prompts = [one.prompt_ids(view) for one, view in zip(models, views, strict=True)]
    assert [list(ids) for ids in model.prompt(request)] == prompts
    assert ask(model, request).text == shown(local(1), greedy(rules.proxy_tuning, models, prompts, 8)[0])
    with pytest.raises(ConfigError, match="no 'teacher' here; there are base, expert, anti-expert"):
        ProxyTuned(local(1), local(2), local(3), system={"teacher": "x"})


def test_answers_together_are_answers_alone_and_streams_are_whole() -> None:
    model = ProxyTuned(local(1), local(2), local(3))
    prompts = ["the dog", "Where is it? I want a refund", "x", "Ça va"]
    requests = [Request.of(text, max_tokens=10, temperature=t, seed=3) for text in prompts for t in (0.0, 0.9)]
    are_answers_alone(model, requests)


def test_it_nests() -> None:
    inner = Experts([local(1), local(4)], [0.5, 0.5], name="inner")
    outer = ProxyTuned(inner, local(2), local(3), alpha=0.5)
    models = [local(seed) for seed in (1, 4, 2, 3)]
    prompts = [one.prompt_ids(ASKED) for one in models]
    tokens, _ = greedy(lambda x: 0.5 * x[0] + 0.5 * x[1] + 0.5 * (x[2] - x[3]), models, prompts, 12)
    reply = ask(outer, ASKED)
    assert reply.text == shown(local(1), tokens)
    roles = [call.role for call in reply.trace.calls]
    assert roles == ["base expert 1", "base expert 2", "expert", "anti-expert"]


def test_a_black_box_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="proxy-tuned: expert: 'gpt'"):
        ProxyTuned(local(1), ScriptedModel("yes", name="gpt"), local(3))
    with pytest.raises(ConfigError, match="an expert and its anti-expert"):
        ProxyTuned(local(1), local(2))
    with pytest.raises(ConfigError, match="an expert and its anti-expert"):
        ProxyTuned(local(1), local(2), local(3), pairs=[Pair(local(2), local(3))])


def test_another_vocabulary_is_refused_with_its_first_token() -> None:
    model = ProxyTuned(local(1), local(2, "bare"), local(3))
    with pytest.raises(ConfigError, match="tiny-1 and tiny-2 have different vocabularies: token 0 is"):
        ask(model, ASKED)


@pytest.mark.parametrize(
    ("kind", "weights"),
    [("product", [0.8, 0.5]), ("mixture", [0.3, 0.7]), ("gated", [-0.5, 0.1, 0.2, 0.0, -0.3, 0.0])],
)
def test_experts_say_what_the_formula_says(kind: rules.experts.Kind, weights: list[float]) -> None:
    model = Experts([local(1), local(2)], weights, kind)
    models = [local(1), local(2)]
    prompts = [one.prompt_ids(ASKED) for one in models]
    tokens, logprobs = greedy(rules.combined(kind, weights), models, prompts, 12)
    reply = ask(model, ASKED.with_(logprobs=True))
    assert reply.text == shown(local(1), tokens) and reply.logprobs is not None
    assert [one.logprob for one in reply.logprobs] == pytest.approx(logprobs, abs=1e-3)


def test_experts_weights_are_fitted_on_texts() -> None:
    texts = {"bank": ["the exchange rate is wrong", "I want a refund"], "cat": ["the cat sat on the mat"]}
    model = Experts([local(1), local(2)], kind="mixture")
    fit = model.fit(texts)
    for domain, text in zip(fit.domains, texts.values(), strict=True):
        for alone, seed in zip(domain.alone, (1, 2), strict=True):
            said = [
                float(last_logits(local(seed), ids[:i]).log_softmax(-1)[ids[i]])
                for ids in ([0, *model.tokenizer(one)["input_ids"]] for one in text)
                for i in range(1, len(ids))
            ]
            assert alone == pytest.approx(math.exp(-sum(said) / len(said)), rel=1e-3)
            assert domain.tokens == len(said)
    total = sum(domain.tokens * math.log(domain.fitted) for domain in fit.domains)
    assert total <= sum(domain.tokens * math.log(domain.equal) for domain in fit.domains) + 1e-6
    product = model.fit({"bank": texts["bank"]}, {"other": texts["cat"]}, kind="product", limit=9)
    assert (product.kind, product.domains[0].domain) == ("product", "other")
    assert ask(Experts([local(1), local(2)], product.weights), ASKED).text


def test_weights_must_fit_the_models() -> None:
    with pytest.raises(ConfigError, match="2 models as a gated need 6 weights, not 2"):
        Experts([local(1), local(2)], [0.5, 0.5], "gated")
    with pytest.raises(ConfigError, match="two models or more"):
        Experts([local(1)])
    with pytest.raises(ConfigError, match="must not be negative"):
        Experts([local(1), local(2)], [1.0, -1.0], "mixture")
