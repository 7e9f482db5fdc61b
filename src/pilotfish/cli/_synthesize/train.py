"""The student that `pilotfish synthesize --train` teaches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_synthesize import SynthesizeSpec
    from pilotfish.synthesize.prove import Proof

__all__ = ["trained"]


def trained(models: Collaboration, spec: SynthesizeSpec) -> Proof:
    """Teach and measure the student of the rows that were made.

    Raises:
        DataError: a file lacks a column, or there is nothing to learn or to measure on.
    """
    from pilotfish.assemble._build_features import features_of
    from pilotfish.synthesize.prove import prove

    asked, folder = spec.train, models.folder
    assert asked is not None and spec.out is not None
    gold, _ = _labelled(folder / asked.gold, asked.text, asked.label)
    # A varied row and the parent that it was made of share a group, so that no fold has one of them on each side.
    group = getattr(getattr(spec, spec.recipe), "group", None)
    made, groups = _labelled(Path(spec.out) / "rows.jsonl", asked.text, asked.label, group)
    few, own = _labelled(folder / asked.few, asked.text, asked.label, group) if asked.few is not None else ([], None)
    features = features_of(models, asked.features)
    return prove(made, gold, features, spec.out, few=few, groups=groups, few_groups=own, seed=spec.seed)


def _labelled(
    path: Path, text: str, label: str, group: str | None = None
) -> tuple[list[tuple[str, str]], list[str] | None]:
    """Return the texts and labels of a file, and the groups; rows without text or label are left out."""
    from pilotfish.rows import need_columns, read
    from pilotfish.synthesize.augment import group_of

    rows = list(read(path))
    for row in rows[:1]:
        need_columns(row, text, label, source=str(path))
    rows = [row for row in rows if row.get(text) and row.get(label) is not None]
    found = [(str(row[text]), str(row[label])) for row in rows]
    return found, None if group is None else [group_of(row, text, group) for row in rows]
