"""The student that `pilotfish synthesize --train` teaches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_synthesize import SynthesizeSpec
    from pilotfish.models.classify import Features
    from pilotfish.synthesize.prove import Proof

__all__ = ["trained"]


def trained(models: Collaboration, spec: SynthesizeSpec) -> Proof:
    """Teach and measure the student of the rows that were made.

    Raises:
        DataError: a file lacks a column, or there is nothing to learn or to measure on.
    """
    from pilotfish.synthesize.prove import prove

    asked = spec.train
    assert asked is not None and spec.out is not None
    return prove(
        _labelled(Path(spec.out) / "rows.jsonl", asked.text, asked.label),
        _labelled(models.folder / asked.gold, asked.text, asked.label),
        _features(models, asked.features),
        spec.out,
        few=() if asked.few is None else _labelled(models.folder / asked.few, asked.text, asked.label),
        seed=spec.seed,
    )


def _labelled(path: Path, text: str, label: str) -> list[tuple[str, str]]:
    """Return the texts and labels of a file; rows without one of them are left out."""
    from pilotfish.rows import need_columns, read

    rows = list(read(path))
    for row in rows[:1]:
        need_columns(row, text, label, source=str(path))
    return [(str(row[text]), str(row[label])) for row in rows if row.get(text) and row.get(label) is not None]


def _features(models: Collaboration, name: str) -> Features:
    from pilotfish.assemble.build import weights_from
    from pilotfish.models.classify import EncoderFeatures, TfidfFeatures
    from pilotfish.models.encoder import Encoder

    if name == "tf-idf":
        return TfidfFeatures()
    if name in models.names:
        return EncoderFeatures(models.encoder(name))
    return EncoderFeatures(Encoder(weights_from(name, models.folder), catalog=models.catalog))
