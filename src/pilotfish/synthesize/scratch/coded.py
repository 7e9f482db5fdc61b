"""Exercises in Python with a solution and tests, kept only where the solution passes and a stub does not.

Source: Luo et al. 2024 (WizardCoder) for the rows; the proof by running them is that of Haluptzok et al. 2023 (Language
Models Can Teach Themselves to Program Better), section 3.
"""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish.errors import ConfigError
from pilotfish.measure.answers import code_of
from pilotfish.measure.sandbox import run_python
from pilotfish.model import Reply
from pilotfish.rows._row import Row
from pilotfish.synthesize.asking import Asking
from pilotfish.synthesize.fields import Fields
from pilotfish.synthesize.recipe import Check, Made, Prompt, Recipe, Unread
from pilotfish.synthesize.scratch._turns import turns, values_of
from pilotfish.synthesize.templates import Template

__all__ = ["Coded", "Proven"]

FIELDS = Fields({"prompt": "what the function does", "solution": "its code", "tests": "assertions"})

ASKING = Asking(temperatures=(0.8,), max_tokens=1024)


class Coded(Recipe):
    """Writes exercises: {prompt, solution, tests, entry_point}.

    Args:
        task: what kind of exercise, in words.
        attributes: name -> values, each in turn.
        tests: the least number of assertions.
        asking: how the model is asked.
        template: a name of ours, or a file.
    """

    name = "coded"

    def __init__(
        self,
        task: str,
        *,
        attributes: Mapping[str, Sequence[str]] | None = None,
        tests: int = 3,
        asking: Asking = ASKING,
        template: str | Path = "coded",
    ) -> None:
        if tests < 1:
            raise ConfigError(f"tests must be 1 or more, not {tests}")
        self.task, self.tests, self.asking = task, tests, asking
        self.attributes = values_of(attributes or {})
        self.template = Template(template)

    def prompts(self, made: Made) -> Sequence[Prompt]:
        """Return a prompt for each exercise that is missing."""
        short = made.short()
        random = np.random.default_rng([made.seed, made.round])
        found = []
        for number, drawn in enumerate(turns(self.attributes, round(short / made.kept_a_prompt), random)):
            text = self.template.fill({"task": self.task, "attributes": drawn, "tests": self.tests})
            request = self.asking.request(text, made, number, FIELDS.response_format())
            found.append(Prompt(request, {"attributes": drawn}, self.template.version))
        return found

    def read(self, prompt: Prompt, reply: Reply) -> Iterable[Row | Unread]:
        """Return the exercise of an answer, with the name that its tests call."""
        for one in FIELDS.read(reply.text):
            if isinstance(one, Unread):
                yield one
                continue
            solution, tests = code_of(str(one["solution"])).strip(), code_of(str(one["tests"])).strip()
            try:
                names = _functions(solution)
                calls = _called(tests)
            except (SyntaxError, ValueError) as error:
                yield Unread(f"no Python: {str(error)[:100]}", reply.text)
                continue
            entry = next((name for name in reversed(names) if name in calls), None)
            if entry is None:
                yield Unread("the tests call no function of the solution", reply.text)
            elif tests.count("assert") < self.tests:
                yield Unread("too few tests", reply.text)
            else:
                yield {"prompt": one["prompt"], "solution": solution, "tests": tests, "entry_point": entry}


class Proven(Check):
    """Keeps the exercises whose solution passes its tests, in the sandbox, where a function that does nothing fails.

    Args:
        seconds: the most that a program may take.
    """

    name = "not proven"

    def __init__(self, seconds: float = 5.0) -> None:
        self.seconds = seconds

    async def reasons(self, rows: Sequence[Row], prompts: Sequence[Prompt], made: Made) -> Sequence[str | None]:
        """See `Check`."""
        return [await self._reason(row) for row in rows]

    async def _reason(self, row: Row) -> str | None:
        def passes(solution: str) -> bool:
            return run_python(f"{solution}\n\n{row['tests']}\n", seconds=self.seconds).passed

        if not await asyncio.to_thread(passes, str(row["solution"])):
            return "the solution fails its tests"
        stub = f"def {row['entry_point']}(*args, **kwargs):\n    return None\n"
        if await asyncio.to_thread(passes, stub):
            return "the tests pass without a solution"
        return None

    def config(self) -> dict[str, Any]:
        """Return the settings."""
        return {"seconds": self.seconds}


def _functions(code: str) -> list[str]:
    return [node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def _called(code: str) -> set[str]:
    return {
        node.func.id
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
