"""Teach an encoder which words of a text to keep, from texts and what others left of them.

Source: Pan et al. 2024 (LLMLingua-2), section 4.2: cross-entropy over all tokens, all weights learn.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.intervals import Interval, bootstrap
from pilotfish.models._weights import identity_of
from pilotfish.prompt.compress.labels import Pair, aligned, sound
from pilotfish.prompt.compress.tokens import TokenClassifier, Window, states, windows
from pilotfish.prompt.compress.units import Span, units_of
from pilotfish.rows.split import split
from pilotfish.train.encoding import ScaledHead, freeze_unused, put_body
from pilotfish.train.examples import Example
from pilotfish.train.folder import digest
from pilotfish.train.loop import Fitted, fit
from pilotfish.train.lora import adapted, merged
from pilotfish.train.settings import Fit

if TYPE_CHECKING:
    from pilotfish.models.encoder import Encoder

__all__ = ["FIT", "Learnt", "teach"]

FIT = Fit(epochs=3, batch_tokens=4096, rate=5e-5, decay=0.01, dtype="auto")
_FEW = 8  # rows; fewer teach nothing


@dataclass(frozen=True)
class Learnt:
    """What a token classifier learnt from.

    Attributes:
        rows: texts that it learnt from.
        left_out: texts whose compressed version was no good: the most made up, or the worst aligned.
        held_out: other texts, kept back.
        kept: the share of words that are kept, over all texts.
        steps: of the training.
        right: of the words that a held-out text keeps, how many are among as many that the classifier would keep,
            the mean over texts; None without held-out texts. By chance it is `kept`.
    """

    rows: int
    left_out: int
    held_out: int
    kept: float
    steps: int
    right: Interval | None = None

    def __str__(self) -> str:
        said = f"learnt from {self.rows:,} texts that keep {self.kept:.2f} of their words in {self.steps:,} steps"
        if self.left_out:
            said += f", {self.left_out:,} left out"
        if self.right is not None:
            said += f"; of {self.held_out:,} held-out texts {self.right:.3f} of the words kept are found"
        return said

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        told = {name: value for name, value in vars(self).items() if name != "right"}
        right = self.right
        return told | {"right": None if right is None else [right.value, right.low, right.high]}


@dataclass(frozen=True)
class _Read:
    """A pass: windows, and the labels of their tokens.

    Attributes:
        windows: of texts.
        row, at: (tokens,) where the labelled tokens stand in the padded pass.
        labels: (tokens,) 1 of those that are kept.
        count: labelled tokens.
    """

    windows: list[Window]
    row: Any
    at: Any
    labels: Any
    count: float


def teach(
    encoder: Encoder,
    pairs: Sequence[Pair],
    how: Fit = FIT,
    *,
    length: int | None = None,
    asks: bool | None = None,
    variation: float = 0.05,
    gap: float = 0.1,
    held_out: float = 0.1,
    head_rate: float = 20.0,
    folder: str | Path | None = None,
    progress: bool = False,
) -> tuple[TokenClassifier, Learnt]:
    """Return a classifier taught on texts and their compressed versions, and what it learnt.

    Args:
        encoder: where it begins; it stays as it is.
        pairs: texts and what is left of them.
        how: sizes and rates.
        length: tokens that are read at once; None takes what the encoder says of itself.
        asks: whether the question is read, too; None: where any pair has one.
        variation: see `sound`.
        gap: see `sound`.
        held_out: the share of texts to measure on; texts that are equal are on one side.
        head_rate: how many times the encoder's learning rate the layer's is.
        folder: of checkpoints, so that a killed training of the same data goes on; None keeps none.
        progress: show a bar.

    Raises:
        ConfigError: a share out of range.
        DataError: too few texts, one without a word, or nothing to tell kept and dropped words apart by.
        ModelError: the loss is not finite.
    """
    if not 0 <= held_out < 1 or not head_rate > 0:
        raise ConfigError(f"held_out is a share and head_rate above 0, not {held_out} and {head_rate}")
    pairs, kept, left_out = _labelled(pairs, variation, gap)
    with_question = any(pair.question.strip() for pair in pairs) if asks is None else asks
    held: list[int] = []
    if held_out and len({pair.text for pair in pairs}) > 2:
        parts = {"train": 1 - held_out, "test": held_out}
        held = split(len(pairs), parts, how.seed, group=[pair.text for pair in pairs])["test"].tolist()
    learner = encoder.load().copied()
    made = TokenClassifier(learner, np.zeros(learner.dimension, np.float32), 0.0, length=length, asks=with_question)
    share = float(np.mean(np.concatenate(kept)))
    first = float(np.log(share / (1 - share)))
    head = ScaledHead(_width(learner), 1, head_rate, how.seed, np.array([first]))
    told = [asdict(how), length, with_question, head_rate, sorted(held), identity_of(encoder.weights)]
    labels = ["".join("01"[int(one)] for one in row) for row in kept]
    identity = digest(told, [text for pair, row in zip(pairs, labels, strict=True) for text in (*_texts(pair), row)])
    fitted = _learn(made, head, pairs, kept, set(held), how, folder, identity, progress=progress)
    learner.model.eval()
    coef, bias = head.weights()
    made.weight, made.bias = coef[0], float(bias[0])
    right = _right(made, [pairs[i] for i in held], [kept[i] for i in held])
    report = Learnt(len(pairs) - len(held), left_out, len(held), share, fitted.steps, right)
    made.report = report.to_json()
    return made, report


def _labelled(pairs: Sequence[Pair], variation: float, gap: float) -> tuple[list[Pair], list[NDArray[np.bool_]], int]:
    """Return the pairs that are good enough, which units of each are kept, and how many were left out."""
    found = []
    for number, pair in enumerate(pairs, 1):
        try:
            found.append(aligned(pair.text, pair.compressed))
        except DataError as error:
            raise DataError(f"row {number}: {error}") from None
    good = np.flatnonzero(sound(found, variation=variation, gap=gap)).tolist()
    if len(good) < _FEW:
        raise DataError(f"{len(good)} usable texts; a token classifier needs {_FEW} at least")
    kept = [found[i].kept for i in good]
    share = float(np.mean(np.concatenate(kept)))
    if not 0 < share < 1:
        raise DataError(f"the texts keep {'all' if share else 'none'} of their words: there is nothing to tell apart")
    return [pairs[i] for i in good], kept, len(found) - len(good)


def _texts(pair: Pair) -> tuple[str, str]:
    return pair.text, pair.question


def _width(encoder: Encoder) -> int:
    return int(encoder.model[0].auto_model.config.hidden_size)


def _learn(
    made: TokenClassifier,
    head: ScaledHead,
    pairs: Sequence[Pair],
    kept: Sequence[NDArray[np.bool_]],
    held: set[int],
    how: Fit,
    folder: str | Path | None,
    identity: str,
    *,
    progress: bool,
) -> Fitted:
    """Train encoder and layer in place."""
    encoder = made.encoder
    cut: list[Window] = []
    labels: list[list[float]] = []
    examples: list[Example] = []
    looked: list[Example] = []
    for row, (pair, keeps) in enumerate(zip(pairs, kept, strict=True)):
        units = units_of(pair.text)
        question = pair.question if made.asks else ""
        # To learn from, no word is read twice.
        for one in windows(encoder, pair.text, units, question, made.length, overlap=0.0):
            if not one.at:
                continue
            number = len(cut)
            cut.append(one)
            labels.append(_tokens(one, units, keeps))
            example = Example((0,) * len(one.ids), len(one.ids) - len(one.at), 1.0, number)
            (looked if row in held else examples).append(example)
    module = encoder.model
    if how.rank:
        put_body(module, adapted(module[0].auto_model, how, kind="FEATURE_EXTRACTION"))
    task = _task(module, head.module, cut, labels)
    freeze_unused(task, examples[:2])
    if folder is not None:
        fitted = fit(task, examples, looked, how, Path(folder) / identity[:16], identity, progress=progress)
    else:
        with tempfile.TemporaryDirectory(prefix="pilotfish-") as own:
            once = replace(how, every=2**31)  # nobody could go on from these checkpoints
            fitted = fit(task, examples, looked, once, Path(own), identity, progress=progress)
    if how.rank:
        put_body(module, merged(module[0].auto_model, how))
    return fitted


def _tokens(window: Window, units: Sequence[Span], kept: NDArray[np.bool_]) -> list[float]:
    """Return the label of each token of a window: its unit's."""
    ends = [end for _, end in units]
    owners = np.searchsorted(ends, [start for start, _ in window.places], side="right")
    found: list[float] = kept[np.minimum(owners, len(units) - 1)].astype(np.float64).tolist()
    return found


def _task(module: Any, head: Any, cut: Sequence[Window], labels: Sequence[Sequence[float]]) -> Any:
    torch = need("torch", "train")

    class KeepTask(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.module, self.head = module, head

        def prepare(self, examples: Sequence[Example], step: int) -> _Read:
            some = [cut[one.row] for one in examples]
            # One that is there only to take part in what all processes do has nothing in the loss.
            own = [one.at if example.count else [] for one, example in zip(some, examples, strict=True)]
            row = [i for i, at in enumerate(own) for _ in at]
            told = [label for one, at in zip(examples, own, strict=True) for label in labels[one.row][: len(at)]]
            device = module.device
            return _Read(
                some,
                torch.tensor(row, dtype=torch.long, device=device),
                torch.tensor([place for at in own for place in at], dtype=torch.long, device=device),
                torch.tensor(told, dtype=torch.float32, device=device),
                float(len(row)),
            )

        def forward(self, read: _Read) -> tuple[Any, dict[str, Any]]:
            found = states(self.module[0].auto_model, read.windows, module.device)[read.row, read.at].float()
            odds = self.head(found)[:, 0]
            loss = torch.nn.functional.binary_cross_entropy_with_logits(odds, read.labels, reduction="sum")
            return loss, {"right": ((odds > 0) == (read.labels > 0)).float().sum().detach()}

        def looked(self, examples: Sequence[Example]) -> dict[str, float]:
            reads = [self.prepare(examples[i : i + 16], 0) for i in range(0, len(examples), 16)]
            total = sum(float(self(read)[0]) for read in reads)
            return {"loss": total / max(sum(read.count for read in reads), 1.0)}

    return KeepTask()


def _right(made: TokenClassifier, pairs: Sequence[Pair], kept: Sequence[NDArray[np.bool_]]) -> Interval | None:
    """Return how many of the words that texts keep are among as many that the classifier scores best."""
    found = []
    for pair, keeps in zip(pairs, kept, strict=True):
        count = int(keeps.sum())
        if not count:
            continue
        odds, _ = made.odds(pair.text, units_of(pair.text), pair.question)
        best = np.argsort(-odds, kind="stable")[:count]
        found.append(float(keeps[best].mean()))
    return bootstrap(found) if found else None
