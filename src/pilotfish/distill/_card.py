"""The model card of a student: what it learnt from, how, and how near it came."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilotfish.distill.preferred import Preferred
    from pilotfish.distill.report import Distilled
    from pilotfish.measure.intervals import Interval
    from pilotfish.train.settings import Fit

__all__ = ["card", "preferred_card"]

_SHOWN = {
    "cross_entropy": "cross-entropy of the data, nats a token",
    "divergence": "KL(teacher ‖ student), nats a token",
    "agreement": "same likeliest token as the teacher",
}


def card(report: Distilled, fit: Fit) -> str:
    """Return the card of a student of distributions or of answers, Markdown with the header that model hubs read."""
    whose = "answers" if report.answers_of is None else f"the answers of {_name(report.answers_of)}"
    return _card(
        report.licence,
        "distillation",
        "A distilled student",
        f"Student of {whose if report.teacher is None else _name(report.teacher)}, begun from "
        f"{_name(report.student)}, {report.parameters:,} weights; made by Pilotfish.",
        [
            f"Loss: {report.loss}.",
            f"Data: {report.rows:,} rows, {report.tokens:,} tokens in the loss; {report.held_out:,} rows were held "
            "out before anything learnt.",
            _training(fit, report.steps),
        ],
        ["before", "after", "gain"],
        [
            [_SHOWN[name], f"{one.before:.4f}", f"{one.after:.4f}", _ends(one.gain, "+.4f")]
            for name, one in report.figures.items()
        ],
        "The intervals are paired bootstraps over examples, 95%. The figures are of these data and no others.",
    )


def preferred_card(report: Preferred, fit: Fit, licence: str, beta: float) -> str:
    """Return the card of a student of preferences."""
    return _card(
        licence,
        "dpo",
        "A student of preferences",
        f"Begun from {_name(report.student)}; made by Pilotfish.",
        [
            f"Loss: direct preference optimisation, beta {beta:g}, against the weights it began from.",
            f"Data: {report.pairs:,} pairs; {report.held_out:,} were held out before anything learnt.",
            _training(fit, report.steps),
        ],
        ["value"],
        [
            ["pairs that moved towards the chosen answer", _ends(report.preferred)],
            ["moved by, nats", _ends(report.margin, "+.4f")],
        ],
        "The intervals are bootstraps over pairs, 95%. The figures are of these data and no others.",
    )


def _card(
    licence: str,
    tag: str,
    title: str,
    who: str,
    facts: list[str],
    columns: list[str],
    rows: list[list[str]],
    note: str,
) -> str:
    told = [f"license: {licence.lower()}"] if licence != "unknown" else []
    table = [["on the held-out rows", *columns], ["---"] * (1 + len(columns)), *rows]
    return "\n".join(
        [
            *("---", *told, "library_name: transformers", "pipeline_tag: text-generation"),
            *(f"tags: [{tag}, pilotfish]", "---", "", f"# {title}", "", who, ""),
            *(f"- {fact}" for fact in facts),
            "",
            *(f"| {' | '.join(row)} |" for row in table),
            *("", note, ""),
        ]
    )


def _training(fit: Fit, steps: int) -> str:
    trained = f"adapters of rank {fit.rank}, merged" if fit.rank else "all weights"
    return (
        f"Training: {trained}, {steps:,} steps of {fit.accumulate} x {fit.batch_tokens:,} tokens at most, "
        f"rate {fit.rate:g} ({fit.schedule}), seed {fit.seed}."
    )


def _ends(found: Interval, layout: str = ".4f") -> str:
    return f"{found.value:{layout}} [{found.low:.4f}, {found.high:.4f}]"


def _name(weights: str) -> str:
    """Return the last part of a path: a card tells nothing of the machine it was made on."""
    return "`" + weights.replace("\\", "/").rstrip("/").rsplit("/", maxsplit=1)[-1] + "`"
