"""Trust by what can be checked: a pattern, a JSON schema, code that runs, a scope, a function of the user's own.

A cascade accepts replies by them, a distillation verifies its teacher's answers by them.

Source: Chen et al. 2023 (FrugalGPT), section 3, the reliability score, here a proof instead of a guess.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pilotfish.errors import ConfigError, ModelError
from pilotfish.measure.answers import code_of, unfenced
from pilotfish.measure.grade import function_at
from pilotfish.model import Reply, Request, Trace

__all__ = [
    "INSIDE",
    "OUTSIDE",
    "Accept",
    "ByFunction",
    "CodeRuns",
    "FitsSchema",
    "InScope",
    "Matches",
    "Verdict",
    "validator_of",
]

INSIDE, OUTSIDE = "in scope", "out of scope"  # what a classifier that knows its scope decides


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a reply is trusted, and the score that says so.

    Attributes:
        accepted: whether it is.
        score: the more, the more it is trusted.
        trace: the calls that finding out took; they are paid for, whatever the verdict.
        reply: another reply to trust in its place, where finding out brought a better one.
        threshold: what the score was held against, where there is one.
        why: what is wrong, in words that whoever answered can mend it by; "" where nothing is known.
    """

    accepted: bool
    score: float | None = None
    trace: Trace = field(default_factory=Trace)
    reply: Reply | None = None
    threshold: float | None = None
    why: str = ""


Accept = Callable[[Request, Reply], Verdict | Awaitable[Verdict]]


@dataclass(frozen=True)
class Matches:
    """Trust a reply in which a pattern is found (`re.search`); start it with `^` and end it with `$` for the whole."""

    pattern: str

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ConfigError(f"{self.pattern!r} is not a pattern: {error}") from None

    def __call__(self, request: Request, reply: Reply) -> Verdict:
        """Search the reply."""
        found = re.search(self.pattern, reply.text) is not None
        return Verdict(found, float(found), why="" if found else f"It has to match the pattern {self.pattern!r}.")


@dataclass(frozen=True)
class FitsSchema:
    """Trust a reply that is JSON and fits a JSON schema, the request's own (`response_format`) where none is given.

    A reply in a Markdown fence counts as what stands in the fence.
    """

    schema: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        _ = self._own

    @cached_property
    def _own(self) -> Any:
        return None if self.schema is None else validator_of(self.schema)

    def __call__(self, request: Request, reply: Reply) -> Verdict:
        """Validate the reply.

        Raises:
            ConfigError: neither the check nor the request has a schema.
        """
        validator = self._own
        if validator is None:
            asked = _asked(request)
            if asked is None:
                raise ConfigError("a check by schema: give `schema`, or ask with response_format = json_schema")
            validator = validator_of(asked)
        try:
            value = json.loads(unfenced(reply.text))
        except (ValueError, RecursionError) as error:
            return Verdict(False, 0.0, why=f"It is not JSON: {error}.")
        wrong = next(iter(validator.iter_errors(value)), None)
        why = "" if wrong is None else f"It does not fit its JSON schema at {wrong.json_path}: {wrong.message}."
        return Verdict(wrong is None, float(wrong is None), why=why)


@dataclass(frozen=True)
class CodeRuns:
    """Trust a reply whose Python code runs to its end, in the sandbox: without a network, and nothing of the user's.

    Attributes:
        seconds: the most that it may take.
    """

    seconds: float = 10.0

    async def __call__(self, request: Request, reply: Reply) -> Verdict:
        """Run the reply's code: its first fence, else all of it; no code at all is not trusted.

        Raises:
            ConfigError: this machine has no sandbox.
        """
        from pilotfish.measure.sandbox import run_python

        code = code_of(reply.text)
        # In a thread: it waits for another process, and other requests need not.
        if not code.strip():
            return Verdict(False, 0.0, why="It holds no code.")
        ran = await asyncio.to_thread(run_python, code, seconds=self.seconds)
        return Verdict(ran.passed, float(ran.passed), why="" if ran.passed else f"Its code does not run: {ran.why}.")


@dataclass(frozen=True)
class ByFunction:
    """Trust what a function of the user's says: `module:function`, called with the request and the reply.

    It returns True or False, a number (trusted from `above` on), or a `Verdict`; it may be async.
    """

    path: str
    above: float = 0.5

    def __post_init__(self) -> None:
        _ = self._function

    @cached_property
    def _function(self) -> Callable[[Request, Reply], Any]:
        return function_at(self.path)

    async def __call__(self, request: Request, reply: Reply) -> Verdict:
        """Ask the function."""
        said: Any = self._function(request, reply)
        if inspect.isawaitable(said):
            said = await said
        if isinstance(said, Verdict):
            return said
        if isinstance(said, bool):
            return Verdict(said, float(said))
        return Verdict(said >= self.above, float(said), threshold=self.above)


@dataclass(frozen=True)
class InScope:
    """Trust a classifier's reply that is not out of its scope, as its own decision says, and that is sure enough.

    The score is the reply's confidence, and 0 of one out of scope, which no threshold trusts.

    Attributes:
        above: the least confidence; 0 asks for the scope alone.
    """

    above: float = 0.0

    def __call__(self, request: Request, reply: Reply) -> Verdict:
        """Look at the reply's last decision about its scope.

        Raises:
            ModelError: it has none.
        """
        said = [one.verdict for one in reply.trace.decisions if one.verdict in (INSIDE, OUTSIDE)]
        if not said:
            raise ModelError("accept by scope: the model does not say what is in its scope; teach it by --out-of-scope")
        if said[-1] == OUTSIDE:
            return Verdict(False, 0.0, threshold=self.above, why="It is about something that it was not taught.")
        sure = 1.0 if reply.mean_logprob is None else math.exp(reply.mean_logprob)
        return Verdict(sure >= self.above, sure, threshold=self.above)


def validator_of(schema: Mapping[str, Any]) -> Any:
    """Return what validates by a JSON schema.

    Raises:
        ConfigError: it is no schema.
    """
    import jsonschema

    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(dict(schema))
    except jsonschema.SchemaError as error:
        raise ConfigError(f"not a JSON schema: {error.message}") from None
    return kind(dict(schema))


def _asked(request: Request) -> Mapping[str, Any] | None:
    form = request.response_format or {}
    found = (form.get("json_schema") or {}).get("schema")
    return found if isinstance(found, Mapping) else None
