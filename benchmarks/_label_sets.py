"""Votes with known truth: three crowds, the spam rules of YouTube, and votes that are made here."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.measure.votes import Votes

CROWDS = {
    "duck": "d_Duck Identification",
    "product": "d_jn-product",
    "face": "s4_Face Sentiment Identification",
}
GOLD = 50


@dataclass(frozen=True)
class LabelSet:
    """Votes and truth.

    Attributes:
        name: for the cases.
        votes: rows are called by their places: product's own ids end in the true label.
        truth: (rows,) places of the true classes.
        groups: (rows,) rows of one group are not independent, as copies of one text.
        gold: places of rows whose truth a label model may learn from; they are left out of the comparison.
        texts: (rows,) what the rows are, where that is known.
        domains: (rows,) where rows come from, where that is known.
        rules: whether sources are rules that stay silent by what a row is, not people who were not asked.
    """

    name: str
    votes: Votes
    truth: NDArray[np.int64]
    groups: Sequence[Any]
    gold: NDArray[np.int64]
    texts: Sequence[str] | None = None
    domains: Sequence[str] | None = None
    rules: bool = False

    def handed(self, path: Path) -> Path:
        """Write the votes for a peer: three columns and the numbers of rows, sources, classes."""
        votes = self.votes
        columns = {"row": votes.row.tolist(), "source": votes.source.tolist(), "label": votes.label.tolist()}
        sizes = {"rows": votes.rows, "sources": len(votes.sources), "classes": len(votes.classes)}
        path.write_text(json.dumps(columns | sizes), encoding="utf-8")
        return path

    def features(self, columns: int = 32) -> NDArray[np.float64] | None:
        """Return (rows, columns) of the texts: TF-IDF, its first singular vectors; None without texts."""
        if self.texts is None:
            return None
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        words = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(self.texts)
        return np.asarray(TruncatedSVD(columns, random_state=0).fit_transform(words))


def real(data: Path) -> Iterator[LabelSet]:
    """Yield the sets on disk."""
    for name, folder in CROWDS.items():
        yield _crowd(name, data / "crowd_labels" / folder)
    yield _youtube(data / "youtube_wrench")
    for name, train, test in (
        ("sst2", "stsa.binary.train", "stsa.binary.test"),
        ("trec", "TREC.train.all", "TREC.test.all"),
    ):
        taught, (asked, truth) = _lines(data / "sent_conv" / train), _lines(data / "sent_conv" / test)
        yield _classifiers(f"{name}, soft votes", [taught], asked, truth, ["one"] * len(asked))
    yield _reviews(data / "sent_conv")


def _crowd(name: str, folder: Path) -> LabelSet:
    with (folder / "answer.csv").open(encoding="utf-8", newline="") as file:
        answers = list(csv.DictReader(file))
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        truth = {row["question"]: row["truth"] for row in csv.DictReader(file)}
    place = {question: at for at, question in enumerate(truth)}
    votes = Votes.from_columns(
        [place[row["question"]] for row in answers],
        [row["worker"] for row in answers],
        [row["answer"] for row in answers],
        ids=range(len(place)),
    )
    known = votes.truth(list(truth.values()))
    # Pairs of products: those that share one are a group.
    groups = [question.split("_")[0] for question in truth]
    return LabelSet(name, votes, known, groups, _drawn(len(place)))


def _youtube(folder: Path) -> LabelSet:
    names = ("train", "valid", "test")
    parts = {name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in names}
    rows = [row for part in parts.values() for row in part.values()]
    votes = Votes.from_table([row["weak_labels"] for row in rows], classes=(0, 1))
    begin = len(parts["train"])
    texts = [row["data"]["text"] for row in rows]
    return LabelSet(
        "youtube",
        votes,
        np.array([row["label"] for row in rows]),
        texts,
        np.arange(begin, begin + len(parts["valid"])),
        texts,
        [name for name, part in parts.items() for _ in part],
        rules=True,
    )


Lines = tuple[list[str], list[str]]


def _classifiers(
    name: str,
    taught: Sequence[Lines],
    asked: Sequence[str],
    truth: Sequence[str],
    domains: Sequence[str],
    *,
    sources: int = 8,
    each: int = 200,
) -> LabelSet:
    """Return soft votes of logistic regressions on TF-IDF, each taught `each` rows of one of the training sets in turn.

    Every other one of a training set has next to no penalty, so that some are loud and some are shy.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    classes = sorted(set(truth))
    dice, said = np.random.default_rng(0), []
    orders = [dice.permutation(len(texts)) for texts, _ in taught]
    for at in range(sources):
        (texts, labels), turn = taught[at % len(taught)], at // len(taught)
        mine = orders[at % len(taught)][turn * each : (turn + 1) * each]
        words = TfidfVectorizer(sublinear_tf=True)
        model = LogisticRegression(C=1.0 if turn % 2 else 100.0, max_iter=2000)
        model.fit(words.fit_transform([texts[i] for i in mine]), [labels[i] for i in mine])
        shares = np.zeros((len(asked), len(classes)))
        shares[:, [classes.index(one) for one in model.classes_]] = model.predict_proba(words.transform(asked))
        said.append(shares)
    votes = Votes.from_soft(np.stack(said, axis=1), classes=classes)
    known = np.array([classes.index(one) for one in truth])
    several = len(set(domains)) > 1
    texts_or_none = asked if several else None
    return LabelSet(name, votes, known, asked, _drawn(len(asked)), texts_or_none, domains if several else None)


def _reviews(folder: Path) -> LabelSet:
    """Return specialists on real rows: four classifiers taught 600 film reviews each, four taught product reviews.

    With 200 rows, as above, they are right on .51 to .62 of both: hardly better than chance.
    """
    films, (asked, truth) = _lines(folder / "stsa.binary.train"), _lines(folder / "stsa.binary.test")
    texts, labels = _lines(folder / "custrev.all")
    order = np.random.default_rng(1).permutation(len(texts))
    test, train = order[:1000], order[1000:]
    products = [texts[i] for i in train], [labels[i] for i in train]
    both = asked[:1000] + [texts[i] for i in test], truth[:1000] + [labels[i] for i in test]
    return _classifiers(
        "reviews, specialists", [films, products], *both, ["film"] * 1000 + ["product"] * 1000, each=600
    )


def _lines(path: Path) -> Lines:
    """Return texts and labels of lines that begin with the label."""
    lines = [line.split(" ", 1) for line in path.read_text(encoding="latin-1").splitlines() if line.strip()]
    return [line[1] for line in lines], [line[0] for line in lines]


def _drawn(rows: int) -> NDArray[np.int64]:
    return np.sort(np.random.default_rng(0).choice(rows, min(GOLD, rows // 2), replace=False))


def made(rows: int, *, classes: int = 4, workers: int = 200, each: int = 5, seed: int = 0) -> LabelSet:
    """Return a crowd: each worker has a confusion matrix drawn about an accuracy of .35 to .95."""
    dice = np.random.default_rng(seed)
    truth = dice.choice(classes, rows, p=dice.dirichlet(np.full(classes, 5.0)))
    right = dice.uniform(0.35, 0.95, workers)
    tables = np.stack([np.stack([dice.dirichlet(np.ones(classes)) for _ in range(classes)]) for _ in range(workers)])
    tables = (1 - right)[:, None, None] * tables + right[:, None, None] * np.eye(classes)
    row = np.repeat(np.arange(rows), each)
    worker = np.concatenate([dice.choice(workers, each, replace=False) for _ in range(rows)])
    edges = tables[worker, truth[row]].cumsum(axis=1)
    label = np.minimum((dice.random(len(row))[:, None] > edges).sum(axis=1), classes - 1)
    votes = Votes.from_columns(row, worker, label, classes=range(classes), names=range(workers), ids=range(rows))
    return LabelSet(f"made, {rows * each:,} votes", votes, truth, range(rows), _drawn(rows))


def specialists(rows: int, *, domains: int = 4, seed: int = 0) -> LabelSet:
    """Return specialists: each of 8 is right at .95 in one of the domains and at .55 elsewhere; two classes."""
    dice = np.random.default_rng(seed)
    truth, domain = dice.integers(0, 2, rows), dice.integers(0, domains, rows)
    right = np.where(domain[:, None] == np.arange(8) % domains, 0.95, 0.55)
    table = np.where(dice.random((rows, 8)) < right, truth[:, None], 1 - truth[:, None])
    votes = Votes.from_table(table, classes=(0, 1))
    names = [f"d{one}" for one in domain]
    return LabelSet("made, specialists", votes, truth, range(rows), _drawn(rows), domains=names)
