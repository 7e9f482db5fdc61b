from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pilotfish.models._sse import Event, EventParser

lines = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=12)
events = st.lists(st.lists(lines, min_size=1, max_size=3), max_size=5)


@given(
    wanted=events,
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    noise=st.sampled_from(["", ": comment", "id: 7", "retry: 9", "unknown: x", "data2: x"]),
    sizes=st.lists(st.integers(1, 9), min_size=1),
    mark=st.booleans(),
)
def test_any_cut_of_the_bytes_gives_the_same_events(
    wanted: list[list[str]], end: str, noise: str, sizes: list[int], mark: bool
) -> None:
    text = "\ufeff" if mark else ""
    for data in wanted:
        text += (noise + end if noise else "") + "".join(f"data: {line}{end}" for line in data) + end
    raw, at, found, parser = text.encode(), 0, [], EventParser()
    while at < len(raw):
        size = sizes[at % len(sizes)]
        found += parser.feed(raw[at : at + size])
        at += size
    last = parser.close()
    found += [last] if last else []
    assert [event.data for event in found] == ["\n".join(data) for data in wanted]


def test_types_hold_for_one_event() -> None:
    got = EventParser().feed(b"event: error\ndata:no space\n\ndata: x\n\nevent: lost\n\ndata\n\n")
    assert got == [Event("no space", "error"), Event("x"), Event("")]


def test_an_event_without_its_blank_line_comes_from_close_only() -> None:
    parser = EventParser()
    assert parser.feed(b"data: [DONE]") == []
    assert parser.close() == Event("[DONE]")
    assert parser.close() is None
