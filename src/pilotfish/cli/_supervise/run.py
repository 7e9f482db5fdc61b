"""From the `[supervise]` table to labels, reports and a strong model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.cli._common import rows_with_text, say_rejects

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_supervise import SuperviseSpec
    from pilotfish.measure.label_models import LabelModel
    from pilotfish.measure.votes import Votes
    from pilotfish.rows._row import Row

    Floats = NDArray[np.float64]

__all__ = ["supervised"]

LABELS, SOURCES, MODEL = "labels.jsonl", "sources.json", "label-model"


def supervised(
    models: Collaboration,
    file: str,
    flags: Mapping[str, Any],
    *,
    strong: bool,
    quiet: bool,
    tell: Callable[[str], None] | None,
) -> dict[str, Any]:
    """Label, report, teach; return all reports as plain data.

    Raises:
        ConfigError: a table that does not say enough, or settings that do not go together.
        DataError: rows that cannot be read, or people's labels that are no classes.
    """
    from pilotfish.assemble._build_supervise import build_label_model, build_sources, classes_of
    from pilotfish.errors import DataError
    from pilotfish.rows._atomic import atomic
    from pilotfish.rows._lock import locked
    from pilotfish.supervise.sources import votes_of
    from pilotfish.supervise.sources_report import sources_report
    from pilotfish.supervise.supervising import REPORT

    spec = _settings(models, file, flags)
    assert spec.rows is not None
    assert spec.out is not None
    out = models.folder / spec.out
    rows = _read(spec, models, spec.rows, labelled=False)
    gold = _read(spec, models, spec.gold, labelled=True)
    test = _read(spec, models, spec.test, labelled=True)
    classes = classes_of(spec, [label for part in (rows, gold, test) for label in _people(part, spec.label) if label])
    label_model = build_label_model(spec.labels)
    with locked(out):
        sources = build_sources(spec, models, classes, rows, gold, progress=not quiet)
        votes = votes_of(sources, rows, classes, out / "votes" / "rows")
        taught = any(one.kind == "learns" for one in spec.sources)
        # People's labels that taught a source say nothing of how good it is.
        beside = votes_of(sources, gold, classes, out / "votes" / "gold") if gold and not taught else None
        fitted = _Fitted(label_model, spec, models)
        fitted.fit(votes, rows, beside, gold)
        weak = fitted.proba(votes, rows)
        people = _people(rows, spec.label)
        report = sources_report(votes, people if any(people) else None, label_model, weak)
        lines = b"".join(_lines(rows, votes, weak, classes))
        if (out / REPORT).exists() and (out / LABELS).read_bytes() != lines:
            raise DataError(f"{out} holds a model that was taught other labels; give a new folder, or remove it")
        with atomic(out / LABELS) as writing:
            writing.write(lines)
        with atomic(out / SOURCES) as writing:
            writing.write(json.dumps(report.to_json(), indent=1, ensure_ascii=False).encode() + b"\n")
        label_model.save(out / MODEL)
        told: dict[str, Any] = {"sources": report.to_json()}
        if tell is not None:
            tell(str(report))
        if strong and spec.strong is not None:
            votes_test = votes_of(sources, test, classes, out / "votes" / "test") if test else None
            weak_test = fitted.proba(votes_test, test) if votes_test is not None else None
            proof = _taught(spec, models, classes, rows, weak, test, weak_test, out, quiet=quiet)
            told["strong"] = proof.to_json()
            if tell is not None:
                tell(str(proof))
        elif tell is not None:
            tell(f"weak labels in {out / LABELS}")
    return told


class _Fitted:
    """A label model with what it needs beside votes: co-supervision's vectors."""

    def __init__(self, model: LabelModel, spec: SuperviseSpec, models: Collaboration) -> None:
        self.model, self.spec = model, spec
        self._encoder: Any = None
        if spec.labels.encoder is not None:
            from pilotfish.assemble.build import encoder_named

            self._encoder = encoder_named(spec.labels.encoder, models)

    def fit(self, votes: Votes, rows: Sequence[Row], beside: Votes | None, gold: Sequence[Row]) -> None:
        """Learn from the rows' votes, and with them from those on rows with people's labels."""
        from pilotfish.supervise._joined import joined

        known: list[Any] | None = None
        if beside is not None:
            votes, known = joined(votes, beside, _people(gold, self.spec.label))
            rows = [*rows, *gold]
        self.model.fit(votes, known, **self._more(rows))

    def proba(self, votes: Votes, rows: Sequence[Row]) -> Floats:
        """Return (rows, classes) weak labels, in the order of the votes' classes."""
        from pilotfish.supervise.strong.model import hard

        found = self.model.predict_proba(votes, **self._more(rows))
        return hard(found) if self.spec.labels.hard else found

    def _more(self, rows: Sequence[Row]) -> dict[str, Any]:
        return (
            {} if self._encoder is None else {"features": self._encoder.encode([row[self.spec.text] for row in rows])}
        )


def _taught(
    spec: SuperviseSpec,
    models: Collaboration,
    classes: Sequence[str],
    rows: Sequence[Row],
    weak: Floats,
    test: Sequence[Row],
    weak_test: Floats | None,
    out: Path,
    *,
    quiet: bool,
) -> Any:
    from pilotfish.assemble._build_supervise import build_strong
    from pilotfish.supervise.supervising import Rows, supervise

    assert spec.strong is not None

    def known(some: Sequence[Row], labels: Floats) -> Rows:
        return Rows([row[spec.text] for row in some], labels, _people(some, spec.label))

    return supervise(
        known(rows, weak),
        known(test, weak_test) if weak_test is not None else None,
        classes,
        build_strong(spec, models, classes),
        out,
        seeds=spec.seeds,
        ceiling=spec.ceiling,
        settings=spec.strong.model_dump(),
        progress=not quiet,
    )


def _settings(models: Collaboration, file: str, flags: Mapping[str, Any]) -> SuperviseSpec:
    """Return the table with the flags over it."""
    from pilotfish.errors import ConfigError

    spec = models.supervise
    if spec is None:
        raise ConfigError(f"{file}: no [supervise] table: it says who labels which rows")
    # A flag's path is from where the command is called, a table's from the file.
    given = {name: str(Path(value).absolute()) for name, value in flags.items() if value is not None}
    spec = spec.model_copy(update=given)
    for name in ("rows", "out"):
        if getattr(spec, name) is None:
            raise ConfigError(f"--{name} must be given, here or in the [supervise] table of {file}")
    return spec


def _read(spec: SuperviseSpec, models: Collaboration, path: str | None, *, labelled: bool) -> list[Row]:
    """Return the rows of a file that have a text; those that are to have people's labels have them all."""
    from pilotfish.errors import DataError
    from pilotfish.rows import Rejects

    if path is None:
        return []
    source = str(models.folder / path)
    rejects = Rejects()
    options = {"format_": spec.format, "encoding": spec.encoding, "strict": False}
    # Rows to label need no labels of people; where the column stands, it is looked at.
    rows = rows_with_text(source, rejects, spec.text, spec.label if labelled else None, **options)
    say_rejects(rejects)
    for number, row in enumerate(rows, 1):
        if labelled and row[str(spec.label)] in (None, ""):
            raise DataError(f"{source}: row {number} has no label of people in {spec.label!r}")
    return rows


def _people(rows: Sequence[Row], column: str | None) -> list[str | None]:
    """Return people's labels of rows, None where there are none."""
    found = [row.get(column) if column is not None else None for row in rows]
    return [None if label is None or label == "" else str(label) for label in found]


def _lines(rows: Sequence[Row], votes: Votes, weak: Floats, classes: Sequence[str]) -> list[bytes]:
    """Return each row with its weak label, what it is sure of, and what every source said of it."""
    import numpy as np

    from pilotfish.rows._json import encoded

    said: list[dict[str, Any]] = [{} for _ in rows]
    for row, source, label, share in zip(votes.row, votes.source, votes.label, votes.share, strict=True):
        said[row].setdefault(votes.sources[source], {})[str(votes.classes[label])] = round(float(share), 6)
    lines = []
    for row, shares, each in zip(rows, weak, said, strict=True):
        sure = None if np.isnan(shares).any() else dict(zip(classes, np.round(shares, 6).tolist(), strict=True))
        label = None if sure is None else classes[int(shares.argmax())]
        told = {name: next(iter(one)) if len(one) == 1 else one for name, one in each.items()}
        lines.append(encoded({**row, "weak_label": label, "weak_probabilities": sure, "said": told}) + b"\n")
    return lines
