"""What a reply has to stand on: the passages that it was given, else what the request itself says."""

from __future__ import annotations

from pilotfish.measure.evidence import passages_of
from pilotfish.model import Request

__all__ = ["evidence_of"]


def evidence_of(request: Request) -> list[str]:
    """Return texts that may bear a reply to a request out; a passage each where it tells of passages.

    See `pilotfish.measure.evidence`: they may have been put into the prompt by who asks, or found on the way.
    """
    passages = list(passages_of(request))
    return passages or ["\n\n".join(message.text for message in request.messages if message.text)]
