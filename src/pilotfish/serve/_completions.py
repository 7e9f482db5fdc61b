"""`/v1/completions`: a text to go on from, whole or as it comes, with the log-probabilities of the prompt itself.

Source: the OpenAI API reference, "Create completion (legacy)". A model on this machine goes on from the bare text,
without its chat template; any other gets it as the user's turn.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import Any

from pilotfish.model import Model, Reply, Request, Trace
from pilotfish.serve._asgi import Out
from pilotfish.serve._asking import ask, deltas
from pilotfish.serve._chat import limited, usage_json
from pilotfish.serve._echo import Told, echoed, told_of
from pilotfish.serve._faults import Fault
from pilotfish.serve._fields import check_fields, whole
from pilotfish.serve._house import House
from pilotfish.serve._prompts import Prompt, prompts_of, white_box
from pilotfish.serve._visit import Visit
from pilotfish.serve.settings import Settings

__all__ = ["completions"]

DEFAULT_TOKENS = 16  # the endpoint's own default
_OWN = {"prompt", "echo", "logprobs", "best_of", "suffix", "max_tokens", "model", "stream", "stream_options"}


async def completions(gateway: House, visit: Visit, data: dict[str, Any], out: Out) -> None:
    """Answer a completion.

    Raises:
        Fault: the request is wrong.
        PilotfishError: the model failed.
    """
    model = gateway.model(visit, data, gateway.models)
    settings = _settings(data, gateway.settings)
    most = gateway.settings.max_answers
    prompts = await asyncio.to_thread(prompts_of, data.get("prompt"), model, most)
    if len(prompts) * settings.n > most:
        raise Fault(400, f"{len(prompts)} prompts times n = {settings.n}: this gateway gives {most} answers at most")
    visit.held = f"{visit.model}, completions"  # a chat of the same words is answered otherwise
    echo, top = bool(data.get("echo")), data.get("logprobs")
    if echo and top is not None and white_box(model) is None:
        raise Fault(
            400,
            f"{visit.model} does not tell the log-probabilities of a prompt: a model on this machine does",
            "no_echo",
        )
    requests = [prompt.request(settings) for prompt in prompts]
    together = requests[0] if len(requests) == 1 else settings.with_(messages=_all(requests))
    gateway.admit(visit, together, len(requests))
    if data.get("stream"):
        if len(prompts) > 1 or settings.n > 1 or echo:
            raise Fault(400, "a stream is of one prompt, with n = 1 and without echo", param="stream")
        usage = bool((data.get("stream_options") or {}).get("include_usage"))
        await _stream(gateway, visit, model, requests[0], out, usage=usage)
        return
    heads: list[Told | None] = [None] * len(prompts)
    if echo:
        heads = await _heads(gateway, visit, model, prompts, top)
    replies = await _replies(gateway, visit, model, requests)
    choices: list[dict[str, Any]] = []
    for head, reply in zip(heads, replies, strict=True):
        for one in (reply, *reply.choices):
            choices.append(_choice(len(choices), one, head, top is not None))
    visit.reply = _joined(replies)
    await out.whole(_body(visit, choices) | {"usage": usage_json(visit.reply.usage)})


def _settings(data: dict[str, Any], settings: Settings) -> Request:
    """Return the request without its messages.

    Raises:
        Fault: 400, a field is not what it must be.
    """
    check_fields(data, max_tokens=whole(0), n=whole(1, settings.max_answers), logprobs=whole(0, 20))
    if data.get("suffix"):
        raise Fault(400, "suffix is not supported: no model here fills in the middle", param="suffix")
    if data.get("best_of") not in (None, 1, data.get("n")):
        raise Fault(400, "best_of is not supported: ask for n answers and choose", param="best_of")
    kept = {key: value for key, value in data.items() if key not in _OWN}
    request = Request.from_json({"messages": [{"role": "user", "content": ""}], **kept})
    given = data.get("max_tokens")
    request = request.with_(max_tokens=DEFAULT_TOKENS if given is None else given)
    if data.get("logprobs") is not None:
        request = request.with_(logprobs=True, top_logprobs=data["logprobs"])
    return limited(request, settings)


def _all(requests: list[Request]) -> tuple[Any, ...]:
    return tuple(message for request in requests for message in request.messages)


async def _heads(
    gateway: House, visit: Visit, model: Model, prompts: list[Prompt], top: int | None
) -> list[Told | None]:
    """Return what is said of the prompts themselves; with log-probabilities they are computed, on a thread."""
    local = white_box(model) if top is not None else None
    if local is None:
        return [Told(prompt.text) for prompt in prompts]
    start = time.perf_counter()
    try:
        async with asyncio.timeout(gateway.settings.timeout):
            return list(await asyncio.to_thread(echoed, local, prompts, top))
    finally:
        visit.models += time.perf_counter() - start


async def _replies(gateway: House, visit: Visit, model: Model, requests: list[Request]) -> list[Reply]:
    """Return the answers to all prompts, asked at the same time."""
    if len(requests) == 1:
        return [await ask(gateway, visit, model, requests[0])]
    before, start = visit.models, time.perf_counter()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(gateway, visit, model, request)) for request in requests]
    visit.models = before + time.perf_counter() - start  # side by side: each counted its own
    return [task.result() for task in tasks]


def _joined(replies: list[Reply]) -> Reply:
    """Return the replies to several prompts as one, for the log: the first, with the others as its choices."""
    if len(replies) == 1:
        return replies[0]
    trace = Trace()
    for reply in replies:
        trace = trace + reply.trace
    others = [one for i, reply in enumerate(replies) for one in ((reply, *reply.choices)[not i :])]
    return replies[0].with_(trace=trace, choices=tuple(others))


def _choice(index: int, reply: Reply, head: Told | None, wants: bool) -> dict[str, Any]:
    text = reply.text if head is None else head.text + reply.text
    logprobs = None
    if wants:
        said = told_of(reply)
        logprobs = (said if head is None else head + said).to_json()
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reply.finish_reason}


def _body(visit: Visit, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": visit.id,
        "object": "text_completion",
        "created": int(visit.time),
        "model": visit.model,
        "choices": choices,
        "system_fingerprint": None,
    }


async def _stream(gateway: House, visit: Visit, model: Model, request: Request, out: Out, *, usage: bool) -> None:
    """Send one completion as it comes; the head goes out with the first piece."""
    visit.streamed = True
    empty = {"usage": None} if usage else {}
    async with aclosing(deltas(gateway, visit, model, request)) as pieces:  # type: ignore[type-var]
        async for delta in pieces:
            if not out.started:
                await out.open()
                visit.first = time.perf_counter()
            if delta.text:
                choice = {"index": 0, "text": delta.text, "logprobs": None, "finish_reason": None}
                await out.event(_body(visit, [choice]) | empty)
    reply = visit.reply
    if reply is None:
        raise Fault(502, f"{visit.model} broke off", "upstream_error")
    logprobs = told_of(reply).to_json() if request.logprobs else None
    choice = {"index": 0, "text": "", "logprobs": logprobs, "finish_reason": reply.finish_reason}
    last = [_body(visit, [choice]) | empty]
    if usage:
        last.append(_body(visit, []) | {"usage": usage_json(reply.usage), "pilotfish": visit.told()})
    await out.close(*last)
