"""A language model as a judge of relevance: asked whether a passage answers a query, and how surely it says yes.

Sources: Nogueira et al. 2020 (monoT5), section 3: the probability of one of two words; Liang et al. 2022 (HELM): the
same of a decoder, asked yes or no.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pilotfish.errors import ConfigError, ModelError
from pilotfish.model import Request
from pilotfish.models.classify.labeller import Chooser
from pilotfish.retrieve.rerank.reranked import Relevance

__all__ = ["QUESTION", "Asked"]

QUESTION = """Passage: {passage}

Query: {query}

Does the passage hold what the query asks for? Answer yes or no."""


class Asked:
    """A language model as a reader: log P(yes) - log P(no) of a question about query and passage.

    A passage that the model has no room for is cut at its end.

    Args:
        model: one with `choices`, as `LocalModel` has.
        question: with the places {query} and {passage}.
        answers: what counts as yes and as no.
        batch: pairs a pass.

    Raises:
        ConfigError: the model does not tell how likely answers are, or a place is missing.
    """

    def __init__(
        self, model: Chooser, question: str = QUESTION, *, answers: tuple[str, str] = ("yes", "no"), batch: int = 64
    ) -> None:
        if not all(callable(getattr(model, name, None)) for name in ("choices", "render", "count")):
            raise ConfigError(f"{model.name}: it does not tell how likely answers are, so it cannot order passages")
        if "{query}" not in question or "{passage}" not in question:
            raise ConfigError("the question needs the places {query} and {passage}")
        if answers[0].strip() == answers[1].strip():
            raise ConfigError(f"yes and no are both {answers[0]!r}")
        self.model, self.question, self.answers, self.batch = model, question, answers, batch

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.name

    def read(self, pairs: Sequence[tuple[str, str]]) -> Relevance:
        """See `Reads`.

        Raises:
            ModelError: a query too long for the model, whatever is left out of the passage.
        """
        scores, tokens = np.zeros(len(pairs)), np.zeros(len(pairs), np.int64)
        for start in range(0, len(pairs), self.batch):
            contexts = [self._context(query, passage) for query, passage in pairs[start : start + self.batch]]
            told = self.model.choices(contexts, self.answers)
            scores[start : start + self.batch] = told[:, 0] - told[:, 1]
            tokens[start : start + self.batch] = [self.model.count(context) for context in contexts]
        return Relevance(scores, tokens)

    def _context(self, query: str, passage: str) -> str:
        model = self.model
        room = model.max_length - max(model.count(answer) for answer in self.answers) - 2
        kept = len(passage)
        while True:
            context = self._asked(query, passage[:kept])
            over = model.count(context) - room
            if over <= 0:
                return context
            if not kept:
                raise ModelError(f"{model.name} takes {model.max_length} tokens: the query alone is longer")
            # As many characters as the tokens that are too many have, and a little more.
            kept = max(0, kept - int(over * max(1.0, len(context) / (room + over))) - 8)

    def _asked(self, query: str, passage: str) -> str:
        # One replacement after the other would fill a place that a query itself holds.
        before, _, after = self.question.partition("{query}")
        parts = [part.replace("{passage}", passage) for part in (before, after)]
        return self.model.render(Request.of(query.join(parts)))
