"""A small knowledge base with namesakes, and mentions of it whose answers are known."""

from __future__ import annotations

from pathlib import Path

from pilotfish.compete.entities import Entity, EntityBase, Mention

ENTITIES = [
    Entity("planet", "Mercury", types=("planet",), description="The planet nearest the sun, small and without moons."),
    Entity("metal", "Mercury", ("quicksilver",), ("element",), "A liquid metal, poison in thermometers and fish."),
    Entity("god", "Mercury", types=("deity",), description="The Roman messenger with winged sandals, patron of trade."),
    Entity("city", "Paris", types=("place",), description="Capital of France on the river Seine, with the Louvre."),
    Entity("prince", "Paris", types=("person",), description="Trojan prince who took Helen and shot Achilles."),
    Entity("eu", "European Union", ("EU",), ("organisation",), "Member states, a parliament and a common market."),
    Entity("who", "World Health Organization", (), ("organisation",), "United Nations agency for health."),
    Entity("curie", "Marie Curie", ("Maria Skłodowska",), ("person",), "Physicist who found radium and polonium."),
]
_SAID = {
    "planet": ("{} orbits nearest the sun and has no moons", "small {} passed the sun", "the planet {} without moons"),
    "metal": ("liquid {} is poison in fish", "thermometers of liquid metal hold {}", "the metal {} is a poison"),
    "god": ("{} wore winged sandals", "the Roman messenger {}", "{} was patron of trade and messenger"),
    "city": ("the Louvre in {} stands on the river Seine", "{} is the capital of France", "boats on the Seine in {}"),
    "prince": ("{} took Helen to Troy", "Achilles was shot by {}", "the Trojan prince {} and Helen"),
    "eu": ("the parliament of the {} and its member states", "a common market of the {}", "{} member states agreed"),
    "who": ("the {} is an agency of the United Nations", "{} agency for health", "health agency {} warned"),
    "curie": ("{} found radium", "the physicist {} and polonium", "{} worked on radium and polonium"),
}
_FORMS = {
    "metal": ("Mercury", "Quicksilver", "Mercury"),
    "eu": ("European Union", "EU", "Europaen Union"),
    "who": ("World Health Organization", "WHO", "World Health Organisation"),
    "curie": ("Marie Curie", "Maria Sklodowska", "Curie"),
}
_STRANGERS = (
    ("the football club {} won the cup", "Rovers United"),
    ("a song by {} was played", "Velvet Zebras"),
    ("{} sold shares at the exchange", "Quantronix Ltd"),
    ("the village of {} has a church", "Oberammerfeld"),
    ("the painter {} died poor", "Jolanta Brisk"),
    ("{} opened a shop for bread", "Kaspar Humbel"),
)


def mentions() -> list[tuple[Mention, str | None]]:
    """Three of each entity, and of strangers."""
    found: list[tuple[Mention, str | None]] = []
    for id, said in _SAID.items():
        name = next(entity.name for entity in ENTITIES if entity.id == id)
        for text, surface in zip(said, _FORMS.get(id, (name,) * 3), strict=True):
            found.append((placed(text, surface), id))
    found += [(placed(text, surface), None) for text, surface in _STRANGERS]
    return found


def placed(text: str, surface: str) -> Mention:
    """A mention in the place of {}."""
    start = text.index("{}")
    return Mention(text.replace("{}", surface), start, start + len(surface))


def base_of(folder: Path) -> EntityBase:
    """The knowledge base, by names and words."""
    base = EntityBase.create(folder, ("bm25",))
    base.add(ENTITIES)
    return base
