"""The whole advice on a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.compete.advisor.folder import write_advised
from pilotfish.compete.advisor.leaves import LEAVES
from pilotfish.compete.advisor.table_small import baseline, graded, small_table
from pilotfish.compete.advisor.tables import advise_table
from pilotfish.compete.settings import Settings
from pilotfish.compete.tables.kinds import KINDS
from pilotfish.compete.tables.model import TableModel
from pilotfish.compete.tables.task import TableTask, table_task
from pilotfish.model import Call, Reply, Request, Trace, WholeReplies

pytest.importorskip("sklearn")


def rows(count: int = 400) -> list[dict[str, Any]]:
    rng = np.random.default_rng(2)
    found = []
    for _ in range(count):
        age, plan = int(rng.integers(18, 80)), str(rng.choice(["basic", "plus", "pro"]))
        risk = (age < 40) ^ (plan == "pro")
        found.append({"age": age, "plan": plan, "leaves": "yes" if risk ^ (rng.random() < 0.05) else "no"})
    return found


def task() -> TableTask:
    return table_task(rows(), "leaves")


class Reads(WholeReplies):
    """Goes by the age alone, as the row calls it."""

    name = "reader"

    def __init__(self) -> None:
        self.asked = 0

    async def reply(self, request: Request) -> Reply:
        self.asked += 1
        row = json.loads(request.prompt[request.prompt.rindex("{") : request.prompt.rindex("}") + 1])
        age = row.get("age")
        young = isinstance(age, int) and age < 40
        return Reply("yes" if young else "no", trace=Trace((Call(self.name, "model", 50, 1, 0.01, 0.001),)))


def test_trees_beat_a_reader_and_every_leaf_is_told(tmp_path: Path) -> None:
    large = Reads()
    settings = Settings(shots=2, test_rows=60, calibrate_rows=40, seeds=1)
    found = advise_table(task(), large, settings, tmp_path, kinds=("linear", "histogram"), tuning=2.0)
    one = {candidate.key: candidate for candidate in found.candidates}
    assert set(one) == {"baseline", "linear", "histogram", "large-zero", "large-few", "cascade"}
    assert found.verdict.answer == "small" and found.verdict.chosen.key == "histogram"
    assert one["histogram"].accuracy.value > 0.85 > one["linear"].accuracy.value
    assert {finding.leaf for finding in found.findings} == {leaf.key for leaf in LEAVES}
    explain = next(finding for finding in found.findings if finding.leaf == "explain")
    assert explain.gain is not None and explain.gain.value < 0
    own, shuffled = found.details["shuffled_names"]
    assert own > 0.6 > shuffled  # the reader finds no age under the name of the plan
    assert found.details["learning_curve"]["points"] and found.details["crossing_rows"]
    asked = large.asked
    again = advise_table(task(), large, settings, tmp_path, kinds=("linear", "histogram"), tuning=2.0)
    assert large.asked == asked and again.verdict.reason.split(",")[0] == found.verdict.reason.split(",")[0]
    write_advised(found, tmp_path / "out", {"models.large-model": {"use": "recorded", "path": "x"}})
    served = TableModel.load(tmp_path / "out" / "model")
    assert served.predict(task().test[:5]).argmax(axis=1).tolist() == [
        task().classes.index(str(answer)) for answer in one["histogram"].answers[:5]
    ]
    text = (tmp_path / "out" / "pilotfish.toml").read_text(encoding="utf-8")
    assert 'use = "classifier"' in text and 'use = "labeller"' in text
    assert (tmp_path / "out" / "examples.jsonl").exists() == ("examples" in text)
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "How many rows it takes" in html and "Does the large model know this table?" in html


def test_a_number_is_foretold_by_small_models_alone(tmp_path: Path) -> None:
    given = [{"x": float(i), "z": float(i * 7 % 13), "y": 3.0 * i + i * 7 % 13} for i in range(200)]
    one = table_task(given, "y")
    found = advise_table(one, Reads(), Settings(max_seconds=10.0), tmp_path, kinds=("linear",))
    assert found.measure == "R²" and found.verdict.chosen.accuracy.value > 0.99
    assert len(found.contenders) == 1
    cascade = next(finding for finding in found.findings if finding.leaf == "cascade")
    assert cascade.status == "not tried" and "number" in cascade.why


def test_row_scores_mean_r2() -> None:
    given = [{"x": float(i), "y": float(i % 17) + i / 10} for i in range(150)]
    one = table_task(given, "y")
    rng = np.random.default_rng(0)
    told = one.y_test + rng.normal(0, 1, len(one.y_test))
    r2 = 1 - np.sum((told - one.y_test) ** 2) / np.sum((one.y_test - one.y_test.mean()) ** 2)
    assert graded(one, "a", "a", told).accuracy.value == pytest.approx(r2)
    assert baseline(one).accuracy.value <= 0


def test_latency_rules_out_what_is_too_slow_and_tuning_is_kept(tmp_path: Path) -> None:
    settings = Settings(max_seconds=4.0)
    found = advise_table(task(), None, settings, tmp_path, kinds=("linear", "histogram"), max_p95=1e-9)
    gate = next(gate for gate in found.gates if gate.name == "Latency")
    assert gate.status == "fail" and not found.passed
    kept = next((tmp_path / "work").glob("table-*")) / "linear.json"
    held = json.loads(kept.read_text())
    held["settings"]["c"] = 0.123
    kept.write_text(json.dumps(held))
    again = small_table(task(), KINDS["linear"], 5.0, kept, 0)
    assert again.settings == {"c": 0.123}
