"""`/v1/embeddings`: texts in, vectors out.

Source: the OpenAI API reference, "Create embeddings".
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Sequence
from typing import Any

from pilotfish.model import Call, Message, Reply, Request, Trace
from pilotfish.serve._asgi import Out
from pilotfish.serve._faults import Fault
from pilotfish.serve._house import House
from pilotfish.serve._visit import Visit, tokens_guessed

__all__ = ["embeddings"]


async def embeddings(gateway: House, visit: Visit, data: dict[str, Any], out: Out) -> None:
    """Answer a request for embeddings.

    Raises:
        Fault: the request is wrong.
        PilotfishError: the model failed.
    """
    encoder = gateway.model(visit, data, gateway.encoders)
    texts = _texts(data.get("input"), gateway.settings.max_inputs, encoder)
    form = data.get("encoding_format") or "float"
    if form not in ("float", "base64"):
        raise Fault(400, f"encoding_format is float or base64, not {form!r}", param="encoding_format")
    gateway.admit(visit, Request(tuple(Message("user", text) for text in texts)))
    start = time.perf_counter()
    async with asyncio.timeout(gateway.settings.timeout):
        # On a thread of its own: an encoder computes, and other requests go on meanwhile.
        vectors, tokens = await asyncio.to_thread(_encoded, encoder, texts)
    seconds = time.perf_counter() - start
    visit.models += seconds
    wanted = data.get("dimensions")
    if wanted is not None and wanted != vectors.shape[1]:
        raise Fault(400, f"{visit.model} gives {vectors.shape[1]} dimensions, and no other number", param="dimensions")
    visit.reply = Reply("", trace=Trace((Call(visit.model, "encoder", tokens, 0, seconds),)))
    rows = [{"object": "embedding", "index": i, "embedding": _shown(vector, form)} for i, vector in enumerate(vectors)]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    await out.whole({"object": "list", "model": visit.model, "data": rows, "usage": usage})


def _texts(given: Any, most: int, encoder: Any) -> list[str]:
    """Return the texts of `input`: one, several, or token ids of this encoder's own tokenizer.

    Raises:
        Fault: 400, it is none of these.
    """
    if isinstance(given, list) and given and all(_is_id(one) for one in given):
        given = [given]
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise Fault(400, "input must be a text or a list of texts", "invalid_value", param="input")
    if len(texts) > most:
        raise Fault(400, f"input has {len(texts)} texts; this gateway takes {most}", "too_many_inputs", param="input")
    tokenizer = getattr(encoder, "tokenizer", None)
    read: list[str] = []
    for text in texts:
        if isinstance(text, list) and text and all(_is_id(one) for one in text) and tokenizer is not None:
            text = str(tokenizer.decode(text))  # noqa: PLW2901 the same text, read
        if not isinstance(text, str) or not text:
            raise Fault(400, "each input must be a text that is not empty", "invalid_value", param="input")
        read.append(text)
    return read


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _encoded(encoder: Any, texts: Sequence[str]) -> tuple[Any, int]:
    """Return the vectors (texts, dimension), float32, and how many tokens were read."""
    vectors = encoder.encode(texts)
    lengths = getattr(encoder, "lengths", None)
    if lengths is None:
        return vectors, sum(tokens_guessed(text) for text in texts)
    longest = int(getattr(encoder, "max_length", 2**31))
    return vectors, sum(min(length, longest) for length in lengths(texts))


def _shown(vector: Any, form: str) -> Any:
    if form == "float":
        return vector.tolist()
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()
