"""The fields of a request's body, checked one by one: what is wrong is told by its name, and never by a traceback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pilotfish.serve._faults import Fault

__all__ = ["check_fields", "number", "whole"]


def wrong(name: str, what: str, value: Any) -> Fault:
    """Return the fault for a field that is not what it must be."""
    shown = repr(value)
    return Fault(
        400, f"{name} must be {what}, not {shown[:80]}{'…' if len(shown) > 80 else ''}", "invalid_value", param=name
    )


def whole(least: int, most: int | None = None) -> Callable[[str, Any], None]:
    """Return the check of a whole number between bounds."""
    bounds = f"{least} or more" if most is None else f"{least} to {most}"

    def check(name: str, value: Any) -> None:
        if (
            isinstance(value, bool)
            or not isinstance(value, int)
            or value < least
            or (most is not None and value > most)
        ):
            raise wrong(name, f"a whole number, {bounds}", value)

    return check


def number(least: float, most: float) -> Callable[[str, Any], None]:
    """Return the check of a number between bounds."""

    def check(name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise wrong(name, f"a number, {least:g} to {most:g}", value)

    return check


def _kind(kind: type, what: str) -> Callable[[str, Any], None]:
    def check(name: str, value: Any) -> None:
        if not isinstance(value, kind):
            raise wrong(name, what, value)

    return check


def _stop(name: str, value: Any) -> None:
    if isinstance(value, str):
        return
    if not isinstance(value, list) or len(value) > 16 or not all(isinstance(one, str) for one in value):
        raise wrong(name, "a text or a list of at most 16 texts", value)


def _choice(name: str, value: Any) -> None:
    if not isinstance(value, str | Mapping):
        raise wrong(name, "a word or an object", value)


def _seed(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong(name, "a whole number", value)


CHECKS: dict[str, Callable[[str, Any], None]] = {
    "max_tokens": whole(1),
    "max_completion_tokens": whole(1),
    "n": whole(1),
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "presence_penalty": number(-2, 2),
    "frequency_penalty": number(-2, 2),
    "seed": _seed,
    "stop": _stop,
    "logprobs": _kind(bool, "true or false"),
    "top_logprobs": whole(0, 20),
    "tools": _kind(list, "a list of objects"),
    "tool_choice": _choice,
    "response_format": _kind(dict, "an object"),
    "stream": _kind(bool, "true or false"),
    "stream_options": _kind(dict, "an object"),
}


def check_fields(data: Mapping[str, Any], **own: Callable[[str, Any], None]) -> None:
    """Check the fields that are there and known; `own` checks come before the usual ones.

    Raises:
        Fault: 400, with the name of the field as `param`.
    """
    for name, value in data.items():
        if value is None:
            continue
        check = own.get(name) or CHECKS.get(name)
        if check is not None:
            check(name, value)
