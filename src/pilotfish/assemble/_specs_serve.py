"""The `[serve]` table: what `pilotfish serve` allows, who may ask, and what it keeps; paths are from the file's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pilotfish.assemble._spec import Above0, Count, From0, Ref, Spec, Text


class KeySpec(Spec):
    """One who may ask: `[[serve.keys]]`. `sha256` is the hash of the key, never the key itself.

    An `admin` also sees everyone's traffic on the page.
    """

    name: Text
    sha256: Text
    rate: Above0 | None = None
    burst: Above0 | None = None
    tokens_per_minute: Above0 | None = None
    budget: Above0 | None = None
    budget_period: Literal["day", "month"] | None = None
    models: list[Ref] | None = None
    admin: bool = False


class AnswersSpec(Spec):
    """The response cache: `[serve.answers]`. With an `encoder`, texts that mean the same share an answer too.

    Each key has answers of its own, unless they are `shared`.
    """

    ttl: Above0 = 3600.0
    max_entries: Count = 10_000
    max_bytes: Count = 256 << 20
    encoder: Ref | None = None
    threshold: float = 0.95
    shared: bool = False


class LogSpec(Spec):
    """The decision log: `[serve.log]`. `to` is a file, or the URL of a PostgreSQL data base."""

    to: Text = "pilotfish.log.sqlite"
    redact: Literal["off", "pii", "all"] = "pii"
    days: Above0 | None = None
    queue: Count = 10_000


class ServeSpec(Spec):
    """The `[serve]` table; its limits are those of `pilotfish.serve.settings`."""

    host: Text = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    models: list[Ref] | None = None
    load: bool = True
    page: bool = True
    otel: bool = False
    max_body: Count = 4 << 20
    max_header: Count = 64 << 10
    max_tokens: Count | None = None
    max_answers: Count = 32
    max_inputs: Count = 2048
    max_requests: Count = 1024
    timeout: Above0 = 600.0
    receive_timeout: Above0 = 30.0
    keep_alive: Above0 = 75.0
    drain: From0 = 0.0
    grace: From0 = 30.0
    show_endpoints: bool = False
    hosts: list[Text] = []
    keys: list[KeySpec] = []
    spent: str | None = None
    answers: AnswersSpec | None = None
    log: LogSpec | None = None
