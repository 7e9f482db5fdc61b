"""The faces of contrastive decoding against whole forward passes of each view."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch

from pilotfish import ask
from pilotfish.decode import rules
from pilotfish.errors import ConfigError, ModelError
from pilotfish.model import Message, Request
from pilotfish.repair import ContextAware, Contrastive, Dola
from tests.decode.tinies import greedy, last_logits, local, shown
from tests.fakes import ScriptedModel

ASKED = Request.of("Where is my card?", max_tokens=12)
CONTEXT = Message("user", "the exchange rate is wrong", "context")
QUESTION = Message("user", "Where is it?")


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({}, rules.contrastive_logits),
        ({"beta": 1.5, "alpha": 0.3}, partial(rules.contrastive_logits, beta=1.5, alpha=0.3)),
        ({"form": "ratio"}, rules.contrastive),
        ({"form": "ratio", "temperature": 0.5}, partial(rules.contrastive, temperature=0.5)),
    ],
)
def test_contrastive_says_what_the_formula_says(settings: dict[str, Any], rule: Any) -> None:
    models = [local(1), local(2)]
    tokens, logprobs = greedy(rule, models, [one.prompt_ids(ASKED) for one in models], 12)
    reply = ask(Contrastive(*models, **settings), ASKED.with_(logprobs=True))
    assert reply.text == shown(models[0], tokens) and reply.logprobs is not None
    assert [one.logprob for one in reply.logprobs] == pytest.approx(logprobs, abs=1e-3)
    assert [call.role for call in reply.trace.calls] == ["expert", "amateur"]


def test_what_is_implausible_is_never_said_greedy_or_not() -> None:
    models = [local(1), local(2)]
    model = Contrastive(*models, form="ratio", alpha=0.2)
    prompt = models[0].prompt_ids(ASKED)
    for temperature in (0.0, 1.5):
        decoder = model.decoder()
        (row,), logits = decoder.start([model.prompt(ASKED)])
        tokens: list[int] = []
        generator = torch.Generator().manual_seed(5)
        for _ in range(15):
            p = logits[0].softmax(-1) if not temperature else (logits[0] / temperature).softmax(-1)
            token = int(p.argmax()) if not temperature else int(torch.multinomial(p, 1, generator=generator))
            expert = last_logits(models[0], [*prompt, *tokens])
            assert expert[token] >= expert.max() + math.log(0.2) - 1e-3
            tokens.append(token)
            logits = decoder.feed([row], [[token]])[0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"form": "ratio", "beta": 0.5}, "beta belongs to"),
        ({"temperature": 0.5}, "temperature .* belongs to"),
        ({"alpha": 2.0}, "alpha is a share"),
        ({"form": "sum"}, "not 'sum'"),
        ({"beta": -1.0}, "must not be negative"),
        ({"form": "ratio", "temperature": 0.0}, "above 0"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Contrastive(local(1), local(2), **settings)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_format_holds_though_all_that_is_plausible_is_against_it(temperature: float) -> None:
    form = {"type": "regex", "pattern": "(refund|cat)"}
    request = ASKED.with_(response_format=form, temperature=temperature, seed=1)
    for model in (Contrastive(local(1), local(2)), Dola(local(1)), ContextAware(local(1))):
        assert ask(model, request).text in ("refund", "cat")


def test_black_boxes_are_refused() -> None:
    with pytest.raises(ConfigError, match="contrastive: amateur: 'scripted'"):
        Contrastive(local(1), ScriptedModel())
    with pytest.raises(ConfigError, match="context-aware: with context"):
        ContextAware(ScriptedModel())
    with pytest.raises(ConfigError, match="dola: model"):
        Dola(ScriptedModel())
    with pytest.raises(ConfigError, match="'contrastive' has no layers"):
        Dola(Contrastive(local(1), local(2)))


def views(request: Request, plain: Request, bare: Request, alpha: float) -> str:
    """What context-aware decoding says, the two views' prompts given."""
    model = local(1)
    prompts = [model.prompt_ids(plain), model.prompt_ids(bare)]
    assert prompts[0] != prompts[1]
    return shown(model, greedy(partial(rules.context_aware, alpha=alpha), [model, model], prompts, 12)[0])


@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_a_context_by_name_or_as_an_extra_field(alpha: float) -> None:
    model = ContextAware(local(1), alpha=alpha)
    named = Request((CONTEXT, QUESTION), max_tokens=12)
    plain = Request.of(f"{CONTEXT.text}\n\n{QUESTION.text}")
    wanted = views(named, plain, Request((QUESTION,)), alpha)
    reply = ask(model, named)
    assert reply.text == wanted
    assert ask(model, Request((QUESTION,), max_tokens=12, extra={"context": CONTEXT.text})).text == wanted
    assert [call.role for call in reply.trace.calls] == ["with context", "without context"]
    assert reply.trace.calls[0].tokens_in > reply.trace.calls[1].tokens_in


def test_a_context_in_the_system_turn_or_between_markers() -> None:
    system = Request((Message("system", CONTEXT.text), QUESTION), max_tokens=12)
    assert ask(ContextAware(local(1), context="system"), system).text == views(
        system, system, Request((QUESTION,)), 0.5
    )
    marked = Request.of(f"Text: [[{CONTEXT.text}]]\n{QUESTION.text}", max_tokens=12)
    bare = Request.of(f"Text: {QUESTION.text}")
    assert ask(ContextAware(local(1), context=["[[", "]]"]), marked).text == views(marked, marked, bare, 0.5)


def test_without_a_context_the_model_answers_as_alone() -> None:
    assert ask(ContextAware(local(1), alpha=3.0), ASKED).text == ask(local(1), ASKED).text


def test_both_views_share_one_pass() -> None:
    model = ContextAware(local(1))
    decoder = model.decoder()
    assert decoder.decoders[0] is decoder.decoders[1] and decoder.members == 2


def test_contexts_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="not 'user'"):
        ContextAware(local(1), context="user")
    with pytest.raises(ConfigError, match="two markers"):
        ContextAware(local(1), context=["<c>"])
    with pytest.raises(ConfigError, match="alpha must not be negative"):
        ContextAware(local(1), alpha=-1)
    with pytest.raises(ModelError, match="context must be a text, not int"):
        ask(ContextAware(local(1)), ASKED.with_(extra={"context": 3}))
    with pytest.raises(ModelError, match="takes no contxt"):
        ask(ContextAware(local(1)), ASKED.with_(extra={"contxt": "x"}))


def dola_by_hand(layers: list[int], penalty: float, limit: int = 12) -> list[int]:
    model = local(1)
    prompt = model.prompt_ids(ASKED)
    tokens: list[int] = []
    while len(tokens) < limit:
        with torch.inference_mode():
            module = model.model
            out = module(input_ids=torch.tensor([[*prompt, *tokens]]), output_hidden_states=True)
            early = [module.lm_head(module.model.norm(out.hidden_states[i][:, -1])).float() for i in layers]
            after = rules.dola([out.logits[:, -1].float(), *early])[0]
            for seen in {*prompt, *tokens}:
                after[seen] = after[seen] / penalty if after[seen] > 0 else after[seen] * penalty
        token = int(after.argmax())
        if token in model.ends:
            break
        tokens.append(token)
    return tokens


@pytest.mark.parametrize("layers", [[0], [1], [0, 1], "high"])
def test_dola_says_what_the_formula_says(layers: Any) -> None:
    wanted = dola_by_hand([1] if layers == "high" else layers, 1.2)
    assert ask(Dola(local(1), layers=layers), ASKED).text == shown(local(1), wanted)


def test_dolas_penalty_is_the_requests_where_it_has_one() -> None:
    wanted = shown(local(1), dola_by_hand([1], 1.0))
    assert ask(Dola(local(1), repetition_penalty=1.0), ASKED).text == wanted
    assert ask(Dola(local(1)), ASKED.with_(extra={"repetition_penalty": 1.0})).text == wanted
    assert wanted != shown(local(1), dola_by_hand([1], 1.2))


def test_layers_that_cannot_be() -> None:
    for layers, said in (("middle", "not 'middle'"), ([], "at least one"), ([-1], "from 0")):
        with pytest.raises(ConfigError, match=said):
            Dola(local(1), layers=layers)
    with pytest.raises(ConfigError, match="layer 2 is not before the last of 2"):
        ask(Dola(local(1), layers=[0, 2]), ASKED)
