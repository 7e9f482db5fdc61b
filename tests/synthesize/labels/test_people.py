"""Out to people and back: the tools' documented forms, and every kind there and back again."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.synthesize.labels import Choice, Kind, Preference, Score, Several, Spans
from pilotfish.synthesize.labels.people import (
    config_of,
    from_argilla,
    from_label_studio,
    to_argilla,
    to_label_studio,
)
from pilotfish.synthesize.labels.votes import Labelled

ROW = {"id": 3, "text": "Ada & Bob 😀 met Eve.", "first": "yes", "second": "no", "tags": ["x"]}
EVE = {"start": 16, "end": 19, "text": "Eve", "label": "person"}
KINDS: list[tuple[Kind, Any]] = [
    (Choice(["pos", "neg"]), "neg"),
    (Several(["a", "b", "c"]), ["a", "c"]),
    (Several(["a", "b"]), []),
    (Spans(["person", "place"]), [{"start": 0, "end": 3, "text": "Ada", "label": "person"}, EVE]),
    (Spans(["person"]), []),
    (Preference(text="text"), "first"),
    (Preference(), "second"),
    (Preference(), "tie"),
    (Score(1, 5), 4.0),
    (Score(0, 100), 62.0),
]


@pytest.mark.parametrize(("kind", "value"), KINDS)
def test_label_studio_there_and_back(kind: Kind, value: Any) -> None:
    (task,) = to_label_studio(kind, "verdict", [Labelled(0, ROW, value, 0.4)], "large")
    assert task["data"] == ROW
    (prediction,) = task["predictions"]
    assert (prediction["model_version"], prediction["score"]) == ("large", 0.4)
    config = ElementTree.fromstring(config_of(kind, "verdict"))
    names = {one.get("name"): one for one in config.iter() if one.get("name")}
    for result in prediction["result"]:
        assert set(result) == {"id", "from_name", "to_name", "type", "value"}
        assert names[result["from_name"]].tag.lower() == result["type"]
        assert result["to_name"] in names and names[result["to_name"]].tag == "Text"
    assert len({result["id"] for result in prediction["result"]}) == len(prediction["result"])
    # What the tool gives back of a person who agrees: the same results, in an annotation.
    exported = json.loads(json.dumps([{**task, "id": 1, "annotations": [{"id": 9, "result": prediction["result"]}]}]))
    heard = from_label_studio(kind, "verdict", exported)
    assert heard.rows == [{**ROW, "verdict": value}] and not heard.passed


@pytest.mark.parametrize(("kind", "value"), KINDS)
def test_argilla_there_and_back(kind: Kind, value: Any) -> None:
    (record,) = to_argilla(kind, "verdict", [Labelled(12, ROW, value, 0.4)], "large")
    assert record["id"] == "12" and all(isinstance(text, str) for text in record["fields"].values())
    suggestion = record["suggestions"]["verdict"]
    assert (suggestion["score"], suggestion["agent"]) == (0.4, "large")
    record["responses"] = {"verdict": [{"value": suggestion["value"], "user_id": "u"}]}
    heard = from_argilla(kind, "verdict", json.loads(json.dumps([record])))
    assert heard.rows == [{**ROW, "verdict": value}]


def test_an_export_in_the_documented_form() -> None:
    """The task of the guide "Label Studio JSON format of annotated tasks", with results of the tags' own pages."""

    def task(number: int, data: dict[str, Any], *results: dict[str, Any]) -> dict[str, Any]:
        annotation = {
            "id": "1001",
            "result": list(results),
            "was_cancelled": False,
            "ground_truth": False,
            "created_at": "2021-03-09T22:16:08.728353Z",
            "updated_at": "2021-03-09T22:16:08.728378Z",
            "lead_time": 4.288,
            "result_count": 0,
            "task": number,
            "completed_by": 10,
        }
        dates = {"created_at": "2021-03-09T21:52:49.513742Z", "updated_at": "2021-03-09T22:16:08.746926Z"}
        return {"id": number, **dates, "project": 83, "data": data, "annotations": [annotation], "predictions": []}

    text = {"text": "Opossums like it here 😀 in Dallas."}
    choices = {"type": "choices", "from_name": "choice", "to_name": "text", "value": {"choices": ["Airbus"]}}
    assert from_label_studio(Choice(["Boeing", "Airbus"]), "maker", [task(1, text, choices)]).rows == [
        {**text, "maker": "Airbus"}
    ]
    rating = {"id": "a", "type": "rating", "from_name": "rating", "to_name": "txt", "value": {"rating": 4}}
    assert from_label_studio(Score(1, 10), "kind", [task(1, text, rating)]).rows[0]["kind"] == 4.0
    pair = {"text1": "a", "text2": "b"}
    side = {"type": "pairwise", "from_name": "pw", "to_name": "text1,text2", "value": {"selected": "right"}}
    kind = Preference("text1", "text2")
    assert from_label_studio(kind, "better", [task(1, pair, side)]).rows == [{**pair, "better": "second"}]
    # Browsers count the smiling face as two: both ways of counting are the same word.
    for start, end in ((27, 33), (28, 34)):
        value = {"start": start, "end": end, "text": "Dallas", "labels": ["City"]}
        span = {"id": "s", "from_name": "label", "to_name": "text", "type": "labels", "value": value}
        (row,) = from_label_studio(Spans(["City"]), "spans", [task(1, text, span)]).rows
        assert row["spans"] == [{"start": 27, "end": 33, "label": "City", "text": "Dallas"}]


def test_what_most_people_say_counts() -> None:
    kind = Choice(["a", "b"])

    def task(*said: str, **more: Any) -> dict[str, Any]:
        result = [[{"type": "choices", "from_name": "label", "value": {"choices": [one]}}] for one in said]
        return {"data": {"text": "x"}, "annotations": [{"result": one, **more} for one in result]}

    heard = from_label_studio(
        kind, "label", [task("a", "b", "a"), task("a", "b"), task(), task("a", was_cancelled=True)]
    )
    assert heard.rows == [{"text": "x", "label": "a"}]
    assert heard.passed == {"people disagree": 1, "no label": 2}
    draft = {"fields": {"text": "x"}, "responses": {"label": [{"value": "b", "status": "draft", "user_id": "u"}]}}
    assert from_argilla(kind, "label", [draft]).passed == {"no label": 1}


def test_mistakes_are_told() -> None:
    kind = Choice(["a", "b"])
    wrong = {"type": "choices", "from_name": "label", "value": {"choices": ["c"]}}
    with pytest.raises(DataError, match="task 5: 'c' is none of the labels"):
        from_label_studio(kind, "label", [{"id": 5, "data": {"text": "x"}, "annotations": [{"result": [wrong]}]}])
    with pytest.raises(DataError, match="no export"):
        from_label_studio(kind, "label", [{"text": "x", "label": "a"}])
    with pytest.raises(DataError, match="no exported records"):
        from_argilla(kind, "label", {"rows": []})
    with pytest.raises(ConfigError, match="rename 'the text'"):
        to_label_studio(Choice(["a", "b"], "the text"), "label", [], "m")
