"""Keys: who is let in, what each may ask, and how much."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ConfigError
from pilotfish.model import Usage
from pilotfish.serve.keys import Keys, Refused, new_key

from .test_limits import Clock

SECRET, DIGEST = new_key()
OTHER, OTHER_DIGEST = new_key()


def keys(clock: Clock | None = None, **settings: Any) -> Keys:
    """Ann with settings of her own, and Bob."""
    clock = clock or Clock(1000.0)
    tables = [{"name": "ann", "sha256": DIGEST, **settings}, {"name": "bob", "sha256": OTHER_DIGEST}]
    return Keys(tables, clock=clock, now=clock)


def refused(act: Any, *args: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        act(*args)
    return caught.value


def test_a_new_key_and_its_hash() -> None:
    secret, digest = new_key()
    assert secret.startswith("pf-")
    assert len(secret) >= 40
    assert hashlib.sha256(secret.encode()).hexdigest() == digest
    assert new_key()[0] != secret


def test_each_key_is_known_by_its_hash() -> None:
    ours = keys()
    assert ours.who(f"Bearer {SECRET}").name == "ann"
    assert ours.who(f"bearer  {OTHER} ").name == "bob"


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", SECRET, f"Basic {SECRET}", f"Bearer {SECRET}x"],
    # The keys are drawn anew in each process, and tests are to have one name in all.
    ids=["none", "empty", "scheme", "scheme and blank", "key alone", "basic", "another key"],
)
def test_others_are_refused(header: str | None) -> None:
    error = refused(keys().who, header)
    assert (error.status, error.code, error.retry_after) == (401, "invalid_api_key", None)
    assert SECRET not in str(error)


@given(st.text())
def test_any_header_is_an_answer_not_a_crash(header: str) -> None:
    error = refused(keys().who, f"Bearer {header}")
    assert error.status == 401


def test_every_key_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first key takes as many comparisons as the last and as a wrong one."""
    seen: list[bytes] = []
    compare = hmac.compare_digest

    def counted(known: bytes, given: bytes) -> bool:
        seen.append(known)
        return compare(known, given)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    ours = keys()
    for secret in (SECRET, OTHER):
        ours.who(f"Bearer {secret}")
    refused(ours.who, "Bearer wrong")
    assert seen == [bytes.fromhex(DIGEST), bytes.fromhex(OTHER_DIGEST)] * 3


def test_without_keys_everyone_may_ask() -> None:
    key = Keys().who(None)
    key.check("anything")
    key.admit(10**9)
    key.spent(Usage(1, 1, 1), None)
    assert key.name == ""


def test_a_key_asks_its_own_models_only() -> None:
    key = keys(models=["small"]).who(f"Bearer {SECRET}")
    key.check("small")
    error = refused(key.check, "large")
    assert (error.status, error.code) == (403, "model_not_allowed")
    assert not key.may_use("large")


def test_only_an_admin_sees_the_traffic_of_all() -> None:
    assert keys(admin=True).who(f"Bearer {SECRET}").admin
    assert not keys(admin=True).who(f"Bearer {OTHER}").admin
    assert Keys().who(None).admin  # without keys there is nobody to keep it from


def test_the_rate() -> None:
    clock = Clock(50.0)
    key = keys(clock, rate=2, burst=3).who(f"Bearer {SECRET}")
    for _ in range(3):
        key.admit()
    error = refused(key.admit)
    assert (error.status, error.code, error.retry_after) == (429, "rate_limit_exceeded", 0.5)
    clock.now += 0.5
    key.admit()
    refused(key.admit)


def test_tokens_are_set_right_afterwards() -> None:
    clock = Clock()
    key = keys(clock, tokens_per_minute=600).who(f"Bearer {SECRET}")
    key.admit(500)
    assert refused(key.admit, 200).retry_after == pytest.approx(10)
    key.spent(Usage(50, 50, 1), 0.0, admitted=500)  # it took 100 only
    key.admit(200)
    key.spent(Usage(400, 400, 2), 0.0, admitted=200)  # and this one 600 more
    assert refused(key.admit, 1).retry_after == pytest.approx(30.1)
    error = refused(key.admit, 601)
    assert (error.status, error.retry_after) == (429, None)


def test_a_refused_request_takes_nothing() -> None:
    clock = Clock()
    key = keys(clock, rate=1, burst=2, tokens_per_minute=60).who(f"Bearer {SECRET}")
    key.admit(60)
    refused(key.admit, 30)
    clock.now += 30
    key.admit(30)  # the request was not taken by the refusal


def test_the_budget() -> None:
    clock = Clock(0.0)
    key = keys(clock, budget=0.5, budget_period="day").who(f"Bearer {SECRET}")
    key.admit(10)
    key.spent(Usage(5, 5, 1), 0.5)
    error = refused(key.admit, 1)
    assert (error.status, error.code, error.retry_after) == (429, "insufficient_quota", 86400)
    assert "ann" in error.message
    assert "$0.5" in error.message
    clock.now += 86400
    key.admit(1)


def test_a_price_nobody_knows_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    key = keys(budget=1.0).who(f"Bearer {SECRET}")
    for _ in range(2):
        key.spent(Usage(5, 5, 1), None)
    assert caplog.text.count("without a price") == 1
    key.admit()


def test_a_budget_survives_a_restart(tmp_path: Path) -> None:
    tables = [{"name": "ann", "sha256": DIGEST, "budget": 1.0}]
    first = Keys(tables, tmp_path / "spent.sqlite")
    first.who(f"Bearer {SECRET}").spent(Usage(), 2.0)
    first.close()
    second = Keys(tables, tmp_path / "spent.sqlite")
    assert refused(second.who(f"Bearer {SECRET}").admit).code == "insufficient_quota"
    second.close()


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"sha256": DIGEST}, "name"),
        ({"name": "a"}, "sha256"),
        ({"name": "a", "sha256": SECRET}, "not the key"),
        ({"name": "a", "sha256": DIGEST, "rat": 3}, "did you mean 'rate'"),
        ({"name": "a", "sha256": DIGEST, "rate": -1}, "rate"),
        ({"name": "a", "sha256": DIGEST, "rate": True}, "rate"),
        ({"name": "a", "sha256": DIGEST, "rate": 3, "burst": 0.5}, "burst"),
        ({"name": "a", "sha256": DIGEST, "burst": 3}, "without `rate`"),
        ({"name": "a", "sha256": DIGEST, "budget_period": "day"}, "without `budget`"),
        ({"name": "a", "sha256": DIGEST, "budget": 1, "budget_period": "week"}, "month"),
        ({"name": "a", "sha256": DIGEST, "admin": "yes"}, "admin"),
    ],
)
def test_a_wrong_table_says_what_is_wrong(table: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Keys([table])


def test_no_two_of_a_name_or_a_hash() -> None:
    with pytest.raises(ConfigError, match="name"):
        Keys([{"name": "a", "sha256": DIGEST}, {"name": "a", "sha256": OTHER_DIGEST}])
    with pytest.raises(ConfigError, match="sha256"):
        Keys([{"name": "a", "sha256": DIGEST}, {"name": "b", "sha256": DIGEST.upper()}])
