"""A classifier that says why: what counted most for its answer stands in the reply's trace."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np

from pilotfish.compete.explain.columns import explained, toward
from pilotfish.compete.explain.text import attributed, reads_of
from pilotfish.compete.tables.model import TableModel, TableReplies
from pilotfish.errors import ModelError
from pilotfish.model import Decision, Model, Reply, Request, Trace, WholeReplies
from pilotfish.models._table import row_of
from pilotfish.models.classify import ClassifierModel, Labeller
from pilotfish.models.rules import RuleList

__all__ = ["Explaining"]


class Explaining(WholeReplies):
    """Answers as its model does, and notes what counted, in log-odds for what was said (or the number's own unit).

    Each is a decision of the trace: its verdict says which word or column, its score how much; of a rule list the rule.

    Args:
        model: of a table, a classifier of texts, or a labeller over a local model.
        most: words or columns that are noted, the largest in size first.

    Raises:
        ModelError: another kind of model, or a table's that cannot be explained by itself.
    """

    def __init__(self, model: Model, most: int = 5) -> None:
        if isinstance(model, TableReplies):
            inner = model.table.inner
            if not isinstance(inner, RuleList):
                explained(model.table, np.full((1, len(model.table.table.columns)), np.nan))
        elif isinstance(model, ClassifierModel | Labeller):
            reads_of(model)
        else:
            raise ModelError(f"{model.name}: a {type(model).__name__} tells no reasons")
        self.model, self.most = model, most

    @property
    def name(self) -> str:
        """The model's own."""
        return self.model.name

    async def reply(self, request: Request) -> Reply:
        """Answer, with reasons."""
        reply = await self.model.reply(request)
        reasons = await asyncio.to_thread(self._reasons, request.prompt, reply.text)
        noted = tuple(Decision(self.name, verdict, score) for verdict, score in reasons)
        return replace(reply, trace=reply.trace + Trace(decisions=noted))

    def _reasons(self, prompt: str, label: str) -> list[tuple[str, float | None]]:
        if isinstance(self.model, TableReplies):
            return _of_row(self.model.table, row_of(prompt), self.most)
        if isinstance(self.model, Labeller) and label not in self.model.labels:
            return []
        (told,) = attributed(reads_of(self.model), [prompt], labels=[label])
        reasons = told.parts or tuple(told.ranked())
        return [(f"because of {word!r}", share) for word, share in reasons[: self.most]]


def _of_row(table: TableModel, row: dict[str, Any], most: int) -> list[tuple[str, float | None]]:
    x = table.table.matrix([row])
    if isinstance(table.inner, RuleList):
        rules = table.inner.in_words(table.table.columns, table.table.codes)
        return [(f"by rule {int(table.inner.which(x)[0]) + 1}: {rules[int(table.inner.which(x)[0])]}", None)]
    told = explained(table, x)
    number = table.kind == "number"
    shares = told.shares[0, :, 0] if number else toward(told, table.inner.predict(x).argmax(axis=1))[0]
    order = np.argsort(-np.abs(shares), kind="stable")[:most].tolist()
    names = table.table.columns
    return [(f"because {names[i]} is {row.get(names[i])}", float(shares[i])) for i in order]
