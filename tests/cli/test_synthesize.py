"""`pilotfish synthesize`, run for real: a local model under a schema, a real endpoint, stopped and gone on with."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from pilotfish.rows.read import read
from tests.cli.help import error_of, pilotfish
from tests.fakes import Answer, ScriptedUpstream, Seen

FILE = """
[models.large]
use = "{use}"
{weights}

[synthesize]
model = "large"
out = "made"
rows = 6

[synthesize.attributed]
task = "Messages to a bank."
label = "intent"
labels = ["refund", "card"]
max_tokens = 60

[synthesize.attributed.fields]
text = {{ type = "string", maxLength = 20, description = "what the customer writes" }}
intent = "what it is about"

[synthesize.attributed.attributes]
tone = ["calm", "angry"]
"""


def _file(folder: Path, use: str, weights: str, old: str = "", new: str = "") -> None:
    text = FILE.format(use=use, weights=weights)
    assert old in text
    (folder / "team.toml").write_text(text.replace(old, new) if old else text)


def test_a_model_with_random_weights_writes_rows_by_the_schema(tiny_folder: Any, tmp_path: Path) -> None:
    weights = f'weights = "{tiny_folder("llama", "plain")}"\ndtype = "float32"\ndevice = "cpu"'
    _file(tmp_path, "local", weights)
    done = pilotfish("synthesize", "team.toml", "--json", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    rows = [json.loads(line) for line in (tmp_path / "made" / "rows.jsonl").read_text().splitlines()]
    assert told["kept"] == 6 and Counter(row["intent"] for row in rows) == {"refund": 3, "card": 3}
    assert all(isinstance(row["text"], str) and len(row["text"]) <= 20 for row in rows)
    again = json.loads(
        pilotfish("synthesize", "team.toml", "--json", "--quiet", "--format", "parquet", cwd=tmp_path).stdout
    )
    assert [row["text"] for row in read(tmp_path / "made" / "rows.parquet")] == [row["text"] for row in rows]
    assert (again["asked"], again["kept"]) == (0, 6) and again["stored"] == told["asked"]


def test_an_endpoint_is_asked_for_what_is_missing_only(tmp_path: Path) -> None:
    with ScriptedUpstream(lambda seen: Answer(json.dumps({"text": seen.prompt[-18:]}))) as upstream:
        weights = f'model = "m"\nbase_url = "{upstream.url}"\nkey_env = ""\nprice = {{ input = 1.0, output = 1.0 }}'
        _file(tmp_path, "openai", weights)
        assert pilotfish("synthesize", "team.toml", "--quiet", "--max-calls", "4", cwd=tmp_path).returncode == 0
        assert upstream.calls == 4
        done = pilotfish("synthesize", "team.toml", "--json", "--quiet", cwd=tmp_path)
        told = json.loads(done.stdout)
        assert told["kept"] == 6 and upstream.calls == 6 and told["bill"]["calls"] == 6
        assert "made by Pilotfish" in (tmp_path / "made" / "README.md").read_text()


def test_what_is_kept_is_told_by_the_file(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text('{"text": "Message 0"}\n')

    def said(seen: Seen) -> Answer:
        if "You grade rows" in seen.prompt:
            return Answer("Grade: 2" if "Message 3" in seen.prompt else "Grade: 9")
        number = upstream.calls % 5
        return Answer(json.dumps({"text": "twice the same" if number == 4 else f"Message {number}"}))

    keep = """
[synthesize.keep]
verify = [{ by = "pattern", pattern = "^[MT]", column = "text" }]
clean = { tests = { official = "test.jsonl" }, ngram = 4, columns = ["text"] }
unlike = { columns = ["text"], threshold = 0.99 }
grade = { judge = "large", least = 5 }
"""
    with ScriptedUpstream(said) as upstream:
        weights = f'model = "m"\nbase_url = "{upstream.url}"\nkey_env = ""'
        _file(tmp_path, "openai", weights)
        with (tmp_path / "team.toml").open("a") as file:
            file.write(keep)
        done = pilotfish("synthesize", "team.toml", "--json", "--quiet", cwd=tmp_path)
    told = json.loads(done.stdout)
    rows = [json.loads(line) for line in (tmp_path / "made" / "rows.jsonl").read_text().splitlines()]
    assert [check["name"] for check in told["checks"]] == ["not verified", "contaminated", "said already", "graded low"]
    assert set(told["rejected"]) == {"not verified", "contaminated", "said already", "graded low"}
    assert {row["text"] for row in rows} == {"Message 1", "Message 2"}


def test_a_student_is_taught_and_measured(tmp_path: Path) -> None:
    def said(seen: Seen) -> Answer:
        word = "money back" if '"refund"' in seen.prompt else "card"
        return Answer(json.dumps({"text": f"my {word} {upstream.calls}"}))

    gold = [{"text": f"I want my {word} n{i}", "intent": intent} for i in range(9) for word, intent in GOLD]
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in gold))
    with ScriptedUpstream(said) as upstream:
        weights = f'model = "m"\nbase_url = "{upstream.url}"\nkey_env = ""'
        _file(tmp_path, "openai", weights, "rows = 6", "rows = 24")
        assert "--train needs" in error_of(pilotfish("synthesize", "team.toml", "--train", cwd=tmp_path))
        with (tmp_path / "team.toml").open("a") as file:
            file.write('[synthesize.train]\ngold = "gold.jsonl"\nlabel = "intent"\n')
        done = pilotfish("synthesize", "team.toml", "--train", "--json", "--quiet", cwd=tmp_path)
    proof = json.loads(done.stdout)["proof"]
    assert proof["rows"] == 24 and proof["gold"] == 18 and proof["accuracy"]["value"] > 0.9
    assert (tmp_path / "made" / "student" / "classifier.json").exists()


GOLD = (("money back", "refund"), ("card", "card"))


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    weights = 'model = "m"\nbase_url = "http://127.0.0.1:9/v1"\nkey_env = ""'
    for old, new, said in (
        ('model = "large"\nout', 'model = "larg"\nout', "no such model"),
        ('out = "made"\n', "", "--out must be given"),
        ("[synthesize.attributed]\n", "[synthesize.attributed]\nshots = 2\n", "`shots` are drawn from `examples`"),
        ('labels = ["refund", "card"]\n', "", "give `label`"),
        ("rows = 6", "rows = 0", "rows"),
    ):
        _file(tmp_path, "openai", weights, old, new)
        assert said in error_of(pilotfish("synthesize", "team.toml", cwd=tmp_path)), new
    (tmp_path / "team.toml").write_text(
        FILE.format(use="openai", weights=weights).partition("[synthesize.attributed]")[0]
    )
    assert "has one recipe" in error_of(pilotfish("synthesize", "team.toml", cwd=tmp_path))
