"""Units and documents by what they have to do with a question, by a small language model.

Source: Jiang et al. 2024 (LongLLMLingua: Accelerating and Enhancing LLMs in Long Context Scenarios via Prompt
Compression), sections 4.1 (documents by the question's likelihood) and 4.2 (contrastive perplexity).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError
from pilotfish.prompt.compress._reading import Tokens, Walk, lead_of, losses, segments
from pilotfish.prompt.compress.perplexity import check_windows, kept_tokens
from pilotfish.prompt.compress.units import per_unit
from pilotfish.prompt.compress.way import Asked, Ranked, Scored

if TYPE_CHECKING:
    from pilotfish.models.reader import Reader

__all__ = ["RESTRICT", "AnsweringDocuments", "ByQuestion"]

# The paper's statement x^restrict: a small model that is told so makes less up.
RESTRICT = "We can get the answer to this question in the given documents."


@dataclass(frozen=True)
class ByQuestion:
    """Scores units by how much likelier the question makes them: log p(x | question, before) − log p(x | before).

    Attributes:
        reader: the small model.
        segment: as for `ByPerplexity`.
        context: as for `ByPerplexity`; the question does not count.
        again: as for `ByPerplexity`.
        plain: how much of the plain loss, without the question, is added. The paper's equation 4 has none.
        most: tokens of the question that are read at most; its end is left out.

    Raises:
        ConfigError: a setting out of range; when called, no question.
    """

    reader: Reader
    segment: int | None = 200
    context: int = 2048
    again: bool = True
    plain: float = 0.0
    most: int = 256
    name: str = "question"

    def __post_init__(self) -> None:
        check_windows(self.segment, self.context)

    def __call__(self, asked: Asked) -> Scored:
        """Return each unit's mean gain a token, in nats."""
        if not asked.question.strip():
            raise ConfigError("by question: there is no question; give one, or take by = perplexity")
        tokenizer = self.reader.tokenizer
        tokens = Tokens.of(tokenizer, asked.text, asked.units)
        lead, alone = lead_of(tokenizer, self._cut(asked.question)), lead_of(tokenizer)
        if self.segment is None:
            told, read = losses(self.reader, tokens.ids, lead, self.context + len(lead))
            plainly, more = losses(self.reader, tokens.ids, alone, self.context)
            values = self._of(plainly, told)
            return Scored(per_unit(asked.units, tokens.places, values), None, read + more)
        one, other = (Walk(self.reader, ids, self.context + len(ids), self.again) for ids in (lead, alone))
        values, groups = np.zeros(len(tokens.ids)), np.zeros(len(asked.units), np.int64)
        for number, (start, end) in enumerate(segments(tokens.units, self.segment)):
            some = tokens.ids[start:end]
            values[start:end] = self._of(other.step(some), one.step(some))
            kept, units = kept_tokens(asked, tokens, values, start, end)
            one.keep(kept)
            other.keep(kept)
            groups[units] = number
        return Scored(per_unit(asked.units, tokens.places, values), groups, one.read + other.read)

    def _of(self, plainly: NDArray[np.float64], told: NDArray[np.float64]) -> NDArray[np.float64]:
        return plainly - told + self.plain * plainly

    def _cut(self, question: str) -> str:
        places = self.reader.tokenizer(question, add_special_tokens=False, return_offsets_mapping=True, verbose=False)[
            "offset_mapping"
        ]
        return question if len(places) <= self.most else question[: int(places[self.most - 1][1])]


@dataclass(frozen=True)
class AnsweringDocuments:
    """Ranks documents by how likely they make the question: the mean log p of its tokens behind the document.

    Section 4.1, equation 3: p(question | document) tells a document that answers from one that shares its words.

    Attributes:
        reader: the small model.
        restrict: what is put behind the question, and read with it.
        tokens: of a document that are read at most.
    """

    reader: Reader
    restrict: str = RESTRICT
    tokens: int = 1024

    def __call__(self, question: str, texts: Sequence[str]) -> Ranked:
        """Return the question's mean log p a token behind each text, in nats.

        Raises:
            ConfigError: no question.
        """
        if not question.strip():
            raise ConfigError("documents are ranked by a question, and there is none")
        tokenizer = self.reader.tokenizer
        lead = lead_of(tokenizer)
        whole = f"\n\n{question} {self.restrict}".rstrip()
        wanted = tokenizer(whole, add_special_tokens=False, verbose=False)["input_ids"]
        most = max(1, min(self.tokens, self.reader.max_length - len(lead) - len(wanted)))
        rows = []
        for text in texts:
            ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"][:most]
            rows.append(([*lead, *ids, *wanted], len(lead) + len(ids)))
        found = [float(one.mean()) for one in self.reader.logprobs(rows)]
        return Ranked(np.array(found), sum(len(row) for row, _ in rows))
