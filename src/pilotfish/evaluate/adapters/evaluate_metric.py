"""A metric as one of Hugging Face's evaluate: `compute(predictions=..., references=...)` gives a dict of floats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pilotfish._extras import need
from pilotfish.evaluate.adapters.core import Adapted

__all__ = ["as_evaluate"]


def as_evaluate(adapted: Adapted, **how: Any) -> Any:
    """Return an `evaluate.Metric`: also `add`, `add_batch`, `evaluate.combine` take it.

    It takes predictions, references where the metric reads any (a text each, or several), sources where it reads those.
    Its figures are the mean, `_low` and `_high` of its interval, and the parts' means.

    Args:
        adapted: the metric.
        how: further arguments of `evaluate.Metric`, as `keep_in_memory=True`.

    Raises:
        MissingExtra: evaluate or datasets is not installed.
    """
    library, datasets = need("evaluate", "hf-evaluate"), need("datasets", "hf-evaluate")
    text = datasets.Value("string")
    several = datasets.Sequence(datasets.Value("string"))
    columns = ["references"] * adapted.reads_references + ["sources"] * adapted.reads_sources
    # evaluate takes the first of these that the data fits.
    features = [
        datasets.Features({"predictions": text} | dict.fromkeys(columns, kind))
        for kind in ((text, several) if columns else (text,))
    ]

    base: Any = library.Metric

    class Ours(base):  # type: ignore[misc]
        """The metric."""

        def _info(self) -> Any:
            return library.MetricInfo(
                description=adapted.metric.label,
                citation="",
                inputs_description=f"Args:\n    {', '.join(['predictions', *columns])}: texts, one a row.",
                features=features if len(features) > 1 else features[0],
            )

        def _compute(
            self,
            predictions: Sequence[str],
            references: Sequence[Any] | None = None,
            sources: Sequence[Any] | None = None,
        ) -> dict[str, float]:
            return adapted.figures(adapted.scores(predictions, references, sources))

    Ours.__name__ = "".join(word for word in adapted.metric.name.title() if word.isalnum()) or "Ours"
    return Ours(**how)
