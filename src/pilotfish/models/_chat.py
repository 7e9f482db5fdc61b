"""A request's conversation as the text a local model is given: its chat template filled in, tools and all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pilotfish.decode.tools import OPEN, Tools, spoken, tools_of
from pilotfish.errors import ModelError
from pilotfish.model import Message, Request, ToolCall

__all__ = ["render_chat"]

# For templates that know nothing of tools; the form is that of the Hermes family, which `decode.tools` reads.
OFFER = """You can call functions. Their signatures, one JSON object a line:
<tools>
{tools}
</tools>
To call one, answer with its name and arguments as JSON, between tags:
<tool_call>
{{"name": "the function", "arguments": {{"argument": "value"}}}}
</tool_call>"""


def render_chat(tokenizer: Any, request: Request, name: str) -> str:
    """Return the prompt text of a request: by the tokenizer's chat template, or the plain text where it has none.

    Tools are given to a template that knows of them; for another one they are described in the system turn, and the
    turns that call functions and report their results are written out in words. Where a call is asked for, the text
    ends with its opening tag, if the template's calls have one.

    Raises:
        ModelError: the template refuses these messages (a role it does not know, say), or they hold more than text.
    """
    if not request.messages:
        raise ModelError(f"{name}: a request without messages; give it at least one")
    for message in request.messages:
        _check_text(message, name)
    tools = tools_of(request, name)
    template = getattr(tokenizer, "chat_template", None)
    if not template:
        if tools:
            raise ModelError(f"{name} has no chat template, so it takes no tools")
        for message in request.messages:
            if message.role not in ("user", "system"):
                raise ModelError(f"{name} has no chat template, so it takes no {message.role} turns")
        return "\n\n".join(message.text for message in request.messages) + "\n"
    knows = "tools" in str(template) and "tool_calls" in str(template)
    messages = [_as_given(message) for message in request.messages] if knows else _in_words(request, tools)
    # A conversation that ends with the assistant's own words asks for them to be continued.
    prefill = request.messages[-1].role == "assistant" and not request.messages[-1].tool_calls
    settings: dict[str, Any] = {"tokenize": False}
    if tools and knows:
        settings["tools"] = [{"type": "function", "function": dict(function)} for function in tools.functions]
    try:
        text = str(
            tokenizer.apply_chat_template(
                messages, add_generation_prompt=not prefill, continue_final_message=prefill, **settings
            )
        )
    except Exception as error:  # jinja raises many kinds; each means the same to the caller
        raise ModelError(f"{name}: its chat template refuses this conversation: {error}") from error
    if tools and tools.forced and not prefill and (not knows or OPEN in str(template)):
        text += f"{OPEN}\n"
    return text


def _as_given(message: Message) -> dict[str, Any]:
    """Return a message as templates that know of tools take it."""
    data: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.tool_calls:
        data["tool_calls"] = [_call(call) for call in message.tool_calls]
    for key in ("name", "tool_call_id"):
        if message.role == "tool" and getattr(message, key) is not None:
            data[key] = getattr(message, key)
    return data


def _call(call: ToolCall) -> dict[str, Any]:
    """Return a call with its arguments as data, which templates write as JSON by themselves."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError:
        arguments = call.arguments
    return {"type": "function", "id": call.id, "function": {"name": call.name, "arguments": arguments}}


def _in_words(request: Request, tools: Tools | None) -> list[dict[str, Any]]:
    """Return the messages for a template that knows only system, user and assistant."""
    out: list[dict[str, Any]] = []
    before = ""
    for message in request.messages:
        role, text = message.role, message.text
        if message.tool_calls:
            text = "\n".join(filter(None, [text, spoken(message.tool_calls)]))
        elif role == "tool":
            role, text = "user", f"<tool_response>\n{text}\n</tool_response>"
        # Results and what the user says after them are one turn: many templates want turns to alternate.
        if role == "user" and before == "tool":
            out[-1]["content"] += f"\n{text}"
        else:
            out.append({"role": role, "content": text})
        before = message.role
    if tools:
        offer = OFFER.format(tools="\n".join(json.dumps(_plain(one), ensure_ascii=False) for one in tools.functions))
        if out[0]["role"] == "system":
            out[0]["content"] += f"\n\n{offer}"
        else:
            out.insert(0, {"role": "system", "content": offer})
    return out


def _plain(function: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in function.items() if key != "strict"}


def _check_text(message: Message, name: str) -> None:
    """Refuse what a text model would pass over in silence.

    Raises:
        ModelError: the message has a part that is not text.
    """
    if not isinstance(message.content, str):
        for part in message.content:
            if part.get("type") != "text":
                raise ModelError(
                    f"{name} reads text only; a {message.role} turn has a part of type {part.get('type')!r}"
                )
