"""`pilotfish curate`, run as users do."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.help import error_of, pilotfish, read_rows, remote, write_rows, write_toml
from tests.curate.quality_texts import both
from tests.curate.test_rules import GOOD
from tests.fakes import ScriptedUpstream
from tests.fakes_answers import Answer, prompt_of

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
        (TABLE.replace('in = "rows.jsonl"', 'in = "none.jsonl"'), "none.jsonl: no such file"),
        (TABLE.replace('in = "rows.jsonl"', ""), "--in must be given"),
        (TABLE.replace('out = "out"', 'out = "out"\ntext = "txt"'), "no column 'txt'; did you mean 'text'?"),
        (TABLE.partition("[[")[0], "[curate] has no steps"),
        ("", "no [curate] table"),
    ):
        file.write_text(changed, "utf-8")
        assert said in error_of(pilotfish("curate", file, "--quiet", cwd=tmp_path)), said


LEARN = """
[curate]
in = "rows.jsonl"
out = "out"
[curate.classifiers.prose]
out = "prose"
positive = "good.jsonl"
negative = ["bad.jsonl"]
bits = 16
test = { positive = "good2.jsonl", negative = "bad2.jsonl" }
[[curate.steps]]
do = "quality"
classifier = "prose"
threshold = 0.5
[[curate.steps]]
do = "dedupe"
[[curate.steps]]
do = "quality"
classifier = "prose"
into = "again"
share = 0.25
"""


def prepare(folder: Path) -> Path:
    texts, kinds = both(400)
    more, others = both(100, seed=7)
    for name, some, of, kind in (("good", texts, kinds, True), ("bad", texts, kinds, False)):
        write_rows(folder / f"{name}.jsonl", [{"text": t} for t, k in zip(some, of, strict=True) if k is kind])
        held = [{"text": t} for t, k in zip(more, others, strict=True) if k is kind]
        write_rows(folder / f"{name}2.jsonl", held)
    write_rows(folder / "rows.jsonl", [{"text": text} for text in [*both(200, seed=3)[0], both(200, seed=3)[0][0]]])
    return write_toml(folder / "curate.toml", LEARN)


def test_a_classifier_is_learnt_and_used(tmp_path: Path) -> None:
    file = prepare(tmp_path)
    early = error_of(pilotfish("curate", file, "--quiet", cwd=tmp_path))
    assert "the classifier 'prose' has learnt nothing yet: pilotfish curate learn" in early
    done = pilotfish("curate", "learn", file, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "prose, held-out rows: 80 held-out rows, 40 of them good: area" in done.stdout
    assert "prose, test rows: 100 held-out rows" in done.stdout
    page = (tmp_path / "prose" / "report.html").read_text("utf-8")
    assert "<svg" in page and "Precision and recall" in page
    again = pilotfish("curate", "learn", file, "--json", cwd=tmp_path)
    assert "prose: learnt already" in again.stderr
    assert json.loads(again.stdout)["prose"]["test_rows"]["area"]["value"] > 0.9
    kept = pilotfish("curate", file, "--json", "--quiet", cwd=tmp_path)
    report = json.loads(kept.stdout)
    assert [step["title"] for step in report["steps"]] == ["Quality", "Dedupe", "Quality"]
    assert 20 <= report["kept"] <= 30 and report["steps"][1]["dropped"] >= 0
    assert {"text", "score", "again"} == read_rows(tmp_path / "out" / "kept.jsonl")[0].keys()
    shown = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "Dropped rows, some of each reason" in shown and "quality.threshold" in shown


def test_ratings_of_a_model_are_learnt_from(tmp_path: Path) -> None:
    prepare(tmp_path)
    # What the scripted endpoint says goes by a word of the text.
    with ScriptedUpstream(
        lambda seen: Answer("Grade: 4" if "The " in prompt_of(seen.body) else "Grade: 1")
    ) as upstream:
        head = remote("large", upstream.url)
        table = '[curate.classifiers.x]\nout = "x"\nratings = { rows = ["good.jsonl", "bad.jsonl"], model = "large" }'
        file = write_toml(tmp_path / "rated.toml", head, table)
        done = pilotfish("curate", "learn", file, "--quiet", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "400 of 400 texts rated" in done.stderr and "held-out rows" in done.stdout
        calls = len(upstream.seen)
        assert pilotfish("curate", "learn", file, "--quiet", cwd=tmp_path).returncode == 0
        assert len(upstream.seen) == calls


def test_what_is_wrong_with_a_classifier_is_told_in_one_line(tmp_path: Path) -> None:
    file = prepare(tmp_path)
    for before, after, said in (
        ('["bad.jsonl"]', '["good.jsonl"]', "good.jsonl: both among `positive` and among `negative`"),
        ('["bad.jsonl"]', '["none.jsonl"]', "none.jsonl: no such file"),
        ("bits = 16", 'text = "txt"', "no column 'txt'"),
    ):
        file.write_text(LEARN.replace(before, after, 1), "utf-8")
        assert said in error_of(pilotfish("curate", "learn", file, "--quiet", cwd=tmp_path)), said
    file.write_text(LEARN.replace('classifier = "prose"', 'classifier = "prise"', 1), "utf-8")
    told = error_of(pilotfish("curate", file, "--quiet", cwd=tmp_path))
    assert "no [curate.classifiers.prise]; did you mean 'prose'?" in told
    assert "did you mean 'prose'" in error_of(pilotfish("curate", "learn", file, "--name", "pros", cwd=tmp_path))
