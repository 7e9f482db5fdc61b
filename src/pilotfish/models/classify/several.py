"""Multi-label classification: one head of independent sigmoids, each label with a threshold of its own.

Sources: Tsoumakas and Katakis 2007, section 3.1 (binary relevance); Yang 2001 (SCut: each label's threshold is the one
with the best F1 on rows kept back; rare labels, whose best is luck, keep one half).
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish._saved import facts_in, reading
from pilotfish.errors import DataError
from pilotfish.model import Call, Reply, Request, TokenLogprob, Trace, WholeReplies
from pilotfish.models.classify.features import Features, load_features
from pilotfish.models.classify.scope import ARRAYS, FILE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.catalog import Catalog

__all__ = ["KIND", "SeveralClassifier", "SeveralModel", "SigmoidHead", "best_threshold", "label_set"]

KIND, FORMAT, LEAST = "several-classifier", 1, 5  # LEAST: rows kept back that have a label, for a threshold of its own
_TABLE, _FACTS = "sigmoids.safetensors", "sigmoids.json"


class SigmoidHead:
    """Logistic regressions with an L2 penalty 1/(2C), one a label; scikit-learn's contract.

    Args:
        c: the inverse of the penalty's strength.

    Attributes:
        classes_: the labels, sorted.
        coef_: (labels, features) float32.
        intercept_: (labels,) float32.
        thresholds_: (labels,) the least probability of a label that is said; one half until `tune`.
    """

    def __init__(self, c: float = 10.0) -> None:
        self.c = c

    def fit(self, x: Any, sets: NDArray[np.bool_], labels: Sequence[str]) -> SigmoidHead:
        """Fit on features (rows, features) and sets (rows, labels), in one thread.

        A label that every row or none has is held as likely as that, whatever the text.

        Raises:
            DataError: no labels.
        """
        if not labels or sets.shape[1] != len(labels):
            raise DataError(f"{sets.shape[1]} columns for {len(labels)} labels")
        self.classes_ = [str(label) for label in labels]
        self.coef_ = np.zeros((len(labels), x.shape[1]), np.float32)
        counts = sets.sum(axis=0)
        self.intercept_ = np.log((counts + 0.5) / (len(sets) - counts + 0.5)).astype(np.float32)
        self.thresholds_: NDArray[np.float64] = np.full(len(labels), 0.5)
        linear = need("sklearn.linear_model", "train")
        with need("threadpoolctl", "train").threadpool_limits(1, user_api="blas"):
            for i in np.flatnonzero((counts > 0) & (counts < len(sets))):
                model = linear.LogisticRegression(C=self.c, max_iter=1000).fit(x, sets[:, i])
                self.coef_[i], self.intercept_[i] = model.coef_[0], model.intercept_[0]
        return self

    def tune(self, x: Any, sets: NDArray[np.bool_]) -> SigmoidHead:
        """Choose each label's threshold by its F1 on rows that nothing was learnt from."""
        sure = self.predict_proba(x)
        for i in np.flatnonzero(sets.sum(axis=0) >= LEAST):
            self.thresholds_[i] = best_threshold(sure[:, i], sets[:, i])
        return self

    def predict_proba(self, x: Any) -> NDArray[np.float64]:
        """Return each label's probability: (rows, labels); they need not sum to 1."""
        logits = np.asarray(x @ self.coef_.T, dtype=np.float64) + self.intercept_
        return np.asarray(0.5 * (1 + np.tanh(logits / 2)))  # the logistic function, without overflow

    def said(self, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which labels are said: (rows, labels)."""
        return np.asarray(probabilities >= self.thresholds_)

    def save(self, folder: Path) -> None:
        """Write sigmoids.safetensors and sigmoids.json."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {"coef": self.coef_, "intercept": self.intercept_, "thresholds": self.thresholds_}
        need("safetensors.numpy", "local").save_file(arrays, folder / _TABLE)
        told = {"format": FORMAT, "classes": self.classes_, "c": self.c}
        (folder / _FACTS).write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> SigmoidHead:
        """Read what `save` wrote.

        Raises:
            ModelError: the folder holds none, or a damaged one.
        """
        with reading(folder, "head of several labels"):
            told = facts_in(folder / _FACTS, "head of several labels", FORMAT)
            arrays = need("safetensors.numpy", "local").load_file(folder / _TABLE)
            head = cls(float(told["c"]))
            head.classes_ = [str(label) for label in told["classes"]]
            head.coef_, head.intercept_, head.thresholds_ = (arrays[k] for k in ("coef", "intercept", "thresholds"))
            sizes = {len(one) for one in (head.classes_, head.coef_, head.intercept_, head.thresholds_)}
            if head.coef_.ndim != 2 or len(sizes) > 1:
                raise ValueError(f"{len(head.classes_)} labels and weights of {head.coef_.shape}")
        return head


def best_threshold(sure: NDArray[np.float64], have: NDArray[np.bool_]) -> float:
    """Return the threshold with the best F1 of rows that score at least as much; of equals, the one nearest one half.

    It lies in the middle between two scores that differ, or below the lowest.
    """
    order = np.argsort(-sure, kind="stable")
    ranked, hits = sure[order], np.cumsum(have[order])
    f1 = 2 * hits / (np.arange(1, len(sure) + 1) + have.sum())
    lower = np.append(ranked[1:], 0.0)
    cuts = np.where(ranked > lower, (ranked + lower) / 2, np.nan)
    able = np.flatnonzero(~np.isnan(cuts) & (f1 >= np.nanmax(np.where(np.isnan(cuts), np.nan, f1)) - 1e-12))
    return float(min(cuts[able], key=lambda cut: abs(cut - 0.5)))


class SeveralClassifier:
    """Features and sigmoids; saved as safetensors and JSON, as a `TextClassifier` is."""

    def __init__(self, features: Features, head: SigmoidHead | None = None) -> None:
        self.features, self.head = features, head or SigmoidHead()

    @property
    def classes_(self) -> list[str]:
        """The labels, sorted."""
        return self.head.classes_

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return each label's probability: (texts, labels)."""
        return self.head.predict_proba(self.features.transform(texts))

    def predict(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the labels of each text."""
        said = self.head.said(self.predict_proba(texts))
        return [[self.classes_[i] for i in np.flatnonzero(row)] for row in said]

    def save(self, folder: Path) -> None:
        """Write the classifier; `classifier.json` comes last and goes first, so a folder with it is whole."""
        for name in ("classifier.json", FILE, ARRAYS):
            (folder / name).unlink(missing_ok=True)
        self.features.save(folder)
        self.head.save(folder)
        facts = {"kind": KIND, "features": self.features.kind}
        (folder / "classifier.json").write_text(json.dumps(facts) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path, catalog: Catalog | None = None) -> SeveralClassifier:
        """Read what `save` wrote.

        Raises:
            ModelError: the folder holds no such classifier, or a damaged one.
        """
        folder = Path(folder)
        with reading(folder, "classifier of several labels"):
            told = facts_in(folder / "classifier.json", "classifier of several labels")
            if told["kind"] != KIND:
                raise ValueError(f"classifier.json tells of a {told['kind']}")
            kind = str(told["features"])
        return cls(load_features(kind, folder, catalog), SigmoidHead.load(folder))


class SeveralModel(WholeReplies):
    """A multi-label classifier as a Model: the reply's text is a JSON list of the labels of the last user turn.

    `logprobs` holds one entry: the list with the log-probability that all of its decisions are right, were the labels
    independent, and as `top` each label with its own.
    """

    def __init__(self, classifier: SeveralClassifier, name: str = "classifier") -> None:
        self.classifier, self.name = classifier, name

    async def reply(self, request: Request) -> Reply:
        """Return the labels; the work is done in a thread."""
        started = time.perf_counter()
        sure = (await asyncio.to_thread(self.classifier.predict_proba, [request.prompt]))[0]
        said = self.classifier.head.said(sure)
        names = self.classifier.classes_
        text = json.dumps([names[i] for i in np.flatnonzero(said)], ensure_ascii=False)
        right = np.where(said, sure, 1 - sure).clip(min=1e-300)
        order = np.argsort(-sure, kind="stable")
        top = tuple((names[i], math.log(max(float(sure[i]), 1e-300))) for i in order)
        token = TokenLogprob(text, float(np.log(right).sum()), top)
        call = Call(self.name, "classifier", seconds=time.perf_counter() - started)
        return Reply(text, logprobs=(token,), trace=Trace((call,)))


def label_set(value: Any, separator: str | None = None) -> list[str]:
    """Return the labels of a cell: a list, a JSON list, or a text with a separator; none where it is empty.

    Raises:
        DataError: the cell is neither.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return []
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("[") and separator is None:
            try:
                value = json.loads(text)
            except ValueError as error:
                raise DataError(f"{text[:60]!r} begins as a JSON list and is none: {error}") from None
        else:
            value = text.split(separator) if separator is not None else [text]
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, list | tuple) or not all(isinstance(one, str | int) for one in value):
        raise DataError(f"several labels are a list, a JSON list, or a text with a separator, not {str(value)[:60]!r}")
    return sorted({str(one).strip() for one in value if str(one).strip()})
