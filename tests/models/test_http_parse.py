"""The parser of responses, against h11 and against what must not pass."""

from __future__ import annotations

import itertools

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.models._http_parse import ParseError, ResponseParser

Read = tuple[int, bytes, bool]


def ours(raw: bytes, cuts: list[int], ended: bool) -> Read:
    """Return (status, body, whether the connection may be used again), read in pieces."""
    parser = ResponseParser()
    marks = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    for start, stop in itertools.pairwise(marks):
        if start < stop:
            parser.feed(raw[start:stop])
    if ended:
        parser.eof()
    assert parser.done
    return parser.status, b"".join(parser.parts), parser.reusable


def theirs(raw: bytes, ended: bool) -> Read:
    """Return the same by h11."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="POST", target="/", headers=[("Host", "h"), ("Content-Length", "0")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(raw)
    if ended:
        connection.receive_data(b"")
    status, body = 0, b""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            break
    return status, body, connection.their_state is h11.DONE and not ended


def chunked(pieces: list[bytes], extension: bytes, trailer: bytes) -> bytes:
    return b"".join(b"%X%s\r\n%s\r\n" % (len(p), extension, p) for p in pieces if p) + b"0\r\n" + trailer + b"\r\n"


@st.composite
def responses(draw: st.DrawFn) -> tuple[bytes, bool]:
    """Draw a sound response, and whether the connection closes after it."""
    status = draw(st.sampled_from([200, 204, 304, 404, 429, 500]))
    version = draw(st.sampled_from([b"1.1", b"1.1", b"1.0"]))
    pieces = draw(st.lists(st.binary(max_size=40), max_size=4))
    body = b"".join(pieces)
    more = draw(
        st.lists(st.sampled_from([b"X-A: 1", b"x-a:2", b"Retry-After:  3 ", b"Connection: close"]), unique=True)
    )
    kind = draw(st.sampled_from(["length", "chunked", "end"] if version == b"1.1" else ["length", "end"]))
    ended = kind == "end"
    if status in (204, 304):
        body, ended = b"", False
    elif kind == "length":
        more.append(b"Content-Length: %d" % len(body))
    elif kind == "chunked":
        more.append(b"Transfer-Encoding: Chunked")
        body = chunked(pieces, draw(st.sampled_from([b"", b";a=b"])), draw(st.sampled_from([b"", b"T: 1\r\n"])))
    before = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
    head = b"HTTP/%s %d said\r\n" % (version, status) + b"".join(line + b"\r\n" for line in more) + b"\r\n"
    return before + head + body, ended


@given(responses(), st.lists(st.integers(0, 400), max_size=6))
def test_as_h11_reads_it_however_it_is_cut(response: tuple[bytes, bool], cuts: list[int]) -> None:
    raw, ended = response
    assert ours(raw, cuts, ended) == theirs(raw, ended)


def test_one_byte_at_a_time() -> None:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked([b"one", b"two" * 9], b"", b"")
    assert ours(raw, list(range(len(raw))), False) == (200, b"one" + b"two" * 9, True)


OK = b"HTTP/1.1 200 OK\r\n"
BAD = [
    b"SSH-2.0-OpenSSH\r\n\r\n",
    b"HTTP/2 200\r\n\r\n",
    b"HTTP/1.1 20 OK\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\n\r\n",
    OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    OK + b"Content-Length: +3\r\n\r\nabc",
    OK + b"Content-Length: 99999999999999999999\r\n\r\n",
    OK + b"no colon\r\n\r\n",
    OK + b"Bad Name: x\r\n\r\n",
    OK + b" folded: x\r\n\r\n",
    OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 5000,
    OK + b"X: " + b"y" * 70_000,
]


@pytest.mark.parametrize("raw", BAD)
def test_what_is_no_http_is_refused(raw: bytes) -> None:
    with pytest.raises(ParseError):
        ResponseParser().feed(raw)


@pytest.mark.parametrize(
    "body", [b"Content-Length: 5\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b""]
)
def test_a_response_that_ends_early_is_not_whole(body: bytes) -> None:
    parser = ResponseParser()
    parser.feed(b"HTTP/1.1 200 OK\r\n" + body)
    assert not parser.done
    with pytest.raises(ParseError, match="before the answer was whole"):
        parser.eof()


def test_bytes_after_the_end_spoil_the_connection() -> None:
    parser = ResponseParser()
    parser.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    assert (parser.done, parser.parts, parser.reusable) == (True, [b"ok"], False)


def test_two_ways_to_tell_the_length_spoil_the_connection() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked([b"abc"], b"", b"")
    assert ours(raw, [], False) == (200, b"abc", False)
