"""Duplicates and test rows left out; a large model's ratings."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.curate import curate
from pilotfish.curate._corpus import in_batches
from pilotfish.curate.barrier import Barrier
from pilotfish.curate.decontaminate import Decontaminate
from pilotfish.curate.dedupe import Dedupe
from pilotfish.curate.quality.rating import rate
from pilotfish.errors import ConfigError, DataError
from pilotfish.model import Request
from pilotfish.rows import Stage
from pilotfish.rows.dedupe import near_duplicates
from tests.curate.quality_texts import both
from tests.fakes import ScriptedModel

TEXTS = both(300, seed=2)[0]


def kept(folder: Path) -> list[int]:
    return [json.loads(line)["id"] for line in (folder / "kept.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("method", ["auto", "exact", "minhash"])
def test_later_copies_go(tmp_path: Path, method: Any) -> None:
    texts = [*TEXTS, *(text.upper() for text in TEXTS[:50])]
    rows = [{"id": place, "text": text} for place, text in enumerate(texts)]
    report = curate(rows, [Dedupe(method=method)], tmp_path, progress=False)
    wanted = near_duplicates(texts).keep
    found = kept(tmp_path)
    assert not set(found) & set(range(300, 350)) and report.kept == len(found)
    # MinHash may miss a pair; what it removes is near, for texts are compared.
    assert set(wanted) <= set(found) and len(found) - len(wanted) <= (3 if method == "minhash" else 0)
    dropped = [json.loads(line) for line in (tmp_path / "dropped.jsonl").read_text().splitlines()]
    assert dropped[-1]["reason"].startswith("duplicate: of row ")


def test_more_texts_than_all_pairs_are_compared_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pilotfish.curate.dedupe._MOST", 5000)
    rows: list[dict[str, Any]] = [
        {"id": i, "text": text} for i, text in enumerate([*TEXTS, "", "", "ödd 𝔘", "Ödd 𝔘!", *TEXTS[:9]])
    ]
    curate(rows, [Dedupe()], tmp_path, progress=False)
    found = kept(tmp_path)
    assert found[-2:] == [300, 302] and set(near_duplicates([row["text"] for row in rows]).keep) <= set(found)


def test_duplicates_among_what_an_earlier_step_kept(tmp_path: Path) -> None:
    rows = [{"id": i, "text": text} for i, text in enumerate([*TEXTS[:20], "", *TEXTS[:20]])]
    steps: list[Stage | Barrier] = [Decontaminate({"test": [TEXTS[0]]}), Dedupe()]
    report = curate(rows, steps, tmp_path, progress=False)
    assert report.steps[0].dropped >= 2 and not {0, 21} & set(kept(tmp_path))
    first = json.loads((tmp_path / "dropped.jsonl").read_text().splitlines()[0])
    assert first["step"] == 1 and "row 1 of test" in first["reason"]


def test_a_batch_does_not_change_what_is_contaminated() -> None:
    step = Decontaminate({"a": TEXTS[:30], "b": TEXTS[30:40]})
    some = [*TEXTS[20:60], TEXTS[1] + " and more words behind it that nobody has seen before"]
    assert [bool(one) for one in step.judge(some)] == [bool(step.judge([text])[0]) for text in some]


def test_batches_are_bounded_by_rows_and_by_characters() -> None:
    texts = ["a" * size for size in (3, 3, 3, 20, 1, 1, 1, 1, 9)]
    found = list(in_batches(texts, most=3, characters=9))
    assert [[len(text) for text in batch] for batch in found] == [[3, 3, 3], [20], [1, 1, 1], [1], [9]]
    assert list(in_batches([])) == []


def test_settings() -> None:
    with pytest.raises(ConfigError, match="test sets, each with rows"):
        Decontaminate({"a": []})
    with pytest.raises(ConfigError, match="nothing to look for"):
        Decontaminate({"a": ["x"]}, ngram=None, threshold=None)
    with pytest.raises(ConfigError, match="above 0 and at most 1"):
        Dedupe(1.5)
    with pytest.raises(ConfigError, match="duplicates are found by"):
        Dedupe(method="quick")  # type: ignore[arg-type]


def test_ratings_are_read_and_what_holds_none_is_told(tmp_path: Path) -> None:
    dice = random.Random(0)

    def answer(request: Request) -> str:
        text = request.prompt.partition("Text:\n")[2].partition("\n\nSay in")[0]
        said = {"0": "Grade: 4", "1": "I think it is fine.", "2": "Poor.\nGrade: 0", "3": "Grade: 9"}
        return said[text[-1]] if dice else ""

    model = ScriptedModel(answer)
    texts = [f"text {i}" for i in range(4)]
    found = rate(model, texts, tmp_path, progress=False)
    assert found.ratings[[0, 2]].tolist() == [4.0, 0.0] and np.isnan(found.ratings[[1, 3]]).all()
    assert found.unrated == {"no rating in the answer": 2} and found.there.tolist() == [0, 2]
    assert str(found) == "2 of 4 texts rated: 1 of 0, 1 of 4; 2 not: no rating in the answer"
    calls = model.calls
    rate(model, texts, tmp_path, progress=False)
    assert model.calls == calls, "no answer is asked for twice"
    with pytest.raises(DataError, match="no reply holds a rating"):
        rate(ScriptedModel("hm"), texts, tmp_path / "b", progress=False)
    with pytest.raises(ConfigError, match="place of the text"):
        rate(model, texts, tmp_path / "c", prompt="Rate it.")
