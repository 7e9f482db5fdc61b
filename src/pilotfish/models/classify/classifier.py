"""A small text classifier: features and a linear head; and the same thing as a Model that answers requests."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._saved import facts_in, reading
from pilotfish.measure.checks import INSIDE, OUTSIDE
from pilotfish.model import Call, Reply, Request, TokenLogprob, Trace, WholeReplies
from pilotfish.models.classify.features import Features, load_features
from pilotfish.models.classify.head import SoftmaxHead
from pilotfish.models.classify.scope import ARRAYS, FILE, Scope, Way
from pilotfish.models.classify.several import KIND, SeveralClassifier

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.catalog import Catalog

__all__ = ["ClassifierModel", "TextClassifier", "load_classifier"]


class TextClassifier:
    """Features and a head, scikit-learn's contract over texts; saved as safetensors and JSON.

    Attributes:
        scope: tells which texts are of no class; None until `fit_scope`.
    """

    def __init__(self, features: Features, head: SoftmaxHead | None = None, scope: Scope | None = None) -> None:
        self.features = features
        self.head = head or SoftmaxHead()
        self.scope = scope

    def fit(self, texts: Sequence[str], labels: Sequence[str]) -> TextClassifier:
        """Learn from texts and their labels."""
        self.head.fit(self.features.fit(texts).transform(texts), labels)
        return self

    def fit_scope(
        self,
        texts: Sequence[str],
        labels: Sequence[str],
        kept: Sequence[str],
        way: Way = "energy",
        *,
        recall: float = 0.95,
        **settings: Any,
    ) -> TextClassifier:
        """Learn which texts are of no class.

        Args:
            texts: of the classes, that the classifier learnt from.
            labels: one a text.
            kept: texts of the classes that it did not learn from, for the threshold.
            way: as in `Scope`.
            recall: the share of texts of the classes that are to be kept.
            settings: further ones of `Scope`.

        Raises:
            ConfigError: a setting out of range, or a way that these features do not serve.
            DataError: too few texts kept back.
        """
        scope = Scope(way, recall=recall, **settings).fit(self.features.transform(texts), labels)
        self.scope = scope.calibrate(scope.scores(self.features.transform(kept), self.head))
        return self

    @property
    def classes_(self) -> list[str]:
        """The labels, sorted."""
        return self.head.classes_

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return probabilities in the order of `classes_`: (texts, classes)."""
        return self.head.predict_proba(self.features.transform(texts))

    def judged(self, texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Return probabilities (texts, classes), and scores of the scope (texts,) where it has one."""
        x = self.features.transform(texts)
        return self.head.predict_proba(x), None if self.scope is None else self.scope.scores(x, self.head)

    def predict(self, texts: Sequence[str]) -> list[str]:
        """Return the likeliest label of each text, whether it is inside or not."""
        return [self.classes_[i] for i in self.predict_proba(texts).argmax(axis=1)]

    def save(self, folder: Path) -> None:
        """Write the classifier; `classifier.json` comes last and goes first, so a folder with it is whole."""
        for name in ("classifier.json", FILE, ARRAYS):
            (folder / name).unlink(missing_ok=True)
        self.features.save(folder)
        self.head.save(folder)
        if self.scope is not None:
            self.scope.save(folder)
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
        scope = Scope.load(folder) if (folder / FILE).is_file() else None
        return cls(load_features(kind, folder, catalog), SoftmaxHead.load(folder), scope)


def load_classifier(folder: str | Path, catalog: Catalog | None = None) -> TextClassifier | SeveralClassifier:
    """Read a classifier of one label or of several.

    Raises:
        ModelError: the folder holds no classifier, or a damaged one.
    """
    folder = Path(folder)
    with reading(folder, "classifier"):
        several = facts_in(folder / "classifier.json", "classifier").get("kind") == KIND
    return SeveralClassifier.load(folder, catalog) if several else TextClassifier.load(folder, catalog)


class ClassifierModel(WholeReplies):
    """A text classifier as a Model: the reply's text is the label of the last user turn.

    `logprobs` holds one entry: the label with its log-probability, and all labels by falling probability as `top`,
    so that whatever judges a reply by its confidence takes a classifier too. Its calls cost no tokens.

    Of a classifier that knows its scope each reply carries a decision, "in scope" or "out of scope", with the score and
    the threshold; the text of one outside is `outside`, and its finish reason "out_of_scope". A cascade that accepts
    `by = "scope"` defers it.

    Args:
        classifier: has `predict_proba` and `classes_`; with a `scope`, `judged` as well.
        name: in traces.
        outside: what is said of a text that is of no class; None keeps the likeliest label.
        above: a threshold in place of the scope's own.
        scoped: False leaves the scope aside.
    """

    def __init__(
        self,
        classifier: TextClassifier,
        name: str = "classifier",
        *,
        outside: str | None = OUTSIDE,
        above: float | None = None,
        scoped: bool = True,
    ) -> None:
        self.classifier = classifier
        self.name = name
        self.outside = outside
        self.scope = getattr(classifier, "scope", None) if scoped else None
        self.above = above if above is not None or self.scope is None else self.scope.threshold_

    async def reply(self, request: Request) -> Reply:
        """Return the label; the work is done in a thread."""
        started = time.perf_counter()
        score: float | None = None
        if self.scope is None:
            probabilities = (await asyncio.to_thread(self.classifier.predict_proba, [request.prompt]))[0]
        else:
            found, scores = await asyncio.to_thread(self.classifier.judged, [request.prompt])
            assert scores is not None
            probabilities, score = found[0], float(scores[0])
        order = np.argsort(-probabilities, kind="stable")
        ranked = tuple((self.classifier.classes_[i], math.log(max(float(probabilities[i]), 1e-300))) for i in order)
        token = TokenLogprob(ranked[0][0], ranked[0][1], ranked)
        call = Call(self.name, "classifier", seconds=time.perf_counter() - started)
        reply = Reply(ranked[0][0], logprobs=(token,), trace=Trace((call,)))
        if score is None or self.above is None:
            return reply
        inside = score >= self.above
        if not inside:
            text = reply.text if self.outside is None else self.outside
            reply = replace(reply, text=text, finish_reason="out_of_scope")
        return reply.decided(self.name, INSIDE if inside else OUTSIDE, score, self.above)
