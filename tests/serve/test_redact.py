"""What is private never reaches the log; what is not, stays."""

from __future__ import annotations

import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ConfigError
from pilotfish.serve._private import is_card, is_iban
from pilotfish.serve.redact import Redactor, redacted

PRIVATE = [
    ("write to ann.lee+news@mail.example.co.uk today", "write to [email] today"),
    ("Müller@bücher.example?", "[email]?"),
    ("call +44 20 7946 0958 or (020) 7946 0958.", "call [phone] or [phone]."),
    ("+1 (212) 555-0123, 212-555-0123, 1-212-555-0123", "[phone], [phone], [phone]"),
    ("+49-30-901820 und 030 901820", "[phone] und [phone]"),
    ("my card is 4111 1111 1111 1111!", "my card is [card]!"),
    ("5500-0000-0000-0004 and 378282246310005", "[card] and [card]"),
    ("to DE89 3704 0044 0532 0130 00 please", "to [iban] please"),
    ("GB82WEST12345698765432", "[iban]"),
    ("iban fr1420041010050500013m02606", "iban [iban]"),
    ("OPENAI_API_KEY=sk-proj-abcdefghijklmnopqrstuvwx", "OPENAI_API_KEY=[key]"),
    ("Authorization: Bearer abc.def-123456", "Authorization: Bearer [key]"),
    ("AKIAIOSFODNN7EXAMPLE", "[key]"),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = [key]"),
    ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[key]"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-def_123", "[key]"),
    ('{"password": "hunter2!!"}', '{"password": "[password]"}'),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- x", "[key] x"),
]
PLAIN = [
    "In 1969, at 20:17 on 20.07.1969, 600,000,000 people watched.",
    "2026-05-17 12:30:00",
    "pi is 3.14159265358979 and e is 2.718281828459045",
    "version 10.15.7, build 20240101123456, RFC 2822",
    "order 4111 1111 1111 1112 of 12345678",
    "the risk-free task-oriented desk-top",
    "x = a[0] + 0.5 - 1.25e-7",
    "an @mention, a@b, and user@localhost",
    "What is 123456 * 7890?",
    "bearer of bad news",
    "The keys: 440 Hz, 261.63 Hz",
]


@pytest.mark.parametrize(("text", "kept"), PRIVATE)
def test_private_things_are_replaced(text: str, kept: str) -> None:
    assert redacted(text) == kept


@pytest.mark.parametrize("text", PLAIN)
def test_plain_things_stay(text: str) -> None:
    assert redacted(text) == text


digits = st.text(string.digits, min_size=12, max_size=18)
around = st.text(st.characters(exclude_categories=["Cs", "Nd", "L", "Pc"], exclude_characters="+.-/()@"), max_size=8)


def luhn(body: str) -> str:
    return next(body + str(check) for check in range(10) if is_card(body + str(check)) or len(set(body)) == 1)


@given(body=digits.filter(lambda text: len(set(text)) > 1), every=st.integers(2, 6), sign=st.sampled_from(" -"))
def test_no_card_is_kept_however_it_is_cut(body: str, every: int, sign: str) -> None:
    number = luhn(body)
    if not is_card(number):
        return
    cut = sign.join(number[i : i + every] for i in range(0, len(number), every))
    for text in (number, cut):
        kept = redacted(f"card: {text}, thanks")
        assert kept == "card: [card], thanks"


@given(
    country=st.sampled_from(["DE", "GB", "FR", "NL", "CH"]),
    body=st.text(string.digits, min_size=14, max_size=24),
    before=around,
    after=around,
)
def test_no_account_is_kept(country: str, body: str, before: str, after: str) -> None:
    check = next(f"{n:02}" for n in range(2, 99) if is_iban(f"{country}{n:02}{body}"))
    number = country + check + body
    cut = " ".join(number[i : i + 4] for i in range(0, len(number), 4))
    for text in (number, cut, number.lower()):
        assert body[-6:] not in redacted(f"{before} {text} {after}").replace(" ", "")


@given(
    name=st.from_regex(r"[a-z0-9][a-z0-9._+-]{0,20}[a-z0-9]", fullmatch=True),
    host=st.from_regex(r"([a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?\.){1,3}[a-z]{2,8}", fullmatch=True),
    before=around,
    after=around,
)
def test_no_address_is_kept(name: str, host: str, before: str, after: str) -> None:
    assert f"{name}@{host}" not in redacted(f"{before} {name}@{host} {after}")


@given(st.text(st.sampled_from(string.ascii_letters + string.digits + "_-"), min_size=20, max_size=60))
def test_no_key_is_kept(secret: str) -> None:
    for text in (f"sk-{secret}", f"pf-{secret}", f"Bearer {secret}", f"api_key: {secret}", f'"apiKey": "{secret}"'):
        assert secret not in redacted(f"use {text} now")


@given(st.text())
def test_what_is_redacted_stays_so(text: str) -> None:
    once = redacted(text)
    assert redacted(once) == once


BEGIN = "-----BEGIN PRIVATE KEY-----"
END = "-----END PRIVATE KEY-----"


@pytest.mark.parametrize("end", ["", f"\n{END}", "\n-----"])
@pytest.mark.parametrize("kind", ["", "RSA ", "OPENSSH ", "ENCRYPTED ", "PGP "])
def test_no_private_key_is_kept(kind: str, end: str) -> None:
    block = " BLOCK" if kind == "PGP " else ""
    body = "\n".join(["Proc-Type: 4,ENCRYPTED", *["MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQC7" * 2] * 60])
    kept = redacted(f"mine: -----BEGIN {kind}PRIVATE KEY{block}-----\n{body}{end.replace('KEY', 'KEY' + block)}")
    assert kept.startswith("mine: [key]")
    assert "MIIE" not in kept
    assert "END" not in kept


def test_a_private_key_that_does_not_end_hides_no_more_than_it_may() -> None:
    assert redacted(f"{BEGIN}\nMIIE\n{END} and then") == "[key] and then"
    assert redacted(f"{BEGIN}{'x' * 40_000}tail").endswith("tail")


def test_of_a_long_text_no_half_of_a_secret_is_kept() -> None:
    redactor = Redactor("pii", longest=1000)
    for before in (1, 970, 985, 995, 1005, 10_985, 11_000):
        text = f"{'x ' * (before // 2)}sk-{'Q' * 40} {'y ' * 20_000}"
        kept = redactor.text(text)
        assert "QQ" not in kept
        assert redacted(text).startswith(kept[:1000])
        assert len(kept) >= 1000
    shrunk = redactor.text(f"a-long-name-of-a-person@example.org {'.' * 4}" * 4000 + "sk-" + "Q" * 9000)
    assert "QQ" not in shrunk
    assert "@" not in shrunk


def test_of_a_long_text_no_more_is_read_than_is_kept() -> None:
    text = ("a." * 30 + "@") * 130_000  # 8 MB, which would take some seconds
    start = time.perf_counter()
    Redactor("pii", longest=1000).data({"content": text})
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(
    "sign", ["1", "a", "a.", "a@", "1 ", "+1", "-", "A1", "(1)", "=", "sk-", "eyJ.", " ", "0 ", BEGIN]
)
def test_no_text_takes_long(sign: str) -> None:
    text = sign * 40_000
    start = time.perf_counter()
    redacted(text)
    assert time.perf_counter() - start < 2


def test_every_text_of_a_request_is_seen() -> None:
    data = {
        "messages": [
            {"role": "system", "content": "mail a@b.example"},
            {"role": "user", "content": [{"type": "text", "text": "a@b.example"}, {"type": "image_url"}]},
            {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": '{"to": "a@b.example"}'}}]},
        ],
        "user": "a@b.example",
        "metadata": {"a@b.example": 3, "type": "a@b.example"},
        "max_tokens": 7,
    }
    kept = Redactor("pii").data(data)
    assert "a@b.example" not in repr(kept)
    assert kept["max_tokens"] == 7
    assert kept["messages"][2]["tool_calls"][0]["function"]["arguments"] == '{"to": "[email]"}'
    assert Redactor("off").data(data) == data


def test_all_keeps_no_text_but_tells_equal_ones() -> None:
    redactor = Redactor("all", b"salt")
    data = {"messages": [{"role": "user", "content": "secret plan"}], "stop": ["secret"], "temperature": 0.5}
    kept = redactor.data(data)
    assert "secret" not in repr(kept)
    assert kept["messages"][0]["role"] == "user"
    assert kept["temperature"] == 0.5
    assert redactor.text("x") == redactor.text("x") != redactor.text("y")
    assert redactor.text("x") != Redactor("all", b"other").text("x")
    assert redactor.text("") == ""


def test_all_keeps_no_names_that_a_client_made_up() -> None:
    redactor = Redactor("all", b"salt")
    schema = {"name": "cancer", "schema": {"properties": {"cancer_stage": {"type": "string"}}}}
    data = {
        "metadata": {"cancer": 1, "Zoe Cancer": 2},
        "response_format": {"type": "json_schema", "json_schema": schema},
        "Of cancer": True,
        "max_tokens": 7,
    }
    kept = redactor.data(data)
    assert "cancer" not in repr(kept).lower()
    assert kept["max_tokens"] == 7
    assert kept["response_format"]["type"] == "json_schema"
    assert kept == redactor.data(dict(reversed(data.items())))
    assert kept["metadata"] != redactor.data({"metadata": {"cancer": 2}})["metadata"]


def test_pictures_are_left_out() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100}}
    assert Redactor("pii").data(part) == {"type": "image_url", "image_url": {"url": "[data]"}}
    sound = {"type": "input_audio", "input_audio": {"data": "UklGR" * 50, "format": "wav"}}
    assert Redactor("pii").data(sound)["input_audio"] == {"data": "[data]", "format": "wav"}


def test_no_such_way() -> None:
    with pytest.raises(ConfigError, match="did you mean 'pii'"):
        Redactor("pi")  # type: ignore[arg-type]
