"""The model card of a distilled student: what it learnt from, how, and how near it came."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilotfish.distill.report import Distilled
    from pilotfish.train.settings import Fit

__all__ = ["card"]

_SHOWN = {
    "cross_entropy": "cross-entropy of the data, nats a token",
    "divergence": "KL(teacher ‖ student), nats a token",
    "agreement": "same likeliest token as the teacher",
}


def card(report: Distilled, fit: Fit) -> str:
    """Return the card, Markdown with the header that model hubs read."""
    rows = [
        f"| {_SHOWN[name]} | {one.before:.4f} | {one.after:.4f} | "
        f"{one.gain.value:+.4f} [{one.gain.low:.4f}, {one.gain.high:.4f}] |"
        for name, one in report.figures.items()
    ]
    trained = f"adapters of rank {fit.rank}, merged" if fit.rank else "all weights"
    licence = [f"license: {report.licence.lower()}"] if report.licence != "unknown" else []
    return "\n".join(
        [
            "---",
            *licence,
            "library_name: transformers",
            "pipeline_tag: text-generation",
            "tags: [distillation, pilotfish]",
            "---",
            "",
            "# A distilled student",
            "",
            f"Student of {'answers' if report.teacher is None else _name(report.teacher)}, begun from "
            f"{_name(report.student)}, {report.parameters:,} weights; made by Pilotfish.",
            "",
            f"- Loss: {report.loss}.",
            f"- Data: {report.rows:,} rows, {report.tokens:,} tokens in the loss; {report.held_out:,} rows were held "
            "out before anything learnt.",
            f"- Training: {trained}, {report.steps:,} steps of {fit.accumulate} x {fit.batch_tokens:,} tokens at most, "
            f"rate {fit.rate:g} ({fit.schedule}), seed {fit.seed}.",
            "",
            "| on the held-out rows | before | after | gain |",
            "|---|---|---|---|",
            *rows,
            "",
            "The intervals are paired bootstraps over examples, 95%. The figures are of these data and no others.",
            "",
        ]
    )


def _name(weights: str) -> str:
    """Return the last part of a path: a card tells nothing of the machine it was made on."""
    return "`" + weights.replace("\\", "/").rstrip("/").rsplit("/", maxsplit=1)[-1] + "`"
