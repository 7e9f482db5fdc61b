"""Bands and the best rows: every row judged once, by the cuts of its own group."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.curate import curate
from pilotfish.curate.select import Bands, Best
from pilotfish.errors import ConfigError

Lines = list[dict[str, Any]]


def sifted(step: Any, rows: Lines, folder: Path) -> tuple[Lines, Lines]:
    curate([{"text": "x", **row} for row in rows], [step], folder, progress=False)
    names = ("kept", "dropped")
    kept, dropped = ([json.loads(x) for x in (folder / f"{name}.jsonl").read_text().splitlines()] for name in names)
    return kept, dropped


def test_each_language_has_its_own_cuts(tmp_path: Path) -> None:
    rows: Lines = [{"perplexity": float(n), "language": "en"} for n in range(9)]
    rows += [{"perplexity": 100.0 * n, "language": "de"} for n in range(6)]
    kept, dropped = sifted(Bands(keep=["head"], by="language"), rows, tmp_path / "by")
    assert [row["perplexity"] for row in kept] == [0, 1, 2, 0, 100]
    assert dropped[0]["reason"] == "bands.middle: perplexity 3 lies in the middle of language 'en'"
    assert {one["row"]["band"] for one in dropped} == {"middle", "tail"}
    together, _ = sifted(Bands(), rows, tmp_path / "all")
    assert [row["band"] for row in together][:9] == ["head"] * 4 + ["middle"] * 5  # 0 comes twice


def test_equal_values_are_in_one_band_and_rows_without_a_number_go(tmp_path: Path) -> None:
    rows: Lines = [*({"v": 1.0} for _ in range(5)), {"v": 2.0}, {"v": "3"}, {}, {"v": None}]
    kept, dropped = sifted(Bands("v", names=("low", "high"), cuts=[0.5]), rows, tmp_path / "run")
    assert [row["band"] for row in kept] == ["high"] * 6
    assert [one["reason"] for one in dropped] == ["bands.none: no number in 'v'"] * 3


@settings(max_examples=15)
@given(values=st.lists(st.floats(-5, 5), min_size=1, max_size=30), share=st.floats(0.01, 1), lowest=st.booleans())
def test_the_best_are_the_best(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], share: float, lowest: bool
) -> None:
    rows: Lines = [{"v": value, "id": i} for i, value in enumerate(values)]
    kept, dropped = sifted(Best("v", share=share, lowest=lowest), rows, tmp_path_factory.mktemp("best"))
    wanted = max(1, round(share * len(values)))
    order = np.argsort(values if lowest else -np.array(values), kind="stable")[:wanted]
    assert [row["id"] for row in kept] == sorted(order.tolist())
    assert len(dropped) == len(rows) - wanted


def test_so_many_of_each(tmp_path: Path) -> None:
    rows: Lines = [*({"v": n, "kind": "ab"[n % 2]} for n in range(10)), {"v": None, "kind": "a"}]
    kept, dropped = sifted(Best("v", count=2, by="kind"), rows, tmp_path / "run")
    assert [row["v"] for row in kept] == [6, 7, 8, 9]
    assert dropped[0]["reason"] == "best: v 0 is not among the highest 2 of each kind"
    assert dropped[-1]["reason"] == "best.none: no number in 'v'"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Bands(names=("a",)),
        lambda: Bands(names=("a", "a", "b")),
        lambda: Bands(cuts=[0.5]),
        lambda: Bands(cuts=[0.5, 0.2]),
        lambda: Bands(keep=["nose"]),
        lambda: Bands(keep=[]),
        lambda: Best("v"),
        lambda: Best("v", share=0.5, count=3),
        lambda: Best("v", share=0.0),
        lambda: Best("v", count=0),
    ],
)
def test_settings_that_cannot_be(wrong: Any) -> None:
    with pytest.raises(ConfigError):
        wrong()
