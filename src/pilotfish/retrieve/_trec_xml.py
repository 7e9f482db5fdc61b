"""TREC's documents and topics: elements one after another, with or without one around them, not always sound XML.

Format: <doc> with <docno>, and any further elements; <top> with <num> and <title> (Cranfield, TREC 1 to 8).
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pilotfish.errors import DataError

__all__ = ["is_trec", "trec_documents", "trec_topics"]

T = TypeVar("T")
_HEAD = 4096
# What comes within a document is text that may hold a bare & or <, so no XML parser takes it.
_START = re.compile(r"<doc>|<top>", re.IGNORECASE)
_ELEMENT = re.compile(r"<([a-z][\w-]*)>(.*?)(?:</\1>|(?=<[a-z][\w-]*>)|\Z)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?[a-z][\w-]*>", re.IGNORECASE)


def is_trec(path: Path) -> bool:
    """Say whether a file's first bytes hold a <doc> or a <top>."""
    with path.open("rb") as file:
        head = file.read(_HEAD).decode("utf-8", "replace")
    return head.lstrip("\ufeff \t\r\n").startswith("<") and _START.search(head) is not None


def trec_documents(path: Path, made: Callable[[str, str, str, dict[str, Any]], T]) -> Iterator[T]:
    """Yield what `made` makes of each <doc>'s id, text, title and other elements.

    The text is that of <text>; where there is none, of everything but the id and the title. A text that begins with the
    title, as Cranfield's do, loses it there, since the title is searched before the text.

    Raises:
        DataError: a <doc> without a <docno>, or none at all.
    """
    number = 0
    for number, (parts, line) in enumerate(_elements(path, "doc"), 1):
        name = parts.pop("docno", "").strip() or parts.pop("docid", "").strip()
        if not name:
            raise DataError(f"{path}, line {line}: <doc> number {number} has no <docno>")
        title = " ".join(parts.pop("title", "").split())
        text = parts.pop("text", None)
        if text is None:
            text = "\n".join(parts.values())
            parts.clear()
        yield made(name, _without(text.strip(), title), title, {key: value.strip() for key, value in parts.items()})
    if not number:
        raise DataError(f"{path}: no <doc> in it")


def trec_topics(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (num, title) of each <top>.

    Raises:
        DataError: a <top> without a <num> or a <title>, or none at all.
    """
    number = 0
    for number, (parts, line) in enumerate(_elements(path, "top"), 1):
        name = re.sub(r"^\s*number\s*:", "", parts.get("num", ""), flags=re.IGNORECASE).strip()
        title = " ".join(re.sub(r"^\s*topic\s*:", "", parts.get("title", ""), flags=re.IGNORECASE).split())
        if not name or not title:
            raise DataError(f"{path}, line {line}: <top> number {number} has no <{'title' if name else 'num'}>")
        yield name, title
    if not number:
        raise DataError(f"{path}: no <top> in it")


def _elements(path: Path, tag: str) -> Iterator[tuple[dict[str, str], int]]:
    """Yield the elements within each <tag> ... </tag>, and its line, holding one of them at a time."""
    begin, end = re.compile(f"<{tag}>", re.IGNORECASE), re.compile(f"</{tag}>", re.IGNORECASE)
    held: list[str] = []
    first = 0
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line, text in enumerate(file, 1):
                rest = text
                while rest:
                    if not first:
                        found = begin.search(rest)
                        if found is None:
                            break
                        first, rest = line, rest[found.end() :]
                    found = end.search(rest)
                    if found is None:
                        held.append(rest)
                        break
                    held.append(rest[: found.start()])
                    yield _parts("".join(held)), first
                    held, first, rest = [], 0, rest[found.end() :]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start})") from None
    if first:
        raise DataError(f"{path}, line {first}: this <{tag}> has no end")


def _parts(body: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, text in _ELEMENT.findall(body):
        said = html.unescape(_TAG.sub("", text))
        key = name.lower()
        found[key] = f"{found[key]}\n{said}" if key in found else said
    return found


def _without(text: str, title: str) -> str:
    """Return a text without the title that it begins with."""
    if not title:
        return text
    begin = re.match(r"\s+".join(map(re.escape, title.split())) + r"\s*", text)
    rest = text[begin.end() :] if begin else text
    return rest or text
