"""Questions and answers from documents, each with the words of the document that bear it out.

Source: Alberti et al. 2019 (Synthetic QA Corpora Generation with Roundtrip Consistency), section 2; the round trip
itself is a check: another model answers the question from the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pilotfish.errors import ConfigError
from pilotfish.model import Reply
from pilotfish.rows._row import Row
from pilotfish.synthesize.asking import Asking
from pilotfish.synthesize.fields import Fields
from pilotfish.synthesize.recipe import Made, Prompt, Recipe, Unread
from pilotfish.synthesize.templates import Template

__all__ = ["FIELDS", "Questioned", "passages"]

FIELDS = Fields(
    {
        "question": "the question",
        "answer": "its answer, short and whole",
        "quote": "the words of the document that bear the answer out, copied exactly",
    }
)

ASKING = Asking(temperatures=(0.7,), max_tokens=768)


class Questioned(Recipe):
    """Asks for questions about each passage of documents; a row keeps its passage and where the quote stands in it.

    Args:
        documents: rows with the column `text`.
        text: that column.
        each: questions a passage.
        words: the most words of a passage; documents are cut at paragraphs and sentences.
        difficulty: in words, put after "questions that …"; None for none.
        asking: how the model is asked.
        template: a name of ours, or a file.
    """

    name = "questioned"

    def __init__(
        self,
        documents: Sequence[Row],
        *,
        text: str = "text",
        each: int = 2,
        words: int = 300,
        difficulty: str | None = None,
        asking: Asking = ASKING,
        template: str | Path = "questioned",
    ) -> None:
        if each < 1 or words < 20:
            raise ConfigError(f"each is 1 or more and words 20 or more, not {each} and {words}")
        self.passages = [
            (number, part) for number, row in enumerate(documents) for part in passages(str(row.get(text) or ""), words)
        ]
        if not self.passages:
            raise ConfigError(f"no document has words in the column {text!r}")
        self.each, self.words, self.difficulty, self.asking = each, words, difficulty, asking
        self.template = Template(template)

    def prompts(self, made: Made) -> Sequence[Prompt]:
        """Return a prompt for each passage, as far as rows are wanted; at most two for each."""
        if made.wanted is None:
            chosen = range(0 if made.round else len(self.passages))
        else:
            # A second time round they are asked for other questions; a third would bring the same ones again.
            a_prompt = made.kept_a_prompt if made.round else self.each
            end = min(made.asked + -(-made.missing // a_prompt), 2 * len(self.passages))
            chosen = range(made.asked, int(end))
        return [self._prompt(made, i - chosen.start, *self.passages[i % len(self.passages)]) for i in chosen]

    def _prompt(self, made: Made, number: int, document: int, passage: str) -> Prompt:
        places = {"document": passage, "count": self.each, "difficulty": self.difficulty, "fields": FIELDS.meanings}
        request = self.asking.request(self.template.fill(places), made, number, FIELDS.response_format(self.each))
        return Prompt(request, {"document": document, "passage": passage}, self.template.version)

    def read(self, prompt: Prompt, reply: Reply) -> Iterable[Row | Unread]:
        """Return the questions whose quote stands in the passage, with where it does."""
        passage = str(prompt.facts["passage"])
        for one in FIELDS.read(reply.text, self.each):
            if isinstance(one, Unread):
                yield one
                continue
            span = _found(str(one["quote"]), passage)
            if span is None:
                yield Unread("the quote is not in the document", str(one))
            else:
                quote = passage[span[0] : span[1]]
                yield {**one, "quote": quote, "context": passage, "quote_start": span[0]}

    def config(self) -> dict[str, Any]:
        """Return the settings; of the documents, how many passages."""
        return {**super().config(), "passages": len(self.passages)}


def passages(text: str, words: int) -> list[str]:
    """Return a text in parts of at most so many words, cut at paragraphs, else sentences, else anywhere."""
    found: list[str] = []
    held: list[str] = []
    for part in _parts(text, words):
        if held and sum(len(one.split()) for one in held) + len(part.split()) > words:
            found.append("\n".join(held))
            held = []
        held.append(part)
    return [*found, "\n".join(held)] if held else found


def _parts(text: str, words: int) -> Iterable[str]:
    for paragraph in re.split(r"\n\s*\n", text):
        bare = paragraph.strip()
        if len(bare.split()) <= words:
            if bare:
                yield bare
            continue
        for sentence in re.split(r"(?<=[.!?])\s+", bare):
            pieces = sentence.split()
            for start in range(0, len(pieces), words):
                yield " ".join(pieces[start : start + words])


def _found(quote: str, passage: str) -> tuple[int, int] | None:
    """Return where a quote stands, whatever its white space and case."""
    pieces = [re.escape(piece) for piece in quote.split()]
    if not pieces:
        return None
    found = re.search(r"\s+".join(pieces), passage, re.IGNORECASE)
    return None if found is None else found.span()
