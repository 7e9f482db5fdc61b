"""The tables of checks of a reply, which cascades accept by and distillations verify by."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from pilotfish.assemble._spec import Above0, Count, Ref, Spec, Text

__all__ = ["CHECKS", "CheckFields", "CheckSpec", "Ways", "fits"]

# What each way takes beside `by`: the names that it cannot do without, and further ones.
Ways = dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
CHECKS: Ways = {
    "pattern": (("pattern",), ()),
    "schema": ((), ("schema_file",)),
    "code": ((), ("seconds",)),
    "function": (("function",), ("above",)),
    "sums": ((), ("above", "needed")),
    "tests": ((), ("tests_file", "seconds")),
    "grounded": ((), ("nli", "above", "over")),
    "cited": (("model",), ("above", "nli", "all_if_none", "max_tokens")),
    "verifier": (("path",), ("above",)),
}


class CheckFields(Spec):
    """What the checks take."""

    pattern: Text | None = None
    schema_file: Text | None = None
    seconds: Above0 | None = None
    function: Text | None = None
    above: float | None = None
    needed: bool | None = None
    tests_file: Text | None = None
    nli: Text | None = None
    over: Literal["least", "mean"] | None = None
    model: Ref | None = None
    all_if_none: bool | None = None
    max_tokens: Count | None = None
    path: Text | None = None


class CheckSpec(CheckFields):
    """A check of a reply, named by `by`.

    A pattern, a JSON schema, code that runs, the user's own function; sums computed again, tests that code passes,
    sentences that what was given bears out, a small model that agrees from what is cited, a taught verifier.
    """

    by: Literal["pattern", "schema", "code", "function", "sums", "tests", "grounded", "cited", "verifier"]

    @model_validator(mode="after")
    def _fits(self) -> CheckSpec:
        fits("a check", self.by, CHECKS, self.settings())
        if self.by == "schema" and self.schema_file is None:
            raise ValueError("a check by schema needs `schema_file`: the teacher is asked without a schema of its own")
        return self

    def settings(self) -> dict[str, Any]:
        """Return what was given, without `by`."""
        return self.model_dump(exclude={"by"}, exclude_none=True)


def fits(what: str, by: str, ways: Ways, given: dict[str, Any], needed: tuple[str, ...] | None = None) -> None:
    """See that what was given is what a way takes; `needed` stands in for what it cannot do without.

    Raises:
        ValueError: something is missing, or would not be looked at.
    """
    must, may = ways[by]
    for name in must if needed is None else needed:
        if name not in given:
            raise ValueError(f"{what} by {by} needs `{name}`")
    for name in given:
        if name not in (*must, *may):
            known = f"; it takes {', '.join((*must, *may))}" if must or may else ""
            raise ValueError(f"{what} by {by} takes no `{name}`{known}")
