"""A small verifier, taught which answers were right: it says how likely another one is.

Source: Cobbe et al. 2021 (Training Verifiers to Solve Math Word Problems), section 4. There a language model is tuned;
here the small model stays as it is, and a logistic regression reads the mean of its states over the answer, how likely
it holds the answer's tokens, and whether the answer's sums are right. It is calibrated on rows that it did not learn
from (Platt 1999).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pilotfish._extras import need
from pilotfish._saved import facts_in, reading
from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.accepted import accepted_sets
from pilotfish.measure.arithmetic import sums
from pilotfish.measure.checks import Verdict
from pilotfish.measure.curve import area
from pilotfish.measure.folds import folds
from pilotfish.measure.intervals import bootstrap, paired_bootstrap
from pilotfish.model import Reply, Request
from pilotfish.models import _weights
from pilotfish.models._tokens import encode_pair, start_token
from pilotfish.models.classify.calibration import Calibration, Platt, calibration_from
from pilotfish.models.classify.features import EncoderFeatures
from pilotfish.models.encoder import Encoder
from pilotfish.models.reader import Reader
from pilotfish.prompt.verify.known import Judgement, Known
from pilotfish.rows.split import split

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.catalog import Catalog

__all__ = ["AnswerVerifier", "Trusts"]

FILE, ARRAYS, FORMAT = "verifier.json", "verifier.safetensors", 1
CS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 1.0)  # inverse penalties that are tried
_LEARNED = ("mean_", "scale_", "coef_")


class AnswerVerifier:
    """Says how likely an answer is right; a reward too, so best of n picks by it.

    Args:
        reads: a small causal language model, or an encoder, which has no log-probabilities. It stays as it is.
        held_out: the share of prompts that is kept back to measure on.
        seed: of the split and the folds.

    Attributes:
        report_: what it learnt from.

    Raises:
        ConfigError: a setting out of range.
    """

    def __init__(self, reads: Reader | Encoder, *, held_out: float = 0.2, seed: int = 0) -> None:
        if not 0 <= held_out < 1:
            raise ConfigError(f"held_out is a share from 0 to below 1, not {held_out}")
        self.reads, self.held_out, self.seed = reads, held_out, seed
        self.calibration_: Calibration = Platt()

    def fit(
        self,
        rows: Sequence[Judgement],
        *,
        read: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Self:
        """Learn; all answers to one prompt are learnt from, or measured on.

        Args:
            rows: graded answers.
            read: what `features` returned of them, where that was done before.
            progress: called with the answers that are read.

        Raises:
            DataError: too few prompts, or answers that are all right or all wrong.
        """
        right = np.array([row.right for row in rows], bool)
        if len(rows) < 10 or not 0 < right.sum() < len(right):
            raise DataError("a verifier needs ten answers or more, right ones and wrong ones")
        prompts = [row.prompt for row in rows]
        held: NDArray[np.int64] = np.zeros(0, np.int64)
        if self.held_out:
            parts = {"train": 1 - self.held_out, "test": self.held_out}
            held = np.asarray(split(len(rows), parts, self.seed, group=prompts)["test"])
        taught = np.setdiff1d(np.arange(len(rows)), held)
        x, likely = self.features([(row.prompt, row.answer) for row in rows], progress) if read is None else read
        self._fit(x[taught], right[taught], [prompts[i] for i in taught])
        self.report_ = self._measured(x[held], likely[held], right[held], [prompts[i] for i in held], len(taught))
        return self

    def _fit(self, x: NDArray[np.float64], right: NDArray[np.bool_], prompts: Sequence[str]) -> None:
        if not 0 < right.sum() < len(right):
            raise DataError("the answers that are left to learn from are all right, or all wrong")
        self.mean_, self.scale_ = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
        z = (x - self.mean_) / self.scale_
        count = min(5, len(set(prompts)))
        # Folds in which one class is missing can teach nothing.
        parts = [part for part in folds(prompts, count, self.seed) if 0 < right[part[0]].sum() < len(part[0])]
        if count < 2 or not parts:
            raise DataError("too few prompts with right and wrong answers")
        logits = {c: np.full(len(z), np.nan) for c in CS}
        for train, test in parts:
            for c in CS:
                logits[c][test] = z[test] @ (found := _logistic(z[train], right[train], c))[:-1] + found[-1]
        known = ~np.isnan(logits[CS[0]])
        losses = {
            c: _loss(Platt.fit(value[known], right[known])(value[known]), right[known]) for c, value in logits.items()
        }
        self.c_ = min(CS, key=lambda c: (losses[c], c))
        self.coef_ = _logistic(z, right, self.c_)
        self.calibration_ = Platt.fit(logits[self.c_][known], right[known])

    @property
    def identity(self) -> str:
        """What tells its scores from another verifier's: what it reads with, and what it learnt."""
        told = json.dumps([_weights.identity_of(self.reads.weights), self.calibration_.to_json()])
        return hashlib.sha256(told.encode() + self.coef_.tobytes()).hexdigest()

    def _measured(self, x: Any, likely: Any, right: NDArray[np.bool_], prompts: Sequence[str], taught: int) -> Known:
        if not len(right) or not 0 < right.sum() < len(right):
            return Known(taught, len(right), float(right.mean()) if len(right) else 0.0, None, None, None, (), self.c_)
        scores = self.probability(x)
        ours = np.stack([scores, right.astype(np.float64)], axis=1)
        settings: dict[str, Any] = {"resamples": 2000, "method": "percentile", "groups": prompts}
        interval = bootstrap(ours, _area, **settings)
        by_logprob = gain = None
        if not isinstance(self.reads, Encoder):
            theirs = np.stack([likely, right.astype(np.float64)], axis=1)
            by_logprob, gain = bootstrap(theirs, _area, **settings), paired_bootstrap(ours, theirs, _area, **settings)
        curve = accepted_sets(scores, right, groups=prompts)
        return Known(taught, len(right), float(right.mean()), interval, by_logprob, gain, tuple(curve), self.c_)

    def features(
        self, asked: Sequence[tuple[str, str]], progress: Callable[[int], None] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (answers, features), and the mean log-probability of each answer's tokens."""
        plain = np.array([_plain(answer) for _, answer in asked], np.float64).reshape(len(asked), _PLAIN)
        if isinstance(self.reads, Encoder):
            texts = [f"{prompt}\n\n{answer}" for prompt, answer in asked]
            vectors = self.reads.encode(texts, progress=progress).astype(np.float64)
            return np.concatenate([plain, vectors], axis=1), np.zeros(len(asked))
        tokenizer, longest = self.reads.tokenizer, self.reads.max_length
        rows = []
        for prompt, answer in asked:
            ids, at = _cut(*encode_pair(tokenizer, f"{prompt}\n\n", answer), longest - 1)
            # A token behind the last one, which no one scores: so the state that has read the whole answer counts too.
            rows.append(([*ids, start_token(tokenizer)], at))
        read = self.reads.read(rows, progress=progress)
        told = np.array([_likely(logprobs[:-1]) for logprobs, _ in read], np.float64).reshape(len(asked), _LIKELY)
        states = np.stack([mean for _, mean in read]).astype(np.float64)
        return np.concatenate([plain, told, states], axis=1), told[:, 0]

    def probability(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how likely answers are right, of what `features` made of them: (answers,)."""
        logits = (x - self.mean_) / self.scale_ @ self.coef_[:-1] + self.coef_[-1]
        return np.asarray(self.calibration_(logits))

    def scores(self, asked: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """Return the probability that each (prompt, answer) is right: (answers,)."""
        return self.probability(self.features(asked)[0]) if asked else np.zeros(0)

    def __call__(self, prompt: str, answers: Sequence[str]) -> list[float]:
        """Return the probability that each answer to a prompt is right."""
        found: list[float] = self.scores([(prompt, answer) for answer in answers]).tolist()
        return found

    def save(self, folder: str | Path) -> None:
        """Write the verifier; the small model is named, not copied. The file of facts goes first and comes last."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).unlink(missing_ok=True)
        EncoderFeatures(self.reads).save(folder)
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in _LEARNED}
        need("safetensors.numpy", "local").save_file(arrays, folder / ARRAYS)
        told = {"format": FORMAT, "calibration": self.calibration_.to_json(), "report": self.report_.to_json()}
        (folder / FILE).write_text(json.dumps(told) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path, catalog: Catalog | None = None) -> AnswerVerifier:
        """Read what `save` wrote; the small model's weights load at the first use.

        Raises:
            ModelError: the folder holds none, or a damaged one.
        """
        folder = Path(folder)
        with reading(folder, "verifier"):
            told = facts_in(folder / FILE, "verifier", FORMAT)
            reads = EncoderFeatures.load(folder, catalog).encoder
            assert isinstance(reads, Reader | Encoder)
            made = cls(reads)
            arrays = need("safetensors.numpy", "local").load_file(folder / ARRAYS)
            for name in _LEARNED:
                setattr(made, name, arrays[name])
            made.calibration_ = calibration_from(told["calibration"])
            made.report_ = Known.from_json(told["report"])
        return made


@dataclass(frozen=True, eq=False)
class Trusts:
    """Trust a reply that a small verifier holds right with a probability of `above` at least."""

    verifier: AnswerVerifier
    above: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.above <= 1:
            raise ConfigError(f"above is a probability, not {self.above}")

    async def __call__(self, request: Request, reply: Reply) -> Verdict:
        """Ask the verifier; in a thread, for it reads with a model."""
        (score,) = await asyncio.to_thread(self.verifier, request.prompt, [reply.text])
        why = "" if score >= self.above else "It is probably not right: look at each step again."
        return Verdict(score >= self.above, score, threshold=self.above, why=why)


_PLAIN, _LIKELY = 3, 6


def _plain(answer: str) -> list[float]:
    """Return log words, log sums, and the share of these that hold."""
    found = list(sums(answer))
    holds = sum(one.is_right for one in found) / len(found) if found else 1.0
    return [float(np.log1p(len(answer.split()))), float(np.log1p(len(found))), holds]


def _likely(logprobs: NDArray[np.float32]) -> list[float]:
    """Return mean, sum, lowest, and three quantiles of an answer's log-probabilities, in nats; zeros of none."""
    if not len(logprobs):
        return [0.0] * _LIKELY
    values = np.maximum(logprobs.astype(np.float64), -50.0)
    low, quarter, middle = np.quantile(values, (0.1, 0.25, 0.5))
    return [float(values.mean()), float(max(values.sum(), -1000.0)), float(values.min()), low, quarter, middle]


def _cut(ids: list[int], split: int, longest: int) -> tuple[list[int], int]:
    """Return a row that fits: the prompt loses its beginning, an answer that is too long alone its end."""
    answer = ids[split:][: longest - 1]
    room = longest - len(answer)
    prompt = ids[:split][-room:]
    return [*prompt, *answer], len(prompt)


def _logistic(z: NDArray[np.float64], right: NDArray[np.bool_], c: float) -> NDArray[np.float64]:
    linear = need("sklearn.linear_model", "train")
    found = linear.LogisticRegression(C=c, max_iter=1000).fit(z, right.astype(int))
    return np.concatenate([np.ravel(found.coef_), np.ravel(found.intercept_)])


def _loss(probabilities: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    kept = np.clip(probabilities, 1e-9, 1 - 1e-9)
    return float(-np.mean(np.where(right, np.log(kept), np.log(1 - kept))))


def _area(rows: NDArray[Any]) -> float:
    good = rows[:, 1] > 0.5
    return area(rows[:, 0], good) if 0 < good.sum() < len(good) else 0.5
