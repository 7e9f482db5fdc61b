"""A model behind a batch API, against a real server of one: what goes together, what is paid for, what is kept."""

from __future__ import annotations

import asyncio
import json
import pickle
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from pilotfish import ask
from pilotfish.errors import ConfigError, DataError, ModelError, UpstreamError
from pilotfish.model import Message, Price, Reply, Request
from pilotfish.models._batch_form import Outcome
from pilotfish.models._batch_journal import Journal
from pilotfish.models.batch import BatchModel, default_folder
from pilotfish.rows import ModelStage, read_output, run
from tests.asking import streamed, together
from tests.fakes_batch import FakeBatches, batch_model, prompts

LOCKS = """
import sys, time
from pathlib import Path
from pilotfish.rows._lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_requests_go_together(tmp_path: Path) -> None:
    with FakeBatches() as provider:
        model = batch_model(provider, tmp_path, price=Price(1e6, 1e6), extra={"reasoning": "low"})
        replies = together(model, prompts(7))
        assert [reply.text for reply in replies] == [f"echo n{i}" for i in range(7)]
        assert all((reply.cost, reply.usage.tokens_in, reply.usage.tokens_out) == (7.0, 5, 2) for reply in replies)
    (batch,) = provider.batches.values()
    assert (batch["endpoint"], batch["completion_window"]) == ("/v1/chat/completions", "24h")
    for i, line in enumerate(batch["lines"]):
        assert (line["method"], line["url"]) == ("POST", "/v1/chat/completions")
        body = {
            "reasoning": "low",
            "model": "tiny",
            "messages": [{"role": "user", "content": f"n{i}"}],
            "max_tokens": 4,
        }
        assert line["body"] == body and len(line["custom_id"]) == 64


def test_a_batch_waits_for_who_still_adds(tmp_path: Path) -> None:
    async def one_after_another(model: BatchModel) -> None:
        async def late(i: int) -> Reply:
            await asyncio.sleep(i * 0.1)
            return await model.reply(prompts(1, i)[0])

        await asyncio.gather(*(late(i) for i in range(6)))

    with FakeBatches() as provider:
        asyncio.run(one_after_another(batch_model(provider, tmp_path, gather=0.4)))
        assert len(provider.batches) == 1


def test_the_limits_of_a_batch(tmp_path: Path) -> None:
    with FakeBatches() as provider:
        together(batch_model(provider, tmp_path / "a", most_requests=4, gather=0.3), prompts(10))
        assert [len(one["lines"]) for one in provider.batches.values()] == [4, 4, 2]
        size = len(provider.files["file-0"]) // 4
        model = batch_model(provider, tmp_path / "b", most_bytes=3 * size + 5)
        together(model, prompts(7))
        assert [len(one["lines"]) for one in list(provider.batches.values())[3:]] == [3, 3, 1]
        with pytest.raises(ModelError, match="more than a batch takes"):
            ask(model, "x" * 4 * size)


def test_equal_requests_are_one_line_and_samples_are_not(tmp_path: Path) -> None:
    asked = [*[Request.of("same")] * 3, *(Request.of("same", metadata={"sample": i}) for i in range(2))]
    with FakeBatches() as provider:
        model = batch_model(provider, tmp_path, price=Price(1e6, 1e6))
        replies = together(model, asked)
        assert sorted(reply.cost or 0 for reply in replies) == [0, 0, 7, 7, 7]
        assert len(provider.asked) == 3
        (call,) = ask(model, "same").trace.calls
        assert (call.cost, call.cached, call.why) == (0.0, True, "batch journal")
        assert len(provider.batches) == 1


def test_an_answer_costs_once(tmp_path: Path) -> None:
    """It is free for whoever asks after somebody was given it, in another session too, and not before."""
    with FakeBatches() as provider:
        model = batch_model(provider, tmp_path, price=Price(1e6, 1e6))

        async def gone() -> None:
            waits = asyncio.ensure_future(model.reply(Request.of("a")))
            await asyncio.to_thread(provider.wait_for, lambda: len(provider.batches) == 1)
            waits.cancel()

        asyncio.run(gone())
        asyncio.run(model.finish())
        asyncio.run(model.aclose())
        assert ask(model, "a").cost == 7.0
        asyncio.run(model.aclose())
        again = batch_model(provider, tmp_path, price=Price(1e6, 1e6), name="other")
        assert ask(again, "a").cost == 0.0 and ask(again, "a").trace.calls[0].model == "other"
        assert len(provider.batches) == 1


def test_a_stream_is_one_piece(tmp_path: Path) -> None:
    with FakeBatches() as provider:
        (delta,) = streamed(batch_model(provider, tmp_path), Request.of("a"))
    assert delta.text == "echo a" and delta.reply is not None and delta.reply.text == "echo a"


def test_completions(tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return 200, {"choices": [{"text": body["prompt"].upper()}], "usage": None}

    with FakeBatches() as provider:
        provider.answer = answer
        model = batch_model(provider, tmp_path, api="completions", limit_field="most")
        reply = ask(model, Request((Message("system", "a"), Message("user", "b")), max_tokens=3))
    assert reply.text == "A\n\nB" and reply.cost is None
    (line,) = next(iter(provider.batches.values()))["lines"]
    assert line["url"] == "/v1/completions" and line["body"]["most"] == 3


def test_threads_and_loops_share_a_batch(tmp_path: Path) -> None:
    with FakeBatches() as provider:
        model, found = batch_model(provider, tmp_path, gather=0.4), list[str]()
        threads = [threading.Thread(target=lambda i=i: found.append(ask(model, f"n{i}").text)) for i in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == [f"echo n{i}" for i in range(5)] and len(provider.batches) == 1
        twin = pickle.loads(pickle.dumps(model))
        assert ask(twin, "n0").text == "echo n0" and len(provider.batches) == 1


def test_rows_go_as_one_batch(tmp_path: Path) -> None:
    rows = [{"text": f"n{i}"} for i in range(500)]
    with FakeBatches() as provider:
        stage = ModelStage(batch_model(provider, tmp_path / "b", gather=0.3), "{text}")
        report = run(rows, stage, tmp_path / "out", progress=False)
    assert (report.rows_out, len(provider.batches)) == (500, 1)
    assert {row["reply"] for row in read_output(tmp_path / "out")} == {f"echo n{i}" for i in range(500)}


def test_a_folder_has_one_process_and_one_set_of_settings(tmp_path: Path) -> None:
    with FakeBatches() as provider:
        holder = subprocess.Popen(
            [sys.executable, "-c", LOCKS, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError, match=rf"another run \(process {holder.pid}\)"):
            ask(batch_model(provider, tmp_path), "a")
        holder.communicate()
        assert ask(batch_model(provider, tmp_path), "a").text == "echo a"

        async def two() -> None:
            first = asyncio.ensure_future(batch_model(provider, tmp_path, gather=0.3).reply(Request.of("b")))
            await asyncio.sleep(0.1)
            with pytest.raises(ConfigError, match="other settings"):
                await batch_model(provider, tmp_path, gather=0.2).reply(Request.of("c"))
            await first

        asyncio.run(two())
        # One that nobody uses any more gives way at once.
        assert ask(batch_model(provider, tmp_path, gather=0.01), "d").text == "echo d"
        with pytest.raises(ConfigError, match="holds the batches of http"):
            ask(batch_model(provider, tmp_path, base_url="http://127.0.0.1:9/v1"), "a")


def test_only_the_owner_reads_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_KEY", "sk-very-secret")
    seen: list[tuple[str, int, bytes]] = []
    with FakeBatches(key="sk-very-secret") as provider:
        provider.slow["upload"] = 0.1
        # A provider that echoes the key: into an answer, and into an error.
        provider.answer = lambda body: (
            (200, {"choices": [{"message": {"content": "sk-very-secret"}}]})
            if "good" in str(body)
            else (400, {"error": {"message": "bad sk-very-secret"}})
        )
        model = batch_model(provider, tmp_path / "b", key_env="BATCH_KEY", progress=True)

        def look() -> None:
            provider.wait_for(lambda: any((tmp_path / "b").glob("*.jsonl")))
            for path in (tmp_path / "b").iterdir():
                seen.append((path.name, stat.S_IMODE(path.stat().st_mode), path.read_bytes()))

        looker = threading.Thread(target=look)
        looker.start()

        async def both() -> Any:
            return await asyncio.gather(
                model.reply(Request.of("good")), model.reply(Request.of("evil")), return_exceptions=True
            )

        good, evil = asyncio.run(both())
        looker.join()
    assert good.text == "[key]" and str(evil).endswith("answered 400: bad [key]") and isinstance(evil, ModelError)
    assert not isinstance(evil, UpstreamError)
    prompts_file = next(row for row in seen if row[0].endswith(".jsonl"))
    assert prompts_file[1] == 0o600 and b"good" in prompts_file[2]
    assert all(mode == 0o600 for name, mode, _ in seen if name != ".lock")
    asyncio.run(model.aclose())
    left = {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    assert not any(name.endswith(".jsonl") for name in left)
    assert not any(b"sk-very-secret" in raw for raw in [*left.values(), *(raw for _, _, raw in seen)])
    assert b"sk-very-secret" not in pickle.dumps(model) and "sk-very-secret" not in repr(model)
    assert not any(b"good" in raw for raw in left.values()), "no prompt stays"
    assert all(headers["authorization"] == "Bearer sk-very-secret" for _, headers in provider.seen)


def test_a_wrong_key_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_KEY", "sk-wrong")
    with FakeBatches(key="sk-right") as provider:
        with pytest.raises(UpstreamError, match=r"/files refused the key in \$BATCH_KEY .*\[key\]") as caught:
            ask(batch_model(provider, tmp_path, key_env="BATCH_KEY"), "a")
        assert caught.value.status == 401 and provider.count("upload") == 1
        monkeypatch.setenv("BATCH_KEY", "sk-right")
        assert ask(batch_model(provider, tmp_path, key_env="BATCH_KEY"), "a").text == "echo a"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"gather": -1}, "gather must be 0 or more"),
        ({"poll": 0}, "poll must be above 0"),
        ({"most_requests": 0}, "most_requests must be 1 or more"),
        ({"retries": -1}, "retries must be 0 or more"),
        ({"window": ""}, "window must say"),
        ({"api": "chatty"}, "did you mean 'chat'"),
        ({"base_url": "https://host/v1?api_key=hunter2"}, "holds api_key=…"),
        ({"headers": {"X": "a\nb"}}, "X holds characters"),
    ],
)
def test_wrong_settings(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        BatchModel("m", **wrong)


def test_the_folder_is_named_after_endpoint_and_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PILOTFISH_HOME", str(tmp_path))
    one, other = (default_folder(url, "org/gpt-5 mini") for url in ("https://a.com/v1", "https://a.com/v2"))
    assert one != other and one.parent == tmp_path / "batches" and one.name.startswith("a.com-org-gpt-5-mini-")
    assert BatchModel("org/gpt-5 mini", "https://a.com/v1").settings.folder == one


def test_a_journal_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "batches.sqlite").write_text("no database at all, but long enough to be looked at" * 9)
    with FakeBatches() as provider, pytest.raises(DataError, match=r"batch journal .* is damaged"):
        ask(batch_model(provider, tmp_path), "a")


def test_the_journal_takes_the_first_answer_and_forgets_what_failed(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    plan = journal.plan("http://a", [b"a" * 32, b"b" * 32, b"c" * 32])
    assert [(b"a" * 32, Outcome("1"))] == journal.keep(
        plan.ours, [(b"a" * 32, Outcome("1")), (b"z" * 32, Outcome("2"))]
    )
    assert journal.keep(plan.ours, [(b"a" * 32, Outcome("2"))]) == []
    journal.keep(plan.ours, [(b"b" * 32, Outcome(fault="late", again=True)), (b"c" * 32, Outcome(fault="bad"))])
    assert journal.look(b"b" * 32) is None
    known = journal.look(b"c" * 32)
    assert known is not None and known.outcome is not None and known.outcome.fault == "bad"
    journal.took([b"a" * 32, b"c" * 32])
    assert journal.look(b"c" * 32) is None, "who asks again may have mended what was wrong"
    kept = journal.look(b"a" * 32)
    assert kept is not None and kept.taken and kept.outcome == Outcome("1")
    journal.close()
    raw = sqlite3.connect(tmp_path / "batches.sqlite").execute("SELECT * FROM batches").fetchall()
    assert json.dumps(raw) and stat.S_IMODE((tmp_path / "batches.sqlite").stat().st_mode) == 0o600
