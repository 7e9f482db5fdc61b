"""The ways of an index by their names: settings, the models that they need, and how each is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.errors import ConfigError, did_you_mean
from pilotfish.retrieve._late_way import LateWay
from pilotfish.retrieve.bm25 import Bm25, Words
from pilotfish.retrieve.dense import Dense, Vectors
from pilotfish.retrieve.sparse import Lists, Sparse
from pilotfish.retrieve.way import Way

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog

__all__ = ["WAYS", "Encoders", "made", "settings_of", "told_of"]

# Names, and the settings of each. Those of late interaction are its encoder's own.
WAYS: dict[str, Any] = {"bm25": Words, "dense": Vectors, "sparse": Lists, "late": None}
DEFAULT = {"dense": "all-minilm-l6-v2"}


@dataclass
class Encoders:
    """The models of an index's ways: given, or named, or, where neither is said, those that the index names.

    Attributes:
        dense: an `Encoder`, or weights of one.
        sparse: a `Splade`, or weights of one.
        late: a `LateEncoder`, or weights of one.
        catalog: where names are looked up.
    """

    dense: Any = None
    sparse: Any = None
    late: Any = None
    catalog: Catalog | None = None
    _made: dict[str, Any] = field(default_factory=dict, repr=False)

    def of(self, way: str, facts: Mapping[str, Any], where: str) -> Any:
        """Return a way's model; None where it has none.

        Args:
            way: its name.
            facts: what the index says of it.
            where: the index, for errors.

        Raises:
            ConfigError: it is another model than the index was made with.
            ModelError: no such weights.
        """
        if "weights" not in facts:
            return None
        if way not in self._made:
            given = getattr(self, way)
            weights = facts["weights"] if given is None else given
            encoder = _loaded(way, weights, self.catalog) if isinstance(weights, str | Path) else weights
            identity = _identity(encoder, self.catalog)
            if identity != facts["identity"]:
                held = f"was made with {facts['weights']} ({facts['identity']})"
                raise ConfigError(
                    f"{where}: its way {way!r} {held}, and is now asked with {encoder.weights} ({identity}): name the "
                    "weights that it was made with, or make it anew"
                )
            self._made[way] = encoder
        return self._made[way]


def settings_of(ways: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    """Return the ways with their settings.

    Raises:
        ConfigError: none, an unknown one, or settings of another way.
    """
    given = ways if isinstance(ways, Mapping) else dict.fromkeys(ways)
    if not given:
        raise ConfigError(f"an index needs a way to find things: {', '.join(WAYS)}")
    found: dict[str, Any] = {}
    for name, how in given.items():
        if name not in WAYS:
            raise ConfigError(f"no way is called {name!r}{did_you_mean(name, WAYS)}")
        kind = WAYS[name]
        if how is not None and (kind is None or not isinstance(how, kind)):
            wanted = "none" if kind is None else kind.__name__
            raise ConfigError(f"the way {name!r} has settings {wanted}, not {type(how).__name__}")
        found[name] = how if how is not None or kind is None else kind()
    return found


def told_of(name: str, how: Any, encoders: Encoders) -> dict[str, Any]:
    """Return what an index says of a way: its settings, and what its model is.

    Raises:
        ConfigError: it needs a model, and there is none.
    """
    told: dict[str, Any] = {"settings": how.to_json() if how is not None else {}}
    if name == "bm25":
        return told
    given = getattr(encoders, name)
    if given is None:
        if name not in DEFAULT:
            raise ConfigError(f"the way {name!r} needs a model: name its weights")
        given = DEFAULT[name]
    encoder = _loaded(name, given, encoders.catalog) if isinstance(given, str | Path) else given
    encoders._made[name] = encoder
    here = Path(encoder.weights).expanduser()
    weights = str(here.absolute()) if here.exists() else encoder.weights
    return told | {"weights": weights, "identity": _identity(encoder, encoders.catalog)}


def made(name: str, folder: Path, facts: Mapping[str, Any], encoders: Encoders, where: str) -> Way:
    """Open a way in its folder.

    Raises:
        ConfigError: its model is another one than it was made with.
        DataError: its files are damaged.
    """
    encoder, told = encoders.of(name, facts, where), dict(facts["settings"])
    if name == "bm25":
        return Bm25(folder, Words(**told))
    if name == "dense":
        return Dense(folder, encoder, Vectors.from_json(told))
    if name == "sparse":
        return Sparse(folder, encoder, Lists(**told))
    return LateWay(folder, encoder)


def _loaded(way: str, weights: str | Path, catalog: Catalog | None) -> Any:
    """Return the model of a way; it loads at its first use."""
    if way == "dense":
        from pilotfish.models.encoder import Encoder

        return Encoder(weights, catalog=catalog)
    if way == "sparse":
        from pilotfish.retrieve.splade import Splade

        return Splade(weights, catalog=catalog)
    from pilotfish.retrieve.late import LateEncoder

    return LateEncoder(weights, catalog=catalog)


def _identity(encoder: Any, catalog: Catalog | None) -> str:
    """Return what tells a model's weights from others, whatever they are called and wherever they lie."""
    own = getattr(encoder, "identity", None)
    if own is not None:
        return str(own)
    from pilotfish.models import _weights

    folder, _ = _weights.located(encoder.weights, catalog)
    return _weights.identity_of(folder)
