"""The large model's answers, kept as they come, so that a measurement that is stopped asks nothing twice."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.errors import DataError
from pilotfish.model import Call, Model, Trace
from pilotfish.models.classify import Labeller, Labels

if TYPE_CHECKING:
    from pilotfish.compete.purse import Purse

CHUNK = 32


@dataclass(frozen=True, slots=True)
class Kept:
    """One answer: the label, before any correction; log-probabilities where the model gives them; what it took."""

    label: str | None
    logprobs: tuple[float, ...] | None
    trace: Trace
    truncated: bool

    def to_json(self, key: str) -> dict[str, Any]:
        """Return the line of the file."""
        return {
            "key": key,
            "label": self.label,
            "logprobs": None if self.logprobs is None else list(self.logprobs),
            "calls": [dataclasses.asdict(call) for call in self.trace.calls],
            "truncated": self.truncated,
        }

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Kept:
        """Read a line; whatever is wrong with it is a ValueError, KeyError, TypeError or AttributeError."""
        label, logprobs = entry["label"], entry["logprobs"]
        if not (label is None or isinstance(label, str)):
            raise ValueError("a label is text or null")
        numbers = None if logprobs is None else tuple(float(x) for x in logprobs)
        if numbers is not None and not all(math.isfinite(x) for x in numbers):
            raise ValueError("log-probabilities are finite")
        return cls(label, numbers, Trace(tuple(Call(**call) for call in entry["calls"])), bool(entry["truncated"]))


class Memo:
    """An append-only JSONL file of answers, keyed by a hash of the model, the prompt and the labels.

    One append a chunk of rows: what a kill leaves is whole lines and at most one torn one, which is passed over, so
    that at most the chunk in flight is asked again.

    Args:
        path: the file; None keeps the answers in memory only.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._known: dict[str, Kept] = {}
        if path is None or not path.exists():
            return
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DataError(f"cannot read the model's answers in {path}: {error.strerror}") from error
        for line in data.split(b"\n"):
            try:
                entry = json.loads(line)
                self._known[str(entry["key"])] = Kept.from_json(entry)
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # torn or foreign: its question is asked again
        if data and not data.endswith(b"\n"):
            self._append(b"\n")  # so that the next line does not join the torn one

    def __len__(self) -> int:
        return len(self._known)

    def predict(
        self,
        labeller: Labeller,
        texts: Sequence[str],
        identity: str,
        progress: Callable[[int], None] | None = None,
        purse: Purse | None = None,
    ) -> Labels:
        """Label texts as `labeller.predict` does, asking only what was not asked before.

        `identity` names the model and its weights. What is kept is before any correction by `labeller.prior_`; the
        correction is applied to what is returned. With a purse, the answer is for as many of the first texts as it
        pays for.

        Raises:
            ConfigError: the purse has a limit in dollars and the model has no price.
            DataError: the file cannot be written.
            UpstreamError: the endpoint failed after its retries.
        """
        asked = [labeller.request(text).key() for text in texts]
        keys = [hashlib.sha256("\0".join([identity, one, *labeller.labels]).encode()).hexdigest() for one in asked]
        if purse is not None:
            for key, one in zip(keys, asked, strict=True):
                if key in self._known:
                    purse.pay(key, len(one), self._known[key].trace)
        fresh = list({key: i for i, key in reversed(list(enumerate(keys))) if key not in self._known}.values())[::-1]
        if progress and len(texts) > len(fresh):
            progress(len(texts) - len(fresh))
        prior, labeller.prior_ = labeller.prior_, None
        try:
            while fresh:
                part = fresh[:CHUNK]
                if purse is not None:
                    part = part[: purse.allowed([len(asked[i]) for i in part])]
                if not part:
                    break
                started = time.perf_counter()
                found = labeller.predict([texts[i] for i in part], progress=progress)
                self._keep([keys[i] for i in part], found)
                if purse is not None:
                    purse.timed(len(part), started)
                    for i in part:
                        purse.pay(keys[i], len(asked[i]), self._known[keys[i]].trace)
                fresh = fresh[len(part) :]
        finally:
            labeller.prior_ = prior
        return self._gathered(labeller, keys[: fresh[0]] if fresh else keys)

    def _keep(self, keys: Sequence[str], found: Labels) -> None:
        lines = []
        for i, key in enumerate(keys):
            logprobs = None if found.logprobs is None else tuple(round(float(x), 6) for x in found.logprobs[i])
            kept = Kept(found.labels[i], logprobs, Trace(found.traces[i].calls), found.truncated_rows[i])
            self._known[key] = kept
            lines.append(json.dumps(kept.to_json(key), ensure_ascii=False).encode() + b"\n")
        self._append(b"".join(lines))

    def _append(self, data: bytes) -> None:
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab", buffering=0) as file:
                while data:  # a disk that fills up takes a part first, and refuses the rest
                    data = data[file.write(data) :]
        except OSError as error:
            raise DataError(f"cannot keep the model's answers in {self.path}: {error.strerror}") from error

    def _gathered(self, labeller: Labeller, keys: Sequence[str]) -> Labels:
        entries = [self._known[key] for key in keys]
        labels = [entry.label for entry in entries]
        logprobs = None
        if entries and entries[0].logprobs is not None:
            logprobs = labeller.corrected(np.array([entry.logprobs for entry in entries], dtype=np.float64))
            labels = [labeller.labels[i] for i in logprobs.argmax(axis=1)]
        return Labels(labels, logprobs, [entry.trace for entry in entries], [entry.truncated for entry in entries])


def identity(model: Model) -> str:
    """Return what tells a model's answers from another's: its kind, its settings, and its weights or endpoint.

    Of weights in a file or folder the sizes and times of change count too, so that a model that is trained again in
    the same place is asked anew. Of a collaboration the models inside count.
    """
    parts = [type(model).__name__, model.name]
    weights = getattr(model, "weights", None)
    if isinstance(weights, str):
        parts += [weights, str(getattr(model, "dtype", "")), *_stamps(Path(weights))]
    elif dataclasses.is_dataclass(model):
        # Endpoints, cascades: their own fields, but for those that cannot change an answer.
        for one in dataclasses.fields(model):
            value = getattr(model, one.name)
            if one.name not in _NEUTRAL and not one.name.startswith("_"):
                parts.append(f"{one.name}={identity(value) if _answers(value) else value}")
    else:
        source = getattr(model, "_source", None)  # a recording
        parts += [str(source), *_stamps(Path(source))] if isinstance(source, str) else []
    return "|".join(parts)


_NEUTRAL = {"cache", "price", "concurrency", "timeout", "connect_timeout", "deadline", "retries", "longest_wait"}


def _answers(value: object) -> bool:
    return hasattr(value, "reply") and hasattr(value, "name")


def _stamps(path: Path) -> list[str]:
    files = [path] if path.is_file() else sorted(path.iterdir()) if path.is_dir() else []
    return [f"{one.name}:{one.stat().st_size}:{one.stat().st_mtime_ns}" for one in files if one.is_file()]
