"""`pilotfish batches`, and the commands that ask a batch model, run for real against a real server."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pilotfish.cli.main import main
from pilotfish.errors import ConfigError
from tests.cli.help import SECRET, error_of, pilotfish, read_rows, start, write_rows, write_toml
from tests.cli.test_synthesize import FILE
from tests.fakes_batch import FakeBatches

SLOW = ("validating", *["in_progress"] * 10_000)


def batches(*arguments: str) -> str:
    """Run `pilotfish batches` in this process; return what it printed on either stream."""
    return CliRunner().invoke(main, ["batches", *arguments], catch_exceptions=False, standalone_mode=False).output


def table(provider: FakeBatches, *lines: str, name: str = "large") -> str:
    head = [f"[models.{name}]", 'use = "batch"', 'model = "tiny"', f'base_url = "{provider.url}"']
    rest = ['key_env = "TEST_KEY"', "gather = 0.2", "poll = 0.02", f'folder = "{name}"']
    return "\n".join([*head, *rest, "price = { input = 1000000.0, output = 1000000.0 }", *lines, ""])


def team(folder: Path, *tables: str, count: int = 5) -> tuple[str, ...]:
    """Write a file of models and one of rows; return the command that asks about each row."""
    write_toml(folder / "team.toml", *tables)
    write_rows(folder / "rows.jsonl", [{"text": f"n{i}"} for i in range(count)])
    return ("map", "team.toml", "rows.jsonl", "--prompt", "{text}", "--out", "out", "--quiet")


def test_a_run_that_is_stopped_is_gone_on_with(tmp_path: Path) -> None:
    """Started, stopped by Ctrl-C, listed, waited for, and run again: one batch, paid for once."""
    with FakeBatches(key=SECRET, way=SLOW) as provider:
        asks = team(tmp_path, table(provider))
        running = start(*asks, cwd=tmp_path)
        assert provider.wait_for(lambda: provider.count("get") > 2, 60)
        refused = error_of(pilotfish("batches", "wait", "team.toml", cwd=tmp_path))
        assert "another run (process" in refused and "wait for it or choose another folder" in refused
        listed = pilotfish("batches", "list", "team.toml", cwd=tmp_path)
        assert listed.stdout.split()[:8] == ["id", "state", "done", "failed", "total", "age", "cost", "so"]
        (row,) = listed.stdout.splitlines()[1:]
        assert row.split()[:5] == ["batch_0", "in_progress", "2", "0", "5"] and row.endswith("$0.0000")
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
        lines = said.decode().splitlines()
        assert running.returncode == 130 and "the same command goes on from there" in lines[-1]
        assert any("batch_0 (2 of 5 done) goes on at the endpoint; run again" in line for line in lines)
        assert "batch batch_0: 5 requests at the endpoint, validating" in said.decode() and SECRET not in said.decode()
        provider.hurry()
        waited = pilotfish("batches", "wait", "team.toml", "--json", cwd=tmp_path)
        (state,) = json.loads(waited.stdout)
        assert state.pop("age") > 0
        assert state == {
            "id": "batch_0",
            "state": "completed",
            "done": 5,
            "failed": 0,
            "total": 5,
            "answered": 5,
            "cost": 35.0,
            "open": False,
        }
        done = pilotfish(*asks, cwd=tmp_path)
        assert done.returncode == 0 and "dollars 35" in done.stderr, done.stderr
        (shard,) = (tmp_path / "out").glob("shard-*.jsonl")
        assert [row["answer"] for row in read_rows(shard)] == [f"echo n{i}" for i in range(5)]
        assert len(provider.batches) == 1 and SECRET not in "".join(map(str, (tmp_path / "large").rglob("*")))


def test_batches_are_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with FakeBatches(way=SLOW) as provider:
        asks = team(tmp_path, table(provider, "most_requests = 2"), count=4)
        running = start(*asks, cwd=tmp_path)
        assert provider.wait_for(lambda: len(provider.batches) == 2 and provider.count("get") > 4, 60)
        with pytest.raises(ConfigError, match=r"'batch_8' is no batch of .*did you mean 'batch_"):
            batches("cancel", "team.toml", "batch_8")
        assert batches("cancel", "team.toml", "batch_1") == "batch_1\n1 batch is being cancelled\n"
        assert "batch_0\n" in batches("cancel", "team.toml")
        _, said = running.communicate(timeout=60)
        # What was done by then is kept; the others are told as to be asked again.
        assert running.returncode == 0 and "2 rejected" in said.decode(), said.decode()
        assert batches("cancel", "team.toml") == "no batch is under way\n"
        with pytest.raises(ConfigError, match="'batch_1' has ended"):
            batches("cancel", "team.toml", "batch_1")
        provider.hurry()
        assert pilotfish(*asks, cwd=tmp_path).returncode == 0
        assert [len(batch["lines"]) for batch in provider.batches.values()] == [2, 2, 2]


def test_synthesize_asks_one_batch_a_round(tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        # Some of the first round's answers are no rows, so there is a second round.
        bad = len(provider.batches) == 1 and "angry" in body["messages"][-1]["content"]
        text = "no row" if bad else json.dumps({"text": f"a message {hash(json.dumps(body)) % 10**6}"})
        usage = {"prompt_tokens": 1, "completion_tokens": 1}
        return 200, {"choices": [{"message": {"content": text}}], "usage": usage}

    recipe = FILE.partition("[synthesize]")[2].replace("{{", "{").replace("}}", "}")
    with FakeBatches() as provider:
        provider.answer = answer
        (tmp_path / "team.toml").write_text(f"{table(provider)}[synthesize]{recipe}")
        done = pilotfish("synthesize", "team.toml", "--json", "--quiet", "--max-calls", "50", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["kept"] == 6 and told["rounds"] == len(provider.batches) == 2
        assert (
            told["bill"]["calls"] == len(provider.asked) == told["asked"]
            and told["bill"]["cost"] == 2.0 * told["asked"]
        )
        again = json.loads(pilotfish("synthesize", "team.toml", "--json", "--quiet", cwd=tmp_path).stdout)
        assert (again["asked"], len(provider.batches)) == (0, 2)


def test_mistakes_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with FakeBatches() as provider:
        team(tmp_path, '[models.a]\nuse = "openai"\nmodel = "m"\n')
        with pytest.raises(ConfigError, match='no model of it has use = "batch"'):
            batches("list", "team.toml")
        team(tmp_path, table(provider), table(provider, name="other"))
        with pytest.raises(ConfigError, match="say which with --model"):
            batches("list", "team.toml")
        with pytest.raises(ConfigError, match=r"'othr' is no batch model; did you mean 'other'\?"):
            batches("list", "team.toml", "-m", "othr")
        assert batches("list", "team.toml", "-m", "other") == "no batches\n"
        assert batches("cancel", "team.toml", "-m", "other") == "no batch is under way\n"
        assert not (tmp_path / "other").exists()
        team(tmp_path, table(provider, "cache = true"))
        assert "cache" in error_of(pilotfish("ask", "team.toml", "hi", cwd=tmp_path))
