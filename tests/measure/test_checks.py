"""What can be checked: patterns, schemas, the user's own functions."""

from __future__ import annotations

import asyncio
import sys
import types
from typing import Any

import pytest

from pilotfish import ask
from pilotfish.errors import ConfigError
from pilotfish.infer import Cascade
from pilotfish.measure.checks import ByFunction, CodeRuns, FitsSchema, Matches, Verdict
from pilotfish.model import Reply, Request
from tests.fakes import ScriptedModel

SCHEMA = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
ASKED = Request.of("?")


def test_a_pattern_is_searched() -> None:
    assert Matches(r"^\d+$")(ASKED, Reply("42")).accepted
    assert not Matches(r"^\d+$")(ASKED, Reply("42 or so")).accepted
    with pytest.raises(ConfigError, match="not a pattern"):
        Matches("(")


@pytest.mark.parametrize(
    ("said", "fits"),
    [
        ('{"age": 3}', True),
        ('```json\n{"age": 3}\n```', True),
        ('{"age": "3"}', False),
        ("{}", False),
        ("three", False),
        ('{"age": 3', False),
        ("[" * 100_000, False),
    ],
)
def test_a_schema_is_kept_or_not(said: str, fits: bool) -> None:
    assert FitsSchema(SCHEMA)(ASKED, Reply(said)).accepted is fits
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    assert FitsSchema()(Request.of("?", response_format=form), Reply(said)).accepted is fits


def test_no_schema_or_a_wrong_one_is_told() -> None:
    with pytest.raises(ConfigError, match="give `schema`, or ask with response_format"):
        FitsSchema()(ASKED, Reply("{}"))
    with pytest.raises(ConfigError, match="not a JSON schema"):
        FitsSchema({"type": "objekt"})


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the sandbox needs Linux")
@pytest.mark.parametrize(
    ("said", "runs"),
    [
        ("Here:\n```python\nassert sorted([2, 1]) == [1, 2]\n```\nDone.", True),
        ("x = 1 / 0", False),
        ("while True: pass", False),
        ("  ", False),
    ],
)
def test_code_runs_or_not(said: str, runs: bool) -> None:
    assert asyncio.run(CodeRuns(seconds=2)(ASKED, Reply(said))).accepted is runs


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module: Any = types.ModuleType("my_checks")

    async def later(request: Request, reply: Reply) -> float:
        return 0.9 if "good" in reply.text else 0.1

    module.good = lambda request, reply: "good" in reply.text
    module.later = later
    module.whole = lambda request, reply: Verdict(True, 0.3)
    module.number = 3
    monkeypatch.setitem(sys.modules, "my_checks", module)
    return module  # type: ignore[no-any-return]


def test_a_function_of_the_user_s_decides(mine: types.ModuleType) -> None:
    def judged(path: str, said: str, **settings: float) -> Verdict:
        return asyncio.run(ByFunction(path, **settings)(ASKED, Reply(said)))

    assert judged("my_checks:good", "good").accepted
    assert not judged("my_checks:good", "bad").accepted
    assert judged("my_checks:later", "good", above=0.8) == Verdict(True, 0.9, threshold=0.8)
    assert not judged("my_checks:later", "good", above=0.95).accepted
    assert judged("my_checks:whole", "") == Verdict(True, 0.3)
    both = Cascade(ScriptedModel("bad"), ScriptedModel("large"), ByFunction("my_checks:good"))
    assert ask(both, "?").text == "large"


@pytest.mark.parametrize("path", ["my_checks:none", "my_checks", "no_such_module_here:x", ":x", "my_checks:number"])
def test_a_function_that_is_not_there_is_told(mine: types.ModuleType, path: str) -> None:
    with pytest.raises(ConfigError, match=r"no function|is not a function"):
        ByFunction(path)
