"""A metric as a scorer of inspect_ai, with the mean and its standard error over samples."""

from __future__ import annotations

from typing import Any

from anyio import to_thread

from pilotfish._extras import need
from pilotfish.evaluate.adapters.core import Adapted, told

__all__ = ["as_inspect"]


def as_inspect(adapted: Adapted, name: str | None = None) -> Any:
    """Return a scorer: `Task(..., scorer=as_inspect(Adapted(metric)))`.

    The text is the model's completion, the references are the sample's target, the source is what the sample's
    metadata has under the source's name, else its input. A score's metadata has its parts and what was odd.

    Args:
        adapted: the metric.
        name: in logs; the metric's own by default.

    Raises:
        MissingExtra: inspect_ai is not installed.
    """
    library = need("inspect_ai.scorer", "inspect")

    @library.scorer(metrics=[library.mean(), library.stderr()], name=name or adapted.metric.name)  # type: ignore[untyped-decorator]
    def ours() -> Any:
        async def score(state: Any, target: Any) -> Any:
            said = state.output.completion
            source = (state.metadata or {}).get(adapted.source, state.input_text)
            # In a thread: samples wait for one another's scores, and not for one another's answers.
            scores = await to_thread.run_sync(adapted.scores, [said], [list(target)], [source])
            note = scores.notes[0]
            return library.Score(
                value=float(scores.values[0]), answer=said, explanation=note or None, metadata=dict(told(scores, 0))
            )

        return score

    return ours()
