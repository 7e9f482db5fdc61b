"""The adapters in the libraries themselves, where these are installed: they are not among the test's own."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from pilotfish._extras import need
from pilotfish.evaluate.adapters import Adapted, as_evaluate, as_inspect, as_lighteval
from pilotfish.evaluate.lexical import Rouge
from pilotfish.evaluate.metric import over_columns

METRIC = Adapted(over_columns(Rouge("rougeL"), "answer", "reference", name="rougeL"))


def needs(module: str) -> pytest.MarkDecorator:
    absent = importlib.util.find_spec(module) is None
    return pytest.mark.skipif(absent, reason=f"{module} is not installed")


@needs("evaluate")
def test_evaluate_computes_it(tmp_path: Path) -> None:
    metric = as_evaluate(METRIC, cache_dir=str(tmp_path))
    found = metric.compute(predictions=["a b", "c"], references=["a c", "c"])
    assert found["rougeL"] == 0.75 and found["rougeL_low"] == 0.5 and found["rougeL_precision"] == 0.75
    assert metric.compute(predictions=["a b", "c"], references=[["a c", "a b"], ["c"]])["rougeL"] == 1
    metric.add_batch(predictions=["a"], references=["a"])
    metric.add(prediction="b", reference="a")
    assert metric.compute()["rougeL"] == 0.5
    both = need("evaluate", "hf-evaluate").combine([as_evaluate(METRIC, cache_dir=str(tmp_path))])
    assert both.compute(predictions=["a b"], references=["a"])["rougeL"] == pytest.approx(2 / 3)


@needs("inspect_ai")
def test_inspect_scores_by_it(tmp_path: Path) -> None:
    inspect, dataset = need("inspect_ai", "inspect"), need("inspect_ai.dataset", "inspect")
    model, solver = need("inspect_ai.model", "inspect"), need("inspect_ai.solver", "inspect")
    said = {"q1": "a b", "q2": "c d"}

    @solver.solver  # type: ignore[untyped-decorator]
    def recorded() -> Any:
        async def solve(state: Any, generate: Any) -> Any:
            state.output = model.ModelOutput.from_content("recorded", said[state.input_text])
            return state

        return solve

    samples = [dataset.Sample(input="q1", target="a c"), dataset.Sample(input="q2", target=["x", "c d"])]
    task = inspect.Task(dataset=samples, solver=recorded(), scorer=as_inspect(METRIC))
    (log,) = inspect.eval(task, model="mockllm/model", display="none", log_dir=str(tmp_path))
    assert log.status == "success", log.error
    (scores,) = log.results.scores
    assert scores.name == "rougeL"
    assert {name: one.value for name, one in scores.metrics.items()} == {"mean": 0.75, "stderr": 0.25}
    first = log.samples[0].scores["rougeL"]
    assert (first.value, first.answer, first.metadata) == (0.5, "a b", {"precision": 0.5, "recall": 0.5})


@needs("lighteval")
def test_lighteval_applies_it() -> None:
    library, requests = need("lighteval.metrics", "lighteval"), need("lighteval.tasks.requests", "lighteval")
    response = need("lighteval.models.model_output", "lighteval").ModelResponse
    metric = as_lighteval(METRIC)
    docs = [
        requests.Doc(query="q", choices=["a c"], gold_index=0),
        requests.Doc(query="q", choices=["x", "c d"], gold_index=[0, 1]),
    ]
    responses = [response(text=["a b"]), response(text=["c d", "x y"])]
    found = library.apply_metric(responses, docs, [metric])
    assert [one["rougeL"] for one in found] == pytest.approx([0.5, 5 / 6])
    mean = metric.get_corpus_aggregations()["rougeL"]
    assert mean([0.5, 1.0]) == 0.75 and metric.sample_level_fn.compute(docs[0], responses[0]) == 0.5
