"""The kinds that run models in lockstep, from a file's tables to an answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pilotfish import ask
from pilotfish.adapt.logits import Experts, ProxyTuned
from pilotfish.assemble.file import Collaboration
from pilotfish.assemble.specs import references
from pilotfish.errors import ConfigError
from pilotfish.model import Request
from pilotfish.repair import ContextAware, Contrastive, Dola
from pilotfish.supervise import Nudged, RewardGuided, WeakToStrongSearch

CASES: list[tuple[dict[str, Any], type, dict[str, Any]]] = [
    ({"use": "proxy-tuned", "base": "a", "expert": "b", "anti_expert": "c", "alpha": 2}, ProxyTuned, {}),
    (
        {"use": "proxy-tuned", "base": "a", "pairs": [{"expert": "b", "anti_expert": "c", "alpha": 0.5}]},
        ProxyTuned,
        {},
    ),
    ({"use": "experts", "models": ["a", "b"], "weights": [1, 0.5], "kind": "mixture"}, Experts, {"kind": "mixture"}),
    ({"use": "contrastive", "expert": "a", "amateur": "b", "form": "ratio", "temperature": 0.5}, Contrastive, {}),
    ({"use": "context-aware", "model": "a", "alpha": 1, "context": ["<c>", "</c>"]}, ContextAware, {"alpha": 1.0}),
    ({"use": "dola", "model": "a", "layers": [0, 1]}, Dola, {"layers": [0, 1]}),
    ({"use": "nudged", "base": "a", "nudge": "b", "gamma": 0.5, "unit": "token"}, Nudged, {"gamma": 0.5}),
    ({"use": "reward-guided", "base": "a", "tuned": "b", "reference": "c", "k": 4}, RewardGuided, {"k": 4}),
    (
        {"use": "weak-to-strong-search", "base": "a", "tuned": "b", "reference": "c", "beams": 1, "chunk": 0},
        WeakToStrongSearch,
        {"beams": 1, "chunk": 0, "successors": 4},
    ),
]


def collaboration(folder: Callable[..., Path], table: dict[str, Any]) -> Collaboration:
    local = {"use": "local", "weights": str(folder()), "dtype": "float32", "device": "cpu"}
    return Collaboration({"models": {"a": local, "b": local, "c": local, "assistant": table}})


@pytest.mark.parametrize(
    ("table", "kind", "settings"), CASES, ids=[f"{case[0]['use']}-{i}" for i, case in enumerate(CASES)]
)
def test_a_table_becomes_a_model_that_answers(
    tiny_folder: Callable[..., Path], table: dict[str, Any], kind: type, settings: dict[str, Any]
) -> None:
    model = collaboration(tiny_folder, {**table, "max_tokens": 3}).model()
    assert isinstance(model, kind) and model.name == "assistant"
    assert {key: getattr(model, key) for key in settings} == settings
    reply = ask(model, Request.of("Where is my card?", temperature=0.5, seed=1))
    assert reply.trace.calls and reply.usage.tokens_out > 0
    assert {call.model for call in reply.trace.calls} <= {"a", "b", "c"}


def test_every_reference_is_found() -> None:
    for table, _, _ in CASES:
        local = {"use": "local", "weights": "x"}
        known = Collaboration({"models": {"a": local, "b": local, "c": local, "assistant": table}})
        named = str(table).count("'a'") + str(table).count("'b'") + str(table).count("'c'")
        assert len(references(known.spec("assistant"))) == named
        assert set(known.answers_by("assistant")) == {
            "assistant",
            *(name for name in "abc" if f"'{name}'" in str(table)),
        }


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"use": "experts", "models": ["a", "d"]}, r"models\.1 = 'd': no such model"),
        (
            {"use": "proxy-tuned", "base": "a", "pairs": [{"expert": "x", "anti_expert": "b"}]},
            r"pairs\.0\.expert = 'x': no such model",
        ),
        ({"use": "proxy-tuned", "base": "a", "expert": "d", "anti_expert": "b"}, "expert = 'd': no such model"),
        ({"use": "proxy-tuned", "base": "a", "expret": "b"}, "unknown key 'expret'; did you mean 'expert'"),
        ({"use": "contrastive", "expert": "a", "amateur": "b", "alpha": 2}, "alpha: input should be less than"),
        ({"use": "nudged", "base": "assistant", "nudge": "b"}, "assistant"),
    ],
)
def test_a_file_with_a_fault_is_refused(tiny_folder: Callable[..., Path], table: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        collaboration(tiny_folder, table)


def test_a_remote_model_is_no_white_box(tiny_folder: Callable[..., Path]) -> None:
    table = {"use": "nudged", "base": "a", "nudge": "gpt"}
    local = {"use": "local", "weights": str(tiny_folder())}
    remote = {"use": "openai", "model": "gpt", "base_url": "http://localhost:1/v1", "key_env": "HOME"}
    file = Collaboration({"models": {"a": local, "gpt": remote, "assistant": table}})
    with pytest.raises(ConfigError, match="assistant: nudging: 'gpt'"):
        file.model()
