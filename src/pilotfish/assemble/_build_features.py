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
    from pilotfish.assemble.build import weights_from
    from pilotfish.models.classify import EncoderFeatures, TfidfFeatures
    from pilotfish.models.encoder import Encoder

    if name == "tf-idf":
        return TfidfFeatures()
    if name in models.names:
        return EncoderFeatures(models.encoder(name))
    return EncoderFeatures(Encoder(weights_from(name, models.folder), catalog=models.catalog))
