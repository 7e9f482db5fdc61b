"""Constraints: what is allowed is what can still become a match, wherever one looks; formats hold in every answer."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish._sync import ask
from pilotfish.errors import ModelError
from pilotfish.model import Reply, Request
from pilotfish.models.local import LocalModel
from tests.asking import together
from tests.tiny import Cut, tokenizer

pytest.importorskip("torch")
pytest.importorskip("llguidance")
regex = pytest.importorskip("regex")

from pilotfish.decode.constraint import GrammarConstraint, compile_grammar, grammar_of  # noqa: E402 torch first

PATTERN = r"(the |cat|dog)+[0-9]{2,4}!?"
PAD = 9  # logits that no token has


@functools.cache
def cutter(cut: Cut = "plain") -> Any:
    return tokenizer(cut)


def constraint(pattern: str = PATTERN, cut: Cut = "plain") -> GrammarConstraint:
    ends = frozenset([cutter(cut).eos_token_id]) if cut != "bare" else frozenset()
    grammar = grammar_of({"type": "regex", "pattern": pattern})
    assert grammar is not None
    return compile_grammar(grammar, cutter(cut), len(cutter(cut)) + PAD, ends)


def said(ids: list[int], cut: Cut = "plain") -> str:
    return str(cutter(cut).decode(ids, clean_up_tokenization_spaces=False))


@functools.cache
def names(cut: Cut) -> list[str]:
    return [said([token], cut) for token in range(len(cutter(cut)))]


def brute(ids: list[int], cut: Cut) -> set[int]:
    """Every token after which the text can still become a match; the end token where it is one."""
    text = said(ids, cut)
    special = set(cutter(cut).all_special_ids)
    found = {
        token
        for token in range(len(cutter(cut)))
        if token not in special and regex.fullmatch(PATTERN, text + names(cut)[token], partial=True)
    }
    if cut != "bare" and regex.fullmatch(PATTERN, text):
        found.add(cutter(cut).eos_token_id)
    return found


cuts: list[Cut] = ["plain", "melting", "bare"]


@pytest.mark.parametrize("cut", cuts)
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_what_is_allowed_is_what_can_still_match(cut: Cut, data: st.DataObject) -> None:
    one = constraint(cut=cut)
    ids: list[int] = []
    width = len(cutter(cut)) + PAD
    for _ in range(12):
        allowed = one.allowed([], 1, width)[0]
        possible = set(allowed.nonzero()[:, 0].tolist())
        right = brute(ids, cut)
        assert possible <= right
        assert bool(possible) == bool(right)
        if possible != right:
            # Where only one text can come next, it must come in the tokens that the tokenizer would cut it in.
            assert len(possible) == 1
            texts = sorted((names(cut)[token] for token in right), key=len)
            assert all(texts[-1].startswith(text) for text in texts)
        if not possible:
            assert one.over
            return
        token = data.draw(st.sampled_from(sorted(possible)))
        one.accept([token])
        if cut != "bare" and token == cutter(cut).eos_token_id:
            assert one.over
            assert regex.fullmatch(PATTERN, said(ids, cut))
            return
        ids.append(token)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_rows_ahead_are_what_a_fork_would_say(data: st.DataObject) -> None:
    one = constraint()
    width = len(cutter()) + PAD
    one.accept(cutter()("the ", add_special_tokens=False)["input_ids"])
    right = cutter()(data.draw(st.sampled_from(["cat the 12!", "dog1234", "catcat77"])), add_special_tokens=False)
    ahead = right["input_ids"]
    end = cutter().eos_token_id
    if data.draw(st.booleans()):
        ahead = [*ahead, end, 5]
    if data.draw(st.booleans()):
        ahead[data.draw(st.integers(0, len(ahead) - 1))] = data.draw(st.integers(3, len(cutter()) - 1))
    rows = data.draw(st.integers(1, len(ahead) + 1))
    before = one.allowed([], 1, width).clone()
    got = one.allowed(ahead, rows, width)
    assert got.shape == (rows, width)
    for i in range(rows):
        fork = one.fork()
        try:
            fork.accept(ahead[: len(ahead) - rows + 1 + i])
        except ModelError:
            assert bool(got[i].all())
            continue
        assert got[i].tolist() == fork.allowed([], 1, width)[0].tolist()
    assert one.allowed([], 1, width).tolist() == before.tolist()


def test_a_token_that_does_not_fit_is_refused() -> None:
    one = constraint()
    with pytest.raises(ModelError, match="does not fit the format"):
        one.accept(cutter()("!", add_special_tokens=False)["input_ids"])
    with pytest.raises(ModelError, match="ended before its format was complete"):
        constraint().accept([cutter().eos_token_id])


SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"enum": ["refund", "card", "café"]},
        "sure": {"type": "boolean"},
        "parts": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 99}, "maxItems": 2},
    },
    "required": ["label", "sure", "parts"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "label", "schema": SCHEMA}}


def fits(text: str) -> bool:
    data = json.loads(text)
    return (
        set(data) == {"label", "sure", "parts"}
        and data["label"] in ("refund", "card", "café")
        and isinstance(data["sure"], bool)
        and len(data["parts"]) <= 2
        and all(isinstance(part, int) and 0 <= part <= 99 for part in data["parts"])
    )


def test_every_answer_has_the_form_that_was_asked_for(tiny_lm: LocalModel) -> None:
    asked = [
        Request.of("Text: top up", max_tokens=300, response_format=FORMAT, temperature=heat, seed=i, n=2)
        for i, heat in enumerate((0.0, 0.7, 1.5, 3.0))
    ]
    *constrained, free = together(tiny_lm, [*asked, Request.of("Text: top up", max_tokens=12)])
    texts = [one.text for reply in constrained for one in (reply, *reply.choices)]
    assert len(texts) == 8
    assert all(fits(text) for text in texts), texts
    assert len(set(texts)) > 2
    assert all(reply.finish_reason == "stop" for reply in constrained)
    # The one beside them is free as ever.
    assert free.text == ask(tiny_lm, "Text: top up", max_tokens=12).text


def test_json_of_any_form_and_patterns_and_grammars(tiny_lm: LocalModel) -> None:
    def text(**form: Any) -> Reply:
        return ask(tiny_lm, "refund", max_tokens=200, response_format=form, temperature=1.0, seed=2)

    reply = text(type="json_object")
    assert reply.text.startswith("{")
    assert reply.finish_reason == "length" or isinstance(json.loads(reply.text), dict)
    assert regex.fullmatch(r"[a-c]{3,5}-\d", text(type="regex", pattern=r"[a-c]{3,5}-\d").text)
    lark = 'start: "yes" | "no, " REASON\nREASON: /[a-z]{1,9}/'
    assert regex.fullmatch(r"yes|no, [a-z]{1,9}", text(type="grammar", grammar=lark).text)


def test_white_space_between_the_parts_of_json_is_limited() -> None:
    grammar = grammar_of({"type": "json_object"})
    assert grammar is not None
    one = compile_grammar(grammar, cutter(), len(cutter()), frozenset([cutter().eos_token_id]))
    (space,) = cutter()(" ", add_special_tokens=False)["input_ids"]
    one.accept([*cutter()("{", add_special_tokens=False)["input_ids"], *[space] * 24])
    with pytest.raises(ModelError, match="does not fit"):
        one.accept([space])


def test_a_complete_answer_needs_no_end_token_and_is_not_cut(tiny_lm: LocalModel) -> None:
    reply = ask(tiny_lm, "x", max_tokens=50, response_format={"type": "regex", "pattern": "[0-9]{3}"})
    tokens = len(tiny_lm.tokenizer(reply.text, add_special_tokens=False)["input_ids"])
    assert (len(reply.text), reply.finish_reason) == (3, "stop")
    exact = ask(
        tiny_lm, "x", max_tokens=reply.usage.tokens_out, response_format={"type": "regex", "pattern": "[0-9]{3}"}
    )
    assert (exact.text, exact.finish_reason, tokens <= reply.usage.tokens_out) == (reply.text, "stop", True)


@pytest.mark.parametrize(
    ("form", "said_"),
    [
        ({"type": "jsonobject"}, "no type 'jsonobject'; did you mean 'json_object'"),
        ({"type": "json_schema"}, "json_schema needs"),
        ({"type": "json_schema", "json_schema": {"schema": {"type": "objekt"}}}, "the format is wrong: .*objekt"),
        ({"type": "json_schema", "json_schema": {"schema": {"if": {}}}}, 'the format is wrong: .*"if"'),
        ({"type": "regex"}, "regex needs"),
        ({"type": "regex", "pattern": "("}, "the format is wrong: .*unclosed group"),
        ({"type": "grammar", "grammar": "start: nothing"}, 'the format is wrong: .*"nothing"'),
    ],
)
def test_a_bad_format_is_one_line_that_names_the_trouble(tiny_lm: LocalModel, form: dict[str, Any], said_: str) -> None:
    with pytest.raises(ModelError, match=f"^tiny: .*{said_}") as caught:
        ask(tiny_lm, "x", response_format=form)
    assert "\n" not in str(caught.value)
