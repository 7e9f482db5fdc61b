"""Sources: what each says, where it abstains, which rows it is for, and what is wrong with what it says."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError
from pilotfish.models.classify import ClassifierModel, Labeller, TextClassifier, TfidfFeatures
from pilotfish.models.encoder import Encoder
from pilotfish.supervise.sources import (
    Asked,
    Column,
    Function,
    Keywords,
    Matching,
    Patterns,
    Source,
    Specialist,
    Topics,
    Trees,
    Where,
    votes_of,
)
from tests.fakes import ScriptedModel

CLASSES = ["ham", "spam"]


def rows(*texts: str, **columns: list[Any]) -> list[dict[str, Any]]:
    return [{"text": text, **{name: some[i] for name, some in columns.items()}} for i, text in enumerate(texts)]


def said(source: Source, given: list[dict[str, Any]], classes: list[str] | None = None) -> list[Any]:
    """Return each row's shares, None where the source abstains."""
    return [None if np.isnan(one).any() else one.tolist() for one in source.votes(given, classes or CLASSES)]


def test_keywords_are_whole_words_and_several_labels_share() -> None:
    source = Keywords({"spam": ["buy now", "$$$"], "ham": ["lunch"]})
    given = rows("Buy NOW!", "unlunched", "lunch, buy now", "it costs $$$", "hello")
    assert said(source, given) == [[0, 1], None, [0.5, 0.5], [0, 1], None]
    assert said(Keywords({"spam": ["Buy"]}, case=True), rows("buy", "Buy")) == [None, [0, 1]]
    sure = Keywords({"spam": ["buy now"], "ham": ["lunch"]}, least=0.6)
    assert said(sure, given)[2] is None


def test_patterns_functions_and_columns() -> None:
    given = rows("see http://x", "well", who=["spam", None], share=[{"spam": 3, "ham": 1}, ""])
    assert said(Patterns({"spam": r"https?://", "ham": ["^w", "^z"]}), given) == [[0, 1], [1, 0]]
    assert said(Function(lambda row: "spam" if len(row["text"]) > 5 else None), given) == [[0, 1], None]
    assert said(Column("who"), given) == [[0, 1], None]
    assert said(Column("share"), given) == [[0.25, 0.75], None]
    assert said(Column("who", labels={"spam": "ham"}), given) == [[1, 0], None]


def test_a_scope_is_kept_to() -> None:
    given = rows("a 1", "b", "c 2", domain=["law", "tax", "law"], year=[1, 1, 2])
    every = {"function": lambda row: "spam", "name": "all"}
    for scope, mine in (
        (Where({"domain": "law"}), [0, 2]),
        (Where({"domain": ["law", "tax"], "year": 1}), [0, 1]),
        (Matching(r"\d"), [0, 2]),
    ):
        found = said(Function(**every, scope=scope), given)  # type: ignore[arg-type]
        assert [i for i, one in enumerate(found) if one is not None] == mine


def test_topics_part_the_rows(tiny_encoder: Encoder) -> None:
    given = rows(*(f"the {word} number {i}" for i in range(12) for word in ("cat", "saw")))
    topics = Topics(tiny_encoder, 3).fit(given)
    marks = np.stack([topic.of(given) for topic in topics.topics()])
    np.testing.assert_array_equal(marks.sum(axis=0), 1)
    assert (marks.sum(axis=1) > 0).all()
    np.testing.assert_array_equal(topics.of(given[:5]), topics.of(given)[:5])
    with pytest.raises(DataError, match="2 rows have no 3 topics"):
        Topics(tiny_encoder, 3).fit(given[:2])


def test_a_specialist_learns_its_part_and_abstains_outside() -> None:
    law = rows(*["the court fined him", "the judge said yes", "a nice meal", "tasty soup here"] * 3)
    labels = ["crime", "court", "food", "food"] * 3
    source = Specialist(TfidfFeatures(), classes=["crime", "court"]).fit(law, labels)
    found = said(source, rows("the judge said", "tasty meal"), ["court", "crime", "food"])
    assert found[0] is not None
    assert found[0][0] > 0.5
    assert found[0][2] == 0
    assert found[1] is None
    views = [{"title": "court", "text": "x"}, {"title": "soup", "text": "x"}] * 4
    by_title = Specialist(TfidfFeatures(), columns=["title"], scope=Matching("x")).fit(views, ["a", "b"] * 4)
    assert by_title.rows_ == 8
    assert said(by_title, [*views[:2], {"title": "court", "text": "y"}], ["a", "b"])[2] is None
    with pytest.raises(DataError, match="specialist: 4 rows of its own, of 1 classes"):
        Specialist(TfidfFeatures()).fit(law[:4], ["a"] * 4)


def test_models_are_asked_once_and_their_labels_may_mean_others(tmp_path: Path) -> None:
    model = ScriptedModel({"one": "yes", "two": "no", "*": "perhaps"})
    source = Asked(model, ["yes", "no"], "judge", labels={"yes": "spam", "no": "ham"})
    given = rows("one", "two", "three")
    for _ in range(2):
        votes = source.votes(given, CLASSES, tmp_path)
        np.testing.assert_array_equal(votes[:2], [[0, 1], [1, 0]])
        assert np.isnan(votes[2]).all()
    assert model.calls == 3


def test_a_model_is_asked_with_a_prompt_or_with_columns(tmp_path: Path) -> None:
    given: list[dict[str, Any]] = [
        {"title": "Win", "age": 3, "plan": 'a "b"'},
        {"title": "Hi", "age": None, "plan": "c"},
    ]
    model = ScriptedModel({"Sort: Win (3)": "spam", '{"age": null, "plan": "c"}': "ham", "*": "spam"})
    found = Asked(model, CLASSES, prompt="Sort: {title} ({age})").votes(given[:1], CLASSES, tmp_path / "a")
    assert found.tolist() == [[0, 1]]
    found = Asked(model, CLASSES, columns=["age", "plan"]).votes(given, CLASSES, tmp_path / "b")
    assert found.tolist() == [[0, 1], [1, 0]]
    assert {one.prompt for one in model.requests} >= {'{"age": 3, "plan": "a \\"b\\""}', '{"age": null, "plan": "c"}'}
    with pytest.raises(DataError, match=r"row 2: .*no column 'age'"):
        Asked(model, CLASSES, columns=["age"]).votes([given[0], {"text": "x"}], CLASSES, tmp_path / "c")
    with pytest.raises(ConfigError, match="not both"):
        Asked(model, CLASSES, columns=["age"], prompt="{age}")


def test_trees_learn_columns_of_a_part() -> None:
    dice = np.random.default_rng(0)
    given = [
        {"age": int(age), "plan": plan, "site": site}
        for age, plan, site in zip(
            dice.integers(0, 80, 300), dice.choice(["free", "paid"], 300), dice.choice(["a", "b"], 300), strict=True
        )
    ]
    labels = ["spam" if row["age"] < 20 or (row["plan"] == "free" and row["age"] < 50) else "ham" for row in given]
    trees = Trees(["age", "plan"], scope=Where({"site": "a"})).fit(given[:200], labels[:200])
    assert trees.rows_ == sum(row["site"] == "a" for row in given[:200])
    found = trees.votes(given[200:], CLASSES)
    own = np.array([row["site"] == "a" for row in given[200:]])
    assert np.isnan(found[~own]).all()
    truth = np.array([CLASSES.index(label) for label in labels[200:]])
    assert (found[own].argmax(axis=1) == truth[own]).mean() > 0.9
    odd: list[dict[str, Any]] = [
        {"age": None, "plan": "never seen", "site": "a"},
        {"age": "12", "plan": "paid", "site": "a"},
    ]
    assert not np.isnan(trees.votes(odd, CLASSES)).any()
    assert trees.votes(odd, CLASSES)[1].argmax() == 1
    with pytest.raises(DataError, match=r"row 1: .*no column 'plan'"):
        Trees(["age", "plan"]).fit([{"age": 1}, {"age": 2}], ["ham", "spam"])
    one = Trees(["age"], classes=["spam"]).fit(given[:200], labels[:200])
    assert {said.index(1) for said in said(one, given[200:]) if said is not None} == {1}  # it knows of others only that


def test_classifiers_and_labellers_give_their_probabilities() -> None:
    classifier = TextClassifier(TfidfFeatures()).fit(["buy now", "lunch today"] * 5, ["spam", "ham"] * 5)
    given = rows("buy", "lunch")
    shares = Asked(ClassifierModel(classifier, "small"), CLASSES).votes(given, CLASSES)
    np.testing.assert_allclose(shares, classifier.predict_proba(["buy", "lunch"]), atol=1e-12)
    labeller = Labeller(ScriptedModel({"*": "spam"}), CLASSES)
    assert said(Asked(labeller, CLASSES, "labeller"), given)[0] in ([0, 1], None)


def test_votes_hold_all_sources(tmp_path: Path) -> None:
    given = rows("buy now", "hello", "lunch", who=["spam", None, "ham"])
    sources = [Keywords({"spam": ["buy"]}), Column("who")]
    votes = votes_of(sources, given, CLASSES, tmp_path)
    assert votes.sources == ("keywords", "who")
    assert votes.classes == ("ham", "spam")
    assert votes.voted.tolist() == [True, False, True]
    assert votes.counts.tolist() == [[0, 2], [0, 0], [1, 0]]


def test_what_is_wrong_is_told() -> None:
    given = rows("buy", "x", who=["eggs", None], odd=[{"spam": "much"}, 1], domain=["a", "b"])
    with pytest.raises(DataError, match="who, row 1: 'eggs' is none of the classes"):
        votes_of([Column("who")], given, CLASSES)
    with pytest.raises(DataError, match="row 1: column 'odd': 'much' is no share"):
        votes_of([Column("odd")], given, CLASSES)
    with pytest.raises(DataError, match="row 2: no column 'text'"):
        Patterns({"spam": "a"}, scope=Where({"domain": "b"})).votes([given[0], {"domain": "b"}], CLASSES)
    with pytest.raises(ConfigError, match="two sources are called 'who'"):
        votes_of([Column("who"), Column("who")], given, CLASSES)
    with pytest.raises(ConfigError, match="no sources"):
        votes_of([], given, CLASSES)
    with pytest.raises(ConfigError, match="is none"):
        Patterns({"spam": "("})
    with pytest.raises(ConfigError, match="list of words"):
        Keywords({"spam": "buy"})
    with pytest.raises(ConfigError, match="no pattern"):
        Keywords({"spam": []})
    with pytest.raises(ConfigError, match="least is a share"):
        Column("who", least=math.pi)
