"""Does a child still have its parent's label? A small model reads it; without any other, one taught on the parents.

Source: Anaby-Tavor et al. 2020 (LAMBADA), section 3: what a classifier of the rows at hand does not confirm goes.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pilotfish.errors import ConfigError
from pilotfish.model import Model
from pilotfish.models.classify import ClassifierModel, Features, TextClassifier, TfidfFeatures
from pilotfish.synthesize.augment.varied import Varied
from pilotfish.synthesize.keep.agreeing import Agrees

__all__ = ["confirmed"]


def confirmed(
    recipe: Varied,
    path: str | Path,
    *,
    model: Model | None = None,
    features: Features | None = None,
    least: float | None = None,
) -> Agrees:
    """Return the check that a child's label is read off it, too; of a flipped row, that the new one is.

    Args:
        recipe: whose children are checked; it names the label column.
        path: the file for the calls.
        model: answers a text with a label; None for a linear classifier that the parents teach.
        features: what that stands on; None for TF-IDF.
        least: of the label's probability, where the model tells any; None wants the label to be its likeliest.

    Raises:
        ConfigError: no label column, or a model and features.
        DataError: the parents have labels of one class only, so nothing can be taught.
    """
    known = recipe.labelled()
    if model is not None and features is not None:
        raise ConfigError("a label is confirmed by a model, or by one that is taught on features: give one")
    if model is None:
        features = features or TfidfFeatures()
        taught = TextClassifier(features).fit([text for text, _ in known], [label for _, label in known])
        # Answers are stored under the name: other parents or features must make another.
        told = json.dumps([known, type(features).__name__, getattr(getattr(features, "encoder", None), "name", "")])
        model = ClassifierModel(taught, f"classifier of {len(known)} parents, {_hash(told)}")
    # An encoder's tokenizer is not to be used from several threads at once, and there is nothing to wait for.
    concurrency = 1 if isinstance(model, ClassifierModel) else None
    assert recipe.label is not None
    return Agrees(model, path, text=recipe.text, label=recipe.label, least=least, concurrency=concurrency)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
