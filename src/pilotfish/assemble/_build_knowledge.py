"""From a table of `_specs_knowledge` to its model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.assemble._specs_knowledge import AdaptedSpec, EnergySpec, KnowledgeSpec, RouteCardsSpec, SelectSpec
from pilotfish.assemble._weights import weights_from

if TYPE_CHECKING:
    from pilotfish.adapt.knowledge import Routes, Select
    from pilotfish.assemble._spec import Spec
    from pilotfish.evaluate.nli import Nli
    from pilotfish.measure.support import Supports
    from pilotfish.models.catalog import Catalog

__all__ = ["build_knowledge", "supports_of"]


def build_knowledge(name: str, spec: Spec, part: Callable[[str], Any], catalog: Catalog, folder: Path) -> Any:
    """Return the model that a table describes.

    Raises:
        ConfigError: a prompt that lacks a place, or two cards of one name.
        ModelError: no energy in the folder.
    """
    if isinstance(spec, EnergySpec):
        from pilotfish.adapt.energy import Energy

        return Energy.load(folder / spec.path, catalog)
    if isinstance(spec, AdaptedSpec):
        from pilotfish.adapt.adapted import Adapted

        settings = spec.model_dump(exclude={"use", "model", "energy"})
        return Adapted(part(spec.model), part(spec.energy), name=name, **settings)
    assert isinstance(spec, KnowledgeSpec)
    from pilotfish.adapt.knowledge import Card, Knowing

    cards = []
    for one in spec.cards:
        settings = one.model_dump(exclude={"model"}, exclude_none=True)
        cards.append(Card(part(one.model), **settings))
    select = tuple(_select(one, part, catalog, folder) for one in spec.select)
    route = None if spec.route is None else _route(spec.route, part)
    prompt = {} if spec.prompt is None else {"prompt": spec.prompt}
    return Knowing(part(spec.model), tuple(cards), select, route, name=name, **prompt)


def _select(spec: SelectSpec, part: Callable[[str], Any], catalog: Catalog, folder: Path) -> Select:
    from pilotfish.adapt import knowledge

    given = spec.settings()
    if spec.by == "factuality":
        return knowledge.Factuality(supports_of(given.pop("nli"), catalog, folder), **given)
    encoder = part(given.pop("encoder"))
    return knowledge.Relevance(encoder, **given) if spec.by == "relevance" else knowledge.Brevity(encoder, **given)


def _route(spec: RouteCardsSpec, part: Callable[[str], Any]) -> Routes:
    from pilotfish.adapt import knowledge

    given = spec.settings()
    if spec.by == "asked":
        return knowledge.AskedCards(part(given["model"]))
    return knowledge.NearestCards(part(given.pop("encoder")), **given)


def supports_of(nli: str, catalog: Catalog, folder: Path) -> Supports:
    """Return what says how far a text bears out a sentence: by words, or by the weights of a model of entailment."""
    from pilotfish.measure.support import ByWords

    if nli == "words":
        return ByWords()
    from pilotfish.evaluate.nli import Nli

    return Entails(Nli(weights_from(nli, folder), catalog=catalog))


@dataclass(frozen=True)
class Entails:
    """Bears out by the probability that a text, or a few sentences of it, entails a sentence.

    The whole is longer than most such models take; the piece that holds the evidence counts.
    """

    nli: Nli

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Return the probability of entailment of each (text, sentence)."""
        from pilotfish.evaluate.nli import ENTAILMENT, over_pieces
        from pilotfish.rows.sentences import pieces_of, sentences_of

        texts = dict.fromkeys(premise for premise, _ in pairs)
        pieces = {text: list(dict.fromkeys([text, *pieces_of(sentences_of(text), 5, 2)])) for text in texts}
        rows = [(pieces[premise], sentence) for premise, sentence in pairs]
        found: list[float] = over_pieces(self.nli, rows)[:, ENTAILMENT].clip(0, 1).tolist()
        return found
