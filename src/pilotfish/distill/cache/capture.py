"""Capturing a teacher: its next-token distributions over the training examples, computed once and kept."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish.distill.cache._codec import Codec
from pilotfish.distill.cache._key import example_key, loss_mask
from pilotfish.distill.cache._manifest import Manifest
from pilotfish.distill.cache._teacher import Teacher, fingerprint
from pilotfish.distill.cache._writer import Writer
from pilotfish.errors import ConfigError, DataError
from pilotfish.models._tokens import buckets
from pilotfish.models.head import head_of
from pilotfish.rows._progress import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.local import LocalModel

__all__ = ["Captured", "capture"]

# Examples that are sorted by length together; they alone are held, however many there are.
_WINDOW = 4096


@dataclass(frozen=True, slots=True)
class Captured:
    """What a capture did.

    Attributes:
        folder: where the cache is.
        examples: given, each counted once.
        present: how many of them were there before.
        tokens: positions captured now.
        record_bytes: bytes a position takes.
        tail: the mean mass outside the k tokens, over positions captured now; 0 where there are none.
        seconds: spent.
    """

    folder: Path
    examples: int
    present: int
    tokens: int
    record_bytes: int
    tail: float
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        """Positions captured a second."""
        return self.tokens / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An example to capture: `ids` as far as the model must read them, a flag for each."""

    key: str
    ids: Sequence[int]
    mask: NDArray[np.bool_]


def capture(
    model: LocalModel,
    examples: Iterable[tuple[Sequence[int], int | Sequence[bool] | NDArray[Any] | None]],
    folder: str | Path,
    *,
    k: int = 128,
    temperature: float = 1.0,
    bits: int | None = None,
    vocabulary: int | None = None,
    batch_tokens: int = 2048,
    progress: bool = True,
) -> Captured:
    """Store a teacher's distributions at the examples' positions in the loss; what is there already is not repeated.

    Each batch is on the disk before the next begins: a capture that was killed goes on where it was.

    Args:
        model: the teacher. It runs as it was loaded (`quantize` changes nothing).
        examples: (token ids, which of them are in the loss: see `example_key`). They may be many: few are held.
        folder: of the cache; made where it is not there.
        k: how many of the likeliest tokens are kept at a position.
        temperature: the teacher's logits are divided by it; that of the loss.
        bits: of each log-probability; None for the most that 300 bytes a position at k = 128 allow.
        vocabulary: distributions are over this many of the teacher's tokens, from the first, and what it has beyond is
            taken for impossible: for a student of the same family with fewer padding rows. None for all.
        batch_tokens: the most tokens, padding included, in one pass.
        progress: whether to show it.

    Raises:
        ConfigError: `k`, `bits`, `temperature` or `vocabulary` make no sense, or another process writes here.
        DataError: an example is too long, has ids the model does not know, or flags that do not fit; the folder
            holds the cache of another teacher; the disk is full.
        ModelError: the model cannot be captured, or gives NaN.
    """
    torch = need("torch", "train")
    if not 0 < temperature < float("inf"):
        raise ConfigError(f"temperature must be above 0, not {temperature}")
    module, begun = model.model, time.perf_counter()
    folder = Path(folder)
    rows = len(head_of(module))
    if vocabulary is not None and not 1 <= vocabulary <= rows:
        raise ConfigError(f"{model.name} has {rows} tokens: vocabulary cannot be {vocabulary}")
    codec = Codec(vocabulary or rows, k, bits)
    trained = module.training
    tokens, tail = 0, 0.0
    try:
        module.eval()
        with torch.inference_mode():
            teacher = Teacher(module, model.name, codec.vocabulary, codec.k, temperature)
            manifest = Manifest(
                teacher=model.name,
                fingerprint=fingerprint(module),
                dtype=str(module.dtype).removeprefix("torch."),
                vocabulary=codec.vocabulary,
                k=codec.k,
                bits=codec.bits,
                temperature=float(temperature),
            )
            total = len(examples) if isinstance(examples, Sequence) else None
            with Writer(folder, manifest) as writer, Progress(total, shown=progress, unit="examples") as bar:
                asked = _Asked(examples, writer, rows, model.max_length)
                while window := list(islice(asked, _WINDOW)):
                    bar.add(asked.seen - bar.done - len(window))
                    for batch in buckets([len(one.ids) for one in window], batch_tokens):
                        wanted = [window[i] for i in batch]
                        found = _distributions(teacher, wanted, codec.k)
                        writer.add([(one.key, *pair) for one, pair in zip(wanted, found, strict=True)])
                        tokens += sum(len(ids) for ids, _ in found)
                        tail += sum(float(len(logs) - np.exp(logs.astype(float)).sum()) for _, logs in found)
                        bar.add(len(batch))
                bar.add(asked.seen - bar.done)
    finally:
        module.train(trained)
    mean = max(0.0, tail / tokens) if tokens else 0.0
    seconds = time.perf_counter() - begun
    return Captured(folder, asked.unique, asked.present, tokens, codec.record, mean, seconds)


def _distributions(
    teacher: Teacher, wanted: Sequence[_Wanted], k: int
) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Return each example's ids and log-probabilities; one without a position in the loss needs no pass."""
    asked = [one for one in wanted if len(one.ids)]
    found = teacher.distributions([one.ids for one in asked], [one.mask for one in asked]) if asked else iter(())
    nothing = np.zeros((0, k), np.int64), np.zeros((0, k), np.float32)
    return [next(found) if len(one.ids) else nothing for one in wanted]


class _Asked:
    """Yields the examples that are not in the cache, each once, and counts."""

    def __init__(self, examples: Iterable[tuple[Any, Any]], writer: Writer, vocabulary: int, longest: int) -> None:
        self.seen = self.unique = self.present = 0
        self._limits = vocabulary, longest
        self._found = self._each(examples, writer)

    def __iter__(self) -> Iterator[_Wanted]:
        return self._found

    def _each(self, examples: Iterable[tuple[Any, Any]], writer: Writer) -> Iterator[_Wanted]:
        met: set[str] = set()
        for number, (ids, given) in enumerate(examples, 1):
            self.seen = number
            mask = self._checked(number, ids, given)  # which of ids[1:], so a flag for each position that predicts
            key = example_key(ids, mask)
            if key in met:
                continue
            met.add(key)
            self.unique += 1
            if key in writer:
                self.present += 1
                continue
            # Nothing after the last position that is asked for changes anything.
            end = int(np.flatnonzero(mask)[-1]) + 1 if mask.any() else 0
            yield _Wanted(key, ids[:end], mask[:end])

    def _checked(self, number: int, ids: Sequence[int], given: Any) -> NDArray[np.bool_]:
        vocabulary, longest = self._limits
        if len(ids) > longest:
            raise DataError(f"example {number} has {len(ids)} tokens; the teacher takes {longest}: cut it")
        if len(ids) and not (min(ids) >= 0 and max(ids) < vocabulary):
            raise DataError(f"example {number} has an id that is not from 0 to {vocabulary - 1}: another tokenizer's?")
        try:
            return loss_mask(ids, given)
        except DataError as error:
            raise DataError(f"example {number}: {error}") from None
