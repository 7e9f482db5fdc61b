"""The shapes of what is private in a text: keys, e-mail addresses, account, card and phone numbers.

Each pattern is bounded, so that no text takes more than time in proportion to its length.
"""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["PATTERNS", "is_card", "is_iban"]

_TOKENS = re.compile(
    r"""
      \b(?:sk|pk|rk|pf)-[A-Za-z0-9_\-]{16,}                    # OpenAI, Anthropic, Stripe's elder siblings, our own
    | \b(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{10,}            # Stripe
    | \b(?:AKIA|ASIA|AGPA|AIDA|AROA)[A-Z0-9]{16}\b             # AWS key ids
    | \bgh[pousr]_[A-Za-z0-9]{20,} | \bgithub_pat_\w{20,}      # GitHub
    | \bglpat-[\w\-]{16,}                                      # GitLab
    | \bhf_[A-Za-z0-9]{20,}                                    # Hugging Face
    | \bxox[abeoprs]-[A-Za-z0-9\-]{10,}                        # Slack
    | \bAIza[A-Za-z0-9_\-]{35}                                 # Google
    | \beyJ[\w\-]{8,}\.[\w\-]{8,}\.[\w\-]*                     # JSON web tokens
    | -----BEGIN[ ][A-Z ]{0,30}PRIVATE[ ]KEY(?:[ ]BLOCK)?-----(?:(?!-----)[\s\S]){0,16000}
      (?:-----END[ ][A-Z ]{0,30}PRIVATE[ ]KEY(?:[ ]BLOCK)?-----)?
    """,
    re.VERBOSE,
)
# After these words stands a secret, whatever its shape.
_BEARER = re.compile(r"(?i)\b(bearer\s{1,4}|basic\s{1,4}(?=[A-Za-z0-9+/]{16}))[A-Za-z0-9._~+/\-]{8,}={0,2}")
_NAMED = re.compile(
    r"(?i)\b((?:aws_?)?(?:secret|access|api|auth|private)[_\- ]?(?:access)?[_\- ]?(?:key|token|secret)"
    r"[\"']?\s{0,3}[:=]\s{0,3}[\"']?)[A-Za-z0-9+/_\-.]{16,}={0,2}"
)
_PASSWORD = re.compile(r"(?i)\b((?:password|passwd|pwd)[\"']?\s{0,3}[:=]\s{0,3}[\"']?)[^\s\"',;]{4,}")
_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~\-]{1,64}@(?:[^\W_](?:[\w\-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}\b")
_IBAN = re.compile(r"\b[A-Za-z]{2}\d{2}(?:[ \-]?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])")
_CARD = re.compile(r"(?<![\d.])\d(?:[ \-]?\d){12,18}(?![\d])")
_PHONE = re.compile(
    r"""
      (?<![\w.])\+\d{1,3}[ .\-/]{0,2}(?:\(\d{1,4}\)[ .\-/]{0,2})?\d(?:[ .\-/]?\d){5,12}(?!\d)     # +44 20 7946 0958
    | (?<!\w)\(\d{2,5}\)[ .\-/]{0,2}\d(?:[ .\-/]?\d){4,9}(?!\d)                                   # (020) 7946 0958
    | (?<![\w.\-/])(?:1[ .\-])?[2-9]\d{2}[ .\-]\d{3}[ .\-]\d{4}(?![\w\-])                         # 212-555-0123
    | (?<![\w.,])0(?:0\d|\d)[ .\-/]?\d(?:[ .\-/]?\d){5,11}(?!\d)                                  # 020 7946 0958
    """,
    re.VERBOSE,
)


def is_card(digits: str) -> bool:
    """Say whether the check digit (Luhn) of a card's number is right."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0 and len(set(digits)) > 1


def is_iban(text: str) -> bool:
    """Say whether the check digits (ISO 7064, mod 97) of an account's number are right."""
    rest = text[4:] + text[:4]
    return int("".join(str(int(sign, 36)) for sign in rest)) % 97 == 1


def _iban(found: re.Match[str]) -> str:
    """Replace the longest beginning that is an account's number: words may stand right behind it."""
    text = found.group()
    marks = [i for i, sign in enumerate(text) if sign.isascii() and sign.isalnum()]
    for count in range(min(len(marks), 34), 14, -1):
        end = marks[count - 1] + 1
        following = text[end : end + 1]
        if following.isalnum():
            continue
        if is_iban("".join(text[i] for i in marks[:count]).upper()):
            return "[iban]" + text[end:]
    return text


def _card(found: re.Match[str]) -> str:
    text = found.group()
    return "[card]" if is_card("".join(filter(str.isdigit, text))) else text


_DIGITS = re.compile(r"\d(?:[ .\-/()]{0,3}\d){5}")
_NUMBERED = re.compile(r"[A-Za-z]{2}\d{2}")
_PREFIXES = ("sk-", "pk-", "rk-", "pf-", "sk_", "pk_", "rk_", "akia", "asia", "agpa", "aida", "aroa", "gh")
_FURTHER = ("glpat-", "hf_", "xox", "aiza", "eyj", "private key")


def _holds(*words: str) -> Callable[[str], object]:
    """Return a quick test: a pattern can only be found where one of these words is."""
    return lambda lowered: any(word in lowered for word in words)


# In this order: what stands first is replaced first, and its parts are then no longer there. The test, on the text in
# lower case, spares most texts most patterns: on plain English it makes the whole ten times faster.
PATTERNS: tuple[tuple[Callable[[str], object], re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (_holds(*_PREFIXES, *_FURTHER), _TOKENS, "[key]"),
    (_holds("bearer", "basic"), _BEARER, r"\1[key]"),
    (_holds("key", "token", "secret"), _NAMED, r"\1[key]"),
    (_holds("password", "passwd", "pwd"), _PASSWORD, r"\1[password]"),
    (_holds("@"), _EMAIL, "[email]"),
    (_NUMBERED.search, _IBAN, _iban),
    (_DIGITS.search, _CARD, _card),
    (_DIGITS.search, _PHONE, "[phone]"),
)
