"""Function calls by local models: which are offered, which must be made, and how they are read off the text.

Two forms are read: JSON between `<tool_call>` tags (Hermes, Qwen), and an answer that is nothing but JSON (Llama 3,
Mistral).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilotfish.decode.text import held_back
from pilotfish.errors import ModelError, did_you_mean
from pilotfish.model import Request, ToolCall

__all__ = ["OPEN", "ToolText", "Tools", "parse_calls", "tools_of"]

OPEN, CLOSE = "<tool_call>", "</tool_call>"
BLOCK = re.compile(re.escape(OPEN) + r"\s*(.*?)\s*(?:" + re.escape(CLOSE) + r"|\Z)", re.DOTALL)
FENCE = re.compile(r"```(?:json)?\s*(.*?)\s*```", re.DOTALL)


@dataclass(frozen=True)
class Tools:
    """What a request offers: `functions` as in the request, and whether one of them must be called."""

    functions: tuple[Mapping[str, Any], ...]
    forced: bool = False
    most: int | None = None

    @property
    def names(self) -> frozenset[str]:
        """The functions' names."""
        return frozenset(str(function["name"]) for function in self.functions)

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of one call: {"name": …, "arguments": {…}}."""
        if len(self.functions) == 1:
            return _call_schema(self.functions[0], "#")
        return {"anyOf": [_call_schema(function, f"#/anyOf/{i}") for i, function in enumerate(self.functions)]}


def tools_of(request: Request, name: str) -> Tools | None:
    """Return what a request offers; None where there are no tools, or `tool_choice` is "none".

    Raises:
        ModelError: a tool is not a function with a name, or `tool_choice` is not one of them.
    """
    if not request.tools or request.tool_choice == "none":
        return None
    functions = []
    for tool in request.tools:
        function = tool.get("function")
        if tool.get("type") != "function" or not isinstance(function, Mapping) or not function.get("name"):
            raise ModelError(
                f'{name}: a tool must be {{"type": "function", "function": {{"name": …, "parameters": …}}}}'
            )
        functions.append(function)
    most = 1 if request.extra.get("parallel_tool_calls") is False else None
    choice = request.tool_choice
    if choice in (None, "auto"):
        return Tools(tuple(functions), most=most)
    if choice == "required":
        return Tools(tuple(functions), forced=True, most=1)
    wanted = choice.get("function") if isinstance(choice, Mapping) else None
    if not isinstance(wanted, Mapping) or "name" not in wanted:
        raise ModelError(f'{name}: tool_choice must be "auto", "none", "required" or a function, not {choice!r}')
    chosen = tuple(function for function in functions if function["name"] == wanted["name"])
    if not chosen:
        near = did_you_mean(str(wanted["name"]), [str(function["name"]) for function in functions])
        raise ModelError(f"{name}: tool_choice names no function of tools: {wanted['name']!r}{near}")
    return Tools(chosen[:1], forced=True, most=1)


def _call_schema(function: Mapping[str, Any], root: str) -> dict[str, Any]:
    parameters = function.get("parameters") or {"type": "object"}
    return {
        "type": "object",
        "properties": {
            "name": {"const": function["name"]},
            "arguments": _moved(parameters, f"{root}/properties/arguments"),
        },
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _moved(schema: Any, root: str) -> Any:
    """Return a schema whose references into itself hold at its new place inside a larger one."""
    if isinstance(schema, Mapping):
        return {
            key: root + value[1:]
            if key == "$ref" and isinstance(value, str) and value.startswith("#")
            else _moved(value, root)
            for key, value in schema.items()
        }
    return [_moved(item, root) for item in schema] if isinstance(schema, list | tuple) else schema


def parse_calls(
    text: str, names: frozenset[str], *, most: int | None = None, salt: str = ""
) -> tuple[str, tuple[ToolCall, ...]]:
    """Return the text without the calls in it, and the calls; calls of unknown functions stay text.

    `most`: how many calls are read at most. A call's id is a digest of `salt`, its place and what it says, so that a
    repeated request has equal ids and the calls of one conversation have different ones.
    """
    found: list[tuple[str, str]] = []
    rest, at = [], 0
    for block in BLOCK.finditer(text):
        read = _calls(block[1], names)
        if read:
            rest.append(text[at : block.start()].rstrip())
            at = block.end()
            found += read
    if not found:
        bare = text.strip().removeprefix("[TOOL_CALLS]").removeprefix("<|python_tag|>").strip()
        fenced = FENCE.fullmatch(bare)
        found = _calls(fenced[1] if fenced else bare, names)
        rest, at = [], len(text) if found else 0
    rest.append(text[at:] if text[at:].strip() else "")
    calls = tuple(
        ToolCall(_identity(salt, str(i), name, arguments), name, arguments)
        for i, (name, arguments) in enumerate(found[:most])
    )
    return "".join(rest), calls


def _calls(text: str, names: frozenset[str]) -> list[tuple[str, str]]:
    """Return (name, arguments as JSON text) of JSON that is a call, or a list of calls; else nothing."""
    try:
        data = json.loads(text)
    except ValueError:
        return []
    found = []
    for call in data if isinstance(data, list) else [data]:
        if not isinstance(call, Mapping) or call.get("name") not in names:
            return []
        arguments = call.get("arguments", call.get("parameters", {}))
        found.append(
            (call["name"], arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False))
        )
    return found


def _identity(*parts: str) -> str:
    return "call_" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


class ToolText:
    """Lets text through as it comes, but not what may be a call; `finish` tells the two apart."""

    def __init__(self, tools: Tools, salt: str = "") -> None:
        self._tools = tools
        self._salt = salt
        self._raw = ""
        self._shown = 0
        self.calls: tuple[ToolCall, ...] = ()

    def push(self, text: str) -> str:
        """Return what is text for certain."""
        self._raw += text
        # An answer that begins like JSON may be a call as a whole.
        if self._tools.forced or self._raw.lstrip()[:1] in ("", "{", "[", "`"):
            return ""
        at = self._raw.find(OPEN, self._shown)
        safe = self._raw[: at if at >= 0 else len(self._raw) - held_back(self._raw, [OPEN])]
        end = len(safe.rstrip())  # white space before a call is no part of the text
        shown, self._shown = self._raw[self._shown : end], max(self._shown, end)
        return shown

    def finish(self) -> str:
        """Return the text that was held back, the calls (now in `calls`) taken out."""
        text, self.calls = parse_calls(self._raw, self._tools.names, most=self._tools.most, salt=self._salt)
        return text[self._shown :]


def spoken(calls: Sequence[ToolCall]) -> str:
    """Return calls as a model of the Hermes family writes them."""
    return "\n".join(
        f'{OPEN}\n{{"name": {json.dumps(call.name)}, "arguments": {call.arguments or "{}"}}}\n{CLOSE}' for call in calls
    )
