"""Checksums and shapes that tell a number from one that only looks like it."""

from __future__ import annotations

import ipaddress

__all__ = ["iban_length", "is_card", "is_iban", "is_phone", "is_public"]

# Characters of an IBAN by its country (SWIFT's IBAN Registry, release 99).
_IBAN = {
    country: length
    for length, countries in (
        (15, "NO"),
        (16, "BE"),
        (18, "DK FI FK FO GL NL SD"),
        (19, "MK SI"),
        (20, "AT BA EE KZ LT LU XK MN"),
        (21, "CH HR LI LV"),
        (22, "BG BH CR DE GB GE IE ME RS VA"),
        (23, "AE GI IL IQ OM SO TL"),
        (24, "AD CZ ES MD PK RO SA SE SK TN VG"),
        (25, "LY PT ST"),
        (26, "IS TR"),
        (27, "BI DJ FR GR IT MC MR SM"),
        (28, "AL AZ BY CY DO GT HN HU LB NI PL SV"),
        (29, "BR EG PS QA UA"),
        (30, "JO KW MU YE"),
        (31, "MT SC"),
        (32, "LC"),
        (33, "RU"),
    )
    for country in countries.split()
}


def iban_length(country: str) -> int | None:
    """Return how many characters a country's IBAN has; None where it has none."""
    return _IBAN.get(country)


def is_iban(compact: str) -> bool:
    """Say whether an IBAN without blanks has its country's length and its check digits (ISO 7064, 97-10)."""
    if len(compact) != _IBAN.get(compact[:2]):
        return False
    turned = compact[4:] + compact[:4]
    return int("".join(str(int(one, 36)) for one in turned)) % 97 == 1


def is_card(digits: str) -> bool:
    """Say whether digits are a payment card's: a network's first digits, its length, and Luhn's check digit."""
    first, two, four = digits[:1], int(digits[:2]), int(digits[:4])
    lengths: tuple[int, ...] = ()
    if first == "4":
        lengths = (13, 16, 19)
    elif 51 <= two <= 55 or 2221 <= four <= 2720:
        lengths = (16,)
    elif two in (34, 37):
        lengths = (15,)
    elif two in (36, 38, 39) or 300 <= int(digits[:3]) <= 305:
        lengths = (14,)
    elif four == 6011 or two in (60, 62, 64, 65, 35, 81):
        lengths = (16, 17, 18, 19)
    if len(digits) not in lengths or len(set(digits)) < 2:
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def is_public(address: str) -> bool:
    """Say whether an address of version 4 or 6 belongs to someone: not a private, local, documentation or kept one."""
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False


def is_phone(digits: str, *, international: bool) -> bool:
    """Say whether digits may be a telephone number: E.164's lengths, or ten of North America's plan."""
    if international:
        return 8 <= len(digits) <= 15 and digits[0] != "0" and len(set(digits)) > 2
    if len(digits) == 11 and digits[0] == "1":
        digits = digits[1:]
    # An area and an exchange begin with 2 to 9, and neither is N11.
    return len(digits) == 10 and all(digits[at] in "23456789" and digits[at + 1 : at + 3] != "11" for at in (0, 3))
