"""Questions from documents: passages, quotes that stand there, and not more than two rounds of each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ConfigError
from pilotfish.model import Request
from pilotfish.synthesize.make import synthesize
from pilotfish.synthesize.scratch.questioned import Questioned, passages
from tests.fakes import ScriptedModel

TEXT = "The pilot fish swims\nwith the shark. It eats what the shark leaves.\n\n" + "Word " * 30 + "end."


def said(request: Request) -> str:
    first = {"question": "Who swims?", "answer": "the pilot fish", "quote": "the PILOT fish  swims with"}
    second = {"question": "Where?", "answer": "there", "quote": "in the deep sea"}
    return json.dumps({"rows": [first, second]})


def test_a_row_has_its_passage_and_the_quote_s_place(tmp_path: Path) -> None:
    recipe = Questioned([{"text": TEXT}, {"text": ""}], words=30)
    model = ScriptedModel(said)
    report = synthesize(recipe, model, tmp_path, progress=False)
    (row,) = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    start = row["quote_start"]
    assert row["context"][start : start + len(row["quote"])] == row["quote"] == "The pilot fish swims\nwith"
    assert report.prompts == len(recipe.passages) == 3
    assert report.rejected == {"the quote is not in the document": 5}
    assert "Write 2 questions" in model.requests[0].prompt


def test_a_passage_is_asked_about_twice_at_most(tmp_path: Path) -> None:
    recipe = Questioned([{"text": TEXT}], words=30)
    report = synthesize(recipe, ScriptedModel(said), tmp_path, rows=50, progress=False)
    assert report.prompts == 6 and report.ended == "the recipe has nothing more to ask"
    few = synthesize(recipe, ScriptedModel(said), tmp_path / "few", rows=1, progress=False)
    assert few.prompts == 1 and few.whole
    for wrong in ({"each": 0}, {"words": 5}, {"text": "body"}):
        with pytest.raises(ConfigError):
            Questioned([{"text": TEXT}], **wrong)


@given(st.text(max_size=400), st.integers(1, 20))
def test_passages_hold_all_words_and_no_more_than_they_may(text: str, words: int) -> None:
    found = passages(text, words)
    assert " ".join(found).split() == text.split()
    assert all(0 < len(part.split()) <= words for part in found)
