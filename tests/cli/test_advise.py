"""`pilotfish advise` in processes of its own: what is wrong is told at once, what is stopped leaves nothing behind."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pilotfish import ask
from pilotfish.assemble import Collaboration
from pilotfish.cli._advise_plan import READY
from tests.cli.help import SECRET, environment, error_of, pilotfish, read_rows, remote, start, write_rows, write_toml
from tests.fakes import Answer, ScriptedUpstream, Seen

WORDS = {"card": "my card has not arrived yet where is it", "refund": "i want a refund for the top up that failed"}


def made_rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return rows whose words give their labels away."""
    rng = random.Random(seed)
    rows = []
    for n in range(count):
        label = sorted(WORDS)[n % 2]
        words = rng.sample(WORDS[label].split(), 5)
        rows.append({"id": n, "text": f"{' '.join(words)} {rng.getrandbits(60):x}", "label": label})
    return rows


SMALL = '[models.small]\nuse = "encoder"\nweights = "tiny"\n'
TABLE = """
[advise]
rows = "rows.jsonl"
text = "text"
label = "label"
counts = [0, 8]
seeds = 1
test_rows = 10
calibrate_rows = 5
unlabelled_rows = 8
"""
# Commands one after another in one process; the end of standard error is torch, were it imported by any.
ONE_BY_ONE = """
import contextlib, io, json, sys
from pilotfish.cli.main import run
told = []
for arguments in json.loads(sys.argv[1]):
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        try:
            run(arguments)
        except SystemExit as ended:
            told.append((ended.code, err.getvalue()))
print(json.dumps(told))
print([name for name in sys.modules if name == "torch"], file=sys.stderr)
"""
# Tells at the end whether anything heavy was imported.
WATCH = "import sys, atexit\natexit.register(lambda: print('torch' in sys.modules))"


def test_every_bad_input_is_told_before_anything_heavy_is_imported(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", made_rows(40))
    write_rows(tmp_path / "one.jsonl", [{"text": f"text {n}", "label": "x"} for n in range(9)])
    write_rows(tmp_path / "ids.jsonl", [{"text": f"text {n}", "label": n} for n in range(9)])
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "latin.csv").write_bytes("text,label\ncafé,a\nthé,b\n".encode("latin-1"))
    (tmp_path / "file").write_text("")
    good = ["--text", "text", "--label", "label", "--small", "all-minilm-l6-v2"]
    cases = [
        (["rows.jsonl", "--text", "txt", *good[2:]], "rows.jsonl: no column 'txt'; did you mean 'text'?"),
        (["rows.jsonl", *good, "--label", "lable"], "no column 'lable'; did you mean 'label'?"),
        (["rows.jsonl", *good, "--small", "all-minilm"], "no model 'all-minilm' in the catalog"),
        (["rows.jsonl", *good, "--large", "smollm2"], "no model 'smollm2' in the catalog"),
        (["rows.jsonl", *good, "--small", "openai:gpt"], "must be an encoder or a local language model"),
        (["rows.jsonl", *good[:4]], "--small must be given"),
        (["rows.jsonl", *good, "--test", "none.jsonl"], "none.jsonl: no such file"),
        (["rows.jsonl", *good, "--unlabelled", "none.jsonl"], "none.jsonl: no such file"),
        (["rows.jsonl", *good, "--max-memory", "much"], "--max-memory takes a size"),
        (["rows.jsonl", *good, "--margin", "2"], "--margin must lie between"),
        (["rows.jsonl", *good, "--name", "card"], "--name takes LABEL=NAME"),
        (["rows.jsonl", *good, "--name", "crd=bank card"], "did you mean 'card'?"),
        (["rows.jsonl", *good, "--out", "file/x"], "cannot write file/x"),
        (["-", *good, "--test", "-"], "only one of the files"),
        (["one.jsonl", *good], "every training row has the label 'x'"),
        (["ids.jsonl", *good], "not a class"),
        (["empty.jsonl", *good], "the file is empty"),
        (["latin.csv", *good], "--encoding latin-1"),
        (["none.jsonl", *good], "none.jsonl: no such file"),
    ]
    given = json.dumps([["advise", *arguments] for arguments, _ in cases])
    command = [sys.executable, "-c", ONE_BY_ONE, given]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, timeout=120, check=True)
    for (arguments, message), (code, err) in zip(cases, json.loads(done.stdout), strict=True):
        told = subprocess.CompletedProcess(arguments, code, "", err)
        assert message in error_of(told), arguments
        assert err.startswith("pilotfish advise: reading the rows\n")
    assert b"torch" not in done.stderr
    assert not (tmp_path / "out" / "advice" / "advice.json").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SMALL, "no [advise] table"),
        (SMALL + TABLE + 'larg = "x"', "[advise]: unknown key 'larg'; did you mean 'large'?"),
        (SMALL + TABLE + 'large = "smal"', "large = 'smal': no such model; did you mean 'small'?"),
        (SMALL + TABLE.replace('label = "label"', ""), "[advise]: the key 'label' is missing"),
    ],
)
def test_a_faulty_table_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    write_rows(tmp_path / "rows.jsonl", made_rows(40))
    write_toml(tmp_path / "a.toml", text)
    assert message in error_of(pilotfish("advise", "a.toml", cwd=tmp_path))


def test_a_wrong_key_no_endpoint_and_no_price_are_told_before_anything_is_measured(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", made_rows(40))
    small = SMALL.replace('"tiny"', '"all-minilm-l6-v2"')
    nested = '[models.big]\nuse = "labeller"\nmodel = "m"\nlabels = ["card", "refund"]\n'
    with ScriptedUpstream(key="another") as upstream:
        write_toml(tmp_path / "a.toml", small, nested, remote("m", upstream.url), TABLE + 'large = "big"\n')
        done = pilotfish("advise", "a.toml", cwd=tmp_path, before=WATCH)
        assert "$TEST_KEY" in error_of(done)
        assert done.stdout == "False\n"
        assert upstream.calls == 1
        line = error_of(pilotfish("advise", "a.toml", "--max-cost", "1", cwd=tmp_path))
        assert "--max-cost cannot be kept: the price of 'scripted-1' is not known" in line
        assert upstream.calls == 1
    done = pilotfish("advise", "a.toml", cwd=tmp_path, before=WATCH)
    assert "cannot be reached" in error_of(done)
    assert done.stdout == "False\n"


def test_an_answer_in_the_cache_does_not_hide_a_key_that_is_no_longer_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", SECRET)
    write_rows(tmp_path / "rows.jsonl", made_rows(40))
    small = SMALL.replace('"tiny"', '"all-minilm-l6-v2"')
    with ScriptedUpstream(key=SECRET) as upstream:
        large = remote("m", upstream.url).replace("cache = false", 'cache = "replies.sqlite"')
        file = write_toml(tmp_path / "a.toml", small, large, TABLE + 'large = "m"\n')
        model = Collaboration.load(file).model("m")
        ask(model, READY)
        ask(model, READY)
        assert upstream.calls == 1  # the second came from the cache
        upstream.key = "another"
        done = pilotfish("advise", "a.toml", cwd=tmp_path, before=WATCH)
        assert "$TEST_KEY" in error_of(done)
        assert done.stdout == "False\n"


def test_without_an_extra_it_is_told_at_once(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", made_rows(40))
    arguments = ["rows.jsonl", "--text", "text", "--label", "label", "--small", "all-minilm-l6-v2"]
    for module in ("sklearn", "matplotlib"):
        blocked = f"import sys; sys.modules[{module!r}] = None"
        line = error_of(pilotfish("advise", *arguments, cwd=tmp_path, before=blocked))
        assert line == f"error: {module} is not installed: pip install 'pilotfish[train]'"
    # A finder that refuses, as import blockers have it.
    refuse = (
        "import sys\nclass No:\n    def find_spec(self, name, *_):\n        if name.split('.')[0] == 'model2vec':\n"
    )
    refuse += "            raise ModuleNotFoundError(name, name=name)\nsys.meta_path.insert(0, No())"
    assert "model2vec is not installed" in error_of(pilotfish("advise", *arguments, cwd=tmp_path, before=refuse))


def test_advice_with_a_nested_large_model_is_written_whole_and_asked(tmp_path: Path, tiny_encoder_folder: Path) -> None:
    """One run for much: the report's names, an unseen label, bad rows, duplicated ids, and a file that works."""
    folder = tmp_path / "in"
    folder.mkdir()
    rows = made_rows(70)
    rows[3]["id"] = rows[2]["id"]
    write_rows(folder / "rows.jsonl", rows)
    with (folder / "rows.jsonl").open("ab") as file:
        file.write(b'{"text": "caf\xe9"}\n{"text": "' + b"x" * 20_000_000 + b'"}\n{"text": cut\n')
    test = [*made_rows(19, seed=1), {"text": "quite another matter", "label": "weather"}]
    write_rows(folder / "test.jsonl", test)
    truth = {row["text"]: row["label"] for row in [*rows, *test]}

    def answer(seen: Seen) -> Answer:
        return Answer(next((label for text, label in truth.items() if text in seen.prompt.splitlines()[-1]), "none"))

    with ScriptedUpstream(answer, key=SECRET) as cheap, ScriptedUpstream(answer, key=SECRET) as dear:
        catalog = f'[catalog."tiny"]\nkind = "encoder"\nlicence = "CC0-1.0"\nsource = "path:{tiny_encoder_folder}"\n'
        # The large model is itself a cascade, whose parts have the names that the advice uses too.
        both = '[models.both]\nuse = "cascade"\nsmall = "large"\nlarge = "cascade"\n'
        both += 'accept = { score = "mean-logprob", above = -9.0 }\n'
        price = "price = { input = 1.0, output = 1.0 }"
        parts = [remote("large", cheap.url, price), remote("cascade", dear.url, price)]
        table = TABLE + 'test = "test.jsonl"\nlarge = "both"\n'
        write_toml(folder / "a.toml", catalog, SMALL, *parts, both, table)
        done = pilotfish("advise", "in/a.toml", "--out", "out", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert cheap.calls > 10
        assert "3 rows rejected" in done.stderr
        assert len(read_rows(tmp_path / "out" / "rejects.jsonl")) == 3
        assert "verdict: " in done.stdout
        assert "report: out/report.html" in done.stdout
        assert "weather" in done.stdout  # the gate on labels that training never saw
        advice = json.loads((tmp_path / "out" / "advice.json").read_text())
        assert {gate["name"]: gate["status"] for gate in advice["gates"]}["Unseen classes"] != "pass"
        # A reader knows the weights by their name, not by the word for their part in the file.
        assert any(candidate["title"].startswith("tiny + ") for candidate in advice["candidates"])
        assert any("ids stand on more than one row" in note for note in advice["rows"]["notes"])
        assert advice["rows"]["test"] == 20
        tables = tomllib.loads((tmp_path / "out" / "pilotfish.toml").read_text())["models"]
        assert tables["large-model"]["small"] != "large"
        for model in ("small", "large", "cascade", "large-model"):
            asked = pilotfish("ask", "out/pilotfish.toml", "where is my card", "-m", model, "--json", cwd=tmp_path)
            assert asked.returncode == 0, (model, asked.stderr)
            assert json.loads(asked.stdout)["trace"]["calls"], model


def test_ctrl_c_leaves_no_advice_and_two_do_not_share_a_folder(tmp_path: Path, tiny_encoder_folder: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", made_rows(60))
    (tmp_path / "tiny").symlink_to(tiny_encoder_folder)
    with ScriptedUpstream(lambda _: Answer("card", delay=0.2), key=SECRET) as upstream:
        write_toml(tmp_path / "a.toml", SMALL, remote("big", upstream.url), TABLE + 'large = "big"\n')
        process = start("advise", "a.toml", "--out", "out", cwd=tmp_path)
        begun = time.monotonic()
        assert process.stderr.readline() == b"pilotfish advise: reading the rows\n"
        assert time.monotonic() - begun < 10
        assert upstream.wait_for(lambda: upstream.calls >= 1, 100)
        line = error_of(pilotfish("advise", "a.toml", "--out", "out", cwd=tmp_path))
        assert f"out: another run (process {process.pid}) is writing here" in line
        assert upstream.wait_for(
            lambda: upstream.calls >= 20, 60
        )  # answers are kept a batch at a time, and the first has 16
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in err
    last = err.decode().splitlines()[-1]
    assert last.startswith("stopped, no advice was written; what scripted-1 answered is kept in out")
    assert not (tmp_path / "out" / "advice.json").exists()
    assert not (tmp_path / "out" / "pilotfish.toml").exists()
    assert (tmp_path / "out" / "work" / "large.jsonl").stat().st_size > 0


def test_labelled_lines_in_latin_1_without_a_large_model_and_a_full_disk(
    tmp_path: Path, tiny_encoder_folder: Path
) -> None:
    rows = made_rows(60)
    lines = [f"{row['label']} {row['text']} café" for row in rows]
    (tmp_path / "some.train.all").write_bytes("\n".join(lines).encode("latin-1"))
    arguments = ["some.train.all", "--text", "text", "--label", "label", "--encoding", "latin-1", "--out", "out"]
    arguments += ["--small", str(tiny_encoder_folder), "--quiet", "--seeds", "1", "--max-seconds", "60"]
    full = pilotfish("advise", *arguments, cwd=tmp_path, disk=4_000)
    assert re.search("cannot write .*: File too large", error_of(full))
    assert not (tmp_path / "out" / "advice.json").exists()
    done = pilotfish("advise", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "verdict: small"
    assert done.stderr == ""
    assert "café" in (tmp_path / "out" / "answers.jsonl").read_text(encoding="utf-8")
    assert pilotfish("ask", "out/pilotfish.toml", "where is my card", cwd=tmp_path).stdout == "card\n"
