"""Rows labelled: votes joined, what is unsure kept apart, gold measured, nothing asked twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.model import Price, Reply, Request, TokenLogprob
from pilotfish.models.calls import Budget
from pilotfish.models.remote import RemoteModel
from pilotfish.synthesize.labels import Choice, Labelling, Preference, Score, Several, Shots, Spans
from pilotfish.synthesize.make import synthesize
from pilotfish.synthesize.recipe import Made
from tests.fakes import Answer, ScriptedModel, ScriptedUpstream, rate_limited

LABELS = {"pos": "likes it", "neg": "dislikes it"}


def said(**answer: Any) -> str:
    return json.dumps(answer)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def run(recipe: Labelling, model: ScriptedModel, out: Path, **settings: Any) -> Any:
    return synthesize(recipe, model, out, progress=False, **settings)


def test_rows_keep_their_columns_and_gain_label_confidence_and_votes(tmp_path: Path) -> None:
    rows = [{"id": 7, "text": "a good film"}, {"id": 8, "text": "a bad film"}]
    recipe = Labelling(Choice(LABELS), rows, task="Film reviews.", samples=3)
    answers = {"good": ["pos", "pos", "neg"], "bad": ["neg", "neg", "neg"]}
    model = ScriptedModel(lambda r: said(label=answers["good" if "good" in r.prompt else "bad"][r.metadata["sample"]]))
    report = run(recipe, model, tmp_path)
    assert (report.kept, report.ended, model.calls) == (2, "done", 6)
    first, second = lines(tmp_path / "rows.jsonl")
    assert (first["id"], first["text"], first["label"]) == (7, "a good film", "pos")
    assert first["label_confidence"] == pytest.approx(2 / 3, abs=1e-5)
    assert [(one["value"], round(one["share"], 2)) for one in first["label_votes"]] == [("pos", 0.67), ("neg", 0.33)]
    assert (second["label"], second["label_confidence"]) == ("neg", 1.0)
    asked = model.requests[0]
    assert "- pos: likes it" in asked.messages[0].text and asked.temperature == 0.7
    again = run(recipe, model, tmp_path)
    assert (again.asked, again.kept, model.calls) == (0, 2, 6)


def test_what_is_not_sure_goes_to_the_rejects_with_its_votes(tmp_path: Path) -> None:
    recipe = Labelling(Choice(LABELS), [{"text": "so so"}, {"text": "fine"}], task="Films.", samples=3, least=0.6)

    def answer(request: Request) -> str:
        sample = request.metadata["sample"]
        return "what?" if sample == 2 else said(label="pos" if "fine" in request.prompt or sample else "neg")

    report = run(recipe, ScriptedModel(answer), tmp_path)
    # An answer that cannot be read agrees with none: two of three for "fine", one of three each for "so so".
    assert report.kept == 1 and report.rejected == {"not sure": 1}
    (row,) = lines(tmp_path / "rows.jsonl")
    assert row["text"] == "fine" and row["label_confidence"] == pytest.approx(2 / 3, abs=1e-5)
    (reject,) = lines(tmp_path / "rejects.jsonl")
    assert reject["reason"] == "not sure: 0.33" and len(reject["raw"]["label_votes"]) == 2


def test_a_row_without_a_readable_answer_is_rejected_with_what_was_said(tmp_path: Path) -> None:
    recipe = Labelling(Choice(LABELS), [{"text": "x"}, {"text": "y"}], task="Films.")
    model = ScriptedModel(lambda r: said(label="maybe") if "Text: x" in r.prompt else "The label is pos.")
    report = run(recipe, model, tmp_path)
    (row,) = lines(tmp_path / "rows.jsonl")
    assert row["label"] == "pos" and row["label_confidence"] is None  # words that name a label are taken
    (reject,) = lines(tmp_path / "rejects.jsonl")
    assert reject["reason"].startswith("not by the schema") and reject["raw"]["label_said"] == [said(label="maybe")]
    assert report.raw == 1


def test_of_half_its_answers_no_label_is_made(tmp_path: Path) -> None:
    recipe = Labelling(Choice(LABELS), [{"text": "x"}, {"text": "y"}], task="Films.", samples=2)
    model = ScriptedModel(said(label="pos"))
    first = run(recipe, model, tmp_path, budget=Budget(calls=3), concurrency=1)
    assert (first.kept, first.again, first.rejected) == (1, 1, {"the budget is spent": 1})
    second = run(recipe, model, tmp_path)
    assert (second.kept, second.asked, model.calls) == (2, 1, 4)


def test_gold_rows_are_measured_and_never_shown_to_themselves(tmp_path: Path) -> None:
    gold = [
        {"text": f"{'good' if i % 2 else 'bad'} number {i}", "label": "pos" if i % 2 else "neg"} for i in range(160)
    ]
    gold += [{**gold[3], "text": "  good   number 3 "}]  # a copy but for white space
    for row in gold[:-1:16]:
        row["label"] = "pos"  # ten of them wrong
    recipe = Labelling(
        Choice(LABELS),
        [{"text": "good number 3"}, {"text": "new"}],
        task="Films.",
        gold=gold,
        shots=lambda keys, classes: Shots(keys, classes, 5, select="random"),
        samples=2,
    )
    for prompt in recipe.prompts(Made()):
        asked = prompt.request.messages[-1].text.removeprefix("Text: ")
        shown = [message.text.removeprefix("Text: ") for message in prompt.request.messages[1:-1:2]]
        assert len(shown) == 5 and " ".join(asked.split()) not in {" ".join(text.split()) for text in shown}
        assert prompt.request.messages[2].text in (said(label="pos"), said(label="neg"))
    report = run(recipe, ScriptedModel(lambda r: said(label="pos" if "good" in r.prompt else "neg")), tmp_path)
    found = report.findings["gold"]
    assert report.kept == 2 and (found["rows"], found["unread"]) == (161, 0)
    assert found["accuracy"]["value"] == pytest.approx(151 / 161)
    assert found["accuracy"]["low"] < 151 / 161 < found["accuracy"]["high"]
    assert found["calibrated"]["how"] == "temperature" and found["ece_calibrated"] < found["ece"]
    assert "Measured" in (tmp_path / "README.md").read_text()


def test_what_people_said_of_a_row_stays(tmp_path: Path) -> None:
    rows = [{"text": "a good film"}, {"text": "another"}]
    gold = [{"text": "a good film", "label": "neg"}, {"text": "a  good film", "label": "pos"}]
    recipe = Labelling(Choice(LABELS), rows, task="Films.", gold=gold, samples=2, least=0.9)
    run(recipe, ScriptedModel(lambda r: "?" if "good" in r.prompt else said(label="pos")), tmp_path)
    first, second = lines(tmp_path / "rows.jsonl")
    assert (first["label"], first["label_confidence"], first["label_votes"]) == ("neg", 1.0, [])
    assert second["label"] == "pos"


def test_probabilities_of_an_answer_weigh_and_are_the_confidence_of_one(tmp_path: Path) -> None:
    def logprob(request: Request, text: str) -> float:
        return -0.1 if request.metadata.get("sample", 0) == 0 else -3.0

    model = ScriptedModel(lambda r: said(label="pos" if r.metadata.get("sample", 0) == 0 else "neg"), logprob=logprob)
    alone = Labelling(Choice(LABELS), [{"text": "x"}], task="Films.", weigh=True)
    run(alone, model, tmp_path / "one")
    (row,) = lines(tmp_path / "one" / "rows.jsonl")
    assert 0.85 < row["label_confidence"] < 0.95
    several = Labelling(Choice(LABELS), [{"text": "x"}], task="Films.", weigh=True, samples=2)
    run(several, model, tmp_path / "two")
    (row,) = lines(tmp_path / "two" / "rows.jsonl")
    assert row["label"] == "pos" and row["label_confidence"] > 0.9
    assert all(request.logprobs and request.top_logprobs == 10 for request in model.requests)


def test_an_endpoint_is_asked_for_a_schema_and_its_probabilities_weigh(tmp_path: Path) -> None:
    with ScriptedUpstream([rate_limited(0), *[Answer(said(label="pos"))] * 2]) as upstream:
        model = RemoteModel("m", upstream.url, key_env="", concurrency=1, price=Price(1.0, 1.0))
        recipe = Labelling(Choice(LABELS), [{"text": "x"}, {"text": "y"}], task="Films.", weigh=True)
        report = synthesize(recipe, model, tmp_path, progress=False)
        again = synthesize(recipe, model, tmp_path, progress=False)
        assert upstream.calls == 3 and (report.asked, again.asked) == (2, 0)  # one of them was turned away
        body = upstream.seen[-1].body
    assert body["logprobs"] is True and body["top_logprobs"] == 10
    schema = body["response_format"]["json_schema"]["schema"]
    assert schema["properties"] == {"label": {"enum": ["pos", "neg"]}} and body["messages"][0]["role"] == "system"
    assert all(0 < row["label_confidence"] < 1 for row in lines(tmp_path / "rows.jsonl"))
    assert report.bill.cost and report.bill.cost == again.bill.cost


def test_both_orders_of_a_pair_are_asked_and_a_tie_is_where_they_disagree(tmp_path: Path) -> None:
    rows = [{"first": "good", "second": "bad"}, {"first": "bad", "second": "good"}, {"first": "one", "second": "two"}]

    def better(request: Request) -> str:
        a, b = (part[3:] for part in request.prompt.split("\n\n"))
        return said(better="A" if "good" in a else "B" if "good" in b else "A")  # else whatever stands first

    model = ScriptedModel(better)
    run(Labelling(Preference(), rows, task="Which answer is kinder?"), model, tmp_path)
    assert [row["label"] for row in lines(tmp_path / "rows.jsonl")] == ["first", "second", "tie"]
    assert model.calls == 4  # of the first two rows each is the other turned round


def test_several_labels_in_one_answer_or_one_by_one(tmp_path: Path) -> None:
    labels = ["sport", "money", "law"]
    rows = [{"text": "The club was fined."}]
    sets = [["sport", "money"], ["money"], ["sport", "money", "law"]]
    model = ScriptedModel(lambda r: said(labels=sets[r.metadata["sample"]]))
    run(Labelling(Several(labels), rows, task="News.", samples=3), model, tmp_path / "set")
    (row,) = lines(tmp_path / "set" / "rows.jsonl")
    assert row["label"] == ["sport", "money"] and row["label_confidence"] == pytest.approx(2 / 3, abs=1e-5)
    one = ScriptedModel(lambda r: said(answer="yes" if '"law"' in r.messages[0].text else "no"))
    run(Labelling(Several(labels, ask="each"), rows, task="News."), one, tmp_path / "each")
    (row,) = lines(tmp_path / "each" / "rows.jsonl")
    assert row["label"] == ["law"] and one.calls == 3


def test_spans_are_found_in_the_text_or_not_taken(tmp_path: Path) -> None:
    text = "Ada met Bob. Bob left for Adana."
    rows = [{"text": text}, {"text": "Nobody here."}, {"text": "Eve."}]

    def spans(request: Request) -> str:
        if "Adana" in request.prompt:
            named = [("Ada", "person"), ("Bob", "person"), ("Bob", "person"), ("Adana", "place")]
            return said(spans=[{"text": words, "label": label} for words, label in named])
        return said(spans=[] if "Nobody" in request.prompt else [{"text": "Adam", "label": "person"}])

    report = run(Labelling(Spans(["person", "place"]), rows, task="Names."), ScriptedModel(spans), tmp_path)
    first, second = lines(tmp_path / "rows.jsonl")
    assert [(span["start"], span["end"], span["label"]) for span in first["label"]] == [
        (0, 3, "person"),
        (8, 11, "person"),
        (13, 16, "person"),
        (26, 31, "place"),
    ]
    assert all(text[span["start"] : span["end"]] == span["text"] for span in first["label"])
    assert second["label"] == [] and report.rejected == {"not in the text": 1}


def test_an_expected_score_comes_of_the_tokens_probabilities(tmp_path: Path) -> None:
    top = (("4", -0.5108), ("5", -0.9163), ('"', -9.0))

    def scored(request: Request) -> Reply:
        tokens = ('{"', "score", '":', " ", "4", "}")
        found = [TokenLogprob(token, -0.01, ((token, -0.01),)) for token in tokens]
        found[4] = TokenLogprob("4", -0.5108, top)
        return Reply(said(score=4), logprobs=tuple(found))

    recipe = Labelling(Score(1, 5), [{"text": "x"}], task="How kind is it?", weigh=True)
    run(recipe, ScriptedModel(scored), tmp_path)
    (row,) = lines(tmp_path / "rows.jsonl")
    assert row["label"] == pytest.approx(4.4, abs=0.01)  # 0.6 of 4 and 0.4 of 5
    assert [one["value"] for one in row["label_votes"]] == [4.0, 5.0]


def test_prices_are_told(tmp_path: Path) -> None:
    recipe = Labelling(Choice(LABELS), [{"text": "x"}], task="Films.")
    report = run(recipe, ScriptedModel(said(label="pos"), price=Price(1000.0, 0.0)), tmp_path)
    assert report.bill.cost and report.bill.cost > 0


def test_mistakes_are_told() -> None:
    rows = [{"text": "x"}]
    for wrong in (
        {"least": 0.5},  # of one answer there is no confidence
        {"samples": 0},
        {"samples": 3, "temperature": 0.0},
        {"unbias": True},
        {"by": "probability", "samples": 2},
        {"samples": 2, "least": 1.5},
        {"shots": lambda keys, classes: Shots(keys, classes, 2, select="random")},  # without gold rows
    ):
        with pytest.raises(ConfigError):
            Labelling(Choice(LABELS), rows, task="t", **wrong)
    with pytest.raises(ConfigError, match="needs a confidence"):
        Labelling(Several(["a", "b"], ask="each"), rows, task="t", least=0.5)
    with pytest.raises(ConfigError, match="cannot be listed"):
        Labelling(Spans(["a"]), rows, task="t", by="probability")
    with pytest.raises(DataError, match="row 2: a row without 'text'"):
        Labelling(Choice(LABELS), [{"text": "x"}, {"texts": "y"}], task="t")
    with pytest.raises(DataError, match="already"):
        Labelling(Choice(LABELS), [{"text": "x", "label": "pos"}], task="t")
    with pytest.raises(DataError, match="gold row 1: 'good' is none"):
        Labelling(Choice(LABELS), rows, task="t", gold=[{"text": "x", "label": "good"}])
    with pytest.raises(DataError, match="holds the label"):
        Labelling(Choice(LABELS), rows, task="t", gold=[{"text": "x"}])
