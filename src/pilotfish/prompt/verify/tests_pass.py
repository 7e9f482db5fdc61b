"""Trust code that passes tests: those that are given, or the examples in the prompt's docstrings.

Source: generated code filtered by the example tests of its task: Li et al. 2022 (AlphaCode), section 4.3.
"""

from __future__ import annotations

import asyncio
import doctest
import re
from dataclasses import dataclass

from pilotfish.errors import ConfigError
from pilotfish.measure.answers import code_of
from pilotfish.measure.checks import Verdict
from pilotfish.measure.sandbox import run_python
from pilotfish.model import Reply, Request

__all__ = ["PassesTests", "examples_of"]

_QUOTES = re.compile(r"^[ \t]*(\"{3}|'{3}).*$", re.MULTILINE)
_RUN = """
import doctest as _doctest
_globals = dict(globals())
_test = _doctest.DocTestParser().get_doctest({examples!r}, _globals, "the examples", None, 0)
_runner = _doctest.DocTestRunner(verbose=False, optionflags=_doctest.NORMALIZE_WHITESPACE)
_told = []
_runner.run(_test, out=_told.append)
if _runner.failures:
    print("".join(_told)[-1500:])
    raise SystemExit("an example of the task does not come out")
"""


@dataclass(frozen=True)
class PassesTests:
    """Trust a reply whose Python code passes tests in the sandbox: without a network, and nothing of the user's.

    Attributes:
        tests: Python that fails by raising; None takes the request's `metadata["tests"]`, else the examples (`>>>`)
            that its last user turn has.
        seconds: the most that a run may take.
    """

    tests: str | None = None
    seconds: float = 10.0

    async def __call__(self, request: Request, reply: Reply) -> Verdict:
        """Run the code with its tests.

        Raises:
            ConfigError: there are no tests anywhere, or this machine has no sandbox.
        """
        tests = self.tests if self.tests is not None else request.metadata.get("tests")
        if not isinstance(tests, str) or not tests.strip():
            examples = examples_of(request.prompt)
            if not examples:
                raise ConfigError('no tests: give them, or put them into metadata["tests"], or as >>> into the prompt')
            tests = _RUN.format(examples=examples)
        code = code_of(reply.text)
        if not code.strip():
            return Verdict(False, 0.0, why="It holds no code.")
        ran = await asyncio.to_thread(run_python, f"{code}\n\n{tests}\n", seconds=self.seconds)
        why = "" if ran.passed else f"Its code fails its tests: {ran.why}.\n{ran.output[-600:]}".strip()
        return Verdict(ran.passed, float(ran.passed), why=why)


def examples_of(prompt: str) -> str:
    """Return the `>>>` examples of a prompt that say what comes out, as one doctest; "" where there are none."""
    # What ends a docstring ends its last example's output too.
    text = _QUOTES.sub("", prompt)
    try:
        found = doctest.DocTestParser().get_examples(text)
    except ValueError:  # not one as doctest has them
        return ""
    return "\n".join(_written(one) for one in found if one.want)


def _written(example: doctest.Example) -> str:
    first, *rest = example.source.rstrip("\n").split("\n")
    return "\n".join([f">>> {first}", *(f"... {line}" for line in rest), example.want])
