"""A user's prompts, what is said about their speed, and the flags of other servers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pilotfish.decode.speculative import SpeculativeReport
from pilotfish.errors import ConfigError, DataError
from pilotfish.infer.questions import Question, read_questions
from pilotfish.infer.servers import SERVERS, Pair, export
from pilotfish.infer.speedup import PLAIN, Answer, SpeedReport


def test_every_form_of_prompts(tmp_path: Path) -> None:
    rows = [
        {"question_id": 81, "category": "writing", "turns": ["one", "two"]},
        {"id": "a", "prompt": "three"},
        {"text": "four", "category": "rag"},
        {"messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "five"}]},
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second, third, fourth = read_questions(file)
    assert first == Question(81, "writing", ("one", "two"))
    assert (second.id, second.category, second.turns) == ("a", "all", ("three",))
    assert (third.id, third.category) == (3, "rag")
    assert (fourth.turns, [turn.text for turn in fourth.before]) == (("five",), ["be brief"])
    lines = tmp_path / "prompts.txt"
    lines.write_text("six\n\nseven\n")
    assert [question.turns for question in read_questions(lines)] == [("six",), ("seven",)]
    assert read_questions(file, 2, seed=1) == read_questions(file, 2, seed=1)
    assert len(read_questions(file, 2)) == 2
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"messages": [{"role": "assistant", "content": "x"}]}\n')
    with pytest.raises(DataError, match="must end with the user"):
        read_questions(bad)


def report_of(speed: float, spread: float = 0.0, count: int = 12) -> SpeedReport:
    """Plain decoding at 10 tokens a second, and a draft of 4 at `speed` times that, give or take."""
    report = SpeedReport("large", "small", {PLAIN: [], "4": []}, {"4": SpeculativeReport()})
    for place in range(count):
        question = Question(place, "a" if place % 2 else "b", ("x",))
        faster = speed + (spread if place % 2 else -spread)
        report.answers[PLAIN].append(Answer(question, ("t",), (20,), (20,), (2.0,), (1,) * 20))
        report.answers["4"].append(Answer(question, ("t" if place else "u",), (20,), (9,), (2.0 / faster,), (2,) * 10))
    return report


def test_the_verdict_needs_to_be_sure() -> None:
    fast = report_of(1.5, 0.1)
    assert fast.best == "4"
    assert fast.verdict.startswith("Use it, with draft length 4: 1.49 ")
    assert fast.speed(PLAIN) == 10
    assert fast.speedup("4", "a").value == pytest.approx(1.6)
    assert fast.identical("4") == 11
    for wrong in (report_of(0.9), report_of(1.02, 0.4)):
        assert wrong.best == PLAIN
        assert wrong.verdict.startswith("Do not use it here")
    assert "on 3 prompts only" in report_of(1.5, count=3).verdict
    assert "One question says too little" in report_of(3.0, count=1).verdict
    json.dumps(report_of(3.0, count=1).to_json(), allow_nan=False)


def test_flags() -> None:
    assert "use_heterogeneous_vocab" in export("vllm", Pair("a", "b", same=False))
    assert "use_heterogeneous_vocab" not in export("vllm", Pair("a", "b"))
    assert "--spec-type ngram-simple" in export("llama.cpp", Pair("a.gguf", None))
    assert "give GGUF files" in export("llama.cpp", Pair("a", "b"))
    assert "NGRAM" in export("sglang", Pair("a", None))
    with pytest.raises(ConfigError, match="one tokenizer"):
        export("sglang", Pair("a", "b", same=False))
    with pytest.raises(ConfigError, match="vllm"):
        export("vlm", Pair("a", None))
    for server in SERVERS:
        # A name with a space stays one word.
        assert "'my model'" in export(server, Pair("my model", None))
