"""A small text classifier: features and a linear head; and the same thing as a Model that answers requests."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pilotfish._saved import facts_in, reading
from pilotfish.model import Call, Reply, Request, TokenLogprob, Trace, WholeReplies
from pilotfish.models.classify.features import Features, load_features
from pilotfish.models.classify.head import SoftmaxHead

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.catalog import Catalog


class TextClassifier:
    """Features and a head, scikit-learn's contract over texts; saved as safetensors and JSON."""

    def __init__(self, features: Features, head: SoftmaxHead | None = None) -> None:
        self.features = features
        self.head = head or SoftmaxHead()

    def fit(self, texts: Sequence[str], labels: Sequence[str]) -> TextClassifier:
        """Learn from texts and their labels."""
        self.head.fit(self.features.fit(texts).transform(texts), labels)
        return self

    @property
    def classes_(self) -> list[str]:
        """The labels, sorted."""
        return self.head.classes_

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return probabilities in the order of `classes_`: (texts, classes)."""
        return self.head.predict_proba(self.features.transform(texts))

    def predict(self, texts: Sequence[str]) -> list[str]:
        """Return the likeliest label of each text."""
        return [self.classes_[i] for i in self.predict_proba(texts).argmax(axis=1)]

    def save(self, folder: Path) -> None:
        """Write the classifier; `classifier.json` comes last and goes first, so a folder with it is whole."""
        (folder / "classifier.json").unlink(missing_ok=True)
        self.features.save(folder)
        self.head.save(folder)
        facts = {"kind": "text-classifier", "features": self.features.kind}
        (folder / "classifier.json").write_text(json.dumps(facts) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path, catalog: Catalog | None = None) -> TextClassifier:
        """Read what `save` wrote.

        Raises:
            ModelError: the folder holds no classifier, or a damaged one.
        """
        folder = Path(folder)
        with reading(folder, "classifier"):
            kind = str(facts_in(folder / "classifier.json", "classifier")["features"])
        return cls(load_features(kind, folder, catalog), SoftmaxHead.load(folder))


class ClassifierModel(WholeReplies):
    """A text classifier as a Model: the reply's text is the label of the last user turn.

    `logprobs` holds one entry: the label with its log-probability, and all labels by falling probability as `top`,
    so that whatever judges a reply by its confidence takes a classifier too. Its calls cost no tokens.
    """

    def __init__(self, classifier: TextClassifier, name: str = "classifier") -> None:
        self.classifier = classifier
        self.name = name

    async def reply(self, request: Request) -> Reply:
        """Return the label; the work is done in a thread."""
        started = time.perf_counter()
        probabilities = (await asyncio.to_thread(self.classifier.predict_proba, [request.prompt]))[0]
        order = np.argsort(-probabilities, kind="stable")
        ranked = tuple((self.classifier.classes_[i], math.log(max(float(probabilities[i]), 1e-300))) for i in order)
        token = TokenLogprob(ranked[0][0], ranked[0][1], ranked)
        call = Call(self.name, "classifier", seconds=time.perf_counter() - started)
        return Reply(ranked[0][0], logprobs=(token,), trace=Trace((call,)))
