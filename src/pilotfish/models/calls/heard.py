"""Questions that the next run may put otherwise: what is made of other answers, of which some may be missing as yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pilotfish._sync import wait
from pilotfish.model import Model, Reply, Request
from pilotfish.models.calls.calls import Calls, Failure
from pilotfish.rows.asking import Asked, Bill, Said

__all__ = ["Heard", "answered", "heard"]


@dataclass(frozen=True)
class Heard(Asked):
    """What came of questions, and of each that has no answer why.

    Attributes:
        failures: question -> why it has no answer, and whether another run may get one.
    """

    failures: Mapping[int, Failure] = field(default_factory=dict)


def answered(calls: Calls, requests: Sequence[Request], *, progress: bool = True) -> tuple[list[Reply | Failure], Bill]:
    """Return a reply a request, or why there is none, and what they took; store and model are closed afterwards.

    Raises:
        UpstreamError: the endpoint fails for request after request; what was answered stays.
        ModelError: the model could answer none of the first requests.
        DataError: the file cannot be used.
    """

    async def all_of_them() -> list[Reply | Failure]:
        try:
            return await calls.replies(requests, progress=progress)
        finally:
            close = getattr(calls.model, "aclose", None)
            if close is not None:
                await close()

    try:
        return wait(all_of_them()), calls.bill_of(requests)
    finally:
        calls.close()


def heard(
    model: Model,
    questions: Sequence[tuple[Request, int]],
    path: str | Path,
    *,
    concurrency: int | None = None,
    progress: bool = True,
) -> Heard:
    """Ask a model questions as `rows.asking.asked` does, except that another run may have others.

    `asked` goes on with the very questions that a run began with. Here each answer is stored by itself, so where an
    earlier stage has an answer more, or a filter before this one is another, only what is new is asked.

    Args:
        model: who is asked.
        questions: each a request and the number of the sample.
        path: the file of the store.
        concurrency: calls under way at once; None is as many as the model takes, or 8 where it does not say.
        progress: show a bar.

    Raises:
        UpstreamError: the endpoint fails for question after question; what was answered stays.
        ModelError: the model could answer none of the first questions.
        DataError: the file cannot be used.
    """
    if not questions:
        return Heard([], Counter(), 0, Bill())
    requests = [request.with_(metadata={"sample": sample}) for request, sample in questions]
    replies, bill = answered(Calls(model, path, concurrency=concurrency), requests, progress=progress)
    asked = dict(zip(((request.key(), sample) for request, sample in questions), replies, strict=True))
    return Heard(
        [None if isinstance(one, Failure) else Said.of(one) for one in replies],
        Counter(one.reason.partition(":")[0] for one in replies if isinstance(one, Failure)),
        sum(isinstance(one, Failure) and one.again for one in asked.values()),
        bill,
        {at: one for at, one in enumerate(replies) if isinstance(one, Failure)},
    )
