"""Hard requirements, checked and shown: licence, memory, truncation, unseen classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pilotfish.measure.report import Gate

# Licences under which anybody may run a model in a product, as the catalog and model cards spell them.
PERMISSIVE = {"apache-2.0", "mit", "bsd-3-clause", "bsd-2-clause", "cc0-1.0", "cc-by-4.0", "isc", "unlicense"}
# What stands for the licence of a model whose weights are not here.
SERVED = "served by others, whose terms apply"
Status = Literal["pass", "warn", "fail"]


def licence_gate(licences: Mapping[str, str], allowed: Sequence[str] = ()) -> Gate:
    """Check each model's licence: permissive ones pass, unknown ones warn; with `allowed`, anything else fails.

    Licences are those of weights on this machine; a model that others serve has their terms instead.
    """
    wanted = {one.lower() for one in allowed}
    status: Status = "pass"
    for licence in licences.values():
        known = licence.lower()
        if licence == SERVED:
            continue
        if wanted and known not in wanted:
            status = "fail"
        elif known not in PERMISSIVE and not wanted and status == "pass":
            status = "warn"
    return Gate("Licence", status, "; ".join(f"{name}: {licence}" for name, licence in licences.items()))


def memory_gate(chosen: int, peak: int, limit: int | None) -> Gate:
    """Check the bytes of the chosen candidate's weights and of the whole measurement against a limit."""
    text = f"the choice holds {_mib(chosen)} of weights; measuring took {_mib(peak)} at its peak"
    if limit is None:
        return Gate("Memory", "pass", text + "; no limit was set (`--max-memory`)")
    return Gate("Memory", "fail" if chosen > limit else "pass", f"{text}; the limit is {_mib(limit)}")


def truncation_gate(cut: Mapping[str, tuple[int, int]]) -> Gate:
    """Check how many texts each model had to cut: (texts cut, texts read) a model. Over 5% warns, over 20% fails."""
    worst = max((part / whole for part, whole in cut.values() if whole), default=0.0)
    status: Status = "fail" if worst > 0.2 else "warn" if worst > 0.05 else "pass"
    shown = "; ".join(
        f"{name} cut {part:,} of {whole:,} texts ({part / max(1, whole):.1%})" for name, (part, whole) in cut.items()
    )
    return Gate("Truncation", status, shown)


def unseen_gate(unseen: Mapping[str, int], rows: int) -> Gate:
    """Check for labels of the test part that training never saw: no candidate can be right on them."""
    if not unseen:
        return Gate("Unseen classes", "pass", "every label of the held-out rows stands in the training rows")
    lost = sum(unseen.values())
    names = ", ".join(f"{label} ({count})" for label, count in sorted(unseen.items(), key=lambda pair: -pair[1])[:8])
    status: Status = "fail" if lost > 0.05 * rows else "warn"
    return Gate(
        "Unseen classes", status, f"{lost:,} of {rows:,} held-out rows have labels that training lacks: {names}"
    )


def silent_gate(failed: int, rows: int) -> Gate:
    """Check how many rows got no answer at all: one warns, more than 2% fail."""
    status: Status = "fail" if failed > 0.02 * rows else "warn" if failed else "pass"
    return Gate("Answers", status, f"{rows - failed:,} of {rows:,} held-out rows got an answer")


def _mib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
