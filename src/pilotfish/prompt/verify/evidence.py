"""What a reply has to stand on: the passages that it was given, else what the request itself says."""

from __future__ import annotations

from pilotfish.model import Reply, Request

__all__ = ["evidence_of"]


def evidence_of(request: Request, reply: Reply) -> list[str]:
    """Return texts that may bear a reply out; a passage each where there are passages.

    They are those of the reply's trace where it was answered from passages on the way, those of the request's
    `metadata["passages"]` where whoever asks has put them into the prompt, else all that was said before the reply.
    """
    shown = [source.text for source in reply.trace.sources if source.text]
    if shown:
        return shown
    given = request.metadata.get("passages")
    if isinstance(given, list | tuple) and given and all(isinstance(one, str) for one in given):
        return list(given)
    return ["\n\n".join(message.text for message in request.messages if message.text)]
