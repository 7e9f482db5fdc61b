"""docs/map.md is true: what it names exists, every leaf of the survey stands in it, README agrees on what works."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "map.md").read_text(encoding="utf-8")
# The survey's leaves (arXiv 2409.06857, figure 2), in this page's words.
LEAVES = """
Knowledge distillation, black-box
Knowledge distillation, white-box
Data synthesis, from scratch
Data synthesis, labels only
Data synthesis, augmentation
Data curation, pre-training data
Data curation, instruction data
Weak-to-strong, training
Weak-to-strong, alignment at inference
Efficient inference, cascade
Efficient inference, routing
Efficient inference, speculative decoding
Evaluating LLMs
Domain adaptation, white-box
Domain adaptation, black-box
Retrieval-augmented generation
Prompts, enhance
Prompts, compress
Prompts, verify or rewrite
Deficiency repair, contrastive decoding
Deficiency repair, small plug-ins
Constrained machines
Task-specific: tables
Task-specific: text classification
Task-specific: phrases
Task-specific: entities
Interpretability
The advisor
""".strip().splitlines()


def tables() -> list[dict[str, str]]:
    """Every table row of the page as heading -> cell."""
    rows: list[dict[str, str]] = []
    heads: list[str] = []
    for line in PAGE.splitlines():
        if not line.startswith("|"):
            heads = []
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not heads:
            heads = cells
        elif set(line) - set("|-: "):
            assert len(cells) == len(heads), line
            rows.append(dict(zip(heads, cells, strict=True)))
    return rows


ROWS = tables()
LEAF_ROWS = [row for row in ROWS if "leaf" in row]


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_leaf_of_the_survey_stands_there_once() -> None:
    assert sorted(row["leaf"] for row in LEAF_ROWS) == sorted(LEAVES)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.get("leaf") or row.get("part"))
def test_what_a_row_names_exists(row: dict[str, str]) -> None:
    for module in named(row["module"]):
        assert importlib.util.find_spec(module) is not None, module
    for path in [*named(row["test"]), *named(row["benchmark"])]:
        assert (ROOT / path).is_file(), path


@pytest.mark.parametrize("row", LEAF_ROWS, ids=lambda row: row["leaf"])
def test_a_status_is_earned(row: dict[str, str]) -> None:
    assert row["status"] in ("works", "part", "planned")
    if row["status"] == "planned":
        assert not row["module"] and not row["test"] and not row["benchmark"] and not row["way in"]
    else:
        assert row["module"] and row["test"] and row["way in"]
    if row["status"] == "works":
        assert row["benchmark"] and row["measured"] and "@@" not in row["measured"]


def test_no_figure_is_left_open() -> None:
    assert "@@" not in PAGE


def test_every_package_of_the_source_stands_on_the_map() -> None:
    packages = {path.parent.name for path in (ROOT / "src" / "pilotfish").glob("*/__init__.py")}
    without = {"assemble"}  # the loader of files: no leaf of its own
    shown = {module.split(".")[1] for row in ROWS for module in named(row["module"])}
    assert packages - without <= shown


def test_links_of_the_documents_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
