"""Where a text has e-mail addresses, IP addresses, telephone and account numbers, payment cards and keys.

By patterns, each with the check that its kind has: a checksum for accounts and cards, the numbering plan for
telephones, whether an IP address belongs to someone. scrubadub and Presidio find the same kinds with heavier means (a
pinned textblob, spaCy and its models) and are made for names as well, which are not looked for here.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pilotfish.errors import ConfigError, did_you_mean
from pilotfish.measure.personal._checks import iban_length, is_card, is_iban, is_phone, is_public

__all__ = ["KINDS", "Found", "check_kinds", "found"]

# The order decides where two kinds claim one place.
KINDS = ("key", "email", "iban", "card", "ip", "phone")

_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_EMAIL = re.compile(
    rf"(?<![\w.+%'-])[^\W_](?:[\w.+%'-]{{0,62}}[\w+%-])?@(?:{_LABEL}\.){{1,8}}[^\W\d_]{{2,24}}(?![\w-])", re.UNICODE
)
# Shapes that their makers publish; a private key's block goes whole. Nothing within it looks like another's edge: else
# every beginning without an end would be read on to the bound.
_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[^-]|-(?!----)){0,20000}-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"|(?<![A-Za-z0-9_-])(?:"
    r"(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9_]{50,251}|glpat-[A-Za-z0-9_-]{20,64}"
    r"|sk-(?:[A-Za-z]{2,10}-)?[A-Za-z0-9_-]{20,200}|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,128}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,250}|AIza[A-Za-z0-9_-]{35}|hf_[A-Za-z0-9]{30,64}|npm_[A-Za-z0-9]{36}"
    r"|eyJ[A-Za-z0-9_-]{10,4000}\.eyJ[A-Za-z0-9_-]{10,8000}\.[A-Za-z0-9_-]{10,1000}"
    r")(?![A-Za-z0-9_-])"
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}")
_CARD = re.compile(r"(?<![\w.+-])[2-68](?:[ -]?[0-9]){12,18}(?![\w-]|\.[0-9])", re.ASCII)
_IP4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w-]|\.[0-9])")
_IP6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_INTERNATIONAL = re.compile(
    r"(?<![\w+])\+[ ]?[1-9][0-9]{0,2}(?:[ .\u00A0/-]{0,2}(?:\([0-9]{1,5}\)|[0-9]{1,5})){2,7}(?![\w-]|\.[0-9])"
)
_AMERICAN = re.compile(
    r"(?<![\w.+-])(?:1[ .-]?)?(?:\([2-9][0-9]{2}\)[ ]?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}(?![\w-]|\.[0-9])"
)


@dataclass(frozen=True, slots=True)
class Found:
    """One place of a text.

    Attributes:
        kind: one of `KINDS`.
        start: where it begins.
        end: behind its last character.
    """

    kind: str
    start: int
    end: int


def found(text: str, kinds: Sequence[str] = KINDS) -> list[Found]:
    """Return what is in a text, in order; where two kinds claim one place the first of `KINDS` has it.

    Raises:
        ConfigError: an unknown kind.
    """
    check_kinds(kinds)
    taken: list[Found] = []
    for kind in KINDS:
        if kind in kinds:
            ends = [one.end for one in taken]
            free = [Found(kind, a, b) for a, b in _SEEK[kind](text) if _is_free(taken, ends, a, b)]
            taken = sorted(taken + free, key=lambda one: one.start)
    return taken


def _is_free(taken: Sequence[Found], ends: Sequence[int], start: int, end: int) -> bool:
    """Whether none of the places, which are in order and apart, reaches into [start, end)."""
    after = bisect_right(ends, start)
    return after == len(taken) or taken[after].start >= end


def check_kinds(kinds: Sequence[str]) -> None:
    """Raise where one is none.

    Raises:
        ConfigError: an unknown kind, or none at all.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigError(f"unknown kind {kind!r} to redact{did_you_mean(kind, KINDS)}")
    if not kinds:
        raise ConfigError(f"nothing to redact: name kinds of {', '.join(KINDS)}")


Spans = Iterator[tuple[int, int]]


def _keys(text: str) -> Spans:
    return (one.span() for one in _KEY.finditer(text))


def _emails(text: str) -> Spans:
    return (one.span() for one in _EMAIL.finditer(text)) if "@" in text else iter(())


def _ibans(text: str) -> Spans:
    for one in _IBAN.finditer(text):
        length = iban_length(one[0][:2])
        if length is None:
            continue
        # Words in capitals may follow: an IBAN is as long as its country says.
        end, compact = 0, ""
        for end, letter in enumerate(one[0], 1):  # noqa: B007 where it ended is used
            compact += letter.strip()
            if len(compact) == length:
                break
        after = text[one.start() + end : one.start() + end + 1]
        if is_iban(compact) and not (after.isalnum() and after.isascii()):
            yield one.start(), one.start() + end


def _cards(text: str) -> Spans:
    for one in _CARD.finditer(text):
        if is_card(re.sub("[ -]", "", one[0])):
            yield one.span()


def _addresses(text: str) -> Spans:
    for one in _IP4.finditer(text):
        if is_public(one[0]):
            yield one.span()
    for one in _IP6.finditer(text) if "::" in text or text.count(":") >= 7 else ():
        if is_public(one[0]):
            yield one.span()


def _phones(text: str) -> Spans:
    for one in _INTERNATIONAL.finditer(text):
        number = one[0]
        # What follows a number behind a blank may be digits too: groups go until it is as short as a number is.
        while sum(map(str.isdigit, number)) > 15 or number.count("(") != number.count(")"):
            if len(cut := re.split(r"[^0-9]+(?=[0-9]+\)?$)", number)) == 1:
                break
            number = cut[0]
        if is_phone(re.sub(r"\D", "", number), international=True):
            yield one.start(), one.start() + len(number)
    for one in _AMERICAN.finditer(text):
        if is_phone(re.sub(r"\D", "", one[0]), international=False):
            yield one.span()


_SEEK = {"key": _keys, "email": _emails, "iban": _ibans, "card": _cards, "ip": _addresses, "phone": _phones}
