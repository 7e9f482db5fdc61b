"""Models as metrics ask for them: of the file by name, or of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotfish.assemble._weights import weights_from
from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.evaluate.likelihood import Likelihoods
    from pilotfish.evaluate.nli import Nli

__all__ = ["classifier_of", "is_seq2seq", "likelihoods_of", "states_of", "texts_in", "weights_only"]


def states_of(models: Collaboration, name: str, dtype: str | None) -> Any:
    """Return an encoder or a local model: of the file, or of weights, whichever these are.

    Raises:
        ConfigError: a model of the file that has no states to read.
        ModelError: no such weights.
    """
    from pilotfish.models import _weights
    from pilotfish.models.encoder import Encoder
    from pilotfish.models.local import LocalModel

    if name in models.names:
        model = models.part(name)
        if not isinstance(model, Encoder | LocalModel):
            raise ConfigError(
                f"{models.where}: [models.{name}] has no states to compare: an encoder or local model has"
            )
        if dtype is not None:
            raise ConfigError(f"{models.where}: [models.{name}] says its dtype itself")
        return model
    weights = weights_from(name, models.folder)
    _, resolved = _weights.located(weights, models.catalog)
    kind = LocalModel if resolved.kind == "causal-lm" else Encoder
    return kind(weights, dtype=dtype or "auto", catalog=models.catalog)


def likelihoods_of(models: Collaboration, name: str, dtype: str | None, prompt: str | None = None) -> Likelihoods:
    """Return what finds texts likely: a language model in a prompt, or a sequence-to-sequence one.

    Raises:
        ConfigError: a prompt for a model that takes none.
        ModelError: no such weights.
    """
    from pilotfish.assemble._build_curate_models import reader_of
    from pilotfish.evaluate.likelihood import Continues
    from pilotfish.evaluate.seq2seq import Seq2Seq

    if name not in models.names and is_seq2seq(models, name):
        if prompt is not None:
            raise ConfigError(f"{name} is a sequence-to-sequence model: it takes no `prompt`")
        return Seq2Seq(weights_from(name, models.folder), dtype=dtype or "float32", catalog=models.catalog)
    reader = reader_of(models, name, dtype)
    return Continues(reader) if prompt is None else Continues(reader, prompt)


def is_seq2seq(models: Collaboration, name: str) -> bool:
    import json

    from pilotfish.models import _weights

    folder, _ = _weights.located(weights_from(name, models.folder), models.catalog)
    config = folder / "config.json"
    return config.is_file() and bool(json.loads(config.read_bytes()).get("is_encoder_decoder"))


def weights_only(models: Collaboration, name: str) -> str:
    """Return weights; the file's models are of other kinds.

    Raises:
        ConfigError: the name is a model's of the file.
    """
    if name in models.names:
        raise ConfigError(f"{models.where}: [models.{name}] is no classifier of pairs: name its weights instead")
    return weights_from(name, models.folder)


def classifier_of(models: Collaboration, weights: str, labels: Any, dtype: str) -> Nli:
    """Return a classifier of pairs."""
    from pilotfish.evaluate.nli import Nli

    named: dict[str, int] | None = None if labels is None else {str(k): v for k, v in labels.items()}
    return Nli(weights_only(models, weights), labels=named, dtype=dtype, catalog=models.catalog)


def texts_in(value: Any) -> list[str]:
    """Return a column's texts: one, or those of a list."""
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]
