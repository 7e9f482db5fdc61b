"""Calls of functions: rendered, forced, read off the text, and never shown as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish._sync import ask
from pilotfish.errors import ModelError
from pilotfish.model import Message, Request, ToolCall
from pilotfish.models._chat import render_chat
from pilotfish.models.local import LocalModel
from tests.asking import streamed
from tests.tiny import tokenizer, write_lm

pytest.importorskip("torch")

from pilotfish.decode.tools import Tools, ToolText, parse_calls
from tests.decode.script import ScriptDecoder, scripted

WEATHER = {
    "name": "weather",
    "description": "The weather of a town.",
    "parameters": {
        "type": "object",
        "properties": {"town": {"$ref": "#/$defs/town"}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
        "required": ["town", "days"],
        "additionalProperties": False,
        "$defs": {"town": {"enum": ["Rome", "Oslo"]}},
    },
}
TIME = {"name": "time", "parameters": {"type": "object", "properties": {}, "additionalProperties": False}}
TOOLS = tuple({"type": "function", "function": function} for function in (WEATHER, TIME))
NAMES = frozenset(["weather", "time"])
CALL = '{"name": "weather", "arguments": {"town": "Rome", "days": 2}}'

# Like Qwen's: tools in the system turn, calls between tags, results in a turn of their own.
KNOWS = (
    "{% if tools %}<tools>{% for t in tools %}{{ t | tojson }}{% endfor %}</tools>{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% for c in m.tool_calls or [] %}<tool_call>{{ c.function.name }}:{{ c.function.arguments.town }}</tool_call>"
    "{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.mark.parametrize(
    ("text", "rest", "calls"),
    [
        (f"<tool_call>\n{CALL}\n</tool_call>", "", ["weather"]),
        (f"Let me look.\n<tool_call>{CALL}</tool_call>", "Let me look.", ["weather"]),
        (f'<tool_call>{CALL}</tool_call>\n<tool_call>{{"name": "time"}}</tool_call>\n', "", ["weather", "time"]),
        (f"<tool_call>{CALL}", "", ["weather"]),
        (f"{CALL}", "", ["weather"]),
        (f"\n[{CALL}, {CALL}]", "", ["weather", "weather"]),
        (f"[TOOL_CALLS] [{CALL}]", "", ["weather"]),
        (f"```json\n{CALL}\n```", "", ["weather"]),
        (CALL.replace("arguments", "parameters"), "", ["weather"]),
        # Not calls: unknown functions, broken JSON, JSON that is something else, JSON inside prose.
        ('{"name": "rain", "arguments": {}}', None, []),
        ('<tool_call>{"name": "rain"}</tool_call>', None, []),
        ('<tool_call>{"name": "time"</tool_call>', None, []),
        ('{"answer": 42}', None, []),
        (f"It is {CALL}", None, []),
        ("Rome.", None, []),
        ("", None, []),
    ],
)
def test_calls_are_read_off_the_text(text: str, rest: str | None, calls: list[str]) -> None:
    left, found = parse_calls(text, NAMES)
    assert left == (text if rest is None else rest)
    assert [call.name for call in found] == calls
    for call in found:
        assert json.loads(call.arguments) == ({"town": "Rome", "days": 2} if call.name == "weather" else {})
    assert len({call.id for call in found}) == len(found)
    assert parse_calls(text, NAMES) == (left, found)
    if found:
        assert parse_calls(text, NAMES, salt="another turn")[1][0].id != found[0].id
        assert len(parse_calls(text, NAMES, most=1)[1]) == 1


PARTS = st.sampled_from(
    ["a ", "\n", " ", "<", "<tool_call>", "</tool_call>", CALL, "{", "}", "<tool", "_call>", "`", "["]
)


@given(st.lists(PARTS, max_size=8), st.integers(1, 5))
def test_what_streams_is_the_text_that_is_left(parts: list[str], size: int) -> None:
    text = "".join(parts)
    reader = ToolText(Tools((WEATHER, TIME)))
    shown = [reader.push(text[at : at + size]) for at in range(0, len(text), size)]
    shown.append(reader.finish())
    left, calls = parse_calls(text, NAMES)
    assert ("".join(shown), reader.calls) == (left, calls)


def test_a_stream_shows_the_words_and_then_the_calls() -> None:
    cutter = tokenizer()
    ids = cutter(f"the cat sat \n<tool_call>{CALL}</tool_call>", add_special_tokens=False)["input_ids"]
    model = scripted(ScriptDecoder([*ids, cutter.eos_token_id], len(cutter)), cutter, [cutter.eos_token_id])
    found = streamed(model, Request.of("0", tools=TOOLS))
    reply = found[-1].reply
    assert reply is not None
    assert "".join(delta.text for delta in found) == reply.text == "the cat sat"
    assert len([delta for delta in found if delta.text]) == 3
    assert found[-2].tool_calls == reply.tool_calls
    assert [call.name for call in reply.tool_calls] == ["weather"]
    assert reply.finish_reason == "tool_calls"
    # Without tools the same words are words.
    plain = ask(model, "0")
    assert (plain.tool_calls, plain.finish_reason) == ((), "stop")
    assert "<tool_call>" in plain.text
    assert ask(model, "0", tools=TOOLS, tool_choice="none").tool_calls == ()


def fits(name: str, arguments: str) -> bool:
    data = json.loads(arguments)
    if name == "time":
        return bool(data == {})
    return set(data) == {"town", "days"} and data["town"] in ("Rome", "Oslo") and 1 <= data["days"] <= 9


@pytest.fixture(scope="module")
def long_lm(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    """A model with room for a description of tools in its few tokens."""
    folder = write_lm(tmp_path_factory.mktemp("long") / "llama", length=2048)
    return LocalModel(folder, name="tiny", dtype="float32", device="cpu").load()


@pytest.mark.parametrize("knows", [True, False])
def test_a_call_that_is_required_is_made_and_fits_its_schema(
    long_lm: LocalModel, monkeypatch: pytest.MonkeyPatch, knows: bool
) -> None:
    lm = long_lm
    if knows:
        monkeypatch.setattr(lm.tokenizer, "chat_template", KNOWS)
    seen = set()
    for seed in range(8):
        request = Request.of("hi", tools=TOOLS, tool_choice="required", temperature=2.0, seed=seed, max_tokens=200)
        assert lm.render(request).endswith("<|im_start|>assistant\n<tool_call>\n")
        reply = ask(lm, request)
        (call,) = reply.tool_calls
        assert fits(call.name, call.arguments)
        assert (reply.text, reply.finish_reason) == ("", "tool_calls")
        seen.add(call.name)
    assert seen == {"weather", "time"}
    named = {"type": "function", "function": {"name": "weather"}}
    (call,) = ask(lm, "hi", tools=TOOLS, tool_choice=named, max_tokens=200).tool_calls
    assert call.name == "weather"
    assert fits(call.name, call.arguments)


CONVERSATION = (
    Message("system", "Be brief."),
    Message("user", "Rain?"),
    Message("assistant", "", tool_calls=(ToolCall("1", "weather", '{"town": "Rome", "days": 1}'),)),
    Message("tool", "sun", tool_call_id="1"),
    Message("tool", "wind", tool_call_id="2"),
    Message("user", "And?"),
)


def test_a_template_that_knows_of_tools_is_given_them() -> None:
    cutter = tokenizer()
    cutter.chat_template = KNOWS
    text = render_chat(cutter, Request(CONVERSATION, tools=TOOLS), "m")
    assert text.startswith("<tools>")
    assert '"weather"' in text
    assert '"time"' in text
    assert "<tool_call>weather:Rome</tool_call>" in text
    assert "<|im_start|>tool\nsun<|im_end|>" in text
    assert "<tools>" not in render_chat(cutter, Request(CONVERSATION), "m")
    assert "<tools>" not in render_chat(cutter, Request(CONVERSATION, tools=TOOLS, tool_choice="none"), "m")


def test_for_another_template_they_are_put_in_words() -> None:
    text = render_chat(tokenizer(), Request(CONVERSATION, tools=TOOLS), "m")
    system, user, assistant, results, end = text.split("<|im_end|>\n")
    assert system.startswith("<|im_start|>system\nBe brief.\n\nYou can call functions.")
    assert json.dumps(TIME) in system
    assert user == "<|im_start|>user\nRain?"
    assert '<tool_call>\n{"name": "weather", "arguments": {"town": "Rome", "days": 1}}\n</tool_call>' in assistant
    # Turns alternate.
    assert results == (
        "<|im_start|>user\n<tool_response>\nsun\n</tool_response>\n<tool_response>\nwind\n</tool_response>\nAnd?"
    )
    assert end == "<|im_start|>assistant\n"
    alone = render_chat(tokenizer(), Request.of("hi", tools=TOOLS), "m")
    assert alone.startswith("<|im_start|>system\nYou can call functions.")
    # What the model writes is what is read.
    assert [call.name for call in parse_calls(assistant, NAMES)[1]] == ["weather"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"tools": ({"type": "function"},)}, "a tool must be"),
        ({"tools": ({"type": "web_search"},)}, "a tool must be"),
        ({"tools": TOOLS, "tool_choice": "always"}, "tool_choice must be .* not 'always'"),
        (
            {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "whether"}}},
            "names no function of tools: 'whether'; did you mean 'weather'",
        ),
        ({"tools": TOOLS, "response_format": {"type": "json_object"}}, "exclude each other"),
        (
            {
                "tools": ({"type": "function", "function": {"name": "f", "parameters": {"type": "objekt"}}},),
                "tool_choice": "required",
            },
            "the format is wrong: .*objekt",
        ),
    ],
)
def test_what_cannot_be_is_one_line(long_lm: LocalModel, settings: Mapping[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=f"^tiny: .*{said}"):
        ask(long_lm, "x", **settings)


def test_a_model_without_a_template_takes_no_tools(tiny_folder: Any) -> None:
    folder: Path = tiny_folder("llama", "bare")
    with pytest.raises(ModelError, match="bare has no chat template, so it takes no tools"):
        ask(LocalModel(folder, name="bare", dtype="float32", device="cpu"), "x", tools=TOOLS)
