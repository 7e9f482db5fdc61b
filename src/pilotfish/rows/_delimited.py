"""CSV and TSV records, each with the number of its first line; what does not parse is given as `Bad`."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from pilotfish.errors import DataError
from pilotfish.rows._lines import Lines, shown, too_long
from pilotfish.rows._row import Bad, Row


class _RowTooLongError(Exception):
    """A record went on past the limit: most likely a quote that never closes."""


class _Feed:
    """Hands lines to csv.reader, remembers those of the record in hand, and can take some back."""

    def __init__(self, lines: Lines) -> None:
        self._iterator = iter(lines)
        self._lines = lines
        self._again: list[tuple[int, bytes, str | Bad]] = []  # lines taken back, last one first
        self.record: list[tuple[int, bytes, str | Bad]] = []
        self._size = 0

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        if self._again:
            item = self._again.pop()
        else:
            text = next(self._iterator)
            item = (self._lines.number, self._lines.raw, text)
        self.record.append(item)
        self._size += len(item[1])
        if self._size > self._lines.limit and len(self.record) > 1:
            raise _RowTooLongError
        # A line that is no text still counts for the quotes in it, so that the records after it stay in step.
        return item[2] if isinstance(item[2], str) else item[1].decode("utf-8", "replace")

    def start(self) -> None:
        """Begin a record."""
        self.record.clear()
        self._size = 0

    def retry(self) -> None:
        """Take back all lines of the record but its first, to be read as records of their own."""
        self._again += reversed(self.record[1:])
        del self.record[1:]

    @property
    def raw(self) -> bytes:
        return b"".join(item[1] for item in self.record)

    @property
    def bad(self) -> Bad | None:
        return next((item[2] for item in self.record if isinstance(item[2], Bad)), None)


def delimited(lines: Lines, source: str, delimiter: str | None) -> Iterator[Row | Bad]:
    """Yield the records after the header; `delimiter` None means a comma, or `;` where the header has no comma.

    In a tab-separated file, where quotes are often plain characters, a line whose quotes do not pair up is taken
    literally if it then has the right number of fields.

    Raises:
        DataError: there is no header, or it names a column twice.
    """
    # The limit is one for the whole process and 128 KiB from the start; we only ever raise it.
    csv.field_size_limit(max(csv.field_size_limit(), lines.limit))
    feed = _Feed(lines)
    header = _header(feed, source, delimiter)
    if delimiter is None:
        delimiter = ";" if "," not in header and ";" in header else ","
    names = _names(header, source, delimiter)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    width = len(names)
    while True:
        feed.start()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except _RowTooLongError:
            yield too_long(feed.record[0][0], len(feed.raw), lines.limit, feed.raw)
            feed.retry()
            continue
        except csv.Error as error:
            number, raw, text = feed.record[0]
            feed.retry()
            literal = text.rstrip("\r\n").split(delimiter) if isinstance(text, str) and delimiter == "\t" else []
            if len(literal) == width:
                yield dict(zip(names, literal, strict=True))
            else:
                why = "a quote that never closes" if "unexpected end" in str(error) else str(error)
                yield feed.bad or Bad(number, f"malformed CSV: {why}", shown(raw))
            continue
        if not fields:
            continue  # a blank line
        if bad := feed.bad:
            yield bad
        elif len(fields) != width:
            reason = f"wrong number of fields: {len(fields)} where the header has {width}"
            yield Bad(feed.record[0][0], reason, shown(feed.raw))
        else:
            yield dict(zip(names, fields, strict=True))


def _header(feed: _Feed, source: str, delimiter: str | None) -> str:
    """Return the header's text: the first line that is not blank, and more where quotes hold line ends."""
    for line in feed:
        if bad := feed.bad:
            raise DataError(f"{source}, line {bad.line}: the header cannot be read: {bad.reason}")
        if not line.strip():
            feed.start()
            continue
        text = line
        while text.count('"') % 2 and delimiter != "\t":
            try:
                text += next(feed)
            except (StopIteration, _RowTooLongError):
                raise DataError(f"{source}: the header has a quote that never closes") from None
        return text
    raise DataError(f"{source}: empty, not even a header")


def _names(header: str, source: str, delimiter: str) -> list[str]:
    try:
        names = next(csv.reader(header.splitlines(keepends=True), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise DataError(f"{source}: the header cannot be read: {error}") from None
    # A nameless column is what a data frame's index leaves behind.
    names = [name.strip() or f"column_{place}" for place, name in enumerate(names, 1)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{source}: the header names column {twice!r} twice")
    return names
