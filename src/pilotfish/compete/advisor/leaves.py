"""Every leaf of the survey, and what an advice found of each: whether it applies, whether it was tried, what it gained.

Source: Chen and Varoquaux 2024 (What is the Role of Small Models in the LLM Era), figure 1 and sections 2 and 3.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.compete.candidate import Candidate
    from pilotfish.measure.intervals import Interval

__all__ = ["LEAVES", "Finding", "Leaf", "Status", "accounted", "gained", "idle", "untried"]

Status = Literal["tried", "not tried", "does not apply"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A role of small models.

    Attributes:
        key: a short name.
        chapter: of the survey.
        title: as docs/map.md has it.
        guide: the page under docs/guides that tells of it, "" where none does.
    """

    key: str
    chapter: str
    title: str
    guide: str = ""


_TEACH, _HELP, _ALONE = "LLMs enhance SMs", "SMs enhance LLMs", "Competition"
LEAVES: tuple[Leaf, ...] = (
    Leaf("distil-black", _TEACH, "Knowledge distillation, black-box", "distill"),
    Leaf("distil-white", _TEACH, "Knowledge distillation, white-box", "distill"),
    Leaf("synthesis-scratch", _TEACH, "Data synthesis, from scratch", "synthesize"),
    Leaf("synthesis-labels", _TEACH, "Data synthesis, labels only", "labels"),
    Leaf("synthesis-augment", _TEACH, "Data synthesis, augmentation", "synthesize"),
    Leaf("curate-pretraining", _HELP, "Data curation, pre-training data", "curate"),
    Leaf("curate-instructions", _HELP, "Data curation, instruction data", "curate"),
    Leaf("weak-to-strong", _HELP, "Weak-to-strong, training", "weak_to_strong"),
    Leaf("align", _HELP, "Weak-to-strong, alignment at inference", "aligner"),
    Leaf("cascade", _HELP, "Efficient inference, cascade", "cascade"),
    Leaf("route", _HELP, "Efficient inference, routing", "route"),
    Leaf("speculate", _HELP, "Efficient inference, speculative decoding", "speculative"),
    Leaf("evaluate", _HELP, "Evaluating LLMs", "metrics"),
    Leaf("adapt-white", _HELP, "Domain adaptation, white-box", "lockstep"),
    Leaf("adapt-black", _HELP, "Domain adaptation, black-box", "knowledge"),
    Leaf("retrieve", _HELP, "Retrieval-augmented generation", "rag"),
    Leaf("prompt-enhance", _HELP, "Prompts, enhance", "prompts"),
    Leaf("prompt-compress", _HELP, "Prompts, compress", "compression"),
    Leaf("verify", _HELP, "Prompts, verify or rewrite", "verify"),
    Leaf("contrast", _HELP, "Deficiency repair, contrastive decoding", "lockstep"),
    Leaf("plug-ins", _HELP, "Deficiency repair, small plug-ins", "repair"),
    Leaf("constrained", _ALONE, "Constrained machines", "constrained"),
    Leaf("text", _ALONE, "Task-specific: text classification", "classify"),
    Leaf("tables", _ALONE, "Task-specific: tables", "tables"),
    Leaf("phrases", _ALONE, "Task-specific: phrases", "phrases"),
    Leaf("entities", _ALONE, "Task-specific: entities", "entities"),
    Leaf("explain", _ALONE, "Interpretability", "explain"),
)
_KNOWN = {leaf.key: leaf for leaf in LEAVES}


@dataclass(frozen=True)
class Finding:
    """What an advice found of a leaf.

    Attributes:
        leaf: its key.
        status: tried, not tried, or does not apply.
        why: what was tried, or why nothing was.
        key: of the candidate that stands for it, "" where none does.
        base: the title of what it is measured against.
        gain: in the score, candidate minus base on the rows that both answered.
        faster: how many times less time a row takes than the base's.
        cheaper: the same of dollars.
    """

    leaf: str
    status: Status
    why: str
    key: str = ""
    base: str = ""
    gain: Interval | None = None
    faster: float | None = None
    cheaper: float | None = None

    def __post_init__(self) -> None:
        if self.leaf not in _KNOWN:
            raise ConfigError(f"no leaf of the survey is called {self.leaf!r}")

    def to_json(self) -> dict[str, Any]:
        """Return the finding as plain data."""
        leaf = _KNOWN[self.leaf]
        return {
            "leaf": leaf.title,
            "chapter": leaf.chapter,
            "status": self.status,
            "why": self.why,
            "candidate": self.key or None,
            "against": self.base or None,
            "gain": None if self.gain is None else self.gain.to_json(),
            "times_faster": self.faster,
            "times_cheaper": self.cheaper,
        }


def idle(leaf: str, why: str) -> Finding:
    """Return the finding that a leaf does not apply."""
    return Finding(leaf, "does not apply", why)


def untried(leaf: str, why: str) -> Finding:
    """Return the finding that a leaf applies and was not tried."""
    return Finding(leaf, "not tried", why)


def gained(leaf: str, one: Candidate, base: Candidate, why: str) -> Finding:
    """Return what a candidate gained over another, on the rows that both answered.

    Args:
        leaf: that the candidate stands for.
        one: the candidate.
        base: what it is measured against.
        why: what was tried.
    """
    from pilotfish.compete.candidate import common_rows
    from pilotfish.compete.verdict import difference

    rows = common_rows([one, base])
    gap = difference(one.on(rows), base.on(rows)) if len(rows) else None
    return Finding(
        leaf,
        "tried",
        why,
        one.key,
        base.title,
        gap,
        _times(base.seconds, one.seconds),
        _times(base.dollars, one.dollars),
    )


def _times(base: float | None, one: float | None) -> float | None:
    return base / one if base and one else None


def accounted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings in the survey's order.

    Of a leaf with several the tried ones stand, else the first.

    Raises:
        ConfigError: a leaf has none.
    """
    by_leaf: dict[str, list[Finding]] = {leaf.key: [] for leaf in LEAVES}
    for one in findings:
        by_leaf[one.leaf].append(one)
    missing = [leaf.title for leaf in LEAVES if not by_leaf[leaf.key]]
    if missing:
        raise ConfigError(f"an advice accounts for every leaf of the survey; nothing was said of {', '.join(missing)}")
    found: list[Finding] = []
    for held in by_leaf.values():
        found += [one for one in held if one.status == "tried"] or held[:1]
    return tuple(found)
