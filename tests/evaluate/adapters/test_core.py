"""What other libraries hand over becomes rows; without the library the way to get it is named."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pilotfish.errors import ConfigError, DataError, MissingExtra
from pilotfish.evaluate.adapters import Adapted, as_evaluate, as_inspect, as_lighteval
from pilotfish.evaluate.adapters.lighteval_metric import of_samples
from pilotfish.evaluate.lexical import Rouge
from pilotfish.evaluate.metric import OfRows, over_columns
from pilotfish.evaluate.scores import Scores

METRIC = over_columns(Rouge("rougeL"), "answer", "reference", name="rougeL")


def test_texts_become_the_columns_that_the_metric_reads() -> None:
    adapted = Adapted(METRIC)
    found = adapted.scores(["a b", "c"], ["a c", ("x", "c")], ["not", "read"])
    assert found.values.tolist() == [0.5, 1]
    assert adapted.figures(found) == {
        "rougeL": 0.75,
        "rougeL_low": found.mean().low,
        "rougeL_high": found.mean().high,
        "rougeL_precision": 0.75,
        "rougeL_recall": 0.75,
    }
    turned = Adapted(over_columns(Rouge("rougeL"), "said", "context", name="r"), "said", source="context")
    assert (turned.reads_references, turned.reads_sources) == (False, True)
    assert turned.scores(["a b"], None, ["a b"]).values.tolist() == [1]


def test_mistakes() -> None:
    with pytest.raises(ConfigError, match="rougeL reads 'answer', which is neither of said, reference, source"):
        Adapted(METRIC, "said")
    with pytest.raises(ConfigError, match="call `fitted`"):
        Adapted(OfRows("x", ("answer",), METRIC.scores, learn=lambda rows: METRIC))
    with pytest.raises(DataError, match="rougeL needs references"):
        Adapted(METRIC).scores(["a"])
    with pytest.raises(DataError, match="different length: 1 of answer, 2 of reference"):
        Adapted(METRIC).scores(["a"], ["a", "b"])


def test_one_call_at_a_time_whatever_thread_it_comes_from() -> None:
    inside: list[int] = []
    most: list[int] = []

    def counted(answers: Any, references: Any) -> Scores:
        inside.append(1)
        most.append(len(inside))
        found = Rouge("rougeL")(answers, references)
        inside.pop()
        return found

    adapted = Adapted(over_columns(counted, "answer", "reference"))
    threads = [threading.Thread(target=adapted.scores, args=(["a b c"] * 50, ["a"] * 50)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8


def test_generations_of_a_sample_are_averaged() -> None:
    docs = [
        SimpleNamespace(query="q", get_golds=lambda: ["a c"]),
        SimpleNamespace(query="q", get_golds=lambda: ["x", 7]),
    ]
    responses = [SimpleNamespace(final_text=["a b"]), SimpleNamespace(final_text=["7", "y"])]
    assert of_samples(Adapted(METRIC), docs, responses) == [0.5, 0.5]


@pytest.mark.parametrize(
    ("build", "module", "extra"),
    [
        (as_evaluate, "evaluate", "hf-evaluate"),
        (as_inspect, "inspect_ai", "inspect"),
        (as_lighteval, "lighteval", "lighteval"),
    ],
)
def test_a_library_that_is_not_there_is_named(build: Callable[[Adapted], Any], module: str, extra: str) -> None:
    if importlib.util.find_spec(module) is not None:
        pytest.skip(f"{module} is installed")
    with pytest.raises(MissingExtra, match=rf"{module} is not installed: pip install 'pilotfish\[{extra}\]'"):
        build(Adapted(METRIC))
