"""A language model on a graph against the same weights in torch; here the graph is run by torch, as it is exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pilotfish import ask
from pilotfish.compete.constrained import lm as module
from pilotfish.compete.constrained.engine import GraphEngine
from pilotfish.compete.constrained.lm import SessionLM
from pilotfish.errors import ConfigError, ModelError
from pilotfish.model import Request
from pilotfish.models.classify import Labeller
from pilotfish.models.local import LocalModel

TEXTS = ["the cat sat on the mat, it's 2024 and the dog did not", "Where is my card?", "a", "refund refund refund"]


class TorchSession:
    """The module that is exported, run as it is; counts the tokens that it is given."""

    about = "torch"

    def __init__(self, graph: Any) -> None:
        self.graph, self.tokens = graph, 0

    def run(self, inputs: Any) -> list[NDArray[Any]]:
        import torch

        self.tokens += inputs["ids"].size
        order = ("ids", "positions", "wanted", "past")
        with torch.inference_mode():
            return [out.numpy() for out in self.graph(*(torch.from_numpy(np.array(inputs[one])) for one in order))]


def pair(folder: Path, **how: Any) -> tuple[SessionLM, LocalModel]:
    from pilotfish.compete.constrained.graph import Causal
    from pilotfish.decode._arch_read import read

    local = LocalModel(folder, name="tiny", dtype="float32", device="cpu", **how).load()
    arch = read(local.model)
    assert arch is not None
    facts = {
        "max_length": local.max_length,
        "vocabulary": arch.vocabulary,
        "layers": len(arch.layers),
        "heads": arch.kv_heads,
        "width": arch.head_dim,
        "ends": sorted(local.ends),
    }
    place = folder.parent / f"{folder.name}-exported"
    if not place.exists():
        local.tokenizer.save_pretrained(place / "tokenizer")
    return SessionLM(GraphEngine(TorchSession(Causal(arch).eval()), facts), place, facts, "tiny"), local


@pytest.fixture
def both(tiny_folder: Any) -> tuple[SessionLM, LocalModel]:
    return pair(tiny_folder())


@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt2", "qwen3", "gemma3", "mistral"])
def test_every_family_scores_as_in_torch(family: str, tiny_folder: Any) -> None:
    ours, theirs = pair(tiny_folder(family))
    pairs = [("", text) for text in TEXTS] + [(TEXTS[0], " and more"), ("Where is ", "my card"), ("x", "")]
    for a, b in zip(ours.score(pairs), theirs.score(pairs), strict=True):
        assert a.tokens == b.tokens
        assert a.logprobs == pytest.approx(b.logprobs, abs=2e-3)
        assert a.greedy == b.greedy


@pytest.mark.parametrize("logits", [500, 4000])
def test_logits_are_held_a_part_at_a_time(
    logits: int, both: tuple[SessionLM, LocalModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = both
    monkeypatch.setattr(module, "LOGITS", logits)
    pairs = [("", text) for text in TEXTS] + [(TEXTS[0], " and more of it")]
    for a, b in zip(ours.score(pairs), theirs.score(pairs), strict=True):
        assert a.logprobs == pytest.approx(b.logprobs, abs=2e-3)


@pytest.mark.parametrize("options", [["refund", "top up failed", "card arrival"], ["refund", "refund status"], ["a"]])
def test_choices_are_those_of_torch(options: list[str], both: tuple[SessionLM, LocalModel]) -> None:
    ours, theirs = both
    contexts = [f"Categories:\n- card arrival\n- refund\nText: {text}\nCategory: " for text in TEXTS]
    assert ours.choices(contexts, options) == pytest.approx(theirs.choices(contexts, options), abs=5e-3)
    with pytest.raises(ConfigError, match="must not be empty"):
        ours.choices(contexts, ["a", ""])
    assert ours.choices([], options).shape == (0, len(options))


def test_what_texts_begin_with_is_read_once(both: tuple[SessionLM, LocalModel]) -> None:
    ours, _ = both
    common = "the cat sat on the mat and the dog did not " * 6
    one = [f"{common}{word}" for word in ("card", "bird", "song")]
    ours.choices(one, ["refund", "exchange"])
    assert isinstance(ours.engine, GraphEngine) and isinstance(ours.engine.session, TorchSession)
    assert ours.engine.session.tokens < 1.6 * ours.count(one[0])


def test_answers_are_those_of_torch(both: tuple[SessionLM, LocalModel]) -> None:
    ours, theirs = both
    for text in TEXTS:
        a, b = ask(ours, text, max_tokens=12, logprobs=True), ask(theirs, text, max_tokens=12, logprobs=True)
        assert (a.text, a.finish_reason) == (b.text, b.finish_reason)
        assert a.usage == b.usage
        assert a.logprobs is not None and b.logprobs is not None
        assert [one.logprob for one in a.logprobs] == pytest.approx([one.logprob for one in b.logprobs], abs=5e-3)


def test_an_answer_ends_where_it_is_told_to(both: tuple[SessionLM, LocalModel]) -> None:
    ours, _ = both
    whole = ask(ours, TEXTS[0], max_tokens=12)
    word = whole.text[3:5]
    cut = ask(ours, TEXTS[0], max_tokens=12, stop=(word,))
    assert cut.text == whole.text[: whole.text.find(word)] and cut.finish_reason == "stop"
    assert ask(ours, TEXTS[0], max_tokens=0).text == ""
    drawn = [ask(ours, TEXTS[0], max_tokens=8, temperature=1.5, seed=seed).text for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_what_it_does_not_do_is_told(both: tuple[SessionLM, LocalModel]) -> None:
    ours, _ = both
    with pytest.raises(ModelError, match="takes no response_format"):
        ask(ours, "x", response_format={"type": "json_object"})
    with pytest.raises(ModelError, match="one answer a request"):
        ask(ours, "x", n=2)
    with pytest.raises(ModelError, match="512 tokens"):
        ask(ours, "the cat " * 600)
    with pytest.raises(ModelError, match="a text has"):
        ours.score([("", "the cat " * 600)])


def test_it_labels(both: tuple[SessionLM, LocalModel]) -> None:
    labels = ["card_arrival", "refund", "exchange_rate"]
    ours, theirs = (Labeller(one, labels).predict(TEXTS) for one in both)
    assert ours.labels == theirs.labels
    assert ours.logprobs == pytest.approx(theirs.logprobs, abs=5e-3)


def test_a_long_prompt_is_read_in_chunks(both: tuple[SessionLM, LocalModel], monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = both
    monkeypatch.setattr(module, "CHUNK", 7)
    text = "the cat sat on the mat " * 10
    assert ask(ours, Request.of(text, max_tokens=4)).text == ask(theirs, Request.of(text, max_tokens=4)).text
