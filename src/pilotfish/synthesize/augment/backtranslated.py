"""Rows through another language and back: what comes back says the same in other words.

Sources: Sennrich, Haddow and Birch 2016 (back-translation); Xie et al. 2020 (UDA), section 2.2, for classification.
Any model that knows both languages will do; there are two calls a row, and both are stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pilotfish.errors import ConfigError
from pilotfish.model import Reply
from pilotfish.models.calls import Failure
from pilotfish.rows._row import Row
from pilotfish.synthesize.asking import Asking
from pilotfish.synthesize.augment.drift import Drift
from pilotfish.synthesize.augment.varied import ASKING, Varied
from pilotfish.synthesize.fields import Fields
from pilotfish.synthesize.recipe import Made, Prompt, Unread
from pilotfish.synthesize.templates import Template

__all__ = ["Backtranslated"]


class Backtranslated(Varied):
    """Has a model translate rows, and in the round after translate them back.

    Args:
        rows: the parents.
        through: the other languages; the children of a parent go through them in turn.
        language: of the rows.
        asking: how the model is asked.
        template: a name of ours, or a file.
        settings: those of `Varied`.
    """

    name = "backtranslated"
    bounds = Drift(least=0.1)
    calls = 2
    questions = True

    def __init__(
        self,
        rows: Sequence[Row],
        *,
        through: Sequence[str] = ("German",),
        language: str = "English",
        asking: Asking = ASKING,
        template: str | Path = "augment_translated",
        **settings: Any,
    ) -> None:
        if not through or language in through:
            raise ConfigError(f"back-translation goes through another language than {language}: name one or more")
        super().__init__(rows, **settings)
        self.through, self.language, self.asking, self.template = list(through), language, asking, Template(template)
        self._fields = Fields({self.text: "the translation"})

    def _begin(self, seed: int = 0) -> None:
        super()._begin(seed)
        self._pivots: list[Prompt] = []

    def prompts(self, made: Made) -> Sequence[Prompt]:
        """Return the prompts there, and in the round after those back, of what was translated."""
        if made.round == 0 or not self._pivots:
            return super().prompts(made)
        back, self._pivots = self._pivots, []
        return back

    def _prompt(self, parent: int, child: int) -> Prompt:
        language = self.through[child % len(self.through)]
        return self._translate(self._rows[parent][self.text], language, self._facts(parent, child, through=language))

    def _translate(self, text: str, language: str, facts: dict[str, Any]) -> Prompt:
        filled = self.template.fill({"language": language, "text": text, "fields": self._fields.meanings})
        request = self._asked(self.asking, filled, int(facts["child"]), self._fields)
        return Prompt(request, facts, self.template.version)

    def read_round(
        self, prompts: Sequence[Prompt], replies: Sequence[Reply | Failure]
    ) -> Iterable[tuple[int, Row | Unread]]:
        """Return the children of a round back; of a round there, what could not be translated."""
        if prompts and "pivot" in prompts[0].facts:
            yield from super().read_round(prompts, replies)
            return
        # The rounds of `Recipe` read; those of `Varied` would hold a translation against its source.
        for number, one in super(Varied, self).read_round(prompts, replies):
            if isinstance(one, Unread):
                yield number, one
                continue
            facts = {**prompts[number].facts, "pivot": one[self.text]}
            self._pivots.append(self._translate(one[self.text], self.language, facts))

    def read(self, prompt: Prompt, reply: Reply) -> Iterable[Row | Unread]:
        """Return the child of an answer; of one there, the translation."""
        # Other languages have other question marks.
        return self._answered(prompt, reply, self._fields) if "pivot" in prompt.facts else self._fields.read(reply.text)
