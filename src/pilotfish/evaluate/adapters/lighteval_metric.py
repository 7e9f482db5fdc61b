"""A metric as one of lighteval's: a number a sample, the mean over the corpus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pilotfish._extras import need
from pilotfish.evaluate.adapters.core import Adapted

__all__ = ["as_lighteval"]


def as_lighteval(adapted: Adapted, name: str | None = None) -> Any:
    """Return a `SampleLevelMetric`, for the `metrics` of a `LightevalTaskConfig`; samples are scored in batches.

    Of several generations of a sample the mean counts. The references are the golds, the source is the query.

    Args:
        adapted: the metric.
        name: in lighteval's tables; the metric's own by default.

    Raises:
        MissingExtra: lighteval is not installed.
    """
    samples = need("lighteval.metrics.metrics_sample", "lighteval")
    library = need("lighteval.metrics.utils.metric_utils", "lighteval")
    requests = need("lighteval.tasks.requests", "lighteval")

    base: Any = samples.SampleLevelComputation

    class Ours(base):  # type: ignore[misc]
        """The metric."""

        def compute(
            self,
            doc: Any = None,
            model_response: Any = None,
            *,
            docs: Sequence[Any] | None = None,
            responses: Sequence[Any] | None = None,
            **further: Any,
        ) -> Any:
            """Return a sample's score, or a list of them for lists of samples."""
            if docs is None or responses is None:
                return of_samples(adapted, [doc], [model_response])[0]
            return of_samples(adapted, docs, responses)

    return library.SampleLevelMetric(
        metric_name=name or adapted.metric.name,
        higher_is_better=adapted.metric.higher,
        category=requests.SamplingMethod.GENERATIVE,
        sample_level_fn=Ours(),
        corpus_level_fn=np.mean,
        batched_compute=True,
    )


def of_samples(adapted: Adapted, docs: Sequence[Any], responses: Sequence[Any]) -> list[float]:
    """Return the score of each sample, the mean over its generations.

    Args:
        adapted: the metric.
        docs: with `get_golds()` and `query`.
        responses: with `final_text`, a text a generation.
    """
    flat = [(text, doc) for doc, response in zip(docs, responses, strict=True) for text in response.final_text]
    golds = [[str(gold) for gold in doc.get_golds()] for _, doc in flat] if adapted.reads_references else None
    scores = adapted.scores([text for text, _ in flat], golds, [doc.query for _, doc in flat])
    values = iter(scores.values.tolist())
    return [float(np.mean([next(values) for _ in response.final_text])) for response in responses]
