"""How demonstrations are shown: as turns of the conversation, or as text in the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pilotfish.errors import ConfigError
from pilotfish.model import Message, Request
from pilotfish.prompt.demonstrate.pool import Demonstration
from pilotfish.rows.model_stage import Template

__all__ = ["EXAMPLE", "PROMPT", "Form"]

EXAMPLE = "Input: {input}\nOutput: {output}"
PROMPT = "{demonstrations}\n\nInput: {prompt}\nOutput:"


@dataclass(frozen=True)
class Form:
    """How demonstrations are shown.

    Attributes:
        how: "turns": each is a question of the user's and an answer, between the system's words and the conversation;
            "text": all stand in the last user turn.
        input: of "turns": how a demonstration's input is written, as the user's turns are: "Classify: {input}". What
            stands around {input} is taken off a question before demonstrations are looked for.
        output: of "turns": the same of the answer.
        example: of "text": one of them, with {input} and {output}.
        prompt: of "text": the whole turn, with {demonstrations} and {prompt}.

    Raises:
        ConfigError: another way, or a template without its places.
    """

    how: Literal["turns", "text"] = "turns"
    input: str = "{input}"
    output: str = "{output}"
    example: str = EXAMPLE
    prompt: str = PROMPT

    def __post_init__(self) -> None:
        if self.how not in ("turns", "text"):
            raise ConfigError(f"demonstrations are shown as turns or text, not {self.how!r}")
        for name, places in (
            ("input", ["input"]),
            ("output", ["output"]),
            ("example", ["input", "output"]),
            ("prompt", ["demonstrations", "prompt"]),
        ):
            if set(Template(getattr(self, name)).columns) != set(places):
                raise ConfigError(f"`{name}` has {' and '.join('{' + place + '}' for place in places)}, and no other")

    def asked(self, prompt: str) -> str:
        """Return a question without what `input` puts around one."""
        before, after = _around(self.input)
        if self.how == "turns" and prompt.startswith(before) and prompt.endswith(after):
            return prompt[len(before) : len(prompt) - len(after)] or prompt
        return prompt

    def shown(self, request: Request, demonstrations: Sequence[Demonstration]) -> Request:
        """Return the request with demonstrations in it; without any as it was."""
        if not demonstrations:
            return request
        if self.how == "text":
            example = Template(self.example)
            told = "\n\n".join(example.fill(_values(one)) for one in demonstrations)
            whole = Template(self.prompt).fill({"demonstrations": told, "prompt": request.prompt})
            return request.with_prompt(whole)
        question, answer = Template(self.input), Template(self.output)
        turns: list[Message] = []
        for one in demonstrations:
            turns.append(Message("user", question.fill(_values(one))))
            turns.append(Message("assistant", answer.fill(_values(one))))
        first = next(
            (at for at, message in enumerate(request.messages) if message.role not in ("system", "developer")),
            len(request.messages),
        )
        return request.with_(messages=(*request.messages[:first], *turns, *request.messages[first:]))


def _values(one: Demonstration) -> dict[str, str]:
    return {"input": one.input, "output": one.output}


def _around(template: str) -> tuple[str, str]:
    """Return what stands before and behind the one place of a template."""
    before, after, behind = "", "", False
    for literal, column in Template(template).parts:
        if behind:
            after += literal
        else:
            before += literal
        behind = behind or column is not None
    return before, after
