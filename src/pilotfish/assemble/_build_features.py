"""The features that a file names: "tf-idf", an encoder of the file, or one by its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.models.classify import Features

__all__ = ["features_of"]


def features_of(models: Collaboration, name: str) -> Features:
    """Return features by their name.

    Raises:
        ModelError: there is no such encoder.
    """
    from pilotfish.assemble.build import encoder_named
    from pilotfish.models.classify import EncoderFeatures, TfidfFeatures

    return TfidfFeatures() if name == "tf-idf" else EncoderFeatures(encoder_named(name, models))
