"""`pilotfish curate`, run as users do."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.help import error_of, pilotfish, read_rows, write_rows, write_toml
from tests.curate.test_rules import GOOD

TABLE = """
[curate]
in = "rows.jsonl"
out = "out"
[[curate.steps]]
do = "rules"
rules = ["gopher_quality", "fineweb"]
gopher_quality = { min_words = 20, max_words = false }
"""


def test_rows_sift_through_a_file(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", [{"text": GOOD}, {"text": "short"}, {"text": None}])
    file = write_toml(tmp_path / "curate.toml", TABLE)
    done = pilotfish("curate", file, "--quiet", cwd=tmp_path.parent)
    assert done.returncode == 0, done.stderr
    assert "1 of 3 rows kept (33.3%), 1 dropped, 1 bad" in done.stdout
    assert read_rows(tmp_path / "out" / "kept.jsonl") == [{"text": GOOD}]
    dropped = read_rows(tmp_path / "out" / "dropped.jsonl")
    assert dropped[0]["reason"] == "gopher_quality.words: 1 against at least 20"
    again = pilotfish("curate", "run", file, "--json", cwd=tmp_path)
    assert json.loads(again.stdout)["repeated"] is True


def test_what_is_wrong_is_told_in_one_line(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", [{"text": GOOD}])
    file = tmp_path / "curate.toml"
    for changed, said in (
        (TABLE.replace("min_words", "min_word"), "unknown key 'gopher_quality.min_word'; did you mean 'min_words'?"),
        (TABLE.replace('do = "rules"', 'do = "rule"'), "step 1: unknown do 'rule'; did you mean 'rules'?"),
        (TABLE.replace('do = "rules"', ""), "step 1 needs `do`"),
        (TABLE.replace('"fineweb"', '"finweb"'), "step 1 (rules): rules.1:"),
        (TABLE.replace('"gopher_quality", ', ""), "`gopher_quality` is not among `rules`"),
        (TABLE.replace("= 20", '= "20"'), "gopher_quality.min_words"),
        (TABLE.replace('in = "rows', 'inn = "rows'), "unknown key 'curate.inn'; did you mean 'in'?"),
        (TABLE.replace('in = "rows.jsonl"', ""), "--in must be given"),
        (TABLE.replace('in = "rows.jsonl"', 'in = "none.jsonl"'), "none.jsonl: no such file"),
        (TABLE.replace('out = "out"', 'out = "out"\ntext = "txt"'), "no column 'txt'; did you mean 'text'?"),
        (TABLE.partition("[[")[0], "[curate] has no steps"),
        ("", "no [curate] table"),
    ):
        file.write_text(changed, "utf-8")
        assert said in error_of(pilotfish("curate", file, "--quiet", cwd=tmp_path)), said
