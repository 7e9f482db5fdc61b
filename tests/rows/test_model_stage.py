from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.model import Call, Model, Reply, Request, Trace, WholeReplies
from pilotfish.rows._describe import describe
from pilotfish.rows._row import Rows
from pilotfish.rows.model_stage import ModelStage, Template


@dataclass
class Echo(WholeReplies):
    """Answers by a rule, remembers what it was asked."""

    rule: Callable[[str], str] = str.upper
    name: str = "echo"
    price: float | None = 0.5
    asked: list[Request] = field(default_factory=list)
    timeout: float = 1.0

    async def reply(self, request: Request) -> Reply:
        self.asked.append(request)
        if "refuse" in request.prompt:
            raise ModelError("refused: no")
        call = Call(self.name, tokens_in=len(request.prompt), tokens_out=2, seconds=0.25, cost=self.price)
        return Reply(f" {self.rule(request.prompt)}\n", trace=Trace((call, call)))


def test_a_prompt_becomes_a_column() -> None:
    model = Echo()
    stage = ModelStage(model, "Say {text}, {n} {{x}} {l}", system="Be {mood}", trace=True, max_tokens=3)
    row = {"text": "a{b}", "n": 3, "l": ["ü"], "mood": "kind"}
    found = stage([row])
    assert found == [
        {
            **row,
            "reply": 'SAY A{B}, 3 {X} ["Ü"]',
            "reply_trace": {
                "model": "echo",
                "tokens_in": 2 * len('Say a{b}, 3 {x} ["ü"]'),
                "tokens_out": 4,
                "seconds": 0.5,
                "cost": 1.0,
                "calls": 2,
            },
        }
    ]
    request = model.asked[0]
    assert (request.messages[0].role, request.messages[0].text) == ("system", "Be kind")
    assert request.max_tokens == 3
    assert stage.report.totals["calls"] == 2
    assert stage.report.totals["dollars"] == 1.0
    stage.end()


def test_bad_rows_are_rejected_with_their_reasons() -> None:
    stage = ModelStage(Echo(price=None), "{text}", output="out")
    rows: Rows = [{"text": "a"}, {"txt": "b"}, {"text": None}, {"text": "refuse"}, {"text": "c"}]
    assert [row["out"] for row in stage(rows)] == ["A", "C"]
    assert stage.report.reasons == {
        "no column 'text'; did you mean 'txt'?": 1,
        "empty column": 1,
        "refused": 1,
    }
    assert stage.report.totals["calls of unknown price"] == 4
    assert "dollars" not in stage.report.totals
    stage.end()


def test_parse_makes_the_value_or_rejects() -> None:
    def number(reply: Reply) -> int:
        if not reply.text.strip().isdigit():
            raise DataError(f"not a number: {reply.text.strip()}")
        return int(reply.text)

    stage = ModelStage(Echo(), "{text}", parse=number)
    assert [row["reply"] for row in stage([{"text": "7"}, {"text": "x"}])] == [7]
    assert stage.report.reasons == {"not a number": 1}
    stage.end()


def test_a_column_that_is_there_is_not_overwritten() -> None:
    stage = ModelStage(Echo(), "{text}", output="text")
    with pytest.raises(ConfigError, match="already have a column 'text'"):
        stage([{"text": "a"}])
    stage.end()


@pytest.mark.parametrize(
    "text", ["{", "}", "{}", "{0.x}", "{text.__class__}", "{text[0]}", "{text!r}", "{text:>10}", "{a} {b.c}"]
)
def test_templates_hold_plain_columns_only(text: str) -> None:
    with pytest.raises(ConfigError, match="template"):
        Template(text)


def test_templates_know_their_columns() -> None:
    template = Template("{a} {{b}} {a} {some column}")
    assert template.columns == ["a", "some column"]
    assert template.fill({"a": 1, "some column": "{c}"}) == "1 {b} 1 {c}"


def test_concurrency_is_the_models_where_it_says() -> None:
    class Wide(Echo):
        concurrency = 32

    assert ModelStage(Wide(), "{text}").concurrency == 32
    assert ModelStage(Wide(), "{text}", concurrency=2).concurrency == 2
    assert ModelStage(Echo(), "{text}").concurrency == 8


def test_wrong_settings() -> None:
    with pytest.raises(ConfigError, match="max_token"):
        ModelStage(Echo(), "{text}", max_token=3)
    with pytest.raises(ConfigError, match="concurrency"):
        ModelStage(Echo(), "{text}", concurrency=0)


@dataclass
class Pair(WholeReplies):
    small: Model
    above: float
    name: str = "pair"


def test_config_goes_by_what_the_model_is() -> None:
    same = [ModelStage(Echo(timeout=t), "{text}", concurrency=c).config() for t, c in ((1.0, 1), (9.0, 4))]
    assert same[0] == same[1]
    assert ModelStage(Echo(), "{text}?").config() != same[0]
    assert ModelStage(Echo(), "{text}", max_tokens=1).config() != same[0]
    assert ModelStage(Echo(name="other"), "{text}").config() != same[0]
    assert describe(Pair(Echo(), 0.5)) != describe(Pair(Echo(), 0.6))
    assert describe(Pair(Echo(), 0.5)) == describe(Pair(Echo(timeout=3.0), 0.5))
