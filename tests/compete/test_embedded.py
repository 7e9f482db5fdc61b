"""The advisor on the embedded models and rows, once, end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pilotfish.compete.advise import Settings, advise, kept
from pilotfish.compete.folder import write_folder
from pilotfish.compete.task import text_task
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel

SUPPORT = Path(__file__).parents[2] / "examples" / "support"


def read(name: str, rows: int) -> list[dict[str, Any]]:
    lines = (SUPPORT / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[:rows]]


@pytest.mark.models
def test_the_embedded_models_on_the_embedded_rows(minilm: Encoder, tmp_path: Path) -> None:
    intents = ("order_status", "refund_status", "gift_card", "account_login")
    rows = [row for row in read("labelled.jsonl", 900) if row["intent"] in intents][:120]
    task = text_task(rows, text="text", label="intent", unlabelled=read("unlabelled.jsonl", 4))
    settings = Settings(seeds=1, counts=(0, 4), test_rows=12, calibrate_rows=6, unlabelled_rows=4)
    smollm2 = LocalModel("smollm2-135m-instruct")  # in its own dtype, which is the quicker one
    found = advise(task, minilm, smollm2, settings, memo=kept(tmp_path))
    assert found.small.accuracy.value > 0.75
    assert found.judged is not None and found.judged.best.probabilities is not None
    assert found.verdict.answer == "small"
    write_folder(found, tmp_path, {"use": "local", "weights": "smollm2-135m-instruct", "dtype": "float32"})

    def fail(constant: str) -> None:
        raise AssertionError(constant)

    json.loads((tmp_path / "advice.json").read_text(encoding="utf-8"), parse_constant=fail)
