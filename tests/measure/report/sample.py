"""A report that uses every block and every plot, with labels that try to break out of the page."""

from __future__ import annotations

import numpy as np

from pilotfish.measure.frontier import Frontier, Point
from pilotfish.measure.intervals import Interval
from pilotfish.measure.metrics import Calibration, Confusion, calibration, confusion
from pilotfish.measure.report import (
    Code,
    Column,
    Details,
    Figure,
    Gate,
    Gates,
    Highlight,
    KeyValues,
    MarkedText,
    Paragraph,
    Report,
    Section,
    SideBySide,
    Table,
    WeighedText,
)
from pilotfish.measure.report.document import Cell
from pilotfish.measure.report.plots import (
    Curve,
    bars_plot,
    calibration_plot,
    confusion_plot,
    curve_plot,
    forest_plot,
    frontier_plot,
    histogram_plot,
    shape_plot,
)

NASTY = "<script>alert(1)</script> & \"quotes\" 'too' $x_1^2$ \\frac"


def about(value: float, half: float = 0.012) -> Interval:
    return Interval(value, value - half, min(1.0, value + half), n=3080)


def frontier() -> Frontier:
    return Frontier(
        [
            Point("majority class", 0.0, about(0.062)),
            Point("TF-IDF + logistic", 0.0004, about(0.872)),
            Point("static embeddings", 0.0006, about(0.881)),
            Point("encoder + head", 0.0021, about(0.929)),
            Point("large at training time", 0.0022, about(0.90)),
            Point("cascade", 0.4, about(0.941)),
            Point("large zero-shot", 12.0, about(0.71)),
            Point(NASTY, 31.0, about(0.802)),
        ]
    )


def curves() -> list[Curve]:
    return [
        Curve("encoder + head", [(8, about(0.70)), (32, about(0.85)), (128, about(0.905)), (480, about(0.929))]),
        Curve("TF-IDF + logistic", [(8, about(0.41)), (32, about(0.68)), (128, about(0.82)), (480, about(0.872))]),
        Curve(NASTY, [(8, about(0.55)), (32, about(0.74)), (128, about(0.84)), (480, about(0.881))]),
        Curve("large zero-shot", [(0, about(0.71))]),
        Curve("large few-shot", [(0, about(0.802))]),
    ]


def some_confusion(classes: int) -> Confusion:
    rng = np.random.default_rng(0)
    names = [NASTY, *(f"intent_{i}_with_a_name" for i in range(1, classes))]
    truth = rng.integers(0, classes, 60 * classes)
    guess = np.where(rng.random(len(truth)) < 0.8, truth, rng.integers(0, classes, len(truth)))
    answers = [None if rng.random() < 0.02 else names[i] for i in guess]
    return confusion([names[i] for i in truth], answers)


def calibrations() -> list[tuple[str, Calibration]]:
    rng = np.random.default_rng(0)
    honest, sure = rng.beta(5, 1.5, 2000), rng.beta(9, 1.1, 2000)
    return [
        ("encoder + head", calibration(honest, rng.random(2000) < honest)),
        (NASTY, calibration(sure, rng.random(2000) < sure * 0.85)),
    ]


def table() -> Table:
    rows: list[list[Cell]] = [[p.name, p.quality, p.cost, about(-0.02)] for p in frontier().points]
    return Table(
        [
            Column("System"),
            Column("Accuracy", "right", ".1%", best="max", help="95% interval"),
            Column("Cost", "right", ".4g", best="min", help="USD per 1,000 requests"),
            Column("Change", "right", "+.3f"),
        ],
        [*rows, ["not run", None, None, None]],
        "Every system on the same rows.",
        chosen=3,
        note="Bold: best in its column.",
    )


def amounts() -> list[tuple[str, list[float]]]:
    rng = np.random.default_rng(0)
    return [("small", rng.normal(0.7, 0.1, 500).tolist()), (NASTY, rng.normal(0.6, 0.2, 80).tolist())]


def pair() -> SideBySide:
    said = MarkedText("candidate", [(NASTY, 0.9), (" ", None), ("made up", 0.0), (" مرحبا\x00\x1b", 0.4)])
    return SideBySide(f"Row 1: {NASTY}", [said, MarkedText("reference", [("", None)])], NASTY)


def adds() -> list[tuple[str, float]]:
    return [("income = 12,000", 1.2), (NASTY, -0.7), ("area = north", 0.0)]


def weighed() -> WeighedText:
    pieces = [("good", 1.0), (" ", 0.0), (NASTY, -0.9), (" but", 0.4), (" no", -0.4), (" مرحبا\x00", -0.2), (".", 0.01)]
    return WeighedText(f"Said to be fine. {NASTY}", pieces, NASTY)


def plots() -> list[Figure]:
    return [
        Figure(frontier_plot(frontier(), chosen="encoder + head"), "Filled points are on the frontier."),
        Figure(forest_plot([(p.name, p.quality) for p in frontier().points], chosen="cascade", reference=0.802), NASTY),
        Figure(curve_plot(curves(), crossover=(21, "small overtakes large at 21 labels"), all_labels=480), "Curve."),
        Figure(confusion_plot(some_confusion(10)), "Few classes."),
        Figure(confusion_plot(some_confusion(40)), "Many classes.", data=table()),
        Figure(calibration_plot(calibrations()), "On the diagonal a model is as right as it is sure."),
        Figure(histogram_plot(amounts(), means=[about(0.7), about(0.6)]), "Rows by their scores."),
        Figure(bars_plot(adds(), quality="log-odds", sides=("against", "for")), "What each column adds."),
        Figure(
            shape_plot(
                [1.0, 2.0, 4.0], [-0.5, 0.1, 0.7], [(-1, 0), (0, 0.3), (0.2, 1)], name=NASTY, quality="log-odds"
            ),
            "What a column of numbers adds.",
        ),
        Figure(
            shape_plot(["basic", NASTY], [-0.5, 0.7], [(-1, 0), (0.2, 1)], name="plan", quality="log-odds"),
            "What a column of categories adds.",
        ),
    ]


def report() -> Report:
    gates = [Gate("Licence", "pass", "Apache-2.0"), Gate("Truncation", "warn", "2%"), Gate(NASTY, "fail", NASTY)]
    return Report(
        title=f"Which model? {NASTY}",
        verdict="The small model does as well as the large one.",
        answer="Small model",
        notes=[("Why", "It is `cheaper`."), ("What would flip it", NASTY)],
        highlights=[Highlight("Accuracy", "92.9%", "91.7–94.1"), Highlight("Cost", "$0.002", "per 1,000")],
        footer=f"Made by Pilotfish. {NASTY}",
        sections=[
            Section(
                "Evidence", [Paragraph(NASTY), table(), Paragraph("Quiet.", "note"), Paragraph("Loud.", "warning")]
            ),
            Section("Plots", [*plots(), pair(), weighed(), WeighedText("Nothing was said.", [])]),
            Section("Gates", [Gates(gates, "Hard requirements")]),
            Section(
                "Use", [Code(f"pilotfish ask small.toml {NASTY}", "Run it"), Details("More", [Paragraph("Inside.")])]
            ),
            Section("Setting", [KeyValues([("Rows", 3080), (NASTY, NASTY), ("Quality", about(0.9))], "Facts")]),
        ],
    )
