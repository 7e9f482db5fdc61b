"""An encoder student: a fine-tuned encoder and a classification head, taught by labels and by shares.

Source: Hinton et al. 2015, section 2; Sanh et al. 2019 (DistilBERT), section 2, for encoders.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish._saved import facts_in, reading
from pilotfish.distill.blackbox.students.base import LabelStudent, Learnt
from pilotfish.distill.blackbox.students.targets import Targets
from pilotfish.errors import ConfigError
from pilotfish.models._weights import identity_of
from pilotfish.models.classify import EncoderFeatures, SoftmaxHead, TextClassifier
from pilotfish.models.classify.features import OWN
from pilotfish.models.encoder import Encoder
from pilotfish.train.encoding import ScaledHead, train
from pilotfish.train.folder import digest
from pilotfish.train.settings import Fit

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog

__all__ = ["EncoderStudent", "label_loss"]

FIT = Fit(epochs=3, batch_tokens=512, rate=5e-5, decay=0.01, dtype="float32")


class EncoderStudent(LabelStudent):
    """An encoder and a linear head over its vectors, trained together; saved as a `TextClassifier` with its encoder.

    The encoder that is given stays as it is.

    Args:
        encoder: what to start from.
        alpha: as in `LabelStudent`; to choose from n costs 5 n fits.
        temperature: of the teacher's loss.
        fit: how to train; its seed is also that of the head's first values.
        head_rate: how many times the encoder's learning rate the head's is.
        held_out: as in `LabelStudent`.
        folder: where checkpoints lie, so that a killed fit of the same data goes on; None keeps none.
        seed: of the split.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        alpha: float | Sequence[float] = 0.5,
        temperature: float = 1.0,
        fit: Fit = FIT,
        head_rate: float = 30.0,
        held_out: float = 0.2,
        folder: str | Path | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(alpha, held_out, seed)
        self.encoder, self.temperature, self.how, self.head_rate = encoder, temperature, fit, head_rate
        self.folder = folder

    @property
    def classifier(self) -> TextClassifier:
        """The same thing as a classifier over texts."""
        head = SoftmaxHead()
        head.classes_, head.coef_, head.intercept_ = self.classes_, self.coef_, self.intercept_
        head.temperature_ = self.temperature_
        return TextClassifier(EncoderFeatures(self.tuned_, own=True), head)

    def save(self, folder: str | Path) -> None:
        """Write the tuned encoder, the classifier over it, and what it learnt from as student.json.

        The folder needs nothing beside it: moved elsewhere it loads as a student and as a `TextClassifier`.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        # First of all, so that a kill leaves no new encoder under an old head that would load.
        (folder / "student.json").unlink(missing_ok=True)
        self.classifier.save(folder)
        (folder / "student.json").write_text(json.dumps({"report": self.report_.to_json()}) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path, catalog: Catalog | None = None) -> Self:
        """Read what `save` wrote; the encoder's weights load at the first use.

        Raises:
            ModelError: the folder holds no such student, or a damaged one.
        """
        folder = Path(folder)
        head = SoftmaxHead.load(folder)
        student = cls(Encoder(folder / OWN, catalog=catalog))
        with reading(folder, "student"):
            student.report_ = Learnt.from_json(facts_in(folder / "student.json", "student")["report"])
        student.tuned_ = student.encoder
        student.classes_, student.coef_, student.intercept_ = head.classes_, head.coef_, head.intercept_
        student.temperature_ = head.temperature_
        return student

    def _prepared(self, inputs: Sequence[Any], learn: NDArray[np.int64]) -> Any:
        return list(inputs)

    def _features(self, inputs: Sequence[Any]) -> Any:
        return list(inputs)

    def _taken(self, x: Any, rows: NDArray[np.int64]) -> Any:
        return [x[i] for i in rows]

    def _raw(self, x: Any) -> NDArray[np.float64]:
        return np.asarray(self.tuned_.encode(x).astype(np.float64) @ self.coef_.T.astype(np.float64) + self.intercept_)

    def _learn(self, x: Any, targets: Targets, alpha: float) -> None:
        if not self.temperature > 0 or not self.head_rate > 0:
            raise ConfigError(f"temperature and head_rate must be above 0, not {self.temperature} and {self.head_rate}")
        torch = need("torch", "train")

        by_gold, by_teacher = targets.shares(alpha)
        encoder = self.encoder.load().copied()
        device = encoder.model.device
        marks = torch.tensor(np.maximum(targets.gold, 0), device=device)
        shares = [torch.tensor(share, dtype=torch.float32, device=device) for share in (by_gold, by_teacher)]
        soft = torch.tensor(targets.softened(self.temperature), dtype=torch.float32, device=device)
        head = ScaledHead(encoder.dimension, len(targets.classes), self.head_rate, self.how.seed)
        t = self.temperature

        def loss(logits: Any, rows: Any, weights: Any) -> Any:
            return label_loss(logits, marks[rows], soft[rows], shares[0][rows], shares[1][rows], t).sum()

        told = [
            alpha,
            t,
            self.head_rate,
            asdict(self.how),
            targets.classes,
            identity_of(encoder.weights),
            targets.gold.tolist(),
        ]
        identity = digest([*told, targets.soft.tobytes().hex()], x)
        folder = None if self.folder is None else Path(self.folder) / identity[:16]
        train(encoder, head.module, x, by_gold + by_teacher, loss, self.how, folder, identity)
        encoder.model.eval()
        self.tuned_ = encoder
        self.coef_, self.intercept_ = head.weights()


def label_loss(logits: Any, gold: Any, soft: Any, by_gold: Any, by_teacher: Any, temperature: float) -> Any:
    """Return (rows,): what people's label counts times its cross-entropy, and what the teacher's does times T^2 KL.

    Args:
        logits: (rows, classes).
        gold: (rows,) the classes that people gave; any where they count nothing.
        soft: (rows, classes) the teacher's probabilities at the temperature; zeros where they count nothing.
        by_gold: (rows,) what people's labels count.
        by_teacher: (rows,) what the teacher's count.
        temperature: of the second part.
    """
    torch = need("torch", "train")
    ce = torch.nn.functional.cross_entropy(logits, gold, reduction="none")
    logs = torch.log_softmax(logits / temperature, dim=-1)
    # The teacher's own entropy has no gradient, but with it the loss is a divergence: 0 where they agree.
    kl = (torch.xlogy(soft, soft) - soft * logs).sum(dim=-1)
    return by_gold * ce + by_teacher * temperature**2 * kl
