"""A model behind a batch API, against a real server of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pilotfish.model import Price, Request
from pilotfish.models.batch import BatchModel
from tests.asking import together
from tests.fakes_batch import FakeBatches


def model_at(provider: FakeBatches, folder: Path, **settings: Any) -> BatchModel:
    quick = {"key_env": None, "gather": 0.05, "poll": 0.01, "settle": 0.1, "progress": False, "timeout": 5.0}
    return BatchModel("tiny", provider.url, folder=folder, **{**quick, **settings})


def requests(count: int, start: int = 0) -> list[Request]:
    return [Request.of(f"n{i}", max_tokens=4) for i in range(start, start + count)]


def test_requests_go_together(tmp_path: Path) -> None:
    with FakeBatches() as provider:
        model = model_at(provider, tmp_path, price=Price(1e6, 1e6))
        replies = together(model, requests(7))
    assert [reply.text for reply in replies] == [f"echo n{i}" for i in range(7)]
    assert len(provider.batches) == 1 and all(reply.cost == 7.0 for reply in replies)
