"""What a batch model was told, as plain data that can be compared: two models of one folder must agree in all of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """The settings of one folder of batches; see `BatchModel` for what most of them mean.

    Attributes:
        base: the endpoint's base URL.
        url: what each line of a batch names as its target, "/v1/chat/completions".
        headers: further headers.
    """

    folder: Path
    base: str
    model: str
    url: str
    key_env: str | None
    key_header: str
    headers: tuple[tuple[str, str], ...]
    window: str
    gather: float
    poll: float
    most_requests: int
    most_bytes: int
    timeout: float
    connect_timeout: float
    deadline: float
    retries: int
    longest_wait: float
    max_bytes: int
    settle: float
    progress: bool
