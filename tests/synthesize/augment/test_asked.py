"""Children that a model writes: read, bounded, told; the same whatever is stopped or asked for more."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError, UpstreamError
from pilotfish.model import Request
from pilotfish.rows import read
from pilotfish.rows.split import split
from pilotfish.synthesize.augment import (
    Backtranslated,
    Drift,
    Flipped,
    Mixed,
    Paraphrased,
    Restyled,
    confirmed,
    group_of,
)
from pilotfish.synthesize.augment._edits import edited_share
from pilotfish.synthesize.augment.paraphrased import WAYS
from pilotfish.synthesize.augment.restyled import STYLES
from pilotfish.synthesize.labels.estimate import counted
from pilotfish.synthesize.make import synthesize
from tests.fakes import ScriptedModel

ROWS = [
    {"text": "Where is my new card?", "intent": "card", "id": 0},
    {"text": "Please give me my money back.", "intent": "refund", "id": 1},
    {"text": "My card has not come yet.", "intent": "card", "id": 2},
]


def given(request: Request) -> str:
    return request.prompt.partition("<text>\n")[2].partition("\n")[0]


def way(request: Request) -> str:
    return next(name for name, how in WAYS.items() if how in request.prompt)


def told(text: str) -> str:
    return json.dumps({"text": text})


def reworded(request: Request) -> str:
    return told(f"{given(request)} ({way(request)})")


def test_children_keep_their_parents_columns_and_group(tmp_path: Path) -> None:
    model = ScriptedModel(reworded)
    report = synthesize(Paraphrased(ROWS, label="intent", each=3), model, tmp_path, progress=False)
    found, parents = list(read(tmp_path / "rows.jsonl")), list(read(tmp_path / "parents.jsonl"))
    assert report.kept == 9 and len(model.requests) == 9 and [row["id"] for row in found] == [0, 1, 2] * 3
    for row in found:
        parent = ROWS[row["synthesis"]["facts"]["parent"]]
        assert row["intent"] == parent["intent"] and row["text"].startswith(parent["text"])
        assert row["parent"] == row["synthesis"]["facts"]["group"] == group_of(parent)
    assert [row["parent"] for row in parents] == [group_of(row) for row in ROWS] and parents[0]["id"] == 0
    for i in range(3):  # each child of a parent goes another way
        assert len({row["synthesis"]["facts"]["way"] for row in found if row["id"] == i}) == 3
    assert 0.3 < report.findings["drift"]["jaccard"]["mean"] < 0.95
    assert "still have the intent card" in model.requests[0].prompt
    assert "paraphrased" in (tmp_path / "README.md").read_text()


def test_paraphrases_stay_in_their_parent_s_part(tmp_path: Path) -> None:
    rows = [{"text": f"{one} number {i}", "intent": str(i % 2)} for i in range(20) for one in ("a question",)]
    synthesize(Paraphrased(rows, each=4), ScriptedModel(reworded), tmp_path, progress=False)
    both = [*read(tmp_path / "parents.jsonl"), *read(tmp_path / "rows.jsonl")]
    assert len(both) == 100
    parts = split(both, {"train": 0.7, "test": 0.3}, group="parent", stratify="intent")
    held = {name: {both[i]["parent"] for i in places} for name, places in parts.items()}
    assert held["train"] and held["test"] and not held["train"] & held["test"]
    loose = split(both, {"train": 0.7, "test": 0.3})
    assert {both[i]["parent"] for i in loose["train"]} & {both[i]["parent"] for i in loose["test"]}
    # Children of children belong to the same group, and another order of rows gives the same groups.
    first = Paraphrased(both[20:])
    assert {row["parent"] for row in first.beside()["parents.jsonl"]} == {group_of(row) for row in rows}
    assert group_of({"text": "A QUESTION, number 3!"}) == group_of(rows[3])


def test_copies_strangers_and_repeats_go(tmp_path: Path) -> None:
    answers = [
        "Where is my new card?",
        "WHERE is my new card??",
        "Lorem?",
        "Where is that new card?",
        "Where is that new card?",
    ]
    model = ScriptedModel([told(one) for one in answers])
    report = synthesize(Paraphrased(ROWS[:1], each=5), model, tmp_path, concurrency=1, progress=False)
    assert report.rejected == {"a copy": 2, "a stranger": 1, "said already": 1} and report.kept == 1
    assert report.findings["drift"] | {"jaccard": {}} == {"rows": 2, "copies": 2, "strangers": 1, "jaccard": {}}
    rejects = list(read(tmp_path / "rejects.jsonl"))
    assert rejects[0]["reason"] == "a copy: the very text of its parent" and rejects[1]["raw"]["text"] == answers[1]


def test_a_question_that_was_answered_goes(tmp_path: Path) -> None:
    model = ScriptedModel(lambda request: told(given(request).replace("?", ".").replace("Where is", "Here is")))
    report = synthesize(Paraphrased(ROWS[:1]), model, tmp_path / "a", progress=False)
    assert report.rejected == {"answered": 1}
    assert synthesize(Restyled(ROWS[:1], styles=["headline"]), model, tmp_path / "b", progress=False).kept == 1


def test_an_encoder_s_cosine_bounds_drift() -> None:
    def encode(texts: Any) -> Any:
        return np.array([[1.0, 0.0] if "card" in text else [0.0, 1.0] for text in texts])

    recipe = Paraphrased(ROWS[:1], each=2, drift=Drift(least=0.0, encode=encode, cosine=0.5))
    reasons = recipe._drifted.reasons([str(ROWS[0]["text"])] * 2, ["Is the card here?", "Where is my new cart?"])
    assert reasons == [None, "a stranger: its vector's cosine with its parent's is 0.00"]
    assert recipe.findings()["drift"]["cosine"]["mean"] == 1.0
    for wrong in ({"least": 0.9, "most": 0.5}, {"cosine": 1.0}, {"most": 1.1}):
        with pytest.raises(ConfigError, match="drift"):
            Drift(**wrong)  # type: ignore[arg-type]


def test_more_children_ask_for_the_new_ones_only(tmp_path: Path) -> None:
    model = ScriptedModel(reworded)
    synthesize(Paraphrased(ROWS, each=2), model, tmp_path, progress=False)
    more = synthesize(Paraphrased(ROWS, each=3), model, tmp_path, progress=False)
    assert (more.asked, more.stored, more.kept) == (3, 6, 9)
    few = synthesize(Paraphrased(ROWS, each=3), model, tmp_path, rows=4, progress=False)
    assert (few.asked, few.kept, few.ended) == (0, 4, "done") and few.rounds == 1
    many = synthesize(Paraphrased(ROWS, each=2), model, tmp_path, rows=50, progress=False)
    assert many.kept == 6 and many.ended == "the recipe has nothing more to ask"


def test_styles_named_and_in_the_user_s_words(tmp_path: Path) -> None:
    model = ScriptedModel(lambda request: told("yo, " + given(request)))
    styles = ["chat", "a pirate"]
    synthesize(Restyled(ROWS, styles=styles, each=2), model, tmp_path, progress=False)
    prompts = " ".join(request.prompt for request in model.requests)
    assert prompts.count(STYLES["chat"]) == 3 and prompts.count("style: a pirate.") == 3
    with pytest.raises(ConfigError, match="which way"):
        Restyled(ROWS, styles=[])


def test_there_and_back_are_two_calls_and_both_are_stored(tmp_path: Path) -> None:
    def said(request: Request) -> str:
        text = given(request)
        if "into English" in request.prompt:
            return told(text.replace("Karte", "card").replace("Wo ist", "Where have you got"))
        if "into German" not in request.prompt:
            return "je ne sais pas"
        return told(text.replace("card", "Karte").replace("Where is", "Wo ist"))

    model = ScriptedModel(said)
    recipe = Backtranslated(ROWS, through=["German", "French"], each=2)
    report = synthesize(recipe, model, tmp_path, progress=False)
    found = list(read(tmp_path / "rows.jsonl"))
    assert [row["text"] for row in found] == ["Where have you got my new card?"]
    assert report.rejected == {"no JSON in the answer": 3, "a copy": 2}
    assert found[0]["synthesis"]["facts"]["pivot"] == "Wo ist my new Karte?"
    assert model.calls == 9 and report.rounds == 2
    again = synthesize(recipe, model, tmp_path, progress=False)
    assert model.calls == 9 and (again.stored, again.kept, again.rejected) == (9, 1, report.rejected)
    with pytest.raises(ConfigError, match="another language"):
        Backtranslated(ROWS, through=["English"])


def test_a_translation_that_fails_is_asked_for_by_the_next_run(tmp_path: Path) -> None:
    down = True

    def said(request: Request) -> str:
        if down and "into German" in request.prompt and "money" in request.prompt:
            raise UpstreamError("down", status=500)
        return told(f"{given(request)} x")

    model = ScriptedModel(said)
    assert counted(Backtranslated(ROWS), model, tmp_path).calls == 6  # there and back
    first = synthesize(Backtranslated(ROWS), model, tmp_path, progress=False)
    assert counted(Backtranslated(ROWS), model, tmp_path).calls == 2
    assert (first.kept, first.again, first.rejected) == (2, 1, {"down": 1})
    down = False
    second = synthesize(Backtranslated(ROWS), model, tmp_path, progress=False)
    assert (second.kept, second.asked, second.stored) == (3, 2, 4)
    assert counted(Backtranslated(ROWS), model, tmp_path).calls == 0
    one = synthesize(Backtranslated(ROWS), model, tmp_path / "one", rows=1, progress=False)
    assert (one.kept, one.asked) == (1, 2)


def test_flips_are_minimal_and_carry_the_new_label(tmp_path: Path) -> None:
    def said(request: Request) -> str:
        text = given(request)
        if "money" in text:
            return told("Something else altogether, of many new words.")
        return told(text.replace("card", "refund"))

    model = ScriptedModel(said)
    report = synthesize(
        Flipped(ROWS, label="intent", labels={"card": "a bank card", "refund": "money"}),
        model,
        tmp_path,
        progress=False,
    )
    found = list(read(tmp_path / "rows.jsonl"))
    assert [(row["text"], row["intent"]) for row in found] == [
        ("Where is my new refund?", "refund"),
        ("My refund has not come yet.", "refund"),
    ]
    assert found[0]["synthesis"]["facts"] | {"group": ""} == {
        "parent": 0,
        "group": "",
        "child": 0,
        "from": "card",
        "to": "refund",
    }
    assert report.rejected == {"not minimal": 1} and report.findings["edited"] == round((1 / 6 + 1 / 7) / 2, 4)
    assert (
        "intent is card (a bank card)" in model.requests[0].prompt
        and "becomes refund (money)" in model.requests[0].prompt
    )
    only = Flipped(ROWS, label="intent", to={"refund": ["card"]})
    assert len(only.labelled()) == 3 and len(only.beside()["parents.jsonl"]) == 1 and only.to == {"refund": ["card"]}
    mistakes: tuple[dict[str, Any], ...] = (
        {"to": {"card": ["card"]}},
        {"to": {"card": ["x"]}},
        {"labels": ["card"]},
        {"edited": 0.0},
    )
    for wrong in mistakes:
        with pytest.raises(ConfigError):
            Flipped(ROWS, **{"label": "intent", **wrong})


def test_edits_are_counted_in_words() -> None:
    assert edited_share("a good film", "a good film") == 0
    assert edited_share("a good film.", "a bad film.") == 0.25
    assert edited_share("a b", "c d e") == 1 and edited_share("", "") == 0


def test_a_classifier_of_the_parents_confirms_labels(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")

    def said(request: Request) -> str:
        return told("My money back, please, money?" if "Where" in request.prompt else f"{given(request)} So?")

    recipe = Paraphrased(ROWS, label="intent", drift=Drift(least=0.0))
    check = confirmed(recipe, tmp_path / "confirm.sqlite")
    report = synthesize(recipe, ScriptedModel(said), tmp_path, checks=[check], progress=False)
    assert report.kept == 2 and report.rejected == {"label not confirmed": 1}
    assert report.checks[0]["model"].startswith("classifier of 3 parents, ")
    other = confirmed(Paraphrased(ROWS[:2], label="intent"), tmp_path / "confirm.sqlite")
    assert other.config()["model"] != report.checks[0]["model"]  # stored answers are of one classifier
    flipped = Flipped(ROWS, label="intent")
    model = ScriptedModel(lambda request: "refund" if "refund" in request.prompt else "card")
    turned = ScriptedModel(lambda request: told(given(request).replace("new card", "new refund")))
    own = confirmed(flipped, tmp_path / "own.sqlite", model=model)
    report = synthesize(flipped, turned, tmp_path / "flipped", checks=[own], progress=False)
    assert report.kept == 1 and report.rejected == {"a copy": 2}
    never = confirmed(flipped, tmp_path / "never.sqlite", model=ScriptedModel("card", name="never"))
    report = synthesize(flipped, turned, tmp_path / "never", checks=[never], progress=False)
    assert report.kept == 0 and report.rejected == {"a copy": 2, "label not confirmed": 1}
    with pytest.raises(ConfigError, match="no label column"):
        confirmed(Paraphrased(ROWS), tmp_path / "x")


class Alone:
    """Features that must not be asked for by two threads at once, as an encoder's."""

    kind = "alone"
    inside = 0

    def fit(self, texts: Sequence[str]) -> Alone:
        return self

    def transform(self, texts: Sequence[str], *, progress: Any = None) -> Any:
        assert not self.inside
        self.inside = 1
        time.sleep(0.002)
        self.inside = 0
        return np.array([[float("card" in text), float("money" in text)] for text in texts])

    def save(self, folder: Path) -> None:
        raise NotImplementedError


def test_a_classifier_is_asked_one_at_a_time(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    recipe = Paraphrased(ROWS, label="intent", each=4)
    check = confirmed(recipe, tmp_path / "confirm.sqlite", features=Alone())
    report = synthesize(recipe, ScriptedModel(reworded), tmp_path, checks=[check], progress=False)
    assert report.kept == 12


TASKS = [
    {"instruction": f"{what} {i}", "input": f"in {i}", "topic": i}
    for i, what in enumerate(("Sort", "Sum", "Say", "Draw", "Name"))
]


def test_tasks_are_joined_within_pools(tmp_path: Path) -> None:
    def said(request: Request) -> str:
        one, two = (part.partition("\n")[0] for part in request.prompt.split(": ")[1:] if part[0] in "SDN")
        if one == "Sum 1":
            return json.dumps({"instruction": two, "input": "", "output": "x"})
        if one == "Say 2":
            return json.dumps({"instruction": "Do both tasks", "input": "", "output": "x"})
        return json.dumps({"instruction": f"{one}, then {two.lower()}", "input": "", "output": "done"})

    model = ScriptedModel(said)
    report = synthesize(Mixed(TASKS, pool=2), model, tmp_path, progress=False)
    found, parents = list(read(tmp_path / "rows.jsonl")), list(read(tmp_path / "parents.jsonl"))
    assert report.rejected == {"a copy": 1, "not joined": 1} and report.kept == 3
    assert len({row["parent"] for row in parents}) == 2  # of 2 and of 3: none is alone
    of = {row["topic"]: row["parent"] for row in parents}
    for row in found:
        facts = row["synthesis"]["facts"]
        assert row["parent"] == of[facts["parent"]] == of[facts["other"]] and facts["parent"] != facts["other"]
    assert {row["instruction"].count(", then ") for row in found} == {1}
    assert "Input: in 0" in model.requests[0].prompt
    with pytest.raises(ConfigError, match="two different"):
        Mixed(TASKS[:1])


def test_mistakes_are_told() -> None:
    with pytest.raises(DataError, match="no column 'txt'"):
        Paraphrased(ROWS, text="txt")
    with pytest.raises(DataError, match="row 1: no text"):
        Paraphrased([ROWS[0], {"text": " "}])
    with pytest.raises(DataError, match="no rows"):
        Paraphrased([])
    with pytest.raises(ConfigError, match="words"):
        Paraphrased(ROWS, ways=["word"])
    with pytest.raises(ConfigError, match="column of its own"):
        Paraphrased(ROWS, group="text")
    with pytest.raises(ConfigError, match="asks a model"):
        synthesize(Paraphrased(ROWS), None, "nowhere")


def test_settings_are_plain_data() -> None:
    for recipe in (Paraphrased(ROWS), Backtranslated(ROWS), Flipped(ROWS, label="intent"), Mixed(TASKS)):
        config = json.loads(json.dumps(recipe.config()))
        assert config["rows"] in (3, 5) and "@" in config["template"] and config["drift"]["ngram"] == 3
