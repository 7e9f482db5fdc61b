"""Personal and secret strings go out of sight, and nothing else does."""

from __future__ import annotations

import json
import random
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.curate import curate
from pilotfish.curate.redact import KINDS, Redact, found
from pilotfish.errors import ConfigError

THERE = [
    ("email", "jane.doe+news@mail.example.co.uk"),
    ("email", "müller@bücher.example"),
    ("email", "x@a.io"),
    ("ip", "8.8.8.8"),
    ("ip", "2606:4700:4700::1111"),
    ("phone", "+49 30 901820"),
    ("phone", "+1-415-555-2671"),
    ("phone", "+442079460958"),
    ("phone", "(415) 555-2671"),
    ("phone", "415-555-2671"),
    ("iban", "DE89 3704 0044 0532 0130 00"),
    ("iban", "GB82WEST12345698765432"),
    ("iban", "NO9386011117947"),
    ("card", "4111 1111 1111 1111"),
    ("card", "378282246310005"),
    ("card", "5555-5555-5555-4444"),
    ("key", "AKIA" + "IOSFODNN7EXAMPLE"),
    ("key", "ghp_" + "a1B2" * 9),
    ("key", "sk-proj-" + "Ab1" * 12),
    ("key", "-----BEGIN RSA PRIVATE KEY-----\nMIIB\nAAAA==\n-----END RSA PRIVATE KEY-----"),
]
NOT_THERE = [
    "an @ sign, a user@host and @mentions, a@b",
    "192.168.0.1 and 127.0.0.1 and ::1 and fe80::1 are nobody's",
    "version 1.2.3.4.5, section 12.30.45, 300.1.1.1",
    "DE89 3704 0044 0532 0130 01 has a wrong check digit",
    "XX82WEST12345698765432 is of no country",
    "4111 1111 1111 1112 has a wrong check digit, 0000 0000 0000 0000 has no network",
    "on 2024-01-15 at 12:30:45, 3.14159265358979, 1,234,567,890",
    "call 911-555-2671 or 415-055-2671",
    "std::vector<int>::iterator, a sk-learn task, ghp_short",
    "ISBN 978-3-16-148410-0, order 12345678901234567",
]


@pytest.mark.parametrize(("kind", "value"), THERE)
@pytest.mark.parametrize("around", ["{}", "Write to {}.", "({}), or", "a\n{}\nb", "«{}»; CALL NOW"])
def test_what_is_there_is_found_whole(kind: str, value: str, around: str) -> None:
    text = around.format(value)
    assert [(one.kind, text[one.start : one.end]) for one in found(text)] == [(kind, value)]


@pytest.mark.parametrize("text", NOT_THERE)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert found(text) == []


def test_a_number_ends_where_the_next_one_begins() -> None:
    text = "+442079460958 (415) 555-2671 2030405060"
    assert [text[one.start : one.end] for one in found(text)][:1] == ["+442079460958"]


@given(st.text(max_size=200), st.integers(0, len(THERE) - 1), st.text(max_size=200))
def test_any_text_around_it_breaks_nothing(before: str, which: int, after: str) -> None:
    kind, value = THERE[which]
    places = found(f"{before} {value} {after}")
    assert all(a.end <= b.start for a, b in pairwise(places))
    if before.isascii() and before.replace(" ", "").isalpha() and after.isascii() and after.replace(" ", "").isalpha():
        assert kind in [one.kind for one in places]


def test_long_lines_take_no_square_of_time() -> None:
    alike = ("a", "a.", "1 ", "1", "+1 ", "a@", "-----BEGIN PRIVATE KEY-----", "f:", "AA11 ", "eyJ", "sk-", "1-")
    for piece in (*alike, "a@b.io 8.8.8.8 "):
        text = piece * (100_000 // len(piece))
        start = time.process_time()
        found(text)
        assert time.process_time() - start < 2, piece


def test_nothing_that_was_found_is_told_anywhere(tmp_path: Path) -> None:
    dice = random.Random(0)
    rows = [{"id": n, "text": f"Row {n}: {dice.choice(THERE)[1]} and {THERE[n % len(THERE)][1]}."} for n in range(60)]
    rows += [{"id": 60, "text": "nothing"}, {"id": 61, "text": " ; ".join(value for _, value in THERE)}]
    report = curate(rows, [Redact(marks={"email": "[mail]"}, most=5)], tmp_path, progress=False)
    (step,) = report.steps
    assert step.reasons == {"redact": 1} and step.dropped == 1 and report.kept == 61
    assert sum(step.counts.values()) == 120 + len(THERE) and set(step.counts) == set(KINDS)
    assert f"{step.counts['email']:,} email found" in str(report)
    kept = [json.loads(line) for line in (tmp_path / "kept.jsonl").read_text().splitlines()]
    assert kept[0]["text"].endswith("and [mail].") and kept[60] == {"id": 60, "text": "nothing", "redacted": {}}
    told = "".join(path.read_text() for path in tmp_path.rglob("*.json*") if "spool" not in path.name)
    assert not [value for _, value in THERE if value in told or json.dumps(value)[1:-1] in told]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kinds": ["mail"]}, "unknown kind 'mail' to redact; did you mean 'email'?"),
        ({"kinds": []}, "nothing to redact"),
        ({"kinds": ["ip"], "marks": {"email": "x"}}, "a mark for 'email', which is not looked for"),
        ({"most": -1}, "0 or more"),
        ({"into": "text"}, "where the text is"),
    ],
)
def test_settings_that_cannot_be(wrong: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace("?", r"\?")):
        Redact(**wrong)
