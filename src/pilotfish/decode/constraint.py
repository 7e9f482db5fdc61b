"""What an answer may say next: a grammar that masks tokens.

Grammars are compiled and followed by llguidance (Microsoft, MIT licence), which knows JSON schemas, regular
expressions and context-free grammars in Lark's notation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pilotfish._extras import need
from pilotfish.errors import ModelError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Constraint", "GrammarConstraint", "compile_grammar", "grammar_of"]

# JSON may have white space between its parts, but no more than an indented line needs: small models that may go on
# with it for ever sometimes do.
SPACE = r"[\x20\x0A\x0D\x09]{1,24}"
FORMATS = ("text", "json_object", "json_schema", "regex", "grammar")


class Constraint(Protocol):
    """Which tokens may come next, given what was accepted. One row's own; it moves with `accept`."""

    @property
    def over(self) -> bool:
        """Whether the answer is complete and nothing may follow but an end."""

    def allowed(self, ahead: Sequence[int], rows: int, vocabulary: int) -> Tensor:
        """Return which tokens may come, (rows, vocabulary) bool.

        Row i stands after what was accepted and `ahead[: len(ahead) - rows + 1 + i]`. Where those tokens are not
        allowed themselves, all are: nothing will be drawn there. End tokens are allowed where the answer may end.
        """

    def accept(self, tokens: Sequence[int]) -> None:
        """Move on by these tokens; after an end token nothing matters any more.

        Raises:
            ModelError: a token is not allowed.
        """

    def fork(self) -> Constraint:
        """Return an independent copy."""


class GrammarConstraint:
    """A `Constraint` by an llguidance matcher. Padding ids of the vocabulary and special tokens are never allowed.

    Args:
        matcher: the llguidance matcher, in its present state.
        ends: the tokens that end an answer, allowed where the grammar may end.
        never: ids that the matcher takes for end tokens though they are none of this model's.
    """

    def __init__(self, matcher: Any, ends: frozenset[int], never: Sequence[int] = ()) -> None:
        self._matcher = matcher
        self._ends = ends
        self._never = [*never]
        self._ended = False

    @property
    def over(self) -> bool:
        """Whether the answer is complete and nothing may follow but an end."""
        return self._ended or bool(self._matcher.is_stopped() and self._matcher.is_accepting())

    def allowed(self, ahead: Sequence[int], rows: int, vocabulary: int) -> Tensor:
        """Return which tokens may come, (rows, vocabulary) bool (see `Constraint`)."""
        torch = need("torch", "local")
        out: Tensor = torch.ones((rows, vocabulary), dtype=torch.bool)
        if self._ended:
            return out
        first = len(ahead) - rows + 1
        taken = 0
        try:
            for i in range(rows):
                # An end token is not for the matcher: nothing that comes after it matters.
                wanted = list(ahead[taken : first + i])
                size = next((n for n, token in enumerate(wanted) if token in self._ends), len(wanted))
                done = self._matcher.try_consume_tokens(wanted[:size]) if size else 0
                taken += done
                if done < len(wanted):
                    break
                self._fill(out[i])
        finally:
            if taken:
                self._matcher.rollback(taken)
            self._check()
        return out

    def _fill(self, row: Any) -> None:
        torch = need("torch", "local")
        may_end = bool(self._matcher.is_accepting())
        mask = torch.frombuffer(bytearray(self._matcher.compute_logit_bias()), dtype=torch.uint8)[: len(row)]
        row[: len(mask)] = mask != 0
        row[len(mask) :] = False
        for end in self._ends:
            row[end] = may_end
        for token in self._never:
            row[token : token + 1] = False

    def accept(self, tokens: Sequence[int]) -> None:
        """Move on by these tokens; after an end token nothing matters any more.

        Raises:
            ModelError: a token is not allowed.
        """
        for token in tokens:
            if self._ended:
                return
            if token in self._ends:
                if not self._matcher.is_accepting():
                    raise ModelError("the answer ended before its format was complete")
                self._ended = True
            elif self._matcher.try_consume_tokens([token]) != 1:
                self._check()
                raise ModelError(f"token {token} does not fit the format of the answer")

    def fork(self) -> GrammarConstraint:
        """Return an independent copy."""
        made = GrammarConstraint(self._matcher.deep_copy(), self._ends, self._never)
        made._ended = self._ended
        return made

    def _check(self) -> None:
        if self._matcher.is_error():
            raise ModelError(f"the format cannot be followed: {_line(self._matcher.get_error())}")


def grammar_of(response_format: Mapping[str, Any] | None) -> str | None:
    """Return the llguidance grammar of a request's `response_format`; None where any text will do.

    Beside OpenAI's "text", "json_object" and "json_schema" there are `{"type": "regex", "pattern": …}` and
    `{"type": "grammar", "grammar": …}` (Lark). The whole answer must match.

    Raises:
        ModelError: an unknown type, or a format without what its type needs.
    """
    if response_format is None:
        return None
    kind = response_format.get("type")
    if kind == "text":
        return None
    if kind == "json_object":
        return schema_grammar({"type": "object"})
    if kind == "json_schema":
        given = response_format.get("json_schema")
        schema = given.get("schema") if isinstance(given, Mapping) else None
        if not isinstance(schema, Mapping | bool):
            raise ModelError('response_format: json_schema needs {"json_schema": {"schema": {…}}}')
        return schema_grammar(schema)
    matcher = need("llguidance", "local").LLMatcher
    if kind == "regex":
        return str(matcher.grammar_from_regex(_text(response_format, "pattern", "regex")))
    if kind == "grammar":
        return str(matcher.grammar_from_lark(_text(response_format, "grammar", "grammar")))
    raise ModelError(f"response_format: no type {kind!r}{did_you_mean(str(kind), FORMATS)}")


def schema_grammar(schema: Any) -> str:
    """Return the llguidance grammar of a JSON schema (checked by `compile_grammar`)."""
    matcher = need("llguidance", "local").LLMatcher
    text = json.dumps(schema if isinstance(schema, bool) else dict(schema))
    return str(matcher.grammar_from_json_schema(text, defaults={"whitespace_pattern": SPACE}))


def compile_grammar(grammar: str, tokenizer: Any, vocabulary: int, ends: frozenset[int]) -> GrammarConstraint:
    """Return a constraint by a grammar, at the beginning of an answer.

    Raises:
        ModelError: the grammar is wrong, uses what llguidance does not do, or the tokenizer is not a fast one.
    """
    llguidance = need("llguidance", "local")
    known = _vocabulary(tokenizer, vocabulary, ends)
    matcher = llguidance.LLMatcher(known, grammar, log_level=0)
    if matcher.is_error():
        raise ModelError(f"the format is wrong: {_line(matcher.get_error())}")
    return GrammarConstraint(matcher, ends, sorted({*known.eos_tokens} - ends))


def _vocabulary(tokenizer: Any, vocabulary: int, ends: frozenset[int]) -> Any:
    """Return llguidance's view of a tokenizer; kept on the tokenizer, as it takes up to a second to make."""
    known = tokenizer.__dict__.setdefault("_pilotfish_llguidance", {})
    key = (vocabulary, ends)
    if key not in known:
        llguidance = need("llguidance", "local")
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise ModelError("only fast tokenizers (tokenizer.json) can be constrained; this model has a slow one")
        text, size = backend.to_str(), max(vocabulary, len(tokenizer))
        wanted = sorted(ends)
        if not wanted:
            # llguidance wants an end token. Where the model has none it gets one that the model cannot say.
            larger = need("tokenizers", "local").Tokenizer.from_str(text)
            larger.add_special_tokens(["<|pilotfish-no-end|>"])
            wanted = [larger.token_to_id("<|pilotfish-no-end|>")]
            text, size = larger.to_str(), size + 1
        try:
            known[key] = llguidance.LLTokenizer(text, n_vocab=size, eos_token=wanted)
        except Exception as error:  # the library raises its own kinds
            raise ModelError(f"this tokenizer cannot be constrained: {_line(str(error))}") from error
    return known[key]


def _text(given: Mapping[str, Any], key: str, kind: str) -> str:
    value = given.get(key)
    if not isinstance(value, str):
        raise ModelError(f'response_format: {kind} needs {{"type": "{kind}", "{key}": "…"}}')
    return value


def _line(text: str) -> str:
    """Return an error of several lines as one, without the arrows that point into the source."""
    line = " ".join(text.replace("^", " ").split())
    return line if len(line) < 240 else line[:239] + "…"
