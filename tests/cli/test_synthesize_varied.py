"""`pilotfish synthesize` over the user's rows, run for real: with a model, without one, and a student of the result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pilotfish.rows import read
from tests.cli.help import error_of, pilotfish
from tests.fakes import Answer, ScriptedUpstream, Seen

pytest.importorskip("sklearn")

WORDS = {"card": ("chip", "pin", "card"), "loan": ("rate", "credit", "loan")}
ROWS = [
    {"text": f"please my {word} now {i}", "intent": label} for i in range(4) for label in WORDS for word in WORDS[label]
]
NOISED = """
[synthesize]
out = "made"
seed = 3

[synthesize.noised]
rows = "rows.jsonl"
label = "intent"
each = 2
rate = 0.2

[synthesize.train]
gold = "gold.jsonl"
label = "intent"
few = "rows.jsonl"
"""


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_noise_needs_no_model_and_a_student_learns_from_it(tmp_path: Path) -> None:
    _write(tmp_path / "rows.jsonl", ROWS)
    gold = [
        {"text": f"what of the {word}, {i}?", "intent": label}
        for i in range(5)
        for label in WORDS
        for word in WORDS[label]
    ]
    _write(tmp_path / "gold.jsonl", gold)
    (tmp_path / "team.toml").write_text(NOISED)
    done = pilotfish("synthesize", "team.toml", "--train", "--json", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["kept"] > 30 and told["bill"]["calls"] == 0 and told["checks"][0]["name"] == "label not confirmed"
    assert told["proof"]["few"] == 24 and told["proof"]["accuracy"]["value"] > 0.9
    made = [(tmp_path / "made" / name).read_text() for name in ("parents.jsonl", "rows.jsonl")]
    (tmp_path / "all.jsonl").write_text("".join(made))
    done = pilotfish("rows", "split", "all.jsonl", "--out", "parts", "--group", "parent", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    held = [{row["parent"] for row in read(path)} for path in sorted((tmp_path / "parts").glob("*.jsonl"))]
    assert len(held) == 2 and all(held) and not held[0] & held[1]
    dry = pilotfish("synthesize", "team.toml", "--dry-run", cwd=tmp_path)
    assert dry.returncode == 0 and "nothing is asked" in dry.stderr + dry.stdout
    assert "nothing would look at model" in error_of(pilotfish("synthesize", "team.toml", "-m", "x", cwd=tmp_path))


def test_a_tiny_model_s_paraphrases_are_read_by_the_schema(tiny_folder: Any, tmp_path: Path) -> None:
    _write(tmp_path / "rows.jsonl", ROWS[:4])
    (tmp_path / "team.toml").write_text(
        f'[models.tiny]\nuse = "local"\nweights = "{tiny_folder("llama", "plain")}"\n'
        'dtype = "float32"\ndevice = "cpu"\n'
        '[synthesize]\nmodel = "tiny"\nout = "made"\n'
        '[synthesize.paraphrased]\nrows = "rows.jsonl"\nmax_tokens = 60\ndrift = { least = 0.0 }\n'
    )
    done = pilotfish("synthesize", "team.toml", "--json", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    # With random weights the texts are noise, and a text may be cut; but all are accounted for.
    rows, rejects = (_lines(tmp_path / "made" / name) for name in ("rows.jsonl", "rejects.jsonl"))
    assert len(rows) + len(rejects) == told["prompts"] == 4
    assert all(row["intent"] in WORDS and isinstance(row["text"], str) for row in rows)
    again = json.loads(pilotfish("synthesize", "team.toml", "--json", "--quiet", cwd=tmp_path).stdout)
    assert (again["asked"], again["kept"]) == (0, told["kept"])


def test_an_endpoint_translates_there_and_back(tmp_path: Path) -> None:
    _write(tmp_path / "rows.jsonl", ROWS[:6])

    def said(seen: Seen) -> Answer:
        text = seen.prompt.partition("<text>\n")[2].partition("\n")[0]
        there = "into German" in seen.prompt
        return Answer(
            json.dumps(
                {"text": text.replace("please my", "bitte mein") if there else text.replace("bitte", "I beg you,")}
            )
        )

    with ScriptedUpstream(said) as upstream:
        (tmp_path / "team.toml").write_text(
            f'[models.large]\nuse = "openai"\nmodel = "m"\nbase_url = "{upstream.url}"\nkey_env = ""\n'
            '[synthesize]\nmodel = "large"\nout = "made"\nbudget = { calls = 9 }\n'
            '[synthesize.backtranslated]\nrows = "rows.jsonl"\n'
        )
        first = json.loads(pilotfish("synthesize", "team.toml", "--json", "--quiet", cwd=tmp_path).stdout)
        assert (first["kept"], first["ended"]) == (3, "the budget is spent") and upstream.calls == 9
        command = ("synthesize", "team.toml", "--json", "--quiet", "--max-calls", "20")
        second = json.loads(pilotfish(*command, cwd=tmp_path).stdout)
        assert (second["kept"], second["asked"]) == (6, 3) and upstream.calls == 12
