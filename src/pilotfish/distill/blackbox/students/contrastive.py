"""A contrastive student: an encoder taught by pairs of labelled texts, then a linear head; for few labels.

Source: Tunstall et al. 2022 (SetFit), section 3: first the encoder learns which texts share a label
(`pilotfish.train.contrast`), then logistic regression learns the labels on its vectors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.distill.blackbox.students.linear import fit_soft
from pilotfish.distill.blackbox.students.targets import Targets
from pilotfish.distill.blackbox.students.tuned import EncoderStudent
from pilotfish.models.encoder import Encoder
from pilotfish.train.contrast import FIT, contrasted
from pilotfish.train.settings import Fit

__all__ = ["ContrastiveStudent"]


class ContrastiveStudent(EncoderStudent):
    """Saved and asked as an `EncoderStudent`; the pairs are of people's labels, of the teacher's likeliest elsewhere.

    Args:
        encoder: what to start from; it stays as it is.
        c: the inverse of the head's L2 penalty's strength.
        pairs: of one label, to draw; None is `pilotfish.train.contrast.pairs_for`.
        alpha: as in `LabelStudent`.
        temperature: of the teacher's part of the head's loss.
        fit: how the encoder is trained; its seed draws the pairs.
        held_out: as in `LabelStudent`.
        folder: where checkpoints lie, so that a killed fit of the same data goes on; None keeps none.
        seed: of the split.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        c: float = 10.0,
        pairs: int | None = None,
        alpha: Any = 1.0,
        temperature: float = 1.0,
        fit: Fit = FIT,
        held_out: float = 0.2,
        folder: str | Path | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            encoder,
            alpha=alpha,
            temperature=temperature,
            fit=fit,
            held_out=held_out,
            folder=folder,
            seed=seed,
        )
        self.c, self.pairs = c, pairs

    def _learn(self, x: Any, targets: Targets, alpha: float) -> None:
        marks = np.where(targets.gold >= 0, targets.gold, targets.soft.argmax(axis=1))
        by_gold, by_teacher = targets.shares(alpha)
        counted = np.flatnonzero(by_gold + by_teacher > 0)
        texts, labels = [x[i] for i in counted], [targets.classes[marks[i]] for i in counted]
        if len(set(labels)) > 1:  # of one label there is nothing to hold apart
            self.tuned_ = contrasted(self.encoder, texts, labels, self.how, pairs=self.pairs, folder=self.folder)
        else:
            self.tuned_ = self.encoder.load().copied()
        # A head of few rows: threads would only wait for one another.
        with need("threadpoolctl", "train").threadpool_limits(1, user_api="blas"):
            vectors: NDArray[np.float32] = self.tuned_.encode(x)
            coef, bias = fit_soft(vectors, targets, alpha, self.temperature, self.c)
        self.coef_, self.intercept_ = coef.astype(np.float32), bias.astype(np.float32)
