"""Draft and verify with several models in lockstep as the target: the same tokens as the lockstep alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pilotfish import ask
from pilotfish.adapt import Experts, ProxyTuned
from pilotfish.errors import ConfigError
from pilotfish.infer import SpeculativeModel
from pilotfish.model import Request
from pilotfish.repair import ContextAware, Contrastive, Dola
from pilotfish.supervise import Nudged, RewardGuided, WeakToStrongSearch
from tests.asking import together
from tests.decode.tinies import local

TARGETS: dict[str, Callable[[], Any]] = {
    "proxy-tuned": lambda: ProxyTuned(local(1), local(2), local(3)),
    "experts": lambda: Experts([local(1), local(2)], kind="mixture"),
    "contrastive": lambda: Contrastive(local(1), local(2)),
    "context-aware": lambda: ContextAware(local(1)),
    "dola": lambda: Dola(local(1)),
    "nudged": lambda: Nudged(local(1), local(2), unit="token"),
    "reward-guided": lambda: RewardGuided(local(1), tuned=local(2), reference=local(3), k=5),
}
TEXTS = ["the cat sat on the mat, the cat", "Where is my card?", "wrong, wrong, wrong"]


@pytest.mark.parametrize("name", TARGETS)
def test_the_same_tokens_as_the_target_alone(name: str) -> None:
    target = TARGETS[name]()
    extra = {"context": "the exchange rate is wrong"} if name == "context-aware" else {}
    requests = [Request.of(text, max_tokens=16, extra=extra) for text in TEXTS]
    alone = [ask(target, request) for request in requests]
    for draft, settings in (
        (local(1), {"length": 3}),
        (local(2), {"length": 2, "tree": [2, 2]}),
        ("prompt-lookup", {"length": 4}),
    ):
        model = SpeculativeModel(target, draft, **settings)
        replies = together(model, requests)
        assert [reply.text for reply in replies] == [reply.text for reply in alone]
        # Every member stands in the trace with its own role, as it does without drafting.
        roles = [call.role for call in alone[0].trace.calls]
        assert [call.role for call in replies[0].trace.calls][: len(roles)] == roles


def test_what_has_no_next_token_is_no_target() -> None:
    for target in (Nudged(local(1), local(2)), WeakToStrongSearch(local(1), local(2), local(3))):
        with pytest.raises(ConfigError, match=r"speculative: target: .* gives no next-token logits"):
            SpeculativeModel(target)
