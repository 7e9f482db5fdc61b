"""Features that read each text once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish.models.classify import Features, Remembered


class Lengths:
    """Gives a text's length, and notes what it was asked to read."""

    kind = "lengths"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def fit(self, texts: Sequence[str]) -> Features:
        return self

    def transform(self, texts: Sequence[str], *, progress: Any = None) -> Any:
        self.asked += texts
        return np.array([[float(len(text))] for text in texts])

    def save(self, folder: Path) -> None:
        (folder / "lengths").touch()


def test_a_text_is_read_once(tmp_path: Path) -> None:
    lengths = Lengths()
    features = Remembered(lengths, {"known": np.array([99.0])})
    assert features.transform(["a", "bb", "a", "known"]).tolist() == [[1.0], [2.0], [1.0], [99.0]]
    assert features.fit(["x"]).transform(["ccc", "bb"]).tolist() == [[3.0], [2.0]]
    assert lengths.asked == ["a", "bb", "ccc"] and features.kind == "lengths"
    features.save(tmp_path)
    assert (tmp_path / "lengths").exists()
