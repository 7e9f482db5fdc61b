"""What the tables of models at OpenAI-compatible endpoints share, and that of those asked in batches."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pilotfish.assemble._spec import Above0, Count, From0, PriceSpec, Spec, Text

__all__ = ["BATCH_MEANS", "OPENAI_MEANS", "BatchSpec", "EndpointSpec"]


class EndpointSpec(Spec):
    """What all of them have. The key is read from the variable `key_env`; it cannot stand in the file."""

    model: Text
    base_url: str | None = None
    api: Literal["chat", "completions"] = "chat"
    key_env: str | None = "OPENAI_API_KEY"
    key_header: str = "Authorization"
    price: PriceSpec | None = None
    timeout: Above0 = 60.0
    connect_timeout: Above0 = 10.0
    deadline: Above0 = 600.0
    retries: Annotated[int, Field(ge=0)] = 4
    headers: dict[str, str] = {}
    extra: dict[str, object] = {}
    limit_field: str = "max_tokens"


class BatchSpec(EndpointSpec):
    """A provider's batch API: requests go together, and the answers come within the `window`.

    What was answered is kept in the `folder`, relative to the file, in place of a cache. `concurrency` is how many
    requests are put in before whoever runs rows waits.
    """

    use: Literal["batch"]
    folder: Text | None = None
    window: Text = "24h"
    gather: From0 = 2.0
    poll: Above0 = 10.0
    concurrency: Count = 100_000
    most_requests: Count = 50_000
    most_bytes: Count = 200_000_000
    progress: bool = True


# Settings that change how an answer comes, not what it is: a run resumes though they changed.
_MEANS = (
    *("base_url", "key_env", "key_header", "price", "concurrency", "timeout", "connect_timeout", "deadline", "retries"),
    "headers",
)
OPENAI_MEANS = (*_MEANS, "cache")
BATCH_MEANS = (*_MEANS, "folder", "window", "gather", "poll", "most_requests", "most_bytes", "progress")
