from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.compete.constrained.doing import Doing
from pilotfish.compete.constrained.task import FitTask
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel


def test_similar_texts_are_scored_by_their_cosine(tiny_encoder: Encoder) -> None:
    rows = ({"a": "my card", "b": "my card", "score": 5.0}, {"a": "my card", "b": "the sea sang", "score": 0.0})
    scored = Doing(FitTask("similarity", rows), tiny_encoder).scored(rows)
    vectors = tiny_encoder.encode(["my card", "the sea sang"])
    assert scored[0] == pytest.approx([5.0, 1.0], abs=1e-5)
    assert scored[1] == pytest.approx([0.0, float(vectors[0] @ vectors[1])], abs=1e-5)


def test_choices_are_right_where_the_likeliest_is(tiny_lm: LocalModel) -> None:
    options = [" card", " refund", " bird"]
    best = int(np.argmax(tiny_lm.choices(["the cat sat on"], options)[0]))
    rows = tuple({"prompt": "the cat sat on", "choices": options, "answer": n} for n in range(3))
    scored = Doing(FitTask("choices", rows), tiny_lm).scored(rows)
    assert scored == [[float(n == best)] for n in range(3)]


def test_texts_have_their_log_probability_bytes_and_tokens(tiny_lm: LocalModel) -> None:
    rows = ({"text": "Où est l'été ?"},)
    (found,) = Doing(FitTask("text", rows), tiny_lm).scored(rows)
    (scored,) = tiny_lm.score([("", rows[0]["text"])])
    assert found == [scored.total, len(rows[0]["text"].encode()), len(scored.tokens)]


def test_texts_are_gone_on_with_together(tiny_lm: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    real = LocalModel.reply

    async def reply(self: LocalModel, request: Any) -> Any:
        asked.append(request)
        return await real(self, request)

    monkeypatch.setattr(LocalModel, "reply", reply)
    rows = tuple({"text": f"the cat sat on the mat {n} " * 30} for n in range(3))
    Doing(FitTask("text", rows), tiny_lm, new_tokens=4).done(rows)
    assert len(asked) == 3
    assert all(len(one.metadata["prompt_ids"]) == 64 and one.max_tokens == 4 for one in asked)


def test_tasks_of_a_saved_folder(tmp_path: Path, tiny_encoder: Encoder) -> None:
    from pilotfish.models.classify import ClassifierModel, EncoderFeatures, TextClassifier

    texts, labels = ["my card", "my card now", "a refund", "a refund now"], ["card", "card", "refund", "refund"]
    model = ClassifierModel(TextClassifier(EncoderFeatures(tiny_encoder)).fit(texts, labels))
    rows = tuple({"text": text, "label": label} for text, label in zip(texts, ["card"] * 4, strict=True))
    task = FitTask("classes", rows, ("card", "refund"))
    assert Doing(task, model).scored(rows) == [[1.0], [1.0], [0.0], [0.0]]
