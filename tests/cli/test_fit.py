"""`pilotfish fit`, run for real on tiny models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cli.help import error_of, pilotfish, write_rows

SETTINGS = ("--seconds", "0.2", "--batch", "8", "--threads", "1", "--quiet")


def _rows(path: Path) -> Path:
    made = []
    for n in range(16):
        made += [{"t": f"my card {n} has not arrived", "l": "card"}, {"t": f"a refund of {n} for it", "l": "refund"}]
    return write_rows(path, made)


def test_fit_chooses_exports_and_goes_on(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    rows = _rows(tmp_path / "rows.jsonl")
    command = ["fit", str(rows), "--text", "t", "--label", "l", "--model", str(tiny_encoder_folder)]
    command += ["--runtime", "onnx", "--precision", "int8", "--memory", "2GiB", "--p95", "20s", "--out", "made"]
    done = pilotfish(*command, *SETTINGS, cwd=tmp_path)
    assert "verdict: encoder onnx int8" in done.stdout and "exported: made/model" in done.stdout
    told = json.loads((tmp_path / "made" / "fit.json").read_text())
    assert told["limits"] == {"memory": 2 * 2**30, "p95": 20.0} and told["proof"]["rows"] == told["rows"]
    answer = pilotfish("ask", "made/pilotfish.toml", "my card 40 has not arrived", cwd=tmp_path)
    assert answer.stdout.strip() == "card"
    # The same with another limit: what was measured stays, and the verdict is another.
    again = pilotfish(*command[:-4], "--p95", "1ms", "--memory", "1MB", "--out", "made", *SETTINGS, cwd=tmp_path)
    assert "verdict: nothing fits" in again.stdout and "comes nearest" in again.stdout
    assert not (tmp_path / "made" / "model").exists()


def test_a_table_of_a_file(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    _rows(tmp_path / "in" / "rows.jsonl")
    (tmp_path / "in" / "fit.toml").write_text(
        f'[fit]\nrows = "rows.jsonl"\ntext = "t"\nlabel = "l"\nmodels = ["{tiny_encoder_folder}"]\n'
        'runtimes = ["onnx"]\nprecisions = ["fp32"]\nseconds = 0.2\nthreads = 1\nout = "made"\n'
    )
    done = pilotfish("fit", "in/fit.toml", cwd=tmp_path)
    assert "measuring" in done.stderr and "Cold start" in done.stdout
    assert (tmp_path / "in" / "made" / "model" / "manifest.json").exists()


def test_what_is_wrong_is_one_line(tiny_folder: Any, tiny_encoder_folder: Path, tmp_path: Path) -> None:
    rows = _rows(tmp_path / "rows.jsonl")
    line = error_of(pilotfish("fit", rows, "--label", "l", cwd=tmp_path))
    assert "needs `text`" in line
    line = error_of(pilotfish("fit", rows, "--text", "t", "--memory", "much", cwd=tmp_path))
    assert "a size is written 512MB or 2GiB" in line
    line = error_of(pilotfish("fit", rows, "--text", "t", "--model", tiny_encoder_folder, cwd=tmp_path))
    assert "a task of text takes causal-lm" in line
    (tmp_path / "none.toml").write_text("[models]\n")
    assert "no [fit] table" in error_of(pilotfish("fit", "none.toml", cwd=tmp_path))
