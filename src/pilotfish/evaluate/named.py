"""Metrics by name, as the command line and files ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pilotfish.errors import ConfigError, did_you_mean
from pilotfish.evaluate.lexical import KINDS, Bleu, Chrf, Rouge

if TYPE_CHECKING:
    from pilotfish.evaluate.bertscore import BertScore
    from pilotfish.evaluate.lexical import Lexical

__all__ = ["NAMES", "named"]

NAMES = (*KINDS, "bleu", "chrf", "chrf++", "bertscore")


def named(
    name: str,
    references: Sequence[str],
    *,
    model: str = "all-minilm-l6-v2",
    layer: int | None = None,
    idf: bool = False,
    rescale: bool = False,
    dtype: str = "auto",
    seed: int = 0,
) -> BertScore | Lexical:
    """Return a metric of candidates and references.

    Args:
        name: one of `NAMES`.
        references: all of them, as idf counts their tokens and a baseline draws pairs of them.
        model: of BERTScore: an encoder's name or folder, or a language model's.
        layer: of BERTScore: see `TokenStates`.
        idf: of BERTScore: weigh tokens by how rare they are in the references.
        rescale: of BERTScore: let what two references that were drawn at random score be 0.
        dtype: of the model.
        seed: of that draw.

    Raises:
        ConfigError: an unknown name.
        ModelError: no such model.
        MissingExtra: a library is not installed.
    """
    if name in KINDS:
        return Rouge(name)
    if name == "bleu":
        return Bleu()
    if name in ("chrf", "chrf++"):
        return Chrf(2 if name == "chrf++" else 0)
    if name != "bertscore":
        raise ConfigError(f"no metric is called {name!r}{did_you_mean(name, NAMES)}; there are {', '.join(NAMES)}")
    from pilotfish.evaluate.bertscore import BertScore, Idf, baseline_of

    metric = BertScore(_read_by(model, dtype), layer)
    if idf:
        metric.idf = Idf.over([text.strip() for text in references], metric.states)
    if rescale:
        metric.baseline = baseline_of(metric, references, seed=seed)
    return metric


def _read_by(model: str, dtype: str) -> Any:
    """Return an encoder, or a language model where the weights are one's."""
    from pilotfish.models import _weights
    from pilotfish.models.encoder import Encoder
    from pilotfish.models.local import LocalModel

    _, resolved = _weights.located(model, None)
    return LocalModel(model, dtype=dtype) if resolved.kind == "causal-lm" else Encoder(model, dtype=dtype)
