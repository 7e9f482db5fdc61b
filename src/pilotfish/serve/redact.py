"""What is taken out of requests and replies before they are written down: private data, or all text.

Patterns find what has a shape: e-mail addresses, phone numbers, cards (Luhn), accounts (IBAN), keys and tokens. They
do not find names, streets or illnesses. Where those must not be kept, keep no text: "all".
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any, Literal, get_args

from pilotfish.errors import ConfigError, did_you_mean
from pilotfish.serve._private import PATTERNS

__all__ = ["Redact", "Redactor", "redacted"]

Redact = Literal["off", "pii", "all"]
# What a request says besides its text, and what stays readable where no text is kept: numbers and these words.
_WORDS = frozenset({"role", "type", "finish_reason"})
# Below these every name is the client's.
_MADE_UP = frozenset({"metadata", "json_schema", "logit_bias"})
_LONG = 20_000  # characters; what is longer is not remembered
_MARGIN = 20_000  # characters; no pattern sees further
_WORD = re.compile(r"[a-z_]{1,32}")


def redacted(text: str) -> str:
    """Return the text with e-mail addresses, phone, card and account numbers, keys and passwords replaced."""
    return _redacted(text) if len(text) <= _LONG else _redacted.__wrapped__(text)


@functools.lru_cache(maxsize=512)
def _redacted(text: str) -> str:
    """Return the redacted text; remembered, since system prompts come with every request."""
    lowered = text.lower()
    for may_hold, pattern, by in PATTERNS:
        if may_hold(lowered):
            text = pattern.sub(by, text)
    return text


class Redactor:
    """Takes private data out of JSON-like data.

    Args:
        how: "off" leaves everything, "pii" replaces what `redacted` finds, "all" keeps a hash of each text only: equal
            texts can be told as equal, and nothing be read. A short text can still be guessed by who has the salt.
        salt: goes into the hashes of "all".
        longest: characters of a text that will be kept; of a longer one "pii" reads, and returns, not much more.

    Raises:
        ConfigError: no such way.
    """

    def __init__(self, how: Redact = "pii", salt: bytes = b"", longest: int | None = None) -> None:
        if how not in get_args(Redact):
            raise ConfigError(f"redact is one of {', '.join(get_args(Redact))}{did_you_mean(how, get_args(Redact))}")
        self.how = how
        self.salt = salt
        self.longest = longest

    def text(self, text: str) -> str:
        """Return what is kept of a text."""
        if self.how == "off" or not text:
            return text
        if self.how == "all":
            digest = hmac.new(self.salt, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
            return f"sha256:{digest}"
        if self.longest is not None and len(text) > self.longest + 2 * _MARGIN:
            # The cut may have left half of a secret at the end, which no pattern knows: the end is not kept.
            return redacted(text[: self.longest + 2 * _MARGIN])[:-_MARGIN]
        return redacted(text)

    def line(self, text: str) -> str:
        """Return what is kept of a line of our own that may quote a request: an error, a reason."""
        return redacted(text) if self.how != "off" else text

    def data(self, data: Any, key: str = "") -> Any:
        """Return JSON-like data with every text in it as `text` leaves it; pictures and sounds in it are left out."""
        if self.how == "off":
            return data
        if isinstance(data, str):
            if data.startswith("data:") and len(data) > 64:
                return "[data]"
            return data if key in _WORDS and _WORD.fullmatch(data) else self.text(data)
        if isinstance(data, Mapping):
            if self.how == "all" and key == "function":
                return {"name": data.get("name")} if "name" in data else {}
            if "data" in data and "format" in data:  # a sound in a message
                return {**{name: self.data(value, name) for name, value in data.items()}, "data": "[data]"}
            if self.how == "all" and key in _MADE_UP:
                return self.text(json.dumps(data, sort_keys=True, default=str))
            # Names of fields are the API's own words, but for those that a client makes up, such as in metadata.
            return {self._name(name): self.data(value, name) for name, value in data.items()}
        if isinstance(data, list | tuple):
            return [self.data(item, key) for item in data]
        return data

    def _name(self, name: str) -> str:
        return self.text(name) if self.how == "all" and not _WORD.fullmatch(name) else redacted(name)
