"""`pilotfish synthesize` for labels, run for real: a local model, a real endpoint, people's labels and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cli.help import error_of, pilotfish
from tests.fakes import Answer, ScriptedUpstream, Seen

FILE = """
[models.large]
{model}

[models.small]
use = "encoder"
weights = "{encoder}"

[synthesize]
model = "large"
out = "made"

[synthesize.labels]
kind = "choice"
rows = "rows.jsonl"
task = "Messages to a bank."
labels = ["refund", "card"]
{more}
"""
ROWS = [{"id": i, "text": f"{'my card is lost' if i % 2 else 'money back please'} {i}"} for i in range(6)]
GOLD = [
    {"text": f"{'card gone' if i % 2 else 'refund now'} {i}", "label": "card" if i % 2 else "refund"} for i in range(8)
]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(folder: Path, model: str, more: str = "", encoder: str = "all-minilm-l6-v2") -> None:
    (folder / "team.toml").write_text(FILE.format(model=model, more=more, encoder=encoder))
    for name, rows in (("rows.jsonl", ROWS), ("gold.jsonl", GOLD)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def endpoint(upstream: ScriptedUpstream) -> str:
    price = "price = { input = 1.0, output = 1.0 }"
    return f'use = "openai"\nmodel = "m"\nbase_url = "{upstream.url}"\nkey_env = ""\n{price}'


def label(seen: Seen) -> Answer:
    words = seen.prompt
    # Of two answers to "3" each says something else: the model is not sure of it.
    if words.endswith("lost 3"):
        return Answer(json.dumps({"label": "card" if label.turn.__next__() else "refund"}))  # type: ignore[attr-defined]
    return Answer(json.dumps({"label": "card" if "card" in words else "refund"}))


def test_an_endpoint_labels_and_people_do_the_rest(tmp_path: Path) -> None:
    label.turn = iter([True, False])  # type: ignore[attr-defined]
    with ScriptedUpstream(label) as upstream:
        write(tmp_path, endpoint(upstream), 'gold = "gold.jsonl"\nshots = 2\nsamples = 2\nleast = 0.75')
        told = pilotfish("synthesize", "team.toml", "--dry-run", "--json", cwd=tmp_path)
        assert json.loads(told.stdout)["calls"] == 28
        assert told.returncode == 0 and "28 calls to make" in told.stderr and "$0.00" in told.stderr
        assert upstream.calls == 0 and not (tmp_path / "made").exists()
        done = pilotfish("synthesize", "team.toml", "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert (report["kept"], report["rejected"], upstream.calls) == (5, {"not sure": 1}, 28)
        assert report["findings"]["gold"]["accuracy"]["value"] == 1.0 and report["bill"]["cost"] > 0
        rows = lines(tmp_path / "made" / "rows.jsonl")
        assert {row["id"]: row["label"] for row in rows} == {i: "card" if i % 2 else "refund" for i in (0, 1, 2, 4, 5)}
        assert all(row["label_confidence"] == 1.0 and row["label_votes"] for row in rows)
        again = json.loads(pilotfish("synthesize", "run", "team.toml", "--json", "--quiet", cwd=tmp_path).stdout)
        assert again["asked"] == 0 and again["stored"] == 28 and upstream.calls == 28
    assert pilotfish("synthesize", "export", "team.toml", "tasks.json", cwd=tmp_path).returncode == 0
    (task,) = json.loads((tmp_path / "tasks.json").read_text())
    assert task["data"] == ROWS[3] and task["predictions"][0]["score"] == 0.5
    assert "<Choices" in (tmp_path / "tasks.json.xml").read_text()
    task["annotations"] = [{"result": [{"type": "choices", "from_name": "label", "value": {"choices": ["card"]}}]}]
    (tmp_path / "back.json").write_text(json.dumps([task]))
    done = pilotfish("synthesize", "import", "team.toml", "back.json", cwd=tmp_path)
    assert "1 rows that people labelled, 1 of them new" in done.stderr
    gold = lines(tmp_path / "gold.jsonl")
    assert len(gold) == len(GOLD) + 1 and gold[-1] == {**ROWS[3], "label": "card"}
    for _ in range(2):  # what is there already is replaced, and no row stands there twice
        pilotfish("synthesize", "import", "team.toml", "back.json", cwd=tmp_path)
    assert len(lines(tmp_path / "gold.jsonl")) == len(gold)
    done = pilotfish("synthesize", "select", "team.toml", "next.jsonl", "--count", "3", cwd=tmp_path)
    assert "3 of 5 rows by margin" in done.stderr and ROWS[3] not in lines(tmp_path / "next.jsonl")


def test_a_local_model_goes_by_probability_with_the_nearest_shown(
    tiny_folder: Any, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    model = f'use = "local"\nweights = "{tiny_folder("llama", "plain")}"\ndtype = "float32"\ndevice = "cpu"'
    more = 'gold = "gold.jsonl"\nshots = 3\nselect = "balanced"\nencoder = "small"\nunbias = true\nleast = 0.5'
    write(tmp_path, model, more, str(tiny_encoder_folder))
    done = pilotfish("synthesize", "team.toml", "--json", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["kept"] + report["rejected"].get("not sure", 0) == 6 and report["asked"] == 14
    row = lines(tmp_path / "made" / "rows.jsonl")[0]
    shown = [GOLD[i]["label"] for i in row["synthesis"]["facts"]["shown"]]
    assert len(shown) == 3 and set(shown) == {"refund", "card"}
    assert sum(one["share"] for one in row["label_votes"]) > 0.999
    again = json.loads(pilotfish("synthesize", "team.toml", "--json", "--quiet", cwd=tmp_path).stdout)
    assert again["asked"] == 0 and again["kept"] == report["kept"]
    done = pilotfish("synthesize", "select", "team.toml", "next.jsonl", "--count", "2", "--by", "badge", cwd=tmp_path)
    assert "2 of 6 rows by badge" in done.stderr and len(lines(tmp_path / "next.jsonl")) == 2
    done = pilotfish(
        "synthesize", "export", "team.toml", "tasks.json", "--rows", "next.jsonl", "--to", "argilla", cwd=tmp_path
    )
    assert len(json.loads((tmp_path / "tasks.json").read_text())) == 2


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    model = 'use = "openai"\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\nkey_env = ""'
    for more, said in (
        ("shots = 2", "`shots` needs `gold`"),
        ('by = "probability"', "does not tell the probability"),
        ('into = "id"', "already"),
    ):
        write(tmp_path, model, more)
        assert said in error_of(pilotfish("synthesize", "team.toml", cwd=tmp_path)), more
    write(tmp_path, model)
    assert "--gold must be given" in error_of(pilotfish("synthesize", "import", "team.toml", "x.json", cwd=tmp_path))
    assert "first" in error_of(pilotfish("synthesize", "export", "team.toml", "x.json", cwd=tmp_path))
    said = error_of(pilotfish("synthesize", "select", "team.toml", "x.jsonl", "--count", "2", cwd=tmp_path))
    assert "nothing tells the rows apart" in said
