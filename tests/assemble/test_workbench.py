"""The file that an advice writes: the user's models under new names, and every way that is built on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pilotfish.assemble import Collaboration
from pilotfish.assemble.workbench import Workbench, portable
from pilotfish.compete.advisor.answers import advise_answers
from pilotfish.compete.advisor.folder import write_advised
from pilotfish.compete.advisor.marks import marks_by
from pilotfish.compete.advisor.prepare import facts_of, prepare
from pilotfish.compete.advisor.task import answer_task
from pilotfish.compete.settings import Settings
from pilotfish.errors import ConfigError
from pilotfish.rows.write import write

if TYPE_CHECKING:
    from tests.conftest import TinyFolder

PLACES = ["Oslo", "Lima", "Rome", "Quito", "Cairo", "Paris", "Delhi", "Perth", "Kyoto", "Accra"]


def rows(count: int = 60) -> list[dict[str, Any]]:
    rng = np.random.default_rng(3)
    found = []
    for i in range(count):
        a, b = rng.choice(PLACES, 2, replace=False)
        found.append({"question": f"{a} {i * 31 % 97} {b} {i}?", "answer": str(b)})
    return found


def test_paths_become_absolute_and_parts_get_new_names(tmp_path: Path) -> None:
    (tmp_path / "head").mkdir()
    tables = {
        "one": {"use": "classifier", "path": "head"},
        "two": {"use": "recorded", "path": "rows.jsonl"},
        "both": {"use": "cascade", "small": "one", "large": "two", "accept": {"score": "confidence", "above": 0.5}},
        "looks": {"use": "retrieve", "model": "two", "retriever": "words"},
    }
    rest = {
        "indexes": {"docs": {"folder": "index"}},
        "retrievers": {"words": {"use": "bm25", "index": "docs"}},
    }
    models = Collaboration({"models": tables, **rest}, folder=tmp_path)
    assert portable(models, "one", {})["path"] == str(tmp_path / "head")
    assert portable(models, "both", {"one": "small", "two": "part-1"})["large"] == "part-1"
    with pytest.raises(ConfigError, match="retriever of its own"):
        portable(models, "looks", {})
    bench = Workbench(models, {"small": "one", "large": "both"}, tmp_path / "out")
    given = bench.given()
    assert set(given) == {"models.small", "models.large", "models.part-2"}
    assert given["models.large"]["small"] == "small" and given["models.large"]["large"] == "part-2"
    with pytest.raises(ConfigError, match="one of the user's models"):
        bench.add({"small": {"use": "recorded", "path": "x"}})


def test_every_way_of_local_models_runs_and_what_is_written_answers(
    tiny_folder: TinyFolder, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    write(
        [{"id": place, "text": f"{place} town."} for place in PLACES],
        tmp_path / "docs.jsonl",
    )
    task = answer_task(rows(), "retrieval", prompt="{question}", gold="answer", max_tokens=6)
    folder = str(tiny_folder())
    tables = {
        "mine": {"use": "local", "weights": folder, "dtype": "float32"},
        "theirs": {"use": "local", "weights": folder, "dtype": "float32"},
    }
    out = tmp_path / "out"
    models = Collaboration({"models": tables}, folder=tmp_path)
    bench = Workbench(
        models,
        {"small": "mine", "large": "theirs"},
        out,
        documents=str(tmp_path / "docs.jsonl"),
        encoder=str(tiny_encoder_folder),
    )
    facts = facts_of(task, bench, frozenset({"small", "large"}), large=True, documents=True)
    assert facts.same_vocabulary and facts.causal and facts.weights == folder
    prepare(task, out)
    marks, measure = marks_by("word-f1", task)
    names = {"small": "Little", "large": "Big"}
    found = advise_answers(task, bench, marks, facts, names, Settings(test_rows=6), measure=measure)
    told = {lane["way"]: lane for lane in found.details["race"]}
    assert set(told) == {
        "small",
        "large",
        "small-shown",
        "small-reading",
        "small-reading-less",
        "large-shown",
        "large-reading",
        "tuned",
        "taught",
        "verified",
        "large-drafted",
        "contrasted",
        "steered",
    }
    broken = {way: lane["out"] for way, lane in told.items() if "did not work" in (lane["out"] or "")}
    assert not broken
    assert (out / "index").exists() and (out / "tuned").exists() and (out / "taught").exists()
    # Drafted and checked, the large model says what it says by itself.
    write_advised(found, out, bench.given())
    served = Collaboration.load(out / "pilotfish.toml")
    assert {"small", "large", "cascade", "large-reading"} <= set(served.names)
    for name in ("small-reading", "cascade", "tuned"):
        served.model(name)
