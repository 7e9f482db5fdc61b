"""JSON lines, JSON arrays, plain lines and labelled lines."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import BinaryIO

from pilotfish.errors import DataError
from pilotfish.rows._lines import Lines, shown
from pilotfish.rows._row import Bad, Row

_SURROGATE = re.compile("[\ud800-\udfff]")
_FASTTEXT = "__label__"


def jsonl(lines: Lines) -> Iterator[Row | Bad]:
    """Yield one row a line; blank lines are passed over."""
    loads = json.loads
    for text in lines:
        if isinstance(text, Bad):
            yield text
            continue
        try:
            row = loads(text)
        except ValueError as error:
            if text.strip():
                yield Bad(lines.number, f"malformed JSON: {_json_fault(error)}", shown(lines.raw))
            continue
        except RecursionError:
            yield Bad(lines.number, "malformed JSON: nested too deeply", shown(lines.raw[:1000]))
            continue
        yield _row(row, text, lines.number)


def _json_fault(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return str(error)


def _row(row: object, text: str, number: int) -> Row | Bad:
    if not isinstance(row, dict):
        return Bad(number, f"not an object: {type(row).__name__} where {{…}} is needed", text.rstrip("\r\n"))
    # Half a surrogate pair is legal JSON and no text: no tokeniser and no file takes it.
    if ("\\ud" in text or "\\uD" in text) and _SURROGATE.search(json.dumps(row, ensure_ascii=False)):
        return Bad(number, "half a surrogate pair: a \\ud8xx or \\udcxx escape alone", text.rstrip("\r\n"))
    return row


def json_array(stream: BinaryIO, source: str, encoding: str, limit: int) -> Iterator[Row | Bad]:
    """Yield the objects of one JSON array, each decoded as soon as it is whole.

    Raises:
        DataError: the array is malformed: unlike in JSON lines there is no next line to go on from.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)()
    parse = json.JSONDecoder().raw_decode
    buffer, line, wanted, ended = "", 1, 1 << 16, False
    expect = "["
    while True:
        rest = buffer.lstrip()
        line += buffer.count("\n", 0, len(buffer) - len(rest))
        buffer = rest
        if buffer and (expect == "value" or (expect == "first" and buffer[0] != "]")):
            try:
                value, end = parse(buffer)
                # A number may go on in the next piece; an object cannot.
                whole = ended or end < len(buffer)
            except ValueError as error:
                whole = False
                if ended:
                    raise DataError(f"{source}, near line {line}: malformed JSON: {_json_fault(error)}") from None
            if whole:
                yield _row(value, buffer[:end], line)
                line += buffer.count("\n", 0, end)
                buffer, expect, wanted = buffer[end:], ",", 1 << 16
                continue
            if len(buffer) > limit:
                raise DataError(f"{source}, line {line}: malformed JSON, or a row over {limit:,} characters")
        elif buffer:
            mark, buffer = buffer[0], buffer[1:]
            if mark == "]" and expect in ("first", ","):
                expect = "end"
            elif mark == expect:
                expect = "first" if mark == "[" else "value"
            else:
                raise DataError(f"{source}, line {line}: malformed JSON: {mark!r} where {expect!r} should be")
            continue
        elif ended and expect == "end":
            return
        if ended:
            raise DataError(f"{source}: malformed JSON: the array is cut short")
        # Twice as much each time the same value was not whole, so that a long one costs no quadratic time.
        chunk = stream.read(wanted)
        wanted *= 2
        ended = not chunk
        try:
            buffer += decoder.decode(chunk, ended)
        except UnicodeDecodeError:
            raise DataError(f"{source}, after line {line}: not {encoding}; try --encoding latin-1") from None


def text(lines: Lines) -> Iterator[Row | Bad]:
    """Yield `{"text": line}` for each line that is not blank."""
    for line in lines:
        if isinstance(line, Bad):
            yield line
        elif stripped := line.strip():
            yield {"text": stripped}


def labelled_lines(lines: Lines) -> Iterator[Row | Bad]:
    """Yield `{"label", "text"}` for lines of `<label> <text>`; a fastText `__label__` is taken off."""
    for line in lines:
        if isinstance(line, Bad):
            yield line
            continue
        words = line.split(None, 1)
        if not words:
            continue
        if len(words) == 1:
            yield Bad(lines.number, "no text after the label", shown(lines.raw))
        elif words[1].startswith(_FASTTEXT):
            yield Bad(lines.number, "several labels: one a line is what this format holds", shown(lines.raw))
        else:
            yield {"label": words[0].removeprefix(_FASTTEXT), "text": words[1].strip()}
