"""The large model's answers, kept as they come, so that a measurement that is stopped asks nothing twice."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pilotfish.errors import DataError
from pilotfish.model import Call, Trace
from pilotfish.models.classify import Labeller, Labels

CHUNK = 32


class Memo:
    """An append-only JSONL file of answers, keyed by a hash of the model, the prompt and the labels.

    One `write` a line: what a kill leaves is whole lines and at most one torn one, which is passed over.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._known: dict[str, dict[str, object]] = {}
        if path is None or not path.exists():
            return
        data = path.read_bytes()
        for line in data.split(b"\n"):
            try:
                entry = json.loads(line)
                self._known[entry["key"]] = entry
            except (ValueError, KeyError, TypeError):
                continue
        if data and not data.endswith(b"\n"):
            self._append(b"\n")  # so that the next line does not join the torn one

    def key(self, labeller: Labeller, text: str, identity: str) -> str:
        """Return the hash of everything that can change the answer."""
        asked = labeller.request(text).key()
        return hashlib.sha256("\0".join([identity, asked, *labeller.labels]).encode()).hexdigest()

    def predict(
        self, labeller: Labeller, texts: Sequence[str], identity: str, progress: Callable[[int], None] | None = None
    ) -> Labels:
        """Label texts as `labeller.predict` does, asking only what was not asked before.

        `identity` names the model and its weights. What is kept is before any correction by `labeller.prior_`; the
        correction is applied to what is returned.
        """
        keys = [self.key(labeller, text, identity) for text in texts]
        todo = [i for i, key in enumerate(keys) if key not in self._known]
        fresh = sorted({keys[i]: i for i in todo}.values())
        if progress and len(texts) > len(fresh):
            progress(len(texts) - len(fresh))
        prior, labeller.prior_ = labeller.prior_, None
        try:
            for start in range(0, len(fresh), CHUNK):
                part = fresh[start : start + CHUNK]
                found = labeller.predict([texts[i] for i in part], progress=progress)
                self._keep([keys[i] for i in part], found)
        finally:
            labeller.prior_ = prior
        return self._gathered(labeller, keys)

    def _keep(self, keys: Sequence[str], found: Labels) -> None:
        lines = []
        for i, key in enumerate(keys):
            entry: dict[str, object] = {
                "key": key,
                "label": found.labels[i],
                "logprobs": None if found.logprobs is None else [round(float(x), 6) for x in found.logprobs[i]],
                "calls": [dataclasses.asdict(call) for call in found.traces[i].calls],
                "truncated": found.truncated_rows[i],
            }
            self._known[key] = entry
            lines.append(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        self._append(b"".join(lines))

    def _append(self, data: bytes) -> None:
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab", buffering=0) as file:
                file.write(data)
        except OSError as error:
            raise DataError(f"cannot keep the model's answers in {self.path}: {error.strerror}") from error

    def _gathered(self, labeller: Labeller, keys: Sequence[str]) -> Labels:
        entries = [self._known[key] for key in keys]
        traces = [Trace(tuple(Call(**call) for call in entry["calls"])) for entry in entries]  # type: ignore[attr-defined]
        cut = [bool(entry["truncated"]) for entry in entries]
        labels: list[str | None] = [None if entry["label"] is None else str(entry["label"]) for entry in entries]
        logprobs = None
        if entries and entries[0]["logprobs"] is not None:
            logprobs = labeller.corrected(np.array([entry["logprobs"] for entry in entries], dtype=np.float64))
            labels = [labeller.labels[i] for i in logprobs.argmax(axis=1)]
        return Labels(labels, logprobs, traces, cut)
