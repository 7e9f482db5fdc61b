"""`pilotfish curate` with models: instruction rows by quality, coverage and necessity, from the file to the report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.cli.help import error_of, pilotfish, write_rows
from tests.fakes import Answer, ScriptedUpstream

FILE = """
[models.small]
use = "local"
weights = "{weights}"
dtype = "float32"
device = "cpu"

[models.judge]
use = "openai"
model = "m"
base_url = "{url}"
key_env = ""

[models.vectors]
use = "encoder"
weights = "{encoder}"

[curate]
in = "rows.jsonl"
out = "out"
text = "output"

[[curate.steps]]
do = "rated"
model = "judge"
least = 4

[[curate.steps]]
do = "ifd"
reader = "small"
most = false

[[curate.steps]]
do = "cover"
encoder = "vectors"
count = 3
columns = ["instruction", "output"]

[[curate.steps]]
do = "best"
column = "ifd"
count = 2
"""
ROWS = [
    {"instruction": "Where is my card?", "output": "My card has not arrived yet."},
    {"instruction": "Where is my card ?", "output": "My card has not arrived yet ."},
    {"instruction": "Sing.", "output": "the bird sang a song of the sea"},
    {"instruction": "Sort the text.", "output": "exchange rate"},
    {"instruction": "Be rude.", "output": "no"},
]


def test_quality_then_coverage_then_the_hardest(
    tmp_path: Path, tiny_folder: Callable[..., Path], tiny_encoder_folder: Path
) -> None:
    write_rows(tmp_path / "rows.jsonl", ROWS)
    with ScriptedUpstream(lambda seen: Answer(f"Grade: {1 if 'rude' in seen.prompt else 5}")) as upstream:
        told = FILE.format(weights=tiny_folder(), url=upstream.url, encoder=tiny_encoder_folder)
        (tmp_path / "team.toml").write_text(told)
        done = pilotfish("curate", "team.toml", "--json", "--quiet", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        asked = len(upstream.seen)
        again = pilotfish("curate", "team.toml", "--json", "--quiet", cwd=tmp_path)
        assert again.returncode == 0 and len(upstream.seen) == asked == 5
    report = json.loads(done.stdout)
    assert (report["rows_in"], report["kept"], report["dropped"]) == (5, 2, 3)
    kept = [json.loads(line) for line in (tmp_path / "out" / "kept.jsonl").read_text().splitlines()]
    assert all({"rating", "ifd", "ifd_given", "ifd_alone"} <= row.keys() for row in kept)
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "out" / "dropped.jsonl").read_text().splitlines()]
    assert reasons[0] == "rated: 1 against at least 4" and reasons[1].startswith("cover.k-center: not one of the 3")
    assert reasons[2].startswith("best: ifd ")
    assert (tmp_path / "out" / "report.html").exists()


def test_ablate_compares_kept_with_chance(tmp_path: Path, tiny_folder: Callable[..., Path]) -> None:
    cats = [{"text": f"the cat sat on the cat and the cat {n}"} for n in range(12)]
    write_rows(tmp_path / "rows.jsonl", cats[:9] + [{"text": f"zq{n} xv{n} jk{n} wq{n} bn{n}"} for n in range(9)])
    write_rows(tmp_path / "test.jsonl", cats[9:])
    steps = '[[curate.steps]]\ndo = "compression"\nmost = 0.95\n'
    (tmp_path / "x.toml").write_text(f'[curate]\nin = "rows.jsonl"\nout = "out"\n{steps}')
    assert "--ablate needs" in error_of(pilotfish("curate", "x.toml", "--ablate", cwd=tmp_path))
    assert not (tmp_path / "out").exists()
    with (tmp_path / "x.toml").open("a") as file:
        file.write(f'[curate.ablate]\nstudent = "{tiny_folder()}"\ntest = "test.jsonl"\nseeds = [0]\nlength = 64\n')
        file.write('fit = { steps = 4, batch_tokens = 256, rate = 0.01, dtype = "float32" }\n')
    done = pilotfish("curate", "x.toml", "--ablate", "--json", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["ablation"]["rows"] == {"kept": 9, "random": 9, "dropped": 9} and told["ablation"]["steps"] == 4
    assert told["ablation"]["gain"]["kept over dropped"]["value"] > 0
    again = pilotfish("curate", "x.toml", "--ablate", "--quiet", cwd=tmp_path)
    assert "as many rows by chance" in again.stdout
    text = (tmp_path / "x.toml").read_text().replace("steps = 4,", "steps = 4, seed = 3,")
    (tmp_path / "x.toml").write_text(text)
    assert "would not be looked at" in error_of(pilotfish("curate", "x.toml", "--ablate", cwd=tmp_path))


def test_mix_finds_shares_of_domains(tmp_path: Path, tiny_folder: Callable[..., Path]) -> None:
    write_rows(tmp_path / "cats.jsonl", [{"text": f"the cat sat on the cat and the cat {n}"} for n in range(12)])
    write_rows(tmp_path / "noise.jsonl", [{"text": f"zq{n} xv{n} jk{n} wq{n} bn{n}"} for n in range(12)])
    write_rows(tmp_path / "test.jsonl", [{"text": f"the cat and the mat {n}"} for n in range(3)])
    (tmp_path / "x.toml").write_text("[curate]\n")
    assert "no [curate.mixture] table" in error_of(pilotfish("curate", "mix", "x.toml", cwd=tmp_path))
    domains = 'domains = { cats = "cats.jsonl", noise = "noise.jsonl" }\ntest = "test.jsonl"\nout = "mixed"\n'
    fit = 'fit = { steps = 2, batch_tokens = 128, rate = 0.01, dtype = "float32" }\n'
    table = f'[curate.mixture]\n{domains}student = "{tiny_folder()}"\ntried = 4\nseeds = []\nlength = 64\n'
    (tmp_path / "x.toml").write_text(table + fit)
    done = pilotfish("curate", "mix", "x.toml", "--json", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["domains"] == ["cats", "noise"] and abs(sum(told["weights"].values()) - 1) < 1e-9
    assert json.loads((tmp_path / "mixed" / "mixture.json").read_text())["tried"] == 4
    (tmp_path / "x.toml").write_text(table + fit.replace("steps = 2, ", ""))
    assert "needs `steps`" in error_of(pilotfish("curate", "mix", "x.toml", cwd=tmp_path))
