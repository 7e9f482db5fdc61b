from __future__ import annotations

import asyncio
import csv
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish import Price, Request, ask
from pilotfish.errors import ConfigError, DataError, ModelError, UpstreamError
from pilotfish.model import Delta, Message, Reply, TokenLogprob, ToolCall
from pilotfish.models.recorded import Columns, RecordedModel, Recorder
from tests.fakes import ScriptedModel

ROWS: list[dict[str, Any]] = [
    {"prompt": "capital of France?", "reply": "Paris", "tokens_in": 4, "tokens_out": 1, "seconds": 0.5, "cost": 0.01},
    {"prompt": "capital of Spain?", "reply": "Madrid", "logprobs": [["Mad", -0.1], ["rid", -0.3]]},
]


def test_replays_text_tokens_seconds_and_cost() -> None:
    reply = ask(RecordedModel(ROWS, name="gpt"), "capital of France?")
    (call,) = reply.trace.calls
    assert reply.text == "Paris"
    assert (call.model, call.tokens_in, call.tokens_out, call.seconds, call.cost) == ("gpt", 4, 1, 0.5, 0.01)


def test_cost_comes_from_the_price_where_the_row_has_none_and_is_unknown_without_either() -> None:
    rows: list[dict[str, Any]]
    rows = [{"prompt": "a", "reply": "x", "tokens_in": 1_000_000, "tokens_out": 500_000}, {"prompt": "b", "reply": "y"}]
    priced = RecordedModel(rows, price=Price(2.0, 8.0))
    assert ask(priced, "a").cost == pytest.approx(6.0)
    assert ask(priced, "b").cost is None
    assert ask(RecordedModel(rows), "a").cost is None


def test_logprobs_in_every_form() -> None:
    full = [{"token": "x", "logprob": -0.5, "top_logprobs": [{"token": "y", "logprob": -1.0}]}]
    for given_, expected in (
        ([-0.5], TokenLogprob("", -0.5)),
        ([["x", -0.5]], TokenLogprob("x", -0.5)),
        (full, TokenLogprob("x", -0.5, (("y", -1.0),))),
        (json.dumps(full), TokenLogprob("x", -0.5, (("y", -1.0),))),
    ):
        assert ask(RecordedModel([{"prompt": "p", "reply": "x", "logprobs": given_}]), "p").logprobs == (expected,)
    assert ask(RecordedModel(ROWS), "capital of Spain?").mean_logprob == pytest.approx(-0.2)
    assert ask(RecordedModel(ROWS), "capital of France?").logprobs is None


def test_an_unseen_prompt_names_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"'capital of Frence\?'.*nearest prompt is 'capital of France\?'"):
        ask(RecordedModel(ROWS), "capital of Frence?")


def test_messages_are_matched_whole_and_before_the_prompt() -> None:
    system = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    model = RecordedModel([{"messages": system, "reply": "Yo"}, {"prompt": "hi", "reply": "Hello there"}])
    assert ask(model, system).text == "Yo"
    assert ask(model, "hi").text == "Hello there"
    alone = RecordedModel([{"messages": system, "reply": "Yo"}])
    with pytest.raises(ModelError, match="another conversation"):
        ask(alone, "hi")


def test_samples_of_one_prompt() -> None:
    model = RecordedModel([{"prompt": "p", "reply": text, "cost": 1.0} for text in ("one", "two", "three")])
    assert [ask(model, "p", metadata={"sample": i}).text for i in range(3)] == ["one", "two", "three"]
    assert ask(model, "p").text == "one"
    several = ask(model, "p", n=3)
    assert (several.text, [choice.text for choice in several.choices]) == ("one", ["two", "three"])
    assert several.cost == pytest.approx(3.0)
    with pytest.raises(ModelError, match="3 recorded for 'p', but sample 3 asked for"):
        ask(model, "p", metadata={"sample": 3})
    with pytest.raises(ModelError, match="2 answers from sample 2"):
        ask(model, "p", n=2, metadata={"sample": 2})
    with pytest.raises(ConfigError, match="whole number"):
        ask(model, "p", metadata={"sample": -1})


def test_streams_the_reply_as_one_delta() -> None:
    async def deltas() -> list[Delta]:
        return [delta async for delta in RecordedModel(ROWS).stream(Request.of("capital of France?"))]

    (delta,) = asyncio.run(deltas())
    assert delta.text == "Paris"
    assert delta.reply is not None


def test_reads_jsonl_and_csv_with_other_column_names(tmp_path: Path) -> None:
    jsonl = tmp_path / "traffic.jsonl"
    jsonl.write_text("".join(json.dumps({"question": r["prompt"], "answer": r["reply"]}) + "\n" for r in ROWS))
    assert ask(RecordedModel(jsonl, prompt="question", reply="answer"), "capital of Spain?").text == "Madrid"
    table = tmp_path / "traffic.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["prompt", "reply", "tokens_in", "logprobs"], ["p, q", "r", "7", '[["r", -0.25]]']])
        writer.writerow(["empty", "e", "", ""])
    model = RecordedModel(str(table), columns=Columns())
    reply = ask(model, "p, q")
    assert (reply.text, reply.usage.tokens_in, reply.mean_logprob) == ("r", 7, -0.25)
    assert ask(model, "empty").logprobs is None


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no rows"),
        ([{"promt": "a", "reply": "b"}], r"row 1: no text in column 'prompt'; did you mean 'promt'\?"),
        ([*ROWS, {"prompt": "a"}], "row 3: no column 'reply'"),
        ([{"prompt": "a", "reply": 3}], "must be text, not int"),
        ([{"prompt": "a", "reply": "b", "tokens_in": "many"}], "'tokens_in' must be a number, not 'many'"),
        ([{"prompt": "a", "reply": "b", "logprobs": "[["}], "'logprobs' is no JSON"),
        ([{"prompt": "a", "reply": "b", "logprobs": [["x"]]}], "must list a number"),
        ([{"messages": {"role": "user"}, "reply": "b"}], "must be a list of messages"),
    ],
)
def test_bad_rows_are_named(rows: list[dict[str, object]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        RecordedModel(rows)


def test_a_bad_line_in_a_file_is_an_error_and_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text('{"prompt": "a", "reply": "b"}\n{"prompt": "c", "rep\n')
    with pytest.raises(DataError, match="2"):
        RecordedModel(path)


def test_an_unknown_column_setting_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'prompt'"):
        RecordedModel(ROWS, promt="question")


token = st.builds(
    TokenLogprob, st.text(), st.floats(-20, 0), st.lists(st.tuples(st.text(), st.floats(-20, 0))).map(tuple)
)
answer = st.builds(
    Reply,
    st.text(),
    st.lists(st.builds(ToolCall, st.text(), st.text(), st.text())).map(tuple),
    st.sampled_from(["stop", "length"]),
    st.none() | st.lists(token).map(tuple),
)


@given(prompt=st.text(), first=answer, others=st.lists(answer, max_size=2))
def test_what_is_recorded_is_replayed(prompt: str, first: Reply, others: list[Reply]) -> None:
    import tempfile

    said = first.with_(choices=tuple(others))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        with Recorder(ScriptedModel([said]), path) as recorder:
            ask(recorder, prompt)
        again = ask(RecordedModel(path), prompt, n=1 + len(others))
    assert (again.text, again.tool_calls, again.finish_reason) == (first.text, first.tool_calls, first.finish_reason)
    assert again.logprobs == first.logprobs
    assert [choice.text for choice in again.choices] == [choice.text for choice in others]


def test_recorder_appends_streams_and_keeps_system_messages_apart(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    model = ScriptedModel(lambda request: "brief" if len(request.messages) == 2 else "long", name="big")
    system = Request((Message("system", "Be brief."), Message("user", "hi")))

    async def both(recorder: Recorder) -> list[Delta]:
        await recorder.reply(system)
        return [delta async for delta in recorder.stream(Request.of("hi"))]

    with Recorder(model, path) as recorder:
        deltas = asyncio.run(both(recorder))
    assert recorder.name == "big"
    assert "".join(delta.text for delta in deltas) == "long"
    replay = RecordedModel(path)
    assert (ask(replay, system).text, ask(replay, "hi").text) == ("brief", "long")
    assert json.loads(path.read_text().splitlines()[0])["model"] == "big"


def test_recorder_writes_each_line_before_the_reply_and_records_no_failure(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with Recorder(ScriptedModel("ok", fail_first=1), path) as recorder:
        with pytest.raises(UpstreamError):
            ask(recorder, "a")
        assert path.read_bytes() == b""
        ask(recorder, "b")
        assert path.read_bytes().endswith(b"\n")  # before any close


@pytest.mark.parametrize(
    ("tail", "kept"), [('{"prompt": "x", "rep', 1), ('{"prompt": "x", "reply": "y"}', 2), ("x" * 200_000, 1), ("", 1)]
)
def test_recorder_mends_a_torn_last_line(tmp_path: Path, tail: str, kept: int) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"prompt": "a", "reply": "b"}\n' + tail)
    with Recorder(ScriptedModel("new"), path) as recorder:
        ask(recorder, "c")
    assert len(RecordedModel(path)) == kept + 1


def test_threads_share_a_recorder(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with Recorder(ScriptedModel(lambda request: request.prompt * 200), path) as recorder:
        threads = [
            threading.Thread(target=lambda i=i: [ask(recorder, f"{i}-{j}") for j in range(20)]) for i in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(RecordedModel(path)) == 80


def test_recorder_on_a_full_disk_or_in_no_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        Recorder(ScriptedModel(), tmp_path / "file" / "log.jsonl")
    if Path("/dev/full").exists():
        with pytest.raises(DataError, match="No space left"), Recorder(ScriptedModel(), "/dev/full") as recorder:
            ask(recorder, "hi")
