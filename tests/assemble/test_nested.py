"""The nested example: retrieve, compress, cascade, verify and repair in one file, behind the gateway."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pilotfish.assemble import Collaboration
from pilotfish.model import Model
from tests.cli.help import pilotfish
from tests.fakes_answers import Answer
from tests.fakes_http import ScriptedUpstream, Seen
from tests.serve.gateways import events, running

pytest.importorskip("bm25s")
EXAMPLES = Path(__file__).parents[2] / "examples"
QUESTION = "What does the pilot fish eat off the skin of sharks?"


def says(seen: Seen) -> Answer:
    """The small one cites nothing; the large one makes something up, and is right, and more, when it is told."""
    if seen.body["model"] == "gpt-4.1-mini":
        return Answer("Parasites, I think.")
    if "does not bear out" in json.dumps(seen.body["messages"]):
        return Answer("It eats parasites off their skin, says shark@example.org [1].")
    return Answer("It eats chocolate with marmalade [1].")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLES / "retrieval", tmp_path / "retrieval")
    shutil.copytree(EXAMPLES / "nested", tmp_path / "nested")
    return tmp_path / "nested"


def test_all_of_it_serves_streams_and_adds_up(folder: Path) -> None:
    with ScriptedUpstream(says) as upstream:
        path = folder / "assistant.toml"
        text = path.read_text(encoding="utf-8")
        own = f'use = "openai"\nbase_url = "{upstream.url}"\ncache = false\n'
        path.write_text(text.replace('use = "openai"\n', own), encoding="utf-8")
        done = pilotfish("index", "assistant.toml", cwd=folder)
        assert done.returncode == 0, done.stderr
        assistant: Model = Collaboration.load(path).model("assistant")
        with running({"assistant": assistant}) as gateway:
            whole = gateway.chat(QUESTION, "assistant").json()
            *chunks, end = events(gateway.chat(QUESTION, "assistant", stream=True))
        told = whole["choices"][0]["message"]["content"]
        assert told == "It eats parasites off their skin, says <EMAIL> [1]."
        assert "".join(one["choices"][0]["delta"].get("content") or "" for one in chunks if one["choices"]) == told
        assert end == "[DONE]"
        assert whole["pilotfish"]["sources"][0]["cited"]
        asked = pilotfish("ask", "assistant.toml", QUESTION, "--trace", "--json", cwd=folder)
        assert asked.returncode == 0, asked.stderr
        trace = json.loads(asked.stdout)["trace"]
        calls = trace["calls"]
        # Two tries, each of them the small model and the large one; every one of them is paid for.
        assert [call["model"] for call in calls if call["tokens_out"]] == ["small", "large"] * 2
        assert {"retriever", "compressor", "detector"} <= {call["role"] for call in calls}
        assert trace["usage"]["tokens_in"] == sum(call["tokens_in"] for call in calls)
        assert trace["cost"] == pytest.approx(sum(call["cost"] for call in calls)) and trace["cost"] > 0
        verdicts = [(one["model"], one["verdict"]) for one in trace["decisions"]]
        assert ("either", "deferred") in verdicts and ("checked", "accepted at try 2") in verdicts
        assert [model for model, _ in verdicts].index("checked") > 0
        assert verdicts[-1] == ("assistant", "1 edits"), verdicts
