"""What a provider says of a batch and of each request in it, as plain data.

Source: the OpenAI API reference, "Batch" (the object, the input line, the output line) and its imitators, whose counts
may be missing and whose absent file ids may be empty texts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pilotfish.models._http_errors import AttemptError, tidy
from pilotfish.models._http_json import loads
from pilotfish.models._http_wire import Assembly

__all__ = ["ENDED", "OURS", "Fault", "Outcome", "Status", "outcome_of"]

OURS = "pilotfish"  # the key in a batch's metadata under which our own id stands
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
# These blame the request itself: it is wrong however often it is asked.
_REFUSED = frozenset({400, 413, 415, 422})


@dataclass(frozen=True)
class Fault:
    """Why a batch as a whole failed; `line` counts from 1, None where no line is blamed."""

    code: str
    message: str
    line: int | None = None


@dataclass(frozen=True)
class Status:
    """A batch as the provider last told of it.

    Attributes:
        id: the provider's.
        status: the provider's word: validating, in_progress, finalizing, completed, failed, expired, cancelling,
            cancelled.
        total, done, failed: requests; 0 where it does not say.
        files: the ids of the files with answers and with errors, as far as there are any.
        faults: why it failed.
        ours: our own id from its metadata; empty where a provider keeps none.
        source: the id of the file of requests.
        created: seconds since 1970; None where it is told in no such way.
    """

    id: str
    status: str
    total: int = 0
    done: int = 0
    failed: int = 0
    files: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    ours: str = ""
    source: str = ""
    created: float | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status in ENDED

    @property
    def crowded(self) -> bool:
        """Whether it failed because too many tokens wait at the provider already: a smaller one, later, may pass."""
        return self.status == "failed" and any(is_crowded(f"{fault.code} {fault.message}") for fault in self.faults)

    @property
    def why(self) -> str:
        """What the provider says about its failure, on one line."""
        said = "; ".join(dict.fromkeys(fault.message or fault.code for fault in self.faults))
        return tidy(said) or "the endpoint does not say why"

    @classmethod
    def of(cls, data: Any, shown: str) -> Status:
        """Read a batch object.

        Raises:
            AttemptError: it is none.
        """
        if not isinstance(data, Mapping) or not data.get("id") or not isinstance(data.get("status"), str):
            raise AttemptError(f"{shown} sent JSON that is no batch: it has no id and status", status=200)
        counts, metadata = data.get("request_counts"), data.get("metadata")
        counts = counts if isinstance(counts, Mapping) else {}
        errors = data.get("errors")
        errors = errors.get("data") if isinstance(errors, Mapping) else errors
        created = data.get("created_at")
        total, done, failed = (_count(counts.get(name)) for name in ("total", "completed", "failed"))
        return cls(
            str(data["id"]),
            data["status"],
            total,
            done,
            failed,
            tuple(str(data[name]) for name in ("output_file_id", "error_file_id") if data.get(name)),
            tuple(_fault(one) for one in errors or () if isinstance(one, Mapping | str)),
            str(metadata.get(OURS) or "") if isinstance(metadata, Mapping) else "",
            str(data.get("input_file_id") or ""),
            float(created) if isinstance(created, int | float) else None,
        )


@dataclass(frozen=True)
class Outcome:
    """What came of one request.

    Attributes:
        body: the answer's JSON, as it came; empty where there is none.
        fault: why there is none.
        status: the HTTP status that the provider gives with a fault.
        again: whether asking again may help.
        tokens_in, tokens_out: as the provider counted them.
    """

    body: str = ""
    fault: str = ""
    status: int | None = None
    again: bool = False
    tokens_in: int = 0
    tokens_out: int = 0


def is_crowded(text: str) -> bool:
    """Say whether an error speaks of the tokens that wait at the provider (`token_limit_exceeded`, "Enqueued…")."""
    text = text.lower()
    return "token_limit_exceeded" in text or "enqueued token" in text


def outcome_of(raw: bytes, shown: str) -> tuple[bytes, Outcome] | None:
    """Read a line of an output or error file: the request's key and what came of it; None where it is no such line."""
    try:
        data = loads(raw)
        key = bytes.fromhex(data["custom_id"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    response, error = data.get("response"), data.get("error")
    if not isinstance(response, Mapping):
        return key, Outcome(fault=f"{shown}: {_said(error) or 'no answer and no error'}", again=True)
    status, body = response.get("status_code"), response.get("body")
    status = status if isinstance(status, int) else None
    if status != 200 or not isinstance(body, Mapping):
        said = _said(body) or _said(error)
        fault = f"{shown} answered {status}" + (f": {said}" if said else "")
        return key, Outcome(fault=fault, status=status, again=status not in _REFUSED)
    assembly = Assembly(shown, logprobs=False)
    try:
        assembly.add(body)
        assembly.reply()
    except AttemptError as fault:
        return key, Outcome(fault=str(fault), status=fault.status, again=True)
    tokens = assembly.tokens or (0, 0)
    return key, Outcome(json.dumps(body, ensure_ascii=False, separators=(",", ":")), "", 200, False, *tokens)


def _fault(data: Mapping[str, Any] | str) -> Fault:
    if isinstance(data, str):
        return Fault("", tidy(data))
    line = data.get("line")
    return Fault(str(data.get("code") or ""), tidy(str(data.get("message") or "")), line if _is_count(line) else None)


def _said(data: Any) -> str:
    """Return the words of an error, which stand in `error`, `message`, or in a text."""
    for name in ("error", "message"):
        if isinstance(data, Mapping) and data.get(name):
            data = data[name]
    if isinstance(data, Mapping):
        data = data.get("code") or json.dumps(data, ensure_ascii=False)
    return tidy(str(data)) if data else ""


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _count(value: Any) -> int:
    return value if _is_count(value) else 0
