from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.compete.task import text_task
from pilotfish.errors import ConfigError, DataError
from tests.compete.help import Row, made_rows


def labelled(*pairs: tuple[str, object]) -> list[Row]:
    return [{"text": text, "label": label} for text, label in pairs]


@settings(max_examples=25, deadline=None)
@given(st.integers(12, 150), st.integers(2, 5), st.integers(0, 99))
def test_every_row_is_in_one_part_and_nothing_is_learnt_from_the_test(count: int, classes: int, seed: int) -> None:
    rows = made_rows(count, classes=classes, seed=seed)
    task = text_task(rows, text="text", label="label", seed=seed)
    assert not set(task.train) & set(task.test)
    assert len(task.train) + len(task.test) <= count
    assert set(task.test_labels) <= set(task.labels) == set(task.train_labels)
    tune, calibrate, fit = set(task.tune.tolist()), set(task.calibrate.tolist()), set(task.fit.tolist())
    assert not tune & calibrate
    assert fit == set(range(len(task.train))) - tune - calibrate
    # What is fitted without the rows kept back must still know every label.
    assert {task.train_labels[i] for i in fit} == set(task.labels)
    truth = {row["text"]: row["label"] for row in rows}
    assert all(truth[text] == label for text, label in zip(task.test, task.test_labels, strict=True))
    texts, labels = task.taken(task.tune)
    assert all(truth[text] == label for text, label in zip(texts, labels, strict=True))


def test_the_same_seed_gives_the_same_split() -> None:
    rows = made_rows(90)
    a, b, c = (text_task(rows, text="text", label="label", seed=seed) for seed in (4, 4, 5))
    assert a.test == b.test and np.array_equal(a.tune, b.tune)
    assert a.test != c.test


def test_near_duplicates_go_before_the_split_and_conflicts_are_told() -> None:
    rows = made_rows(60)
    rows += [{**row, "text": row["text"].upper() + "!"} for row in rows[:10]]
    rows.append({"text": rows[0]["text"], "label": next(r["label"] for r in rows if r["label"] != rows[0]["label"])})
    task = text_task(rows, text="text", label="label")
    assert len(task.train) + len(task.test) == 60
    assert any("11 near-duplicates removed" in note for note in task.notes)
    assert any("different labels" in note for note in task.notes)


def test_given_parts_are_kept_whole_and_copies_are_told() -> None:
    rows, test = made_rows(60), made_rows(20, seed=50)
    copies = [{**row, "text": row["text"] + " !!"} for row in test[:5]]
    task = text_task([*rows, *copies], text="text", label="label", test=test)
    assert len(task.train) == 65 and len(task.test) == 20
    assert task.leaky.tolist() == [0, 1, 2, 3, 4]
    assert any("5 training rows are near-duplicates of 5 test rows" in note for note in task.notes)


def test_copies_within_the_training_rows_are_kept_back_together() -> None:
    rows = made_rows(80)
    twins = [{**row, "text": row["text"] + "!"} for row in rows]
    task = text_task([*rows, *twins], text="text", label="label", test=made_rows(20, seed=50))
    for part in (task.tune, task.calibrate):
        assert len(part)
        texts = {task.train[i].rstrip("!") for i in part}
        elsewhere = {text.rstrip("!") for i, text in enumerate(task.train) if i not in set(part.tolist())}
        assert not texts & elsewhere


def test_copies_of_test_rows_leave_training_when_asked_and_the_unlabelled_rows_always() -> None:
    rows, test = made_rows(60), made_rows(20, seed=50)
    copies = [{**row, "text": row["text"] + " !!"} for row in test[:5]]
    task = text_task(
        [*rows, *copies],
        text="text",
        label="label",
        test=[*test, test[0]],
        unlabelled=copies + rows[:3],
        drop_leaks=True,
    )
    assert len(task.test) == 21
    assert len(task.train) == 60
    assert not len(task.leaky)
    assert len(task.unlabelled) == 3
    assert any("5 training rows dropped" in note for note in task.notes)
    assert any("5 unlabelled rows dropped" in note for note in task.notes)


def test_labels_that_only_the_test_has_are_counted() -> None:
    test = [*made_rows(20, seed=50), *labelled(("something new", "other"), ("and more of it", "other"))]
    task = text_task(made_rows(60), text="text", label="label", test=test)
    assert task.unseen == {"other": 2}
    assert "other" not in task.labels


def test_rows_without_text_or_label_are_left_out_and_counted() -> None:
    bad: list[Row] = [
        {"text": " ", "label": "card"},
        {"text": None, "label": "card"},
        {"text": "no label", "label": None},
        {"text": "not a number", "label": math.nan},
        {"text": "a blank", "label": "  "},
        {"text": "no key"},
    ]
    task = text_task([*made_rows(60), *bad], text="text", label="label")
    assert len(task.train) + len(task.test) == 60
    assert any(note.startswith("6 of the rows") for note in task.notes)


def test_labels_of_other_types_become_text() -> None:
    rows = [{**row, "label": {"card": 1, "refund": 2, "cat": True}[row["label"]]} for row in made_rows(60)]
    assert text_task(rows, text="text", label="label").labels == ["1", "2", "True"]


def test_repeated_ids_are_told() -> None:
    rows = [{**row, "id": "same" if i < 2 else i} for i, row in enumerate(made_rows(40))]
    assert any("'same'" in note for note in text_task(rows, text="text", label="label").notes)


def test_a_class_with_one_row_can_be_learnt_and_is_not_tested() -> None:
    task = text_task([*made_rows(60), *labelled(("a lonely text", "rare"))], text="text", label="label")
    assert "rare" in task.labels
    assert "rare" not in task.test_labels


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "empty"),
        (labelled(("a b c", "x"), ("d e f", "x")), "'x'"),
        (labelled(*[(f"text number {i} {i * 7919}", f"id{i}") for i in range(9)]), "id or free text"),
        (labelled((" ", "x"), ("", "y")), "no text"),
        ([{"txet": "a", "label": "b"}], "did you mean 'txet'"),
        ([{"text": "a", "lable": "b"}], "did you mean 'lable'"),
    ],
)
def test_rows_that_make_no_task_are_one_clear_error(rows: list[Row], words: str) -> None:
    with pytest.raises(DataError, match=words):
        text_task(rows, text="text", label="label")


def test_free_text_as_the_label_is_told_apart_from_many_classes() -> None:
    rows = [{"text": f"text {i} {i * 7919}", "label": f"answer {i // 2 if i < 4 else i}"} for i in range(120)]
    with pytest.raises(DataError, match="free text"):
        text_task(rows, text="text", label="label")


def test_training_rows_that_all_stand_in_the_test_are_one_clear_error() -> None:
    rows = made_rows(30)
    with pytest.raises(DataError, match="nothing is left to learn from"):
        text_task(rows, text="text", label="label", test=rows, drop_leaks=True)


def test_too_few_rows_to_hold_any_out() -> None:
    with pytest.raises(DataError, match="hold out"):
        text_task(
            labelled(("abcd efg", "x"), ("hijk lmn", "x"), ("opqr stu", "y")),
            text="text",
            label="label",
            test_share=0.1,
        )


def test_names_must_be_of_labels() -> None:
    task = text_task(made_rows(30), text="text", label="label", names={"card": "where is my card"})
    assert task.names == {"card": "where is my card"}
    with pytest.raises(DataError, match="did you mean 'card'"):
        text_task(made_rows(30), text="text", label="label", names={"crad": "x"})


def test_a_share_that_is_none() -> None:
    with pytest.raises(ConfigError, match="shares"):
        text_task(made_rows(30), text="text", label="label", test_share=1.0)


def test_unlabelled_rows_without_the_column() -> None:
    with pytest.raises(DataError, match="unlabelled rows have no column"):
        text_task(made_rows(30), text="text", label="label", unlabelled=[{"body": "x"}])


def test_several_labels_a_row_are_told_where_to_go() -> None:
    with pytest.raises(DataError, match="pilotfish classify learn --several"):
        text_task(labelled(("a b c", ["x", "y"]), ("d e f", ["x"])), text="text", label="label")
