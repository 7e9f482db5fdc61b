"""What the benchmark of compression is made of: prompts of a length, answers that stand in a text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks._compress_task import kept, lengthened, xquad

from tests.tiny import CORPUS, tokenizer

pytest.importorskip("transformers")


@pytest.mark.parametrize("tokens", [20, 150, 900])
def test_a_prompt_has_the_length_that_it_is_to_have(tokens: int) -> None:
    cutter = tokenizer("plain")
    found = lengthened(CORPUS, cutter, tokens, seed=1)
    size = len(cutter(found, add_special_tokens=False)["input_ids"])
    assert tokens <= size <= tokens + 12
    assert found == lengthened(CORPUS, cutter, tokens, seed=1) != lengthened(CORPUS, cutter, tokens, seed=2)


def test_an_answer_is_kept_word_for_word() -> None:
    assert kept("They won by The 24-10, again.", ["24–10"]) == 1.0
    assert kept("They won by 24 10", ["24-10"]) == 0.0
    assert kept("the cathedral", ["a cat"]) == 0.0
    assert kept("x", ["the"]) == 0.0


def test_questions_stand_over_their_paragraph_and_others(tmp_path: Path) -> None:
    def paragraph(name: str) -> dict[str, object]:
        return {"context": name, "qas": [{"question": f"{name}?", "answers": [{"text": name}]}] * 2}

    articles = [{"title": "t", "paragraphs": [paragraph(name) for name in "abc"]}]
    (tmp_path / "xquad_en").mkdir()
    (tmp_path / "xquad_en" / "xquad.en.json").write_text(json.dumps({"data": articles}), encoding="utf-8")
    found = xquad(tmp_path, beside=1)
    assert [one.question for one in found] == ["a?", "a?", "b?", "b?", "c?", "c?"]
    assert [one.documents for one in found[:3]] == [("a", "b"), ("b", "a"), ("c", "b")]
    assert found[0].truths == ("a",) and len(xquad(tmp_path, beside=9)[0].documents) == 3
