"""`pilotfish phrases`, run for real on a tiny encoder."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.help import error_of, pilotfish, remote, write_rows, write_toml
from tests.fakes_answers import Answer
from tests.fakes_http import ScriptedUpstream

TEXTS = [
    f"The {a} {b} (AB) is a {a} and no {b}s. An e-mail about {b} {a} came, not an email."
    for a in ("cat", "dog", "bird", "song", "card", "rate", "text")
    for b in ("mat", "sea", "refund", "category", "wrong")
]


def test_texts_teach_an_encoder_that_groups_and_finds(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "texts.jsonl", [{"text": text} for text in TEXTS])
    write_rows(tmp_path / "tests.jsonl", [{"a": "e-mail", "b": "email"}])
    table = f"""
[phrases]
texts = "texts.jsonl"
without = "tests.jsonl"
encoder = "{tiny_encoder_folder}"
out = "phrases"
model = "cloud"
ask = 6
words = 2
kinds = ["spelling", "morphology", "order", "sentence", "typo"]
least = 2
pooling = "choose"
characters = true
types = "shape"
fit = {{ steps = 2, batch_tokens = 256 }}
"""
    with ScriptedUpstream(lambda seen: Answer(f"other {seen.prompt.split(chr(34))[1]}")) as upstream:
        write_toml(tmp_path / "c.toml", remote("cloud", upstream.url), table)
        done = pilotfish("phrases", "learn", "c.toml", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "written 6 pairs by 6 calls" in done.stderr and "pooling" in done.stderr and "steps" in done.stderr
        assert upstream.calls == 6 and "spelling 0" in done.stderr
        again = pilotfish("phrases", "learn", "c.toml", "--json", cwd=tmp_path)
        told = json.loads(again.stdout)
        assert upstream.calls == 6 and told["steps"] == 2 and told["pooling"] != "choose"
    assert not (tmp_path / "phrases" / "run").exists()
    phrases = ["the cat", "cat", "exchange rate", "rate", "a song"]
    write_rows(tmp_path / "phrases.jsonl", [{"phrase": one} for one in phrases])
    made = ["-e", "phrases"]
    said = pilotfish("phrases", "similar", "cat", "the cat", "cat", "bird", *made, "--json", cwd=tmp_path)
    found = json.loads(said.stdout)["similar"]
    assert next(iter(found)) == "cat" and abs(found["cat"] - 1) < 1e-5
    groups = pilotfish("phrases", "cluster", "phrases.jsonl", "--count", "2", *made, "--json", cwd=tmp_path)
    rows = [json.loads(line) for line in groups.stdout.splitlines()]
    assert len(rows) == 2 and sorted(one for row in rows for one in row["phrases"]) == sorted(phrases)
    search = ["phrases", "search", "phrases.jsonl", "exchange rate", "--index", "index", "-k", "2", *made]
    assert pilotfish(*search, cwd=tmp_path).stdout.splitlines()[0].endswith("1.000  exchange rate")


def test_pairs_alone_teach_too_and_what_is_wrong_is_one_line(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "pairs.jsonl", [{"a": f"cat {i}", "b": f"dog {i}"} for i in range(40)])
    base = f'[phrases]\nencoder = "{tiny_encoder_folder}"\nout = "out"\nfit = {{ steps = 1 }}\n'
    write_toml(tmp_path / "p.toml", base + 'pairs = "pairs.jsonl"\n')
    done = pilotfish("phrases", "learn", "p.toml", "--json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert (told["pairs"], told["steps"], told["pooling"]) == (32, 1, "own")
    write_toml(tmp_path / "n.toml", base)
    assert "`texts` or `pairs`" in error_of(pilotfish("phrases", "learn", "n.toml", cwd=tmp_path))
    write_toml(tmp_path / "m.toml", base + 'pairs = "pairs.jsonl"\nmodel = "gone"\n')
    assert "are of the phrases of `texts`" in error_of(pilotfish("phrases", "learn", "m.toml", cwd=tmp_path))
    write_rows(tmp_path / "pairs.jsonl", [{"a": "cat", "b": 3}])
    assert "row 1: column 'b' is int" in error_of(pilotfish("phrases", "learn", "p.toml", cwd=tmp_path))
    write_toml(tmp_path / "d.toml", "default = 'x'\n")
    assert "no [phrases] table" in error_of(pilotfish("phrases", "learn", "d.toml", cwd=tmp_path))
    plain = ["phrases", "similar", "cat", "dog", "-e", "out", "--pooling", "cls"]
    assert "a pooling of its own" in error_of(pilotfish(*plain, cwd=tmp_path))
    write_rows(tmp_path / "few.jsonl", [{"phrase": "cat"}])
    both = ["phrases", "cluster", "few.jsonl", "-e", "out", "--count", "2"]
    assert "1 phrases do not make 2 groups" in error_of(pilotfish(*both, cwd=tmp_path))
