"""An encoder fine-tuned for several labels at once: one sigmoid a label over its vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import DataError
from pilotfish.models._weights import identity_of
from pilotfish.models.classify.several import SigmoidHead
from pilotfish.train.encoding import ScaledHead, train
from pilotfish.train.folder import digest
from pilotfish.train.settings import Fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.encoder import Encoder

__all__ = ["FIT", "tuned_several"]

FIT = Fit(epochs=3, batch_tokens=512, rate=5e-5, decay=0.01, dtype="float32")
HEAD_RATE = 30.0  # times the encoder's learning rate


def tuned_several(
    encoder: Encoder,
    texts: Sequence[str],
    sets: NDArray[np.bool_],
    labels: Sequence[str],
    how: Fit = FIT,
    *,
    folder: str | Path | None = None,
    progress: bool = False,
) -> tuple[Encoder, SigmoidHead]:
    """Return a copy of an encoder, taught, and the sigmoids over it; thresholds are one half, to be tuned.

    Args:
        encoder: what to start from; it stays as it is.
        texts: with labels.
        sets: (texts, labels) true where a text has a label.
        labels: their names.
        how: sizes and rates; with a rank, adapters learn.
        folder: of checkpoints, so that a killed training of the same data goes on; None keeps none.
        progress: show a bar.

    Raises:
        DataError: not one row of `sets` a text.
    """
    if sets.shape != (len(texts), len(labels)):
        raise DataError(f"{len(texts)} texts and {len(labels)} labels, and a table of {sets.shape}")
    torch = need("torch", "train")
    student = encoder.load().copied()
    shares = (sets.sum(axis=0) + 0.5) / (len(sets) + 1)
    first = np.log(shares / (1 - shares))
    head = ScaledHead(student.dimension, len(labels), HEAD_RATE, how.seed, first)
    wanted = torch.tensor(sets, dtype=torch.float32, device=student.model.device)

    def loss(logits: Any, rows: Any, weights: Any) -> Any:
        error = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted[rows], reduction="none")
        return (error.sum(dim=1) * weights).sum()

    told = [asdict(how), identity_of(encoder.weights), list(labels), sets.astype(int).tolist()]
    identity = digest(told, texts)
    within = None if folder is None else Path(folder) / identity[:16]
    train(student, head.module, texts, np.ones(len(texts)), loss, how, within, identity, progress=progress)
    student.model.eval()
    sigmoids = SigmoidHead()
    sigmoids.classes_ = [str(label) for label in labels]
    sigmoids.coef_, sigmoids.intercept_ = head.weights()
    sigmoids.thresholds_ = np.full(len(labels), 0.5)
    return student, sigmoids
