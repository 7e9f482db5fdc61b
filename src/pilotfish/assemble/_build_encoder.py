"""From a name in a collaboration file to an encoder that can be taught."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pilotfish.assemble._weights import weights_from
from pilotfish.assemble.specs import EncoderSpec, LocalSpec
from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.models.encoder import Encoder

__all__ = ["tunable"]

Pooling = Literal["mean", "last"]


def tunable(
    name: str,
    models: Collaboration,
    beside: str | Path,
    *,
    pooling: Pooling | None = None,
    usual: Pooling = "mean",
    max_length: int = 512,
    device: str = "auto",
    as_it_is: bool = False,
) -> Encoder | Any:
    """Return an encoder of the file or of weights; of a language model one is made, once, beside the result.

    Args:
        name: of a model of the file, or weights.
        models: of the file.
        beside: the result's folder.
        pooling: of a language model's states; None is the usual one.
        usual: that one.
        max_length: tokens of a text that an encoder made of a language model reads.
        device: where weights that are no model of the file are held.
        as_it_is: return a language model itself: one of the file, or a `Reader` of weights.

    Raises:
        ConfigError: a model of the file that has no weights here; a pooling for an encoder, which has its own.
        ModelError: no such weights.
    """
    from pilotfish.models._weights import located
    from pilotfish.models.encoder import Encoder
    from pilotfish.models.reader import Reader
    from pilotfish.train.folder import digest
    from pilotfish.train.processes import main_first

    own = f"{name!r} is an encoder, which has its own pooling"
    weights = name
    if name in models.names:
        named = models.spec(name)
        if isinstance(named, EncoderSpec):
            if pooling is not None:
                raise ConfigError(f"{models.where}: {own}")
            return models.encoder(name)
        if not isinstance(named, LocalSpec):
            raise ConfigError(f"{models.where}: {name!r} has no weights here, and vectors are read off those")
        if as_it_is:
            return models.model(name)
        weights = named.weights
    weights = weights_from(weights, models.folder)
    folder, resolved = located(weights, models.catalog)
    if resolved.kind == "encoder" or (folder / "modules.json").is_file():
        if pooling is not None:
            raise ConfigError(f"{models.where}: {own}")
        return Encoder(weights, device=device, catalog=models.catalog)
    if as_it_is:
        return Reader(weights, device=device, catalog=models.catalog)
    how = pooling or usual
    made = Path(f"{beside}-encoder-{digest([weights, how, max_length], ())[:8]}")  # of other weights another is made
    with main_first():
        if not (made / "modules.json").is_file():
            from pilotfish.train.lm_encoder import encoder_of_lm

            encoder_of_lm(weights, made, max_length=max_length, pooling=how, catalog=models.catalog)
    return Encoder(made, device=device, catalog=models.catalog)
