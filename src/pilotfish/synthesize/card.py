"""The card of a synthesised data set: who wrote it, how it was asked, what was kept, and what its licence may be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pilotfish.rows._json import plain
from pilotfish.synthesize._unasked import NOBODY

if TYPE_CHECKING:
    from pilotfish.synthesize.report import Synthesized

__all__ = ["card"]

NOTE = (
    "Rows written by a model may be bound by the terms of that model's licence or of its provider, which may limit "
    "what they are used for; look there before you share or train on them."
)


def card(report: Synthesized, rows: str = "rows.jsonl") -> str:
    """Return the card, Markdown with the header that data hubs read; `rows` is the file of the rows beside it."""
    cost = "unknown" if report.bill.cost is None else f"${report.bill.cost:,.4f}"
    return "\n".join(
        [
            *("---", "tags: [synthetic, pilotfish]", *_configs(rows), "---", "", "# A synthesised data set", ""),
            f"{report.kept:,} rows by `{report.recipe['name']}`, {_written(report.model)}; made by Pilotfish.",
            "",
            f"- Prompts: {report.prompts:,} in {report.rounds:,} rounds, seed {report.seed}; {report.ended}.",
            f"- Rows read out of replies: {report.raw:,}; kept: {report.kept:,} ({report.kept_ratio:.1%}).",
            f"- Tokens: {report.bill.tokens_in:,} in, {report.bill.tokens_out:,} out; cost: {cost}.",
            f"- Licence: {NOTE}",
            "",
            *_table("not kept", "rows or replies", report.rejected),
            *_table("template", "prompts", report.templates),
            *(_block("Measured", report.findings) if report.findings else ()),
            *_block("Settings", _settings(report)),
        ]
    )


def _configs(rows: str) -> list[str]:
    # So that `datasets.load_dataset(folder)`, here or on a hub, takes the rows and not what was rejected.
    return ["configs:", "- config_name: default", "  data_files:", "  - split: train", f"    path: {rows}"]


def _settings(report: Synthesized) -> dict[str, Any]:
    return {"recipe": report.recipe, "checks": report.checks}


def _block(title: str, data: dict[str, Any]) -> list[str]:
    lines = json.dumps(data, indent=1, ensure_ascii=False, default=plain).splitlines()
    return [f"## {title}", "", *(f"    {line}" for line in lines), ""]


def _table(first: str, second: str, rows: dict[str, int]) -> list[str]:
    if not rows:
        return []
    return [
        *(f"| {first} | {second} |", "|---|---|"),
        *(f"| {name} | {count:,} |" for name, count in sorted(rows.items(), key=lambda one: -one[1])),
        "",
    ]


def _written(model: str) -> str:
    return "written without a model" if model == NOBODY else f"written by `{_name(model)}`"


def _name(model: str) -> str:
    """Return the last part of a path: a card tells nothing of the machine it was made on."""
    return model.replace("\\", "/").rstrip("/").rsplit("/", maxsplit=1)[-1]
