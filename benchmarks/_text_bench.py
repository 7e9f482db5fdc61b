"""What the parts of the text benchmark share: what is known already, the time for the rest, names and means."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.measure.intervals import Interval, drawn_again, wilson
from pilotfish.models.classify import EncoderFeatures, Remembered
from pilotfish.models.classify._native import bag_library, library
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel

HOME = Path(__file__).resolve().parents[1] / ".bench"
LARGE, ENCODER = "qwen2.5-coder-1.5b-instruct", "all-minilm-l6-v2"
SEEDS = (10, 11, 12, 13, 14)
TITLES = {
    "tfidf": "TF-IDF + head",
    "encoder": "MiniLM + head",
    "static": "static MiniLM + head",
    "bag": "bag of n-grams",
    "distilled": "MiniLM + head, distilled",
    "contrastive": "MiniLM contrastive",
    "lora": "MiniLM by LoRA",
    "tuned": "MiniLM fine-tuned",
}
Right = NDArray[np.float64]
Told = dict[tuple[str, int | None], Right]  # (kind, labels a class; None for all) -> (seeds, rows) 1 where right


class Bench:
    """What is known already, and the time that there is for the rest.

    Attributes:
        left_out: what there was no time for.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.until = time.monotonic() + float(os.environ.get("PILOTFISH_BENCH_SECONDS", "inf"))
        self.left_out: list[str] = []
        self.encoder = Encoder(ENCODER).load()
        library(), bag_library()  # compiled now, in nobody's time
        self.vectors = Remembered(EncoderFeatures(self.encoder))
        self._large: LocalModel | None = None

    @property
    def large(self) -> LocalModel:
        """The language model, loaded at first use."""
        if self._large is None:
            self._large = LocalModel(LARGE, quantize="int8")
        return self._large

    def kept(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what a file holds, made now where it is not there and there is time; None where there is none."""
        path = self.folder / f"{name}.json"
        if not path.exists():
            if time.monotonic() > self.until:
                self.left_out.append(name)
                return None
            found = make()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".tmp").write_text(json.dumps(found), encoding="utf-8")
            path.with_suffix(".tmp").replace(path)
        return json.loads(path.read_text(encoding="utf-8"))


def amount(count: int | None) -> str:
    """Return labels a class in words."""
    return "all labels" if count is None else f"{count} labels a class"


def mean(right: Right) -> Interval:
    """Return the accuracy over (seeds, rows); of one seed, of rows alone."""
    if len(right) == 1:
        return wilson(float(right.sum()), right.shape[1])
    return drawn_again(right, lambda table: float(table.mean()))
