"""A quality classifier's report as a page: the curve of precision and recall, the area, what is odd."""

from __future__ import annotations

from collections.abc import Mapping

from pilotfish.curate.quality._plot import curve_plot
from pilotfish.curate.quality.base import QualityClassifier
from pilotfish.curate.quality.judged import Judged
from pilotfish.measure.report import (
    Block,
    Column,
    Details,
    Figure,
    Highlight,
    KeyValues,
    Paragraph,
    Report,
    Section,
    Table,
)

__all__ = ["page_of"]

SHARES = (0.9, 0.75, 0.5, 0.25, 0.1, 0.05, 0.01)


def page_of(name: str, classifier: QualityClassifier, tests: Mapping[str, Judged]) -> Report:
    """Return the report of a classifier as a document.

    Args:
        name: what it is called.
        classifier: fitted.
        tests: what was looked at -> what was found; the first is the held-out rows.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    first = next(iter(tests.values()))
    warnings = [(what, said) for what, found in tests.items() for said in found.warnings]
    return Report(
        f"Does {name} know a good text?",
        f"On {first.rows:,} rows that it did not learn from, a good one scores higher than another in "
        f"{first.area.value:.1%} of pairs.",
        [*(_section(what, found) for what, found in tests.items()), Section("How", [_how(classifier, first)])],
        answer=f"Area {first.area.value:.3f}",
        notes=[(f"Look at this ({what})", said) for what, said in warnings],
        highlights=[
            Highlight("Area under the ROC curve", f"{first.area.value:.3f}", f"{first.area:.3f}"),
            Highlight("Average precision", f"{first.curve.average.value:.3f}", f"{first.curve.average:.3f}"),
            Highlight("Scores off by", f"{first.off_by:.3f}", "mean over ten equal bins"),
            Highlight("Held-out rows", f"{first.rows:,}", f"{first.good:,} of them good"),
        ],
    )


def _section(what: str, found: Judged) -> Section:
    curve = found.curve
    rows: list[list[float]] = []
    for share in SHARES:
        place = next((i for i, kept in enumerate(curve.kept) if kept >= share - 1e-9), len(curve.kept) - 1)
        rows.append([curve.kept[place], curve.thresholds[place], curve.precision[place], curve.recall[place]])
    heads = [Column("Kept", "right", ".1%"), Column("From score", "right", ".4f")]
    heads += [Column(name, "right", ".3f") for name in ("Precision", "Recall")]
    blocks: list[Block] = [Paragraph(said, "warning") for said in found.warnings]
    blocks.append(Figure(curve_plot([(what, curve)], base=found.good / found.rows), "Precision and recall"))
    blocks.append(Table(heads, rows, "What is kept at some shares, and what it is worth"))
    points = list(zip(curve.kept, curve.thresholds, curve.precision, curve.recall, strict=True))
    blocks.append(Details("The whole curve", [Table(heads, points, "Every point of the curve")]))
    return Section(f"On {what}", blocks)


def _how(classifier: QualityClassifier, found: Judged) -> KeyValues:
    settings = [(name.replace("_", " "), str(value)) for name, value in classifier.settings().items()]
    facts = [(name, count) for name, count in found.facts.items()]
    return KeyValues([("kind", classifier.kind), *settings, *facts], "Settings, and the rows that were given")
