"""The face: what it answers is what its target answers; what it did stands in the trace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pilotfish import ask
from pilotfish.assemble import Collaboration
from pilotfish.errors import ConfigError
from pilotfish.infer import Layers, SpeculativeModel
from pilotfish.model import Request
from tests.asking import streamed, together
from tests.fakes import ScriptedModel

if TYPE_CHECKING:
    from pilotfish.models.local import LocalModel
    from tests.conftest import TinyFolder

PROMPTS = ["the cat sat on the mat, the cat", "Where is my card?", "wrong, wrong, wrong", "a song of the sea"]
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "x",
        "schema": {
            "type": "object",
            "properties": {"a": {"enum": ["card arrival", "refund"]}, "b": {"type": "boolean"}},
            "required": ["a", "b"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture(scope="module")
def other(tiny_folder: TinyFolder) -> LocalModel:
    """A model with another tokenizer."""
    from pilotfish.models.local import LocalModel

    return LocalModel(tiny_folder("gpt2", "bos"), name="other", dtype="float32", device="cpu").load()


def made(kind: str, tiny_lm: LocalModel, other: LocalModel) -> SpeculativeModel:
    """A speculative model of each kind over the same target."""
    ways: dict[str, tuple[Any, dict[str, Any]]] = {
        "layers": (Layers(1), {"length": 3}),
        "look-up": ("prompt-lookup", {"length": 4}),
        "itself": (tiny_lm, {"length": "auto"}),
        "tree": (Layers(1), {"length": 3, "tree": [3, 2]}),
        "nodes": (Layers(1), {"length": 3, "tree": 5}),
        "other tokenizer": (other, {"length": 3}),
    }
    draft, settings = ways[kind]
    return SpeculativeModel(tiny_lm, draft, **settings)


KINDS = ["layers", "look-up", "itself", "tree", "nodes", "other tokenizer"]


@pytest.mark.parametrize("kind", KINDS)
def test_it_answers_as_its_target(kind: str, tiny_lm: LocalModel, other: LocalModel) -> None:
    model = made(kind, tiny_lm, other)
    every: list[dict[str, Any]] = [
        {"max_tokens": 24},
        {"max_tokens": 24, "stop": ("a", "e ")},
        {"max_tokens": 20, "presence_penalty": 1.0, "extra": {"repetition_penalty": 1.3}},
        {"max_tokens": 20, "temperature": 0.9, "top_p": 0.9, "seed": 4, "n": 2},
        {"max_tokens": 40, "response_format": SCHEMA},
        {"max_tokens": 12, "logprobs": True, "top_logprobs": 2},
    ]
    for settings in every:
        request = Request.of(PROMPTS[0], **settings)
        mine, its = ask(model, request), ask(tiny_lm, request)
        assert (mine.text, mine.finish_reason) == (its.text, its.finish_reason)
        assert [choice.text for choice in mine.choices] == [choice.text for choice in its.choices]
        if request.logprobs:
            assert mine.logprobs is not None and its.logprobs is not None
            for one, two in zip(mine.logprobs, its.logprobs, strict=True):
                assert one.token == two.token
                assert one.logprob == pytest.approx(two.logprob, abs=1e-4)
    assert model.report.tokens > 0


@pytest.mark.parametrize("kind", KINDS)
def test_answers_that_run_together(kind: str, tiny_lm: LocalModel, other: LocalModel) -> None:
    requests = [Request.of(prompt, max_tokens=8 + 5 * i) for i, prompt in enumerate(PROMPTS)]
    mine, its = (together(model, requests) for model in (made(kind, tiny_lm, other), tiny_lm))
    assert [reply.text for reply in mine] == [reply.text for reply in its]


def test_the_trace_tells_both_models_and_what_was_accepted(tiny_lm: LocalModel) -> None:
    model = SpeculativeModel(tiny_lm, Layers(1), length=3, name="fast")
    reply = ask(model, PROMPTS[0], max_tokens=16)
    target, draft = reply.trace.calls
    assert (target.model, target.role, target.tokens_out) == ("tiny", "target", 16)
    assert (draft.model, draft.role) == ("tiny, 1 layers", "draft")
    assert draft.tokens_out == model.report.drafted
    assert target.seconds > 0
    (decision,) = reply.trace.decisions
    assert decision.model == "fast"
    assert decision.verdict.startswith(f"accepted {model.report.accepted} of {model.report.drafted} drafted tokens")


def test_it_streams(tiny_lm: LocalModel) -> None:
    model = SpeculativeModel(tiny_lm, tiny_lm, length=4)
    found = [delta.text for delta in streamed(model, Request.of(PROMPTS[0], max_tokens=24)) if delta.text]
    assert len(found) > 2
    assert "".join(found) == ask(tiny_lm, PROMPTS[0], max_tokens=24).text


def test_a_lockstep_is_a_target(tiny_lm: LocalModel, tiny_folder: TinyFolder) -> None:
    from pilotfish.adapt.logits import ProxyTuned
    from pilotfish.models.local import LocalModel

    expert = LocalModel(tiny_folder("qwen2"), name="expert", dtype="float32", device="cpu")
    steered = ProxyTuned(tiny_lm, expert, expert, alpha=0.5)
    fast = SpeculativeModel(steered, tiny_lm, length=4)
    mine, its = ask(fast, PROMPTS[1], max_tokens=16), ask(steered, PROMPTS[1], max_tokens=16)
    assert mine.text == its.text
    assert [call.role for call in mine.trace.calls] == ["base", "expert", "anti-expert", "draft"]
    assert fast.report.acceptance > 0.9  # the experts cancel out


def test_a_lockstep_drafts(tiny_lm: LocalModel, tiny_folder: TinyFolder) -> None:
    from pilotfish.adapt.logits import ProxyTuned
    from pilotfish.models.local import LocalModel

    expert = LocalModel(tiny_folder("qwen2"), name="expert", dtype="float32", device="cpu")
    fast = SpeculativeModel(tiny_lm, ProxyTuned(tiny_lm, expert, expert, alpha=0.5), length=3)
    assert ask(fast, PROMPTS[1], max_tokens=16).text == ask(tiny_lm, PROMPTS[1], max_tokens=16).text
    assert fast.report.acceptance > 0.9


@pytest.mark.parametrize("backend", ["native", "torch", "transformers"])
def test_on_every_backend(backend: str, tiny_folder: TinyFolder, tiny_lm: LocalModel) -> None:
    from pilotfish.models.local import LocalModel

    model = LocalModel(tiny_folder(), dtype="float32", device="cpu", backend=backend)  # type: ignore[arg-type]
    fast = SpeculativeModel(model, Layers(1), length=3, tree=[2, 2])
    requests = [Request.of(prompt, max_tokens=14 + i) for i, prompt in enumerate(PROMPTS)]
    mine, its = (together(one, requests) for one in (fast, tiny_lm))
    assert [reply.text for reply in mine] == [reply.text for reply in its]
    assert fast.report.drafted > 0


def test_a_model_with_a_state_instead_of_a_cache() -> None:
    """A Mamba cannot forget; its decoder keeps copies, and drafting over it stays exact."""
    from pilotfish._extras import need
    from pilotfish.decode.sampler import Sampler, Sampling
    from pilotfish.decode.speculative import Fixed, ModelDraft, Speculative
    from pilotfish.decode.strategy import Plain
    from pilotfish.decode.transformers_decoder import TransformersDecoder
    from tests.decode.speculative.exact import answers

    torch, transformers = need("torch", "local"), need("transformers", "local")
    torch.manual_seed(0)
    config = transformers.MambaConfig(vocab_size=50, hidden_size=16, state_size=4, num_hidden_layers=2)
    module = transformers.MambaForCausalLM(config).eval()
    prompts = [[[1, 2, 3, 1, 2]], [[7, 8]]]
    target, small = TransformersDecoder(module), TransformersDecoder(module)

    def samplers() -> list[Sampler]:
        return [Sampler(Sampling(), 50, prompt[0]) for prompt in prompts]

    strategy = Speculative(target, ModelDraft(small, 50), Fixed(3))
    assert answers(strategy, prompts, samplers(), 12, 12) == answers(Plain(target), prompts, samplers(), 12, 12)
    assert strategy.report.acceptance == 1


def test_a_black_box_is_refused(tiny_lm: LocalModel) -> None:
    with pytest.raises(ConfigError, match=r"speculative: target: .*next-token logits"):
        SpeculativeModel(ScriptedModel("x"), "prompt-lookup")
    with pytest.raises(ConfigError, match="speculative: draft"):
        SpeculativeModel(tiny_lm, ScriptedModel("x"))


def test_settings_that_do_not_go_together_are_refused(tiny_lm: LocalModel) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"length": 0}, "length"),
        ({"tree": [2, 2]}, "no trees"),
        ({"draft": Layers(0)}, "layers"),
        ({"draft": Layers(1), "tree": [2, 0]}, "at least 1"),
    ]
    for settings, told in wrong:
        with pytest.raises(ConfigError, match=told):
            SpeculativeModel(tiny_lm, **settings)


def test_in_a_file(tmp_path: Path, tiny_folder: TinyFolder, tiny_lm: LocalModel) -> None:
    file = tmp_path / "fast.toml"
    file.write_text(
        f"""
        [models.large]
        use = "local"
        weights = "{tiny_folder()}"
        dtype = "float32"
        [models.small]
        use = "local"
        weights = "{tiny_folder("qwen2")}"
        dtype = "float32"
        [models.pair]
        use = "speculative"
        target = "large"
        draft = "small"
        length = 3
        tree = [2, 2]
        [models.quoting]
        use = "speculative"
        target = "large"
        [models.skipping]
        use = "speculative"
        target = "large"
        draft = {{ layers = 1 }}
        """
    )
    models = Collaboration.load(file)
    wanted = ask(tiny_lm, PROMPTS[0], max_tokens=12).text
    for name in ("pair", "quoting", "skipping"):
        models.check(name)
        assert ask(models.model(name), PROMPTS[0], max_tokens=12).text == wanted
    bad = tmp_path / "bad.toml"
    bad.write_text('[models.a]\nuse = "speculative"\ntarget = "a"\ndraft = "nobody"\n')
    with pytest.raises(ConfigError, match="nobody"):
        Collaboration.load(bad).check("a")
