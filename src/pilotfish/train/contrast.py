"""An encoder taught by which texts share a label: their vectors come together, those of other labels stand apart.

Source: Tunstall et al. 2022 (SetFit), section 3.1: pairs of texts of one label (target 1) and of two (target 0), by the
squared error of the cosine (Reimers and Gurevych 2019, section 3, the regression objective). Pairs of one label are
drawn as there; all texts of a pass are compared with one another besides, so that a text that is read once counts in as
many pairs as the pass has other texts. Pairs of one label and of two weigh alike, as they do there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import DataError
from pilotfish.models._weights import identity_of
from pilotfish.train.encoding import train
from pilotfish.train.folder import digest
from pilotfish.train.settings import Fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.encoder import Encoder

__all__ = ["FIT", "contrasted", "drawn_pairs", "pairs_for", "pairs_loss"]

FIT = Fit(epochs=1, batch_tokens=512, rate=5e-5, decay=0.01, schedule="linear", dtype="float32")
_EACH, _LEAST, _MOST = 10, 320, 1000  # pairs a text (half of the paper's R), and of all texts


def pairs_for(texts: int) -> int:
    """Return how many pairs of one label are drawn of so many texts where nothing is said."""
    return max(_LEAST, min(_MOST, _EACH * texts))


def drawn_pairs(labels: Sequence[Any] | NDArray[Any], count: int, seed: int = 0) -> NDArray[np.int64]:
    """Draw pairs of texts of one label: (count, 2) places.

    Every text is the first of a pair as often as any other, or once more; the second is another of its label, or where
    there is none, itself: two readings under dropout differ (Gao et al. 2021, SimCSE, section 3).
    """
    codes = np.unique(np.asarray(labels), return_inverse=True)[1]
    random = np.random.default_rng(seed)
    rounds = [random.permutation(len(codes)) for _ in range(-(-count // len(codes)))]
    first = np.concatenate(rounds)[:count]
    # Each label's texts stand together: another one is any step along its stretch but the whole way round.
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    begins = np.cumsum(sizes) - sizes
    place = np.empty(len(codes), np.int64)
    place[order] = np.arange(len(codes))
    size, begin = sizes[codes[first]], begins[codes[first]]
    step = 1 + (random.random(count) * np.maximum(size - 1, 0)).astype(np.int64)
    second = order[begin + (place[first] - begin + step) % size]
    return np.stack([first, second], axis=1).astype(np.int64)


def pairs_loss(vectors: Any, labels: Any) -> Any:
    """Return the mean over pairs of one label of (1 - cos)^2 and of two of cos^2, half of each; a number.

    Args:
        vectors: (texts, dimension).
        labels: (texts,) whole numbers.

    Where all texts have one label, or all have their own, it is the one part that there is.
    """
    torch = need("torch", "train")
    unit = torch.nn.functional.normalize(vectors, dim=-1)
    cosines = unit @ unit.T
    same = labels[:, None] == labels[None, :]
    other = ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    parts = [((1 - cosines).square(), same & other), (cosines.square(), ~same)]
    means = [(error * pairs).sum() / pairs.sum() for error, pairs in parts if bool(pairs.any())]
    return sum(means) / max(1, len(means))


def contrasted(
    encoder: Encoder,
    texts: Sequence[str],
    labels: Sequence[str],
    how: Fit = FIT,
    *,
    pairs: int | None = None,
    folder: str | Path | None = None,
    progress: bool = False,
) -> Encoder:
    """Return a copy of an encoder, taught by pairs; the one that is given stays as it is.

    Args:
        encoder: what to start from.
        texts: with labels.
        labels: one a text.
        how: sizes and rates; with a rank, adapters learn. Its epochs are over the pairs that are drawn.
        pairs: of one label, to draw; None is `pairs_for`.
        folder: of checkpoints, so that a killed training of the same data goes on; None keeps none.
        progress: show a bar.

    Raises:
        DataError: fewer than two labels, or not one a text.
    """
    if len(labels) != len(texts) or len(set(labels)) < 2:
        raise DataError(f"pairs need a label a text and two labels: {len(texts)} texts, {len(set(labels))} labels")
    torch = need("torch", "train")
    count = pairs_for(len(texts)) if pairs is None else pairs
    drawn = drawn_pairs(labels, count, how.seed)
    student = encoder.load().copied()
    codes = np.unique(np.asarray(labels), return_inverse=True)[1]
    marks = torch.tensor(codes[drawn], device=student.model.device)

    def loss(vectors: Any, rows: Any, weights: Any) -> Any:
        # One number a pass, times what its pairs count: the loop divides by that.
        return pairs_loss(vectors.flatten(0, 1), marks[rows].flatten()) * weights.sum()

    named = [asdict(how), count, identity_of(encoder.weights), codes.tolist()]
    identity = digest(named, texts)
    within = None if folder is None else Path(folder) / identity[:16]
    groups = [(texts[a], texts[b]) for a, b in drawn]
    ones = np.ones(len(groups))
    train(student, torch.nn.Identity(), groups, ones, loss, how, within, identity, progress=progress)
    student.model.eval()
    return student
