"""Label and rationale as two tasks: what is parsed, what is dropped, and that the weights give the paper's loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotfish import ask
from pilotfish.distill.blackbox.rationales import LabelPrefixed, rationales
from pilotfish.distill.rows import examples_of
from pilotfish.errors import ConfigError
from pilotfish.models.local import LocalModel
from pilotfish.rows._row import Row
from tests.asking import streamed
from tests.fakes import ScriptedModel

ROWS: list[Row] = [{"text": "Where is it?"}, {"text": "Give it back!"}, {"text": "Hm."}, {"text": "{choices}"}]
SAID = {
    "Where is it?": "Rationale: It asks for a thing's\n place.\nLabel: card arrival",
    "Give it back!": " It wants the money back.\n\n**Label:** *Refund*.",
    "Hm.": "Label: refund",
    "{choices}": "Because.\nLabel: neither of these",
}
LABELS = {"card_arrival": "card arrival", "refund": "refund"}


def teacher_of(said: dict[str, str]) -> ScriptedModel:
    return ScriptedModel(lambda request: said[request.prompt.rpartition("Question: ")[2].split("\n")[0]])


def test_two_rows_come_of_each(tmp_path: Path) -> None:
    teacher = teacher_of(SAID)
    taught = rationales(ROWS, teacher, tmp_path, question="{text}", labels=LABELS, alpha=0.75, progress=False)
    assert [(row["messages"][0]["content"], row["answer"], row["weight"]) for row in taught.rows] == [
        ("[label] Where is it?", "card_arrival", 0.75),
        ("[rationale] Where is it?", "It asks for a thing's place.", 0.25),
        ("[label] Give it back!", "refund", 0.75),
        ("[rationale] Give it back!", "It wants the money back.", 0.25),
    ]
    assert [row["source"] for row in taught.rows] == [ROWS[0], ROWS[0], ROWS[1], ROWS[1]]
    assert taught.report.dropped == {"no rationale and label in the answer": 1, "the label is none of the labels": 1}
    assert (taught.report.kept, taught.report.made, teacher.calls) == (2, 4, 4)
    assert "one of: card arrival, refund." in teacher.requests[0].prompt


def test_gold_labels_come_first_and_vouch_for_the_rationale(tmp_path: Path) -> None:
    rows: list[Row] = [{"text": "Where is it?", "gold": "card_arrival"}, {"text": "Give it back!", "gold": "other"}]
    taught = rationales(rows, teacher_of(SAID), tmp_path, question="{text}", labels=LABELS, gold="gold", progress=False)
    assert [(row["task"], row["answer"]) for row in taught.rows] == [
        ("label", "card_arrival"),
        ("rationale", "It asks for a thing's place."),
        ("label", "other"),
    ]
    assert taught.report.dropped == {"rationale of a wrong label": 1}


def test_with_lengths_the_trainers_loss_is_the_papers(tmp_path: Path, tiny_lm: LocalModel) -> None:
    cut = tiny_lm.tokenizer

    def length(text: str) -> int:
        return len(cut(text, add_special_tokens=False)["input_ids"]) + 1

    taught = rationales(
        ROWS, teacher_of(SAID), tmp_path, question="{text}", labels=LABELS, alpha=0.7, length=length, progress=False
    )
    examples, refused = examples_of(cut, taught.rows, 256, name="tiny")
    assert not refused
    # Each source row counts one in all, alpha of it for its label: what the trainer divides by is the number of rows.
    shares = [one.weight * one.count for one in examples]
    assert shares == pytest.approx([0.7, 0.3, 0.7, 0.3])


def test_another_prompt_and_another_pattern(tmp_path: Path) -> None:
    teacher = ScriptedModel({"Q: Hm. Think!": '{"why": "short", "what": "x"}'})
    taught = rationales(
        [{"text": "Hm."}], teacher, tmp_path, question="{text}", prompt="Q: {question} Think!", alpha=1.0,
        parse=r'"why": "(?P<rationale>.*?)", "what": "(?P<label>.*?)"', progress=False,
    )  # fmt: skip
    assert [(row["answer"], row["weight"]) for row in taught.rows] == [("x", 1.0)]
    for wrong in ("(", "(?P<label>x)"):
        with pytest.raises(ConfigError, match="parse"):
            rationales(ROWS, teacher, tmp_path / "b", question="{text}", parse=wrong, progress=False)
    with pytest.raises(ConfigError, match="place"):
        rationales(ROWS, teacher, tmp_path / "b", question="{text}", prompt="Think!", progress=False)
    with pytest.raises(ConfigError, match="alpha"):
        rationales(ROWS, teacher, tmp_path / "b", question="{text}", alpha=1.5, progress=False)


def test_the_student_is_asked_for_the_label_only() -> None:
    student = LabelPrefixed(ScriptedModel({"[label] Where is it?": "card_arrival"}))
    assert ask(student, "Where is it?").text == "card_arrival"
    from pilotfish.model import Request

    assert streamed(student, Request.of("Where is it?"))[-1].reply == ask(student, "Where is it?")
