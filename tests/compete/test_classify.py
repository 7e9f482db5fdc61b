"""One classifier of a stated kind: taught, calibrated and measured on parts of the rows that do not meet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.compete.classify import KINDS, graded, student_of, teach
from pilotfish.compete.classify_several import several_task, teach_several
from pilotfish.compete.task import TextTask
from pilotfish.errors import ConfigError, DataError
from pilotfish.models.classify import TextClassifier, load_classifier
from pilotfish.models.encoder import Encoder
from tests.compete.help import made_rows, made_task

FAST = {"rate": 1e-3, "batch_tokens": 256}


@pytest.fixture(scope="module")
def task() -> TextTask:
    return made_task(280)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_learns_and_is_saved(task: TextTask, encoder: Encoder, kind: str, tmp_path: Path) -> None:
    settings = FAST if kind in ("tuned", "lora", "contrastive") else None
    made = teach(task, kind, encoder, settings=settings)
    assert made.graded.accuracy.n == len(task.test)
    if kind != "lora":  # adapters on an encoder of random weights learn next to nothing
        assert made.graded.accuracy.value > 0.9
    assert made.rows == len(task.fit) and made.kept_back == len(task.tune) + len(task.calibrate)
    assert made.graded.scope is None and made.to_json()["rows"] == made.rows
    made.classifier.save(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    again = TextClassifier.load(tmp_path / "b")
    np.testing.assert_allclose(
        again.predict_proba(task.test), made.classifier.predict_proba(task.test), atol=1e-5, rtol=1e-4
    )


def test_its_scope_is_measured_on_texts_that_are_of_no_class(task: TextTask, encoder: Encoder) -> None:
    other = [str(row["text"]) for row in made_rows(60, seed=5, labels=["x", "y", "z"])]
    outside = [text[::-1] for text in other]
    made = teach(task, "encoder", encoder, scope="mahalanobis", recall=0.9, outside=outside)
    assert made.graded.scope is not None and made.graded.scope.kept is not None
    assert made.graded.kept == made.graded.scope.kept
    assert made.graded.scope.auroc.n == len(task.test) + 60
    assert made.classifier.scope is not None and made.classifier.scope.rows_ == made.kept_back
    assert "AUROC" in str(made)
    alone = graded(made.classifier, task.test, task.test_labels)
    assert alone.scope is None and alone.kept is not None and "keeps" in str(alone)


def test_what_does_not_go_together(task: TextTask, encoder: Encoder) -> None:
    with pytest.raises(ConfigError, match="did you mean 'tuned'"):
        student_of("tunde", encoder)
    with pytest.raises(ConfigError, match="kind static needs an encoder"):
        teach(task, "static")
    with pytest.raises(ConfigError, match="nothing to set in its training"):
        teach(task, "tfidf", settings={"rate": 1.0})
    made = teach(task, "tfidf")
    with pytest.raises(DataError, match="does not know its scope"):
        graded(made.classifier, task.test, task.test_labels, ["x"])
    with pytest.raises(DataError, match="no labelled rows"):
        graded(made.classifier, [], [])
    with pytest.raises(DataError, match="needs 999 rows kept back"):
        teach(task, "encoder", encoder, scope="energy", recall=0.999)


WORDS = {"card": "card arrived", "refund": "refund failed", "song": "bird sang"}


def several_rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for i in range(count):
        own = [name for name in WORDS if random.random() < 0.4]
        noise = "".join(random.choice(list("abcdefghij"), 6))
        rows.append({"text": " ".join([noise, *(WORDS[name] for name in own), str(i)]), "tags": own})
    return rows


@pytest.mark.parametrize("kind", ["tfidf", "encoder", "static", "tuned", "lora"])
def test_several_labels_are_taught_and_saved(encoder: Encoder, kind: str, tmp_path: Path) -> None:
    task = several_task(several_rows(200), text="text", label="tags")
    settings = {**FAST, "epochs": 4} if kind in ("tuned", "lora") else None
    made = teach_several(task, kind, encoder, settings=settings)
    assert made.scores.exact.n == len(task.test)
    if kind != "lora":
        assert made.scores.micro.value > 0.85
    assert made.to_json()["labels"].keys() == set(WORDS)
    made.classifier.save(tmp_path)
    assert load_classifier(tmp_path).predict(task.test[:20]) == made.classifier.predict(task.test[:20])


def test_the_parts_of_several_do_not_meet_and_copies_stay_together() -> None:
    rows = several_rows(150)
    task = several_task([*rows, *rows[:30]], text="text", label="tags")
    parts = [set(task.train), set(task.tune), set(task.test)]
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    assert len(task.train) + len(task.tune) + len(task.test) == 180
    own = {str(row["text"]): row["tags"] for row in rows}
    for text, row in zip(task.test, task.test_sets, strict=True):
        assert [task.labels[i] for i in np.flatnonzero(row)] == sorted(own[text])


def test_labels_of_the_test_that_training_lacks_are_told() -> None:
    test = [*several_rows(20, 1), {"text": "new", "tags": ["unheard of"]}]
    task = several_task(several_rows(60), text="text", label="tags", test=test)
    assert task.unknown == ("unheard of",) and len(task.test) == 21


def test_what_several_cannot_be() -> None:
    rows = several_rows(60)
    task = several_task(rows, text="text", label="tags")
    with pytest.raises(ConfigError, match="gives one label"):
        teach_several(task, "bag")
    with pytest.raises(ConfigError, match="needs an encoder"):
        teach_several(task, "tuned")
    with pytest.raises(DataError, match="have no column 'tagz'"):
        several_task(rows, text="text", label="tagz")
    with pytest.raises(DataError, match="row 1, column 'tags': several labels are a list"):
        several_task([{"text": "x", "tags": {"a": 1}}], text="text", label="tags")
    with pytest.raises(DataError, match="two are needed"):
        several_task([{"text": f"x{i}", "tags": ["a"]} for i in range(9)], text="text", label="tags")
