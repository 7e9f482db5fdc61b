"""The one scheme of all benchmarks: what a result must have, where it is kept, and the command that runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from benchmarks.__main__ import HERE, main, names
from benchmarks._result import RESULTS, Cases, completed, keep, line, shown

from benchmarks import startup

GOOD: dict[str, Any] = {"case": "c", "value": 0.5, "low": 0.4, "high": 0.6, "unit": "accuracy", "n": 10}
RATIO: dict[str, Any] = {"case": "r", "ours": 2.0, "peer": 1.0, "ratio": 2.0, "ratio_min": 1.5, "ratio_max": 2.5}
RATIO |= {"parity": 0.0, "unit": "rows/s", "n": 5}


def test_a_result_is_one_line_of_strict_json_with_its_machine(tmp_path: Path) -> None:
    result = completed({"name": "x", "cases": [GOOD, RATIO]}, "x", quick=False)
    assert json.loads(line(result)) == result
    assert "\n" not in line(result)
    assert result["machine"]["cores"] >= 1
    assert keep(result, tmp_path) == tmp_path / "x.json"
    quick = completed({"name": "x", "cases": [GOOD]}, "x", quick=True)
    assert keep(quick, tmp_path) == tmp_path / "x.quick.json"
    assert json.loads((tmp_path / "x.json").read_text()) == result
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.json", "x.quick.json"]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"name": "y", "cases": [GOOD]}, "must give its name"),
        ({"name": "x", "cases": []}, "at least one case"),
        ({"name": "x", "cases": [GOOD | {"value": float("nan")}]}, "c: value is nan"),
        ({"name": "x", "cases": [GOOD | {"n": None}]}, "c: a case needs a unit and n"),
        ({"name": "x", "cases": [GOOD | {"case": ""}]}, "without its title"),
        ({"name": "x", "cases": [{key: value for key, value in RATIO.items() if key != "parity"}]}, "r: parity"),
    ],
)
def test_a_result_that_lacks_something_is_refused(found: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        completed(found, "x", quick=False)


def test_cases_are_written_as_they_come(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = Cases("x", quick=False, folder=tmp_path / "new")
    cases.add([GOOD, RATIO])
    with pytest.raises(ValueError, match="c: value is nan"):
        cases.add([GOOD | {"n": 11}, GOOD | {"value": float("nan")}])
    kept = [json.loads(each) for each in (tmp_path / "new" / "x.jsonl").read_text().splitlines()]
    assert kept == cases.found == [GOOD, RATIO, GOOD | {"n": 11}]
    assert [each.strip() for each in capsys.readouterr().err.splitlines()] == [shown(case) for case in kept]
    assert Cases("x", quick=False, folder=tmp_path / "new").path.read_text() == ""


def test_a_peer_that_is_not_installed_is_said_to_be_so() -> None:
    assert completed({"name": "x", "peer": "not installed: pip install y", "cases": []}, "x", quick=True)["cases"] == []


def test_every_benchmark_follows_the_scheme() -> None:
    assert {"startup", "resume", "advise"} <= set(names())
    for name in names():
        module = name.replace("-", "_")
        assert find_spec(f"benchmarks.{module}") is not None
        text = (HERE / f"{module}.py").read_text(encoding="utf-8")
        assert "\ndef main(quick: bool, data: Path | None) -> dict[str, Any]:" in text, name


def test_kept_results_are_whole_and_tell_nothing_of_the_machine_but_its_kind() -> None:
    for path in RESULTS.glob("*.json"):
        if path.name.endswith(".quick.json"):
            continue
        result = json.loads(path.read_text(encoding="utf-8"))
        assert completed(result, path.stem, quick=False)["name"] in names()
        assert '"/' not in path.read_text(), "a path of the machine"


def test_startup_measures_all_three_in_turn() -> None:
    found = completed(startup.main(True, None), "startup", quick=True)
    values = {case["case"]: case for case in found["cases"]}
    assert list(values) == list(startup.commands())
    assert values["import pilotfish"]["value"] > values["python -c pass"]["value"] > 0
    for title, bar in startup.BARS.items():
        assert values[title]["bar"] == bar
        assert values[title]["without_python"] == pytest.approx(
            values[title]["value"] - values["python -c pass"]["value"], abs=2e-4
        )
    assert all(shown(case) for case in found["cases"])


def test_the_command_ends_with_the_line_and_keeps_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.__main__.keep", lambda result: keep(result, tmp_path))
    monkeypatch.setattr("benchmarks.__main__.HERE", tmp_path / "benchmarks")
    monkeypatch.setattr("benchmarks.__main__.names", lambda: ["startup"])
    assert main(["startup", "--quick"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out.splitlines()[-1])["name"] == "startup"
    assert printed.out.splitlines()[-1] + "\n" == (tmp_path / "startup.quick.json").read_text()
    assert "pilotfish --help" in printed.err


def test_a_wrong_name_names_the_benchmarks() -> None:
    command = [sys.executable, "-m", "benchmarks", "startupp"]
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "'startup'" in done.stderr
    assert "Traceback" not in done.stderr
