"""A small encoder that tells which words of an answer its evidence does not bear out.

Source: Kovacs and Recski 2025 (LettuceDetect: A Hallucination Detection Framework for RAG Applications), section 3: a
token classifier over evidence and answer in one window. Here the head is given lexical facts of a word beside its
state, evidence longer than a window is read in pieces by `combined`'s rule, and answers of which only is known that
something in them is wrong are learnt from, too.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish._saved import facts_in, reading
from pilotfish.errors import ConfigError, DataError
from pilotfish.models._weights import identity_of
from pilotfish.models.encoder import Encoder
from pilotfish.repair.tokens._reading import Read, Rule, body_of, by_word, has_types, window_logits
from pilotfish.repair.tokens._task import Lesson, task
from pilotfish.repair.tokens.combined import Combined, least
from pilotfish.repair.tokens.judged import Judged, best_threshold
from pilotfish.repair.tokens.rows import Answered, marked
from pilotfish.repair.tokens.windows import FEATURES, Cutter, Pieces
from pilotfish.train.encoding import ScaledHead, freeze_unused
from pilotfish.train.folder import digest
from pilotfish.train.kept import FOLDER, HEAD, keep_encoder
from pilotfish.train.loop import fit
from pilotfish.train.settings import Fit

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog

__all__ = ["FIT", "SpanDetector"]

FILE, FORMAT, WHAT = "spans.json", 1, "detector of spans"
_PRIOR = (-2.0, -1.0, 1.0, -0.5)  # of the head's weights of a word's facts, before anything is learnt
FIT = Fit(epochs=3, batch_tokens=2048, rate=5e-5, decay=0.01, dtype="float32")


class SpanDetector:
    """Tells of each word of an answer how likely it is a fault.

    Args:
        encoder: what to start from; it stays as it is.
        how: how to train.
        length: tokens of a window at most.
        windows: of each answer so many windows are learnt from, those that share the most words with it.
        head_rate: how many times the encoder's learning rate the head's is.
        folder: of checkpoints, so that a killed training of the same data goes on; None keeps none.

    Attributes:
        encoder_: tuned.
        weight_, bias_: (dimension + FEATURES,) and one number: the head.
        combined_: makes probabilities of what windows say.
        threshold_: from which on a word is a fault; answer_threshold_: from which on of its worst word an answer is.

    Raises:
        ConfigError: a setting out of range.
    """

    encoder_: Encoder
    weight_: NDArray[np.float32]
    bias_: float
    combined_: Combined
    threshold_: float
    answer_threshold_: float

    def __init__(
        self,
        encoder: Encoder,
        how: Fit = FIT,
        *,
        length: int = 256,
        windows: int = 2,
        head_rate: float = 30.0,
        folder: str | Path | None = None,
    ) -> None:
        if windows < 1 or not head_rate > 0 or length < 16:
            raise ConfigError("a detector learns from 1 window or more of 16 tokens or more, its head_rate is above 0")
        self.encoder, self.how, self.length, self.windows = encoder, how, length, windows
        self.head_rate, self.folder = head_rate, folder

    def fit(self, rows: Sequence[Answered], tune: Sequence[Answered], *, progress: bool = False) -> SpanDetector:
        """Learn from answers, and choose calibration and thresholds by others.

        Args:
            rows: to learn from.
            tune: of other documents; those whose spans are known decide the calibration and the words' threshold.
            progress: show a bar.

        Raises:
            DataError: no faulty answer, or none that is right, among either; or none to tune with has its spans told.
        """
        for what, some in (("learn from", rows), ("tune by", tune)):
            if len({row.is_faulty for row in some}) < 2:
                raise DataError(f"to {what} there must be answers that are faulty and answers that are not")
        encoder = self.encoder.load().copied()
        body = body_of(encoder)
        self._check(body)
        cutter = Cutter(encoder.tokenizer, self.length)
        lessons = [
            lesson for row, pieces in zip(rows, cutter.cut(rows), strict=True) if (lesson := self._lesson(row, pieces))
        ]
        share = np.concatenate([lesson.labels[lesson.labels >= 0] for lesson in lessons]).mean()
        first = np.log(max(share, 1e-3) / max(1 - share, 1e-3))
        width = int(body.config.hidden_size) + FEATURES
        head = ScaledHead(width, 1, self.head_rate, self.how.seed, np.array([first]))
        if any(row.context for row in rows):
            _set_out(head)
        taught = task(body, head.module, encoder.tokenizer.pad_token_id or 0, has_types(body))
        freeze_unused(taught, lessons[:1])
        told = [asdict(self.how), self.length, self.windows, self.head_rate, identity_of(encoder.weights)]
        identity = digest([told, [(row.spans, row.faulty) for row in rows]], [_told(row) for row in rows])
        if self.folder is not None:
            fit(taught, lessons, [], self.how, Path(self.folder) / identity[:16], identity, progress=progress)
        else:
            with tempfile.TemporaryDirectory(prefix="pilotfish-") as own:
                fit(taught, lessons, [], replace(self.how, every=2**31), Path(own), identity, progress=progress)
        taught.eval()
        self.encoder_ = encoder
        coef, bias = head.weights()
        self.weight_, self.bias_ = np.ascontiguousarray(coef[0]), float(bias[0])
        self._tune(tune)
        return self

    def judge(self, rows: Sequence[Answered]) -> list[Judged]:
        """Return what is said of the words of each answer; what is known of them is not looked at."""
        return [self.judged(one) for one in self.read(rows)]

    def judged(self, read: Read, rule: Rule = least) -> Judged:
        """Return what windows say together, by the rule of the least or, for comparison, by another one."""
        logits, counts = read.joined(rule)
        return Judged(read.words, self.combined_(logits, counts))

    def read(self, rows: Sequence[Answered]) -> list[Read]:
        """Return what each window says of the words of each answer."""
        encoder = self.encoder_.load()
        with encoder._lock:  # a fast tokenizer serves one thread at a time
            cut = Cutter(encoder.tokenizer, self.length).cut(rows)
        every = [window for pieces in cut for some in pieces.windows for window in some]
        told = iter(window_logits(encoder, self.weight_, self.bias_, every))
        return [
            Read(
                pieces.words,
                tuple(
                    np.stack([by_word(window, next(told), len(pieces.words)) for window in some])
                    for some in pieces.windows
                ),
            )
            for pieces in cut
        ]

    def _tune(self, rows: Sequence[Answered]) -> None:
        """Choose the calibration and the thresholds."""
        read = self.read(rows)
        told = [one.joined() for one in read]
        known = [at for at, row in enumerate(rows) if row.spans is not None or not row.is_faulty]
        labels = [marked(read[at].words, rows[at].spans or ()) for at in known]
        faulty = np.concatenate(labels) if labels else np.zeros(0, bool)
        logits = np.concatenate([told[at][0] for at in known] or [np.zeros(0)])
        counts = np.concatenate([told[at][1] for at in known] or [np.zeros(0, np.int64)])
        if not 0 < faulty.sum() < len(faulty):
            # Nobody said where: whole answers are calibrated, by their most suspect words.
            known = [at for at, one in enumerate(read) if one.words]
            most = [int(told[at][0].argmax()) for at in known]
            logits = np.array([told[at][0][k] for at, k in zip(known, most, strict=True)])
            counts = np.array([told[at][1][k] for at, k in zip(known, most, strict=True)])
            faulty = np.array([rows[at].is_faulty for at in known])
        self.combined_ = Combined.fit(logits, counts, faulty)
        self.threshold_ = best_threshold(self.combined_(logits, counts), faulty)
        worst = np.array([self.judged(one).most for one in read])
        self.answer_threshold_ = best_threshold(worst, np.array([row.is_faulty for row in rows]))

    def _lesson(self, row: Answered, pieces: Pieces) -> Lesson | None:
        """Return what is learnt of a row; None of an answer without words."""
        if not pieces.windows:
            return None
        chosen = [sorted(some, key=lambda one: -one.shared)[: self.windows] for some in pieces.windows]
        bag = row.spans is None and row.is_faulty
        labels = marked(pieces.words, row.spans or ()).astype(np.int8)
        return Lesson(
            tuple(window for some in chosen for window in some), np.full_like(labels, -1) if bag else labels, bag
        )

    def _check(self, body: Any) -> None:
        most = int(getattr(body.config, "max_position_embeddings", self.length))
        if self.length > most:
            raise ConfigError(f"{self.encoder.name} reads {most} tokens at most, and a window is to have {self.length}")

    def fingerprint(self) -> str:
        """Return a hash of what was learnt, as its head and its thresholds show it."""
        told = [self.combined_.to_json(), self.threshold_, self.answer_threshold_, self.length, self.bias_]
        return hashlib.sha256(json.dumps(told).encode() + self.weight_.tobytes()).hexdigest()[:24]

    def save(self, folder: str | Path) -> None:
        """Write the encoder, the head and what was chosen; the file of facts goes first and comes last."""
        arrays = {"weight": self.weight_, "bias": np.array([self.bias_], np.float32)}
        told = {
            "format": FORMAT,
            "length": self.length,
            "combined": self.combined_.to_json(),
            "threshold": self.threshold_,
            "answer_threshold": self.answer_threshold_,
        }
        keep_encoder(folder, FILE, self.encoder_, told, arrays)

    @classmethod
    def load(cls, folder: str | Path, catalog: Catalog | None = None) -> SpanDetector:
        """Read what `save` wrote; the encoder's weights load at the first use.

        Raises:
            ModelError: the folder holds none, or a damaged one.
        """
        folder = Path(folder)
        with reading(folder, WHAT):
            told = facts_in(folder / FILE, WHAT, FORMAT)
            arrays = need("safetensors.numpy", "local").load_file(folder / HEAD)
            made = cls(Encoder(folder / FOLDER, name=told["name"], catalog=catalog), length=int(told["length"]))
            made.weight_, made.bias_ = arrays["weight"], float(arrays["bias"][0])
            made.combined_ = Combined.from_json(told["combined"])
            made.threshold_, made.answer_threshold_ = float(told["threshold"]), float(told["answer_threshold"])
        made.encoder_ = made.encoder
        return made


def _set_out(head: ScaledHead) -> None:
    """Let a head begin as the rule by words: what the evidence has is borne out, a number that it lacks is not."""
    torch = need("torch", "train")
    with torch.no_grad():
        head.linear.weight[0, -FEATURES:] = torch.tensor(_PRIOR) / head.rate


def _told(row: Answered) -> str:
    return "\x00".join((row.question, row.context, row.answer, str(row.before)))
