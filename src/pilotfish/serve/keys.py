"""Who may ask what, and how much: keys that are known by their hash only, with rates, budgets and models of their own.

The file holds `sha256`, never the key: `new_key()` makes both. A key is 256 random bits, so a plain hash of it cannot
be turned back by guessing, and needs no salt.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pilotfish.errors import ConfigError, PilotfishError, did_you_mean
from pilotfish.model import Usage
from pilotfish.serve._ledger import Ledger
from pilotfish.serve.limits import Bucket, Budget

__all__ = ["Key", "Keys", "Refused", "new_key"]

_FIELDS = ("name", "sha256", "rate", "burst", "tokens_per_minute", "budget", "budget_period", "models", "admin")
_LOG = logging.getLogger("pilotfish.serve")


class Refused(PilotfishError):  # noqa: N818 what happened to the request
    """A request that is not let in.

    Attributes:
        status: the HTTP status: 401, 403 or 429.
        code: what clients look at, as OpenAI calls it: "invalid_api_key", "model_not_allowed", "rate_limit_exceeded",
            "insufficient_quota".
        retry_after: seconds after which it may be let in; None where waiting does not help.
    """

    def __init__(self, status: int, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


class Key:
    """One who asks: `admit` before a request, `spent` after it, however it ended.

    Attributes:
        name: what logs show; "" for everyone where the gateway has no keys.
        models: the models that may be asked; None for all.
        requests: the bucket of requests; None without a rate.
        tokens: the bucket of tokens, in and out; None without a limit.
        budget: the dollars; None without one.
        admin: whether it may see the traffic of all, which the page shows.
    """

    def __init__(
        self,
        name: str = "",
        *,
        models: Sequence[str] | None = None,
        requests: Bucket | None = None,
        tokens: Bucket | None = None,
        budget: Budget | None = None,
        admin: bool = False,
    ) -> None:
        self.name = name
        self.admin = admin
        self.models = None if models is None else frozenset(models)
        self.requests, self.tokens, self.budget = requests, tokens, budget
        self._lock = threading.Lock()
        self._warned = False

    def may_use(self, model: str) -> bool:
        """Say whether this key may ask the model."""
        return self.models is None or model in self.models

    def check(self, model: str) -> None:
        """Let the model through.

        Raises:
            Refused: 403, this key may not ask it.
        """
        if not self.may_use(model):
            raise Refused(403, "model_not_allowed", f"the key {self.name!r} may not use the model {model!r}")

    def admit(self, tokens: int = 0) -> None:
        """Let one request through and take its share; a refused one takes nothing.

        Args:
            tokens: what the request is thought to use, in and out.

        Raises:
            Refused: 429, for a rate with the seconds to wait, or for a budget that is used up.
        """
        with self._lock:
            if self.budget is not None and self.budget.left <= 0:
                raise self._poor(self.budget)
            if self.tokens is not None and tokens > self.tokens.burst:
                most = f"{tokens} tokens, more than the {self.tokens.burst:g} that {self.name!r} may use a minute"
                raise Refused(429, "rate_limit_exceeded", f"the request may take {most}")
            waits = [
                ("requests", self.requests.wait(1) if self.requests else 0.0),
                ("tokens", self.tokens.wait(tokens) if self.tokens else 0.0),
            ]
            what, wait = max(waits, key=lambda pair: pair[1])
            if wait > 0:
                message = f"the key {self.name!r} has no {what} left for now; try again in {wait:.3g} s"
                raise Refused(429, "rate_limit_exceeded", message, wait)
            if self.requests is not None:
                self.requests.take(1)
            if self.tokens is not None:
                self.tokens.take(tokens)

    def spent(self, usage: Usage, cost: float | None, admitted: int = 0) -> None:
        """Count what a request used: a stream, a failed and a cancelled one too.

        Args:
            usage: tokens over all its calls.
            cost: dollars; None where a price is not known, which a budget cannot count.
            admitted: the tokens that `admit` took for it, which are set right now.
        """
        with self._lock:
            if self.tokens is not None:
                self.tokens.take(usage.tokens_in + usage.tokens_out - admitted)
            if self.budget is None:
                return
            if cost is not None:
                self.budget.charge(cost)
            elif not self._warned:
                self._warned = True
                _LOG.warning("the budget of the key %r does not count calls of models without a price", self.name)

    def _poor(self, budget: Budget) -> Refused:
        span = f" for this {budget.period}" if budget.period else ""
        message = f"the key {self.name!r} has used up its ${budget.dollars:g}{span}"
        return Refused(429, "insufficient_quota", message, budget.renewed_in())


class Keys:
    """All keys of a gateway. Without any, everyone may ask.

    Args:
        keys: tables with `name`, `sha256` (64 hexadecimal digits), and as far as wanted: `rate` (requests a second),
            `burst` (requests at once; the rate, and 1 at least, where not given), `tokens_per_minute`, `budget`
            (dollars), `budget_period` ("day" or "month", UTC; all time where not given), `models`, `admin` (true
            for those who may see the traffic of all on the gateway's page).
        spent: the file that keeps what was spent; None keeps it in memory, so a restart forgets it.
        clock: seconds that never run backwards, for rates.
        now: seconds since 1970, for budgets.

    Raises:
        ConfigError: a table is wrong.
        DataError: the file cannot be used.
    """

    def __init__(
        self,
        keys: Sequence[Mapping[str, Any]] = (),
        spent: str | Path | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        tables = [_checked(table) for table in keys]
        for field in ("name", "sha256"):
            seen = [table[field] for table in tables]
            twice = next((one for one in seen if seen.count(one) > 1), None)
            if twice is not None:
                raise ConfigError(f"two keys have the same {field}: {twice}")
        self.ledger = Ledger(spent if any("budget" in table for table in tables) else None)
        self._keys = [(bytes.fromhex(table["sha256"]), self._key(table, clock, now)) for table in tables]
        self._everyone = Key(admin=True)

    def __len__(self) -> int:
        return len(self._keys)

    def who(self, authorization: str | None) -> Key:
        """Return the key that an `Authorization: Bearer …` header holds.

        The time it takes does not depend on which key it is, nor on how near a wrong one comes.

        Raises:
            Refused: 401, no key, or none that is known.
        """
        if not self._keys:
            return self._everyone
        scheme, _, secret = (authorization or "").strip().partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise Refused(401, "invalid_api_key", "no API key: send it as `Authorization: Bearer …`")
        digest = hashlib.sha256(secret.strip().encode("utf-8", "surrogateescape")).digest()
        found: Key | None = None
        for known, key in self._keys:
            if hmac.compare_digest(known, digest):
                found = key  # no break: every key is compared, whichever it is
        if found is None:
            raise Refused(401, "invalid_api_key", "this API key is not known here")
        return found

    def close(self) -> None:
        """Write what was spent, and close the file."""
        self.ledger.close()

    def _key(self, table: Mapping[str, Any], clock: Callable[[], float], now: Callable[[], float]) -> Key:
        rate, tokens, dollars = (table.get(name) for name in ("rate", "tokens_per_minute", "budget"))
        return Key(
            table["name"],
            admin=table.get("admin", False),
            models=table.get("models"),
            requests=None if rate is None else Bucket(rate, table.get("burst") or max(1.0, rate), clock),
            tokens=None if tokens is None else Bucket(tokens / 60, tokens, clock),
            budget=None
            if dollars is None
            else Budget(table["name"], dollars, table.get("budget_period"), self.ledger, now),
        )


def new_key() -> tuple[str, str]:
    """Return a new secret, to be shown once, and its SHA-256 in hexadecimal digits, which the file keeps."""
    secret = f"pf-{secrets.token_urlsafe(32)}"
    return secret, hashlib.sha256(secret.encode()).hexdigest()


def _checked(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a key's table without what is None."""
    given = {name: value for name, value in table.items() if value is not None}
    name = given.get("name")
    if not isinstance(name, str) or not name:
        raise ConfigError("a key needs a `name`, which logs show")
    for field in given:
        if field not in _FIELDS:
            raise ConfigError(f"the key {name!r} has no setting {field!r}{did_you_mean(field, _FIELDS)}")
    digest = given.get("sha256")
    if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
        raise ConfigError(f"the key {name!r} needs `sha256`, 64 hexadecimal digits: the key's hash, not the key")
    given["sha256"] = digest.lower()
    for field in ("rate", "burst", "tokens_per_minute", "budget"):
        value = given.get(field)
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if value is not None and not (number and value > 0):
            raise ConfigError(f"the key {name!r}: {field} must be a number above 0, not {value!r}")
    if given.get("burst", 1) < 1:
        raise ConfigError(f"the key {name!r}: a burst below 1 lets no request through")
    for field, needs in (("burst", "rate"), ("budget_period", "budget")):
        if field in given and needs not in given:
            raise ConfigError(f"the key {name!r} has `{field}` without `{needs}`")
    if given.get("budget_period") not in (None, "day", "month"):
        raise ConfigError(f'the key {name!r}: budget_period is "day" or "month", not {given["budget_period"]!r}')
    if not isinstance(given.get("admin", False), bool):
        raise ConfigError(f"the key {name!r}: admin is true or false, not {given['admin']!r}")
    return given
