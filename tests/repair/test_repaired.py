"""A model behind which plug-ins stand: what is read, what is late, what is told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, ModelError
from pilotfish.measure.evidence import shown
from pilotfish.model import Call, Delta, Message, Reply, Request, TokenLogprob, ToolCall, Trace
from pilotfish.repair import Abstain, Context, Edit, Mark, Mended, Remove, Repaired, Replace, Rewrite, Span
from pilotfish.repair.protected import code, numbers
from pilotfish.repair.ways import Mends, Way
from tests.fakes import ScriptedModel

TEXT = "All is well. The bad one came. 12 men left, bad ones too.\n\n```\nbad = 1\n```\nA bad end. Good night."


@dataclass(frozen=True)
class Finds(Mends):
    """Finds a word; notes what it was shown."""

    word: str = "bad"
    way: Way = Remove()  # noqa: RUF009
    touch: frozenset[str] = frozenset()
    name: str = "finds"
    seen: list[tuple[str, Context]] = field(default_factory=list, compare=False)

    def detect(self, text: str, context: Context) -> Sequence[Span]:
        self.seen.append((text, context))
        at = text.find(self.word)
        return [] if at < 0 else [Span(at, at + len(self.word), "word", 0.75, "a bad word", "good")]


@dataclass
class InPieces:
    """Streams a text in pieces of its own choosing."""

    text: str
    seed: int = 0
    name: str = "pieces"

    async def reply(self, request: Request) -> Reply:
        return Reply(self.text, trace=Trace((Call("pieces", tokens_out=3),)))

    async def stream(self, request: Request) -> AsyncIterator[Delta]:
        dice, at = random.Random(self.seed), 0
        while at < len(self.text):
            size = dice.randint(1, 9)
            yield Delta(text=self.text[at : at + size])
            at += size
        yield Delta(reply=await self.reply(request))


async def deltas(model: Repaired, request: Request) -> list[Delta]:
    return [delta async for delta in model.stream(request)]


def streamed(model: Repaired, request: Request | None = None) -> tuple[str, Reply]:
    found = asyncio.run(deltas(model, request or Request.of("q")))
    reply = found[-1].reply
    assert reply is not None
    return "".join(delta.text for delta in found), reply


def replied(model: Repaired, request: Request | None = None) -> Reply:
    return asyncio.run(model.reply(request or Request.of("q")))


def test_sentences_go_and_those_with_numbers_or_code_stay() -> None:
    reply = replied(Repaired(ScriptedModel(TEXT), (Finds(),)))
    assert reply.text == ("All is well. 12 men left, bad ones too.\n\n```\nbad = 1\n```\nGood night.")
    assert [one.verdict for one in reply.trace.decisions] == [
        "mended: a bad word",
        "mended: a bad word",
        "kept, for numbers and code are not touched: a bad word",
        "2 edits",
    ]
    assert [(call.model, call.role) for call in reply.trace.calls] == [("scripted", "model"), ("finds", "detector")]
    assert reply.trace.calls[1].seconds > 0


def test_who_may_touch_numbers_and_code_takes_them_too() -> None:
    plugin = Finds(touch=frozenset({"numbers", "code"}))
    assert replied(Repaired(ScriptedModel(TEXT), (plugin,))).text == "All is well.\n\nGood night."


@pytest.mark.parametrize(
    ("way", "said"),
    [
        (Remove("span"), "The  one is bad."),
        (Mark(), "The bad [unverified] one is bad."),
        (Mark(before="~~", after="~~"), "The ~~bad~~ one is bad."),
        (Replace(), "The good one is bad."),
        (Replace("<{kind}>"), "The good one is bad."),
        (Remove(), ""),
        (Abstain("No."), "No."),
        (Abstain("No.", above=0.8), "The bad one is bad."),
    ],
)
def test_the_ways(way: Way, said: str) -> None:
    assert replied(Repaired(ScriptedModel("The bad one is bad."), (Finds(way=way),))).text == said


def test_a_model_writes_the_sentence_again_and_its_call_is_paid_for() -> None:
    writer = ScriptedModel(
        ["The good one came.", "Still bad.", "", Reply("A half", finish_reason="length")], name="writer"
    )
    model = Repaired(ScriptedModel("Fine. The bad one came. A bad end. So bad. bad."), (Finds(way=Rewrite(writer)),))
    reply = replied(model, Request.of("who?", extra={"context": "It was the good one."}))
    assert reply.text == "Fine. The good one came. A bad end. So bad. bad."
    assert [call.model for call in reply.trace.calls] == ["scripted", "finds", *["writer"] * 4]
    assert [one.verdict for one in reply.trace.decisions] == [
        "kept: the new sentence has a fault too",
        "kept: the new sentence is empty",
        "kept: the new sentence is cut",
        "mended: a bad word",
        "1 edits",
    ]
    asked = writer.requests[0].prompt
    assert all(one in asked for one in ("who?", "It was the good one.", "The bad one came.", "'bad'"))
    assert "Fine" not in asked


@given(st.integers(0, 1000), st.sampled_from(["remove", "mark", "replace"]), st.booleans())
def test_a_stream_says_what_the_whole_answer_says_however_it_comes(seed: int, which: str, touches: bool) -> None:
    dice = random.Random(seed)
    parts = [
        "A bad day. ",
        "Good. ",
        "No 12 is bad. ",
        "\n",
        "```\nbad x. Y\n```\n",
        "- bad item\n",
        "Dr. Who `bad`. ",
        " ",
        "bad",
    ]
    text = "".join(dice.choice(parts) for _ in range(dice.randint(0, 12)))
    ways: dict[str, Way] = {"remove": Remove(), "mark": Mark(), "replace": Replace()}
    touch = frozenset({"numbers", "code"} if touches else ())
    model = Repaired(InPieces(text, seed), (Finds(way=ways[which], touch=touch), Finds("Good", Mark(), name="other")))
    said, last = streamed(model)
    whole = replied(model)
    assert said == last.text == whole.text
    assert last.trace.decisions == whole.trace.decisions
    if not touches:
        assert [said[a:b] for a, b in numbers(said)] == [text[a:b] for a, b in numbers(text)]
        assert [said[a:b] for a, b in code(said)] == [text[a:b] for a, b in code(text)]


def test_a_stream_is_one_sentence_late_and_takes_nothing_back() -> None:
    model = ScriptedModel("One bad thing. Two came. Three went.")
    plugin = Finds()
    found = asyncio.run(deltas(Repaired(model, (plugin,)), Request.of("q")))
    assert [delta.text for delta in found] == ["Two came.", " Three went."]
    assert [text for text, _ in plugin.seen] == ["One bad thing.", "Two came.", "Three went."]
    assert [context.before for _, context in plugin.seen] == ["", "", "Two came."]
    assert plugin.seen[1][1].edits == (Edit(0, 14, "One bad thing.", "", "word", "a bad word", 0.75),)


def test_code_passes_line_by_line_and_is_held_for_who_may_touch_it() -> None:
    text = "See:\n```\na\nbad\n```\nDone."
    passes = asyncio.run(deltas(Repaired(InPieces(text), (Finds(),)), Request.of("q")))
    assert [delta.text for delta in passes] == ["See:", "\n```", "\na", "\nbad", "\n```", "\nDone."]
    plugin = Finds(way=Replace(), touch=frozenset({"code"}))
    held = asyncio.run(deltas(Repaired(InPieces(text), (plugin,)), Request.of("q")))
    assert [delta.text for delta in held] == ["See:", "\n```\na\ngood\n```", "\nDone."]


def test_an_answer_that_may_be_taken_back_is_held_to_its_end() -> None:
    model = Repaired(InPieces("Fine. A bad end."), (Finds(way=Abstain("No."), touch=frozenset()),))
    (only,) = asyncio.run(deltas(model, Request.of("q")))
    assert only.text == "No."
    assert only.reply is not None
    assert [one.verdict for one in only.reply.trace.decisions] == ["answer withdrawn", "withdrawn"]


def test_plugins_work_in_order_and_whole_ones_among_them() -> None:
    ends = Finds("ugly", way=Remove("span"), name="third", touch=frozenset())
    model = Repaired(
        ScriptedModel("A bad day. It is ugly."),
        (Finds(way=Replace()), Finds("good", Abstain(above=0.9), name="second"), ends),
    )
    assert replied(model).text == "A good day. It is ."


def test_tool_calls_pass_and_log_probabilities_go_where_the_text_changed() -> None:
    call = ToolCall("1", "f", '{"bad": 12}')
    logs = (TokenLogprob("x", -0.5),)
    for text, kept in (("A bad one. Fine.", None), ("Fine.", logs)):
        model = Repaired(ScriptedModel([Reply(text, (call,), logprobs=logs)] * 2), (Finds(),))
        reply = replied(model)
        assert (reply.text, reply.tool_calls, reply.logprobs) == ("Fine.", (call,), kept)
        found = asyncio.run(deltas(model, Request.of("q")))
        assert [one for delta in found for one in delta.tool_calls] == [call]
        assert found[-1].reply is not None
        assert found[-1].reply.tool_calls == (call,)


def test_of_several_answers_each_is_mended_and_all_are_paid_for() -> None:
    said = Reply("A bad one. Fine.", choices=(Reply("Good."), Reply("So bad. Good.")), trace=Trace((Call("m"),)))
    reply = replied(Repaired(ScriptedModel([said]), (Finds(),)), Request.of("q", n=3))
    assert [one.text for one in (reply, *reply.choices)] == ["Fine.", "Good.", "Good."]
    assert [call.role for call in reply.trace.calls] == ["model", *["detector"] * 3]


class Retrieves:
    """Stands for a model that retrieves: it tells of passages, then another answers."""

    name = "retrieves"

    def __init__(self, inner: ScriptedModel) -> None:
        self.inner = inner

    async def reply(self, request: Request) -> Reply:
        return await self.inner.reply(shown(request, ["told within"]))

    async def stream(self, request: Request) -> AsyncIterator[Delta]:
        async for delta in self.inner.stream(shown(request, ["told within"])):
            yield delta


def test_the_plugins_know_what_was_asked_and_shown() -> None:
    turns = (
        Message("system", "be brief"),
        Message("user", "of the file", "context"),
        Message("user", "who? <d>a document</d>"),
    )
    asked = Request(turns, extra={"context": "of the field"})
    inner = ScriptedModel("Fine. Good.")
    for way in (streamed, replied):
        plugin = Finds()
        way(Repaired(Retrieves(inner), (plugin,), evidence=("<d>", "</d>")), asked)
        for _, context in plugin.seen:
            assert context.passages == ("told within", "of the file", "of the field", "a document")
            assert (context.question, context.system) == ("who? <d>a document</d>", "be brief")
    plugin = Finds()
    replied(Repaired(inner, (plugin,), evidence="prompt"), shown(asked, ["told around"]))
    assert plugin.seen[0][1].passages == ("told around", "of the file", "of the field", "who? <d>a document</d>")
    assert "passages" not in str(inner.requests[-1].to_json())


@dataclass(frozen=True)
class Lies(Finds):
    """Says of its edits what is not so."""

    def detect(self, text: str, context: Context) -> Sequence[Span]:
        return [Span(0, 99 if self.word == "span" else 1, "x")]

    async def mend(self, text: str, spans: Sequence[Span], context: Context) -> Mended:
        if self.word == "back":
            return Mended("No.", withdrawn=True)
        return Mended("another", ()) if self.word == "text" else Mended(text, (Edit(0, 1, "?", ""),))


@pytest.mark.parametrize(
    ("word", "said"),
    [("span", "characters 0 to 99"), ("text", "do not give"), ("edit", "another"), ("back", "needing it whole")],
)
def test_a_plugin_that_does_not_tell_the_truth_is_an_error(word: str, said: str) -> None:
    with pytest.raises(ModelError, match=f"finds.*{said}"):
        replied(Repaired(ScriptedModel("Fine."), (Lies(word),)))


def test_settings_that_cannot_be() -> None:
    model = ScriptedModel("x")
    for given_, said in (
        ({"plugins": ()}, "no plug-in"),
        ({"plugins": (Finds(), Finds("x"))}, "one name"),
        ({"plugins": (Finds(),), "evidence": "somewhere"}, "evidence"),
        ({"plugins": (Finds(),), "most": 5}, "most"),
    ):
        with pytest.raises(ConfigError, match=said):
            Repaired(model, **given_)
    with pytest.raises(ConfigError, match="sentence"):
        Remove("word")
    with pytest.raises(ConfigError, match="mark"):
        Mark("")
    with pytest.raises(ConfigError, match="place"):
        Rewrite(model, "say it again")


def test_who_stops_listening_stops_the_model() -> None:
    model = ScriptedModel("One came. Two came. Three came.", delay=0.2)

    async def first() -> str:
        stream = Repaired(model, (Finds(),)).stream(Request.of("q"))
        async for delta in stream:
            await stream.aclose()  # type: ignore[attr-defined]
            return delta.text
        return ""

    assert asyncio.run(first()) == "One came."
    assert (model.cancelled, model.active) == (1, 0)
