"""The evidence in the report: learning curves, the two ways to use both models, errors, and the method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pilotfish.compete.curve import mean_labels
from pilotfish.measure.intervals import wilson
from pilotfish.measure.metrics import Calibration, calibration, confusion
from pilotfish.measure.report import Block, Column, Details, Figure, KeyValues, Paragraph, Table, plots

if TYPE_CHECKING:
    from pilotfish.compete.advise import Advice
    from pilotfish.compete.curve import Crossover
    from pilotfish.measure.report.document import Cell


def curves(advice: Advice) -> list[Block]:
    """Return the learning curve, the numbers behind it, and where small overtakes large."""
    lines = [plots.Curve(curve.title, curve.points()) for curve in advice.curves if curve.counts]
    blocks: list[Block] = []
    crossing = advice.crossings.get(advice.small.key)
    if advice.judged is not None:
        lines.append(plots.Curve(advice.judged.best.title, [(0, advice.judged.best.accuracy)]))
    mark = None
    if crossing is not None and np.isfinite(crossing.labels) and crossing.labels > 0:
        mark = (crossing.labels, "small overtakes large")
    everything = mean_labels(advice.task)
    svg = plots.curve_plot(lines, crossover=mark, all_labels=everything)
    data: list[list[Cell]] = [
        [curve.title, f"{n:.0f}", interval, seeds]
        for curve in advice.curves
        for (n, interval), seeds in zip(curve.points(), curve.seeds, strict=True)
    ]
    table = Table(
        [
            Column("Small model"),
            Column("Labels a class", "right"),
            Column("Accuracy", "right", ".1%"),
            Column("Draws", "right", ","),
        ],
        data,
        "The numbers behind the curve.",
    )
    blocks.append(Figure(svg, _curve_caption(advice), table))
    for curve in advice.curves:
        if curve.key in advice.crossings and curve.key == advice.small.key:
            blocks.append(Paragraph(_crossing_text(curve.title, advice.crossings[curve.key])))
    return blocks


def _crossing_text(title: str, crossing: Crossover) -> str:
    if crossing.from_the_start:
        return (
            f"{title} is ahead of the large model without a single label (by the names of the labels alone)."
            if crossing.labels == 0
            else f"{title} is ahead of the large one from {crossing.first:.0f} labels a class on, the fewest measured."
        )
    if not np.isfinite(crossing.labels):
        text = f"{title} does not overtake the large model with the labels there are"
        return f"{text}; it did in {crossing.reached:.0%} of the resamples of the held-out rows."
    end = f"to {crossing.high:.0f}" if np.isfinite(crossing.high) else "to more than there are"
    return (
        f"{title} overtakes the large model at about {crossing.labels:.0f} labels a class (95% interval "
        f"{crossing.low:.0f} {end}, over the held-out rows)."
    )


def both_models(advice: Advice) -> list[Block]:
    """Return what the cascade and the distilled student are made of."""
    blocks: list[Block] = []
    threshold, distilled = advice.threshold, advice.distilled
    if threshold is not None:
        both = next(one for one in advice.candidates if one.key == "cascade")
        above = both.details["threshold"]
        rule = "every row" if above is None else f"rows below a confidence of {above:.3f}" if above > 0 else "no row"
        blocks.append(
            Paragraph(
                f"Cascade: the small model answers first and defers {rule} to the large one. The threshold was chosen "
                f"on {threshold.rows:,} training rows kept back for it, where it deferred {threshold.deferred:.0%}; "
                f"on the held-out rows it defers {both.details['deferred']:.0%}."
            )
        )
    if distilled is None:
        text = "The large model's labels were too few or all alike for a student to learn from, or time was too short."
        blocks.append(Paragraph(text))
        return blocks
    lesson, chosen = distilled.lesson, distilled.candidate
    free = f"{lesson.free:,} of them texts that people did not label" if lesson.free else "all of them training rows"
    listens = (
        "it does not listen to the large model at all"
        if distilled.alpha == 1
        else "the large model's probabilities have the rest"
    )
    blocks.append(
        Paragraph(
            f"Large at training time only: the large model labelled {lesson.taught:,} texts, {free}{_once(advice)}, "
            f"and a student learnt from them and from people's labels at once. These have {distilled.alpha:g} of its "
            f"loss, as folds over them chose; {listens}."
        )
    )
    rows: list[list[Cell]] = [
        [what, one.details["labels_used"], one.details["large_labels_used"], one.accuracy]
        for what, one in (
            ("large's labels only", distilled.silver),
            ("people's labels only", distilled.twin),
            ("people's and large's labels", chosen),
        )
        if one.details["student"] == chosen.details["student"]  # the fine-tuned one has no such third
    ]
    columns = [
        Column(f"The student, on {chosen.details['student']}, taught by"),
        Column("Labels by people", "right", ","),
        Column("by large", "right", ","),
        Column("Accuracy", "right", ".1%", "max"),
    ]
    blocks.append(Table(columns, rows, "What the large model's labels are worth to the same student."))
    gain = distilled.gain
    blocks.append(
        Paragraph(
            f"Beside people's labels they are worth {gain.value * 100:+.1f} points of accuracy (95% interval "
            f"{gain.low * 100:+.1f} to {gain.high * 100:+.1f}, paired over {gain.n:,} held-out rows)."
        )
    )
    return blocks


def errors(advice: Advice) -> list[Block]:
    """Return the confusions, the calibration and the first errors of the choice."""
    chosen = advice.verdict.chosen
    counted = confusion(list(chosen.truth), list(chosen.answers))
    blocks: list[Block] = [
        Figure(plots.confusion_plot(counted), f"What the choice, {chosen.title}, takes for what on the held-out rows."),
    ]
    systems: list[tuple[str, Calibration]] = []
    for one in advice.contenders:
        if one.probabilities is not None and len(systems) < 4:
            systems.append((one.title, calibration(one.probabilities.max(axis=1), one.correct, bins=10)))
    if systems:
        text = "How right each model is when it says how sure it is; on the diagonal it can be taken at its word."
        blocks.append(Figure(plots.calibration_plot(systems), text))
    wrong = [i for i, right in enumerate(chosen.correct) if not right][:12]
    if wrong:
        examples = [[_short(advice.task.test[chosen.rows[i]]), chosen.truth[i], chosen.answers[i]] for i in wrong]
        table = Table([Column("Text"), Column("Label"), Column("Answer")], examples, "Held-out rows, in their order.")
        count = int(len(chosen.rows) - chosen.correct.sum())
        blocks.append(Details(f"The first {len(wrong):,} of the {count:,} rows that the choice gets wrong", [table]))
    return blocks


def method(advice: Advice) -> list[Block]:
    """Return how many rows did what, what the measurement took, and how everything was chosen."""
    task, reading = advice.task, advice.reading
    facts: list[tuple[str, object]] = [
        ("Training rows", len(task.train)),
        ("of which kept back to tune", len(task.tune)),
        ("of which kept back for the threshold", len(task.calibrate)),
        ("Held-out rows", len(task.test)),
        ("Unlabelled rows", len(task.unlabelled)),
        ("Labels", len(task.labels)),
        ("Took", f"{reading.seconds:.0f} s of wall time" + (f", ${advice.spent:.2f}" if advice.spent else "")),
        ("Peak memory", f"{reading.peak_memory / 2**30:.2f} GiB"),
        ("Energy", f"{reading.energy.joules:.0f} J, {reading.energy.kind} ({reading.energy.basis})"),
        ("Machine", f"{advice.machine.get('cpu', 'unknown')}, {advice.machine.get('cores', '?')} cores"),
        ("Seed", advice.settings.seed),
    ]
    shown = KeyValues([(name, value) for name, value in facts if isinstance(value, str | int | float)])
    notes: list[Block] = [Paragraph(note, "note") for note in [*task.notes, *leak_note(advice)]]
    how = Paragraph(
        "A head is multinomial logistic regression on a text's vector. Penalties and temperatures are chosen on rows "
        "kept back to tune; the cascade's threshold, and the way of asking the large model, on other rows kept back. "
        "After that each small model is fitted again on every training row, and everything is measured on the held-out "
        "rows, which nothing learns from. Bags of n-grams and tuned encoders have settings of their own, which no row "
        "chose."
    )
    return [shown, *notes, how]


def leak_note(advice: Advice) -> list[str]:
    """Say how right the choice is on the held-out rows that have no near-duplicate among the training rows."""
    chosen, leaky = advice.verdict.chosen, advice.task.leaky
    clean = chosen.correct[~np.isin(chosen.rows, leaky)]
    if not len(leaky) or not len(clean):
        return []
    right = wilson(float(clean.sum()), len(clean))
    return [f"On the {len(clean):,} held-out rows without such a near-duplicate the choice is right on {right:.1%}."]


def _curve_caption(advice: Advice) -> str:
    text = "Accuracy by the number of labels a class that people give"
    if advice.judged is not None:
        text += "; the level line is the large model, which learns from none of them"
    return f"{text}. The last point is every training row, with the penalty tuned."


def _once(advice: Advice) -> str:
    """Say what the labels took, once, and how many rows of the large model take as much."""
    assert advice.judged is not None and advice.distilled is not None
    large, bill = advice.judged.best, advice.distilled.lesson.teacher.bill
    if bill.cost:
        took, each = f"${bill.cost:,.2f}", large.dollars
        as_many = bill.cost / each if each else None
    else:
        took = f"{bill.seconds:,.0f} s"
        as_many = bill.seconds / large.seconds if large.seconds else None
    return f", once, for {took}" + (f" (what it takes for {as_many:,.0f} rows)" if as_many else "")


def _short(text: str, limit: int = 160) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
