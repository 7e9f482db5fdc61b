"""The kinds of classifiers by their names."""

from __future__ import annotations

from pilotfish.curate.quality.base import QualityClassifier
from pilotfish.errors import ModelError, did_you_mean

__all__ = ["KINDS", "kind_of"]

KINDS = ("hashed", "static", "tuned")


def kind_of(name: str) -> type[QualityClassifier]:
    """Return the class of a kind; what it needs is imported when it is asked for.

    Raises:
        ModelError: there is no such kind.
    """
    if name == "hashed":
        from pilotfish.curate.quality.hashed import HashedClassifier

        return HashedClassifier
    if name == "static":
        from pilotfish.curate.quality.linear import StaticClassifier

        return StaticClassifier
    if name == "tuned":
        from pilotfish.curate.quality.tuned import TunedClassifier

        return TunedClassifier
    raise ModelError(f"unknown kind of quality classifier {name!r}{did_you_mean(name, KINDS)}")
