"""`pilotfish map`: rows through a model, in processes of their own, stopped and gone on with."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path

import pytest

from tests.cli.help import SECRET, error_of, pilotfish, read_rows, remote, start, write_rows, write_toml
from tests.fakes import Answer, ScriptedUpstream, Seen, failing

ROWS = [{"id": n, "text": f"message {n}"} for n in range(12)]


def made(folder: Path, url: str, *tables: str, count: int = 12) -> Path:
    """Write rows and a collaboration file; return the folder."""
    write_rows(folder / "rows.jsonl", [{"id": n, "text": f"message {n}"} for n in range(count)])
    write_toml(folder / "c.toml", remote("m", url, "price = { input = 1.0, output = 2.0 }"), *tables)
    return folder


def test_every_row_is_asked_about_and_the_answer_stands_beside_it(tmp_path: Path) -> None:
    with ScriptedUpstream(lambda seen: Answer(seen.prompt.upper()), key=SECRET) as upstream:
        made(tmp_path, upstream.url)
        arguments = ["map", "c.toml", "rows.jsonl", "--prompt", "Say: {text}", "--system", "You are {id}."]
        arguments += ["--column", "said", "--max-tokens", "9", "--temperature", "0", "--trace-columns", "--quiet"]
        done = pilotfish(*arguments, "--out", "out", "--output", "all.csv", "--shard-rows", "5", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        bodies = [seen.body for seen in upstream.seen]
    assert "12 rows in, 12 out" in done.stderr
    assert "12 rows in all.csv" in done.stderr
    assert "dollars" in done.stderr
    shards = [row for path in sorted((tmp_path / "out").glob("*.jsonl"))[1:] for row in read_rows(path)]
    assert [(row["id"], row["said"]) for row in shards] == [(n, f"SAY: MESSAGE {n}") for n in range(12)]
    assert shards[0]["said_trace"]["model"] == "m"
    assert shards[0]["said_trace"]["cost"] > 0
    with (tmp_path / "all.csv").open(newline="") as file:
        assert [row["said"] for row in csv.DictReader(file)] == [row["said"] for row in shards]
    assert {body["max_tokens"] for body in bodies} == {9}
    assert {body["temperature"] for body in bodies} == {0}
    assert {body["messages"][0]["content"] for body in bodies} == {f"You are {n}." for n in range(12)}


def test_the_file_may_say_it_all_and_flags_win(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    table = '[map]\nrows = "rows.jsonl"\nprompt = "Say: {text}"\nout = "out"\ncolumn = "said"\nmax_tokens = 5\n'
    with ScriptedUpstream(key=SECRET) as upstream:
        made(tmp_path / "sub", upstream.url, table)
        # Paths are relative to the file, not to where the command runs.
        done = pilotfish("map", "sub/c.toml", "--prompt", "Tell: {text}", "--output", "-", "--quiet", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert {seen.body["max_tokens"] for seen in upstream.seen} == {5}
    assert [json.loads(line)["said"] for line in done.stdout.splitlines()][3] == "echo: Tell: message 3"
    assert (tmp_path / "sub" / "out" / "report.json").is_file()


def test_rows_may_come_from_standard_input(tmp_path: Path) -> None:
    with ScriptedUpstream(key=SECRET) as upstream:
        made(tmp_path, upstream.url)
        arguments = ["map", "c.toml", "-", "--prompt", "{text}", "--out", "out", "--output", "-", "--quiet"]
        done = pilotfish(*arguments, cwd=tmp_path, stdin=b'{"text": "hi"}\n')
    assert json.loads(done.stdout) == {"text": "hi", "answer": "echo: hi"}


def test_ctrl_c_keeps_what_was_answered_and_the_same_command_goes_on(tmp_path: Path) -> None:
    with ScriptedUpstream(lambda _: Answer(delay=0.05), key=SECRET) as upstream:
        made(tmp_path, upstream.url, "[map]\nconcurrency = 2\n", count=60)
        arguments = ["map", "c.toml", "rows.jsonl", "--prompt", "{text}", "--out", "out"]
        process = start(*arguments, cwd=tmp_path)
        assert upstream.wait_for(lambda: upstream.calls >= 20, 20)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 130
        assert b"Traceback" not in err
        assert err.decode().splitlines()[-1].startswith("stopped; the answers so far are in out")
        before = upstream.calls
        assert before < 60
        assert not (tmp_path / "out" / "report.json").exists()
        done = pilotfish(*arguments, "--output", "all.jsonl", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "were finished before" in done.stderr
        # Only the two under way when the stop came may have been asked about twice.
        assert upstream.calls <= 62
    assert [row["id"] for row in read_rows(tmp_path / "all.jsonl")] == list(range(60))


def test_a_full_disk_is_one_line_and_more_room_finishes_the_work(tmp_path: Path) -> None:
    with ScriptedUpstream(Answer("x" * 2000), key=SECRET) as upstream:
        made(tmp_path, upstream.url, count=40)
        arguments = ["map", "c.toml", "rows.jsonl", "--prompt", "{text}", "--out", "out", "--quiet"]
        assert "cannot write" in error_of(pilotfish(*arguments, cwd=tmp_path, disk=30_000))
        assert not (tmp_path / "out" / "report.json").exists()
        assert upstream.calls >= 10
        done = pilotfish(*arguments, "--output", "all.jsonl", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    rows = read_rows(tmp_path / "all.jsonl")
    assert [(row["id"], len(row["answer"])) for row in rows] == [(n, 2000) for n in range(40)]


def test_bad_rows_and_failed_calls_are_rejected_with_their_reasons(tmp_path: Path) -> None:
    def script(seen: Seen) -> Answer:
        return failing(400, "no such thing") if seen.prompt == "poison" else Answer("fine")

    with ScriptedUpstream(script, key=SECRET) as upstream:
        made(tmp_path, upstream.url)
        lines = [
            b'{"text": "one"}',
            b'{"text": "caf\xe9"}',
            b'{"text": "poison"}',
            b'{"txt": "three"}',
            b'{"text": "five"}',
        ]
        (tmp_path / "bad.jsonl").write_bytes(b"\n".join([*lines, b'{"text": "' + b"y" * 50_000_000 + b'"}', b""]))
        arguments = ["map", "c.toml", "bad.jsonl", "--prompt", "{text}", "--out", "out", "--output", "-", "--quiet"]
        done = pilotfish(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == ["one", "five"]
    assert "4 rejected" in done.stderr
    reasons = " ".join(row["reason"] for row in read_rows(tmp_path / "out" / "rejects.jsonl"))
    assert "UTF-8" in reasons
    assert "no such thing" in reasons
    assert "no column 'text'" in reasons
    assert SECRET not in (tmp_path / "out" / "rejects.jsonl").read_text()


def test_another_question_or_model_does_not_mix_into_the_same_folder(tmp_path: Path) -> None:
    with ScriptedUpstream(key=SECRET) as upstream, ScriptedUpstream(key=SECRET) as moved:
        made(tmp_path, upstream.url)
        arguments = ["map", "c.toml", "rows.jsonl", "--out", "out", "--quiet"]
        assert pilotfish(*arguments, "--prompt", "{text}", cwd=tmp_path).returncode == 0
        assert "--fresh" in error_of(pilotfish(*arguments, "--prompt", "{text}?", cwd=tmp_path))
        # The same model at another address is the same model.
        write_toml(tmp_path / "c.toml", remote("m", moved.url, "concurrency = 3"))
        done = pilotfish(*arguments, "--prompt", "{text}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert moved.calls == 0
        write_toml(tmp_path / "c.toml", remote("m", moved.url).replace("scripted-1", "scripted-2"))
        assert "'model' of stage 1" in error_of(pilotfish(*arguments, "--prompt", "{text}", cwd=tmp_path))
        assert pilotfish(*arguments, "--prompt", "{text}", "--fresh", cwd=tmp_path).returncode == 0
        assert moved.calls == 12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--prompt", "{txt}", "--out", "o"], "rows.jsonl: no column 'txt'; did you mean 'text'?"),
        (["--prompt", "{text", "--out", "o"], "the template '{text'"),
        (["--prompt", "{text}", "--out", "o", "--column", "id"], "already has a column 'id'"),
        (["--prompt", "{text}", "--out", "o", "--model", "mm"], "no model 'mm'; did you mean 'm'?"),
        (["--prompt", "{text}", "--out", "o", "--output", "x.txt"], "should end in one of .jsonl, .csv"),
        (["--prompt", "{text}", "--out", "o", "--output", "x.arrow"], "cannot write the format 'arrow'"),
        (["--prompt", "{text}", "--out", "rows.jsonl"], "cannot write rows.jsonl"),
        (["--prompt", "{text}"], "--out must be given"),
        (["--out", "o"], "--prompt must be given"),
        (["--prompt", "{text}", "--out", "o", "--format", "parquett"], "did you mean 'parquet'?"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_asked(tmp_path: Path, options: list[str], message: str) -> None:
    made(tmp_path, "http://127.0.0.1:9/v1")
    assert message in error_of(pilotfish("map", "c.toml", "rows.jsonl", *options, cwd=tmp_path))
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "the file is empty"), (b"{\n", "no usable row"), (None, "no such file")]
)
def test_an_empty_a_broken_and_a_missing_file(tmp_path: Path, content: bytes | None, message: str) -> None:
    made(tmp_path, "http://127.0.0.1:9/v1")
    if content is not None:
        (tmp_path / "bad.jsonl").write_bytes(content)
    arguments = ["map", "c.toml", "bad.jsonl", "--prompt", "{text}", "--out", "o", "--format", "jsonl"]
    assert message in error_of(pilotfish(*arguments, cwd=tmp_path))


def test_an_unknown_key_of_the_table_names_the_nearest(tmp_path: Path) -> None:
    made(tmp_path, "http://127.0.0.1:9/v1", '[map]\nromws = "rows.jsonl"\n')
    assert "unknown key 'map.romws'; did you mean 'rows'?" in error_of(pilotfish("map", "c.toml", cwd=tmp_path))


def test_a_wrong_key_and_no_endpoint_stop_the_run(tmp_path: Path) -> None:
    with ScriptedUpstream(key="another") as upstream:
        made(tmp_path, upstream.url, count=30)
        arguments = ["map", "c.toml", "rows.jsonl", "--prompt", "{text}", "--out", "o", "--quiet"]
        line = error_of(pilotfish(*arguments, cwd=tmp_path))
        assert "$TEST_KEY" in line
        assert "401" in line
        address = upstream.url
    line = error_of(pilotfish(*arguments, cwd=tmp_path))
    assert "cannot be reached" in line
    assert address in line
    # Nothing of it counts as an answer later on.
    with ScriptedUpstream(key=SECRET) as upstream:
        made(tmp_path, upstream.url, count=30)
        done = pilotfish(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "30 rows in, 30 out" in done.stderr


def test_when_every_row_is_rejected_the_command_fails(tmp_path: Path) -> None:
    with ScriptedUpstream(failing(400, "never"), key=SECRET) as upstream:
        made(tmp_path, upstream.url, count=3)
        done = pilotfish("map", "c.toml", "rows.jsonl", "--prompt", "{text}", "--out", "o", "--quiet", cwd=tmp_path)
    assert "all 3 rows were rejected" in error_of(done)
    assert len(read_rows(tmp_path / "o" / "rejects.jsonl")) == 3
