"""`pilotfish adapt`, run for real on a tiny encoder."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.help import error_of, pilotfish, remote, write_rows, write_toml
from tests.fakes_answers import Answer
from tests.fakes_http import ScriptedUpstream, Seen

FIT = "fit = { steps = 2, batch_tokens = 256 }"


def test_rows_with_right_and_wrong_answers_teach_an_energy(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    write_rows(
        tmp_path / "ranked.jsonl", [{"q": f"q{i}", "right": "good", "bad": [f"bad {i}", "x"]} for i in range(24)]
    )
    table = f"""
[adapt]
rows = "ranked.jsonl"
encoder = "{tiny_encoder_folder}"
out = "energy"
prompt = "q"
wrong = "bad"
{FIT}
"""
    write_toml(tmp_path / "c.toml", table)
    done = pilotfish("adapt", "c.toml", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["rows"] + told["held_out"] == 24 and told["steps"] == 2
    assert (tmp_path / "energy" / "energy.json").exists()
    write_rows(tmp_path / "ranked.jsonl", [{"q": "a", "right": "b", "bad": "c"}] * 2)
    assert "row 1: column 'bad' is no list of wrong answers" in error_of(pilotfish("adapt", "c.toml", cwd=tmp_path))


def test_a_model_s_answers_are_drawn_graded_and_paid_for_once(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "sums.jsonl", [{"prompt": f"{i} + {i}?", "answer": str(2 * i)} for i in range(12)])

    def says(seen: Seen) -> Answer:
        number = int(seen.prompt.split()[0])
        return Answer(f"It is {2 * number if (seen.body.get('seed') or 0) % 2 else number + 99}")

    table = f"""
[adapt]
rows = "sums.jsonl"
encoder = "{tiny_encoder_folder}"
out = "energy"
model = "cloud"
grade = "last-number"
draws = 2
{FIT}
"""
    use = '[models.energy]\nuse = "energy"\npath = "energy"\n'
    best = '[models.best]\nuse = "best-of-n"\nmodel = "cloud"\nreward = "energy"\nn = 2\n'
    with ScriptedUpstream(says) as upstream:
        write_toml(tmp_path / "c.toml", remote("cloud", upstream.url), table)
        done = pilotfish("adapt", "c.toml", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "round 0: 0.500 of the answers right, 12 rows" in done.stderr and "round 1:" in done.stderr
        assert upstream.calls == 2 * 2 * 12
        assert pilotfish("adapt", "c.toml", cwd=tmp_path).returncode == 0
        assert upstream.calls == 2 * 2 * 12
        write_toml(tmp_path / "d.toml", remote("cloud", upstream.url), use, best)
        asked = pilotfish("ask", "d.toml", "3 + 3?", "-m", "best", cwd=tmp_path)
        assert asked.stdout.startswith("It is"), asked.stderr


def test_what_does_not_fit_is_one_line(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    write_toml(tmp_path / "a.toml", "[adapt]\nrows = 'r'\nencoder = 'e'\nout = 'o'\ngrade = 'text'\n")
    assert "name it" in error_of(pilotfish("adapt", "a.toml", cwd=tmp_path))
    write_toml(tmp_path / "b.toml", "[adapt]\nrows = 'r'\nencoder = 'e'\nout = 'o'\nmodel = 'm'\n")
    assert "no such model" in error_of(pilotfish("adapt", "b.toml", cwd=tmp_path))
    write_toml(tmp_path / "n.toml", "default = 'x'\n")
    assert "no [adapt] table" in error_of(pilotfish("adapt", "n.toml", cwd=tmp_path))
