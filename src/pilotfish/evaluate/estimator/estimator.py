"""A small evaluator that is taught on people's scores: COMET's and BLEURT's kind, and mixtures of other metrics.

Sources: Rei et al. 2020 (COMET), section 2.3, the estimator: an encoder reads each text by itself, a regressor sees the
vectors beside and against each other, squared error; Sellam et al. 2020 (BLEURT), section 4; with numbers of other
metrics as further features, after Ma et al. 2017 (BLEND).

The encoder stays as it is and ridge regression learns (little data), or all is tuned together (`how`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pilotfish._extras import need
from pilotfish._saved import facts_in, reading
from pilotfish.errors import ConfigError, DataError
from pilotfish.evaluate.estimator.features import combined, combined_width, numbers_of, texts_of, vectors_of
from pilotfish.evaluate.estimator.linear import fitted
from pilotfish.evaluate.estimator.report import Learnt
from pilotfish.evaluate.meta import meta
from pilotfish.evaluate.scores import Scores
from pilotfish.measure.intervals import Interval
from pilotfish.models._weights import identity_of
from pilotfish.models.encoder import Encoder
from pilotfish.rows.split import split
from pilotfish.train.encoding import ScaledHead, train
from pilotfish.train.folder import digest

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from pilotfish.models.catalog import Catalog
    from pilotfish.rows._row import Row
    from pilotfish.train.settings import Fit

__all__ = ["Estimator"]

FOLDER, FILE, HEAD, FORMAT = "encoder", "estimator.json", "head.safetensors", 1


class Estimator:
    """Predicts people's scores of rows.

    Args:
        columns: of texts: what a text is judged by (a source, a reference), and last the judged text.
        encoder: that reads them; None where numbers alone tell.
        numbers: columns of numbers, such as `Scoring` writes.
        how: tune encoder and regressor together, so; None leaves the encoder as it is.
        positive: no weight of a number below 0; with numbers alone. What was learnt on one kind of text then holds on
            others more often.
        head_rate: of the tuned: how many times the encoder's learning rate the regressor's is.
        held_out: share of the groups that is kept back to measure on.
        name: in reports.
        folder: of checkpoints, so that a killed tuning of the same data goes on; None keeps none.

    Attributes:
        encoder_: tuned, or as it was.
        weight_, bias_: (features,) and one number: the regressor.
        centre_, scale_: (numbers,) what numbers are brought to one scale by.
        report_: what it learnt from.

    Raises:
        ConfigError: nothing to see, or settings that do not go together.
    """

    def __init__(
        self,
        columns: Sequence[str] = (),
        *,
        encoder: Encoder | None = None,
        numbers: Sequence[str] = (),
        how: Fit | None = None,
        positive: bool = False,
        head_rate: float = 30.0,
        held_out: float = 0.2,
        name: str = "estimator",
        folder: str | Path | None = None,
    ) -> None:
        if (encoder is None) == bool(columns):
            raise ConfigError("columns of texts are read by an encoder: give both, or numbers alone")
        if encoder is None and not numbers:
            raise ConfigError("an estimator needs columns of texts and an encoder, or of numbers")
        if encoder is None and how is not None:
            raise ConfigError("without an encoder there is nothing to tune: leave `how` out")
        if positive and encoder is not None:
            raise ConfigError("`positive` is for numbers alone: of a vector no place is better the higher it is")
        if not 0 < held_out < 1 or not head_rate > 0:
            raise ConfigError(f"held_out is a share and head_rate above 0, not {held_out} and {head_rate}")
        self.columns, self.encoder, self.numbers = tuple(columns), encoder, tuple(numbers)
        self.how, self.positive, self.head_rate, self.held_out = how, positive, head_rate, held_out
        self.name, self.folder = name, folder
        self.encoder_ = encoder

    def fit(
        self, rows: Sequence[Row], scores: ArrayLike, groups: Sequence[Any] | None = None, *, seed: int = 0
    ) -> Self:
        """Learn from people's scores.

        Args:
            rows: with the columns.
            scores: (rows,) people's.
            groups: (rows,) what they are of (articles, prompts): one is learnt from or measured on, never both.
            seed: of the split and the folds.

        Raises:
            DataError: rows or scores that are missing, not finite, too few, or all alike.
            ModelError: the loss is not finite.
        """
        wanted = np.asarray(scores, np.float64)
        if wanted.shape != (len(rows),) or not np.isfinite(wanted).all():
            raise DataError(f"each of {len(rows)} rows needs one finite score; got {wanted.shape}")
        ids = [f"row {number}" for number in range(len(rows))] if groups is None else [str(one) for one in groups]
        if len(ids) != len(rows) or len(set(ids)) < 10:
            raise DataError(f"ten groups of rows are needed at least; there are {len(set(ids))}")
        parts = split(len(rows), {"learn": 1 - self.held_out, "test": self.held_out}, seed, group=ids)
        learn, test = (np.asarray(parts[part]) for part in ("learn", "test"))
        if np.ptp(wanted[learn]) == 0:
            raise DataError("people's scores are all alike: there is nothing to learn")
        numbers = numbers_of(rows, self.numbers)
        self.centre_ = numbers[learn].mean(axis=0)
        spread = numbers[learn].std(axis=0)
        self.scale_ = np.where(spread > 0, spread, 1.0)
        penalty = steps = None
        if self.how is None:
            features = self._features(rows)
            own = [ids[i] for i in learn]
            self.weight_, self.bias_, penalty = fitted(
                features[learn], wanted[learn], own, positive=self.positive, seed=seed
            )
            predicted = features[test] @ self.weight_ + self.bias_
        else:
            steps = self._tune(rows, wanted, learn, self.how)
            self._levelled([rows[i] for i in learn], wanted[learn])
            predicted = self([rows[i] for i in test]).values
        ends = _agreement(predicted, wanted[test], [ids[i] for i in test])
        self.report_ = Learnt(len(learn), len(test), *ends, penalty, steps)
        return self

    def __call__(self, rows: Sequence[Row]) -> Scores:
        """Return the scores that people would give, on their scale.

        Raises:
            DataError: a row lacks a text or a number.
        """
        values = self._features(rows) @ self.weight_ + self.bias_ if len(rows) else np.zeros(0)
        return Scores(self.name, values, {}, self._notes(rows))

    def _notes(self, rows: Sequence[Row]) -> list[str]:
        found = [[f"{one} is empty" for one in self.columns if not row[one].strip()] for row in rows]
        if self.encoder_ is not None and rows:
            most = self.encoder_.max_length
            sizes = np.array(self.encoder_.lengths([row[one] for row in rows for one in self.columns])) - most
            for number, over in enumerate(np.maximum(sizes, 0).reshape(len(rows), -1).sum(axis=1)):
                found[number] += [f"cut: {over} tokens were not read"] if over else []
        return ["; ".join(some) for some in found]

    def _features(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        parts = []
        if self.encoder_ is not None:
            vectors = vectors_of(self.encoder_, texts_of(rows, self.columns))
            parts.append(combined(vectors, lambda some: np.concatenate(some, axis=1)))
        if self.numbers:
            parts.append(self._scaled(rows))
        return np.concatenate(parts, axis=1)

    def _scaled(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        return np.asarray((numbers_of(rows, self.numbers) - self.centre_) / self.scale_)

    def _tune(self, rows: Sequence[Row], wanted: NDArray[np.float64], learn: NDArray[np.int64], how: Fit) -> int:
        torch = need("torch", "train")
        assert self.encoder is not None
        encoder = self.encoder.load().copied()
        texts = texts_of(rows, self.columns)
        numbers = self._scaled(rows)
        centre, spread = float(wanted[learn].mean()), float(wanted[learn].std())
        width = combined_width(len(self.columns), encoder.dimension) + len(self.numbers)
        head = ScaledHead(width, 1, self.head_rate, how.seed)
        device = encoder.model.device
        beside, target = (
            torch.tensor(one, dtype=torch.float32, device=device) for one in (numbers, (wanted - centre) / spread)
        )

        def loss(vectors: Any, places: Any, counted: Any) -> Any:
            stacked = vectors if vectors.dim() == 3 else vectors[:, None]
            seen = combined(stacked, lambda some: torch.cat(some, dim=1))
            told = head.module(torch.cat([seen, beside[places]], dim=1))[:, 0]
            return ((told - target[places]).square() * counted).sum()

        counts = np.zeros(len(rows))
        counts[learn] = 1.0
        told = [asdict(how), self.head_rate, identity_of(encoder.weights), counts.tolist(), wanted.tolist()]
        identity = digest([*told, numbers.tolist()], [text for row in texts for text in row])
        folder = None if self.folder is None else Path(self.folder) / identity[:16]
        done = train(encoder, _owner(head.module), texts, counts, loss, how, folder, identity)
        encoder.model.eval()
        coef, bias = head.weights()
        self.encoder_ = encoder
        self.weight_ = coef[0].astype(np.float64) * spread
        self.bias_ = float(bias[0]) * spread + centre
        return int(done.steps)

    def _levelled(self, rows: Sequence[Row], wanted: NDArray[np.float64]) -> None:
        """Bring a tuned regressor onto people's scale: with dropout, as it learnt, texts lay further apart."""
        told = self(rows).values
        if np.ptp(told) > 0:
            slope, start = np.polyfit(told, wanted, 1)
            if slope > 0:
                self.weight_ = self.weight_ * slope
                self.bias_ = self.bias_ * float(slope) + float(start)

    def save(self, folder: str | Path) -> None:
        """Write the encoder where it has one, the regressor and what it learnt; `estimator.json` comes last."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).unlink(missing_ok=True)
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
        if self.encoder_ is not None:
            self.encoder_.model.save(str(folder / FOLDER), create_model_card=False)
        arrays = {
            "weight": self.weight_,
            "bias": np.array([self.bias_]),
            "centre": np.asarray(self.centre_, np.float64),
            "scale": np.asarray(self.scale_, np.float64),
        }
        need("safetensors.numpy", "local").save_file(arrays, folder / HEAD)
        told = {
            "format": FORMAT,
            "name": self.name,
            "columns": self.columns,
            "numbers": self.numbers,
            "encoder": None if self.encoder_ is None else self.encoder_.name,
            "report": self.report_.to_json(),
        }
        (folder / FILE).write_text(json.dumps(told) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path, catalog: Catalog | None = None) -> Self:
        """Read what `save` wrote; the encoder's weights load at the first use.

        Raises:
            ModelError: the folder holds no estimator, or a damaged one.
        """
        folder = Path(folder)
        with reading(folder, "estimator"):
            told: Mapping[str, Any] = facts_in(folder / FILE, "estimator", FORMAT)
            arrays = need("safetensors.numpy", "local").load_file(folder / HEAD)
            name = told["encoder"]
            encoder = None if name is None else Encoder(folder / FOLDER, name=name, catalog=catalog)
            made = cls(told["columns"], encoder=encoder, numbers=told["numbers"], name=told["name"])
            made.weight_, made.bias_ = arrays["weight"], float(arrays["bias"][0])
            made.centre_, made.scale_ = arrays["centre"], arrays["scale"]
            made.report_ = Learnt.from_json(told["report"])
        return made


def _owner(regressor: Any) -> Any:
    """Return a module that gives vectors on as they are, and owns the regressor that the loss puts behind them.

    What is learnt of is several texts' vectors together, and a head of the loop sees one at a time.
    """
    torch = need("torch", "train")

    class Owner(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.regressor = regressor

        def forward(self, vectors: Any) -> Any:
            return vectors

    return Owner()


def _agreement(
    predicted: NDArray[np.float64], wanted: NDArray[np.float64], groups: Sequence[str]
) -> tuple[Interval | None, Interval | None]:
    if len(wanted) < 3 or np.ptp(wanted) == 0:
        return None, None
    try:
        found = meta(wanted, {"it": predicted}, items=groups, resamples=500).of("it")
    except DataError:  # in too many draws of so few rows people's scores are all alike
        return None, None
    return found.pearson, found.spearman
