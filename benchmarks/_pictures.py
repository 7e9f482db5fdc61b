"""Pictures of stored results for the guides: `python -m benchmarks._pictures` writes docs/images/*.svg.

Colours are readable on light and dark pages alike, and the same results give the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._result import RESULTS

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
INK, FIRST, SECOND = "#7a7f87", "#d9822b", "#3b82c4"
Case = dict[str, Any]


def cases(name: str) -> list[Case]:
    """Return the cases of a stored result."""
    found: list[Case] = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))["cases"]
    return found


def over_optimisation(axes: Any) -> None:
    """Draw what the best of n is worth by the reward that picks it, and by a larger one."""
    told: dict[str, list[tuple[int, Case]]] = {}
    for case in cases("best-of-n"):
        if found := re.match(r"best of (\d+): the (small|larger) reward", case["case"]):
            told.setdefault(found[2], []).append((int(found[1]), case))
    labels = {"small": "by the small reward that picks", "larger": "by a larger reward"}
    for (who, label), colour in zip(labels.items(), (FIRST, SECOND), strict=True):
        points = sorted(told[who], key=lambda one: one[0])
        n, ends = [one for one, _ in points], [(case["low"], case["high"]) for _, case in points]
        axes.plot(n, [case["value"] for _, case in points], color=colour, marker="o", label=label)
        axes.fill_between(n, [low for low, _ in ends], [high for _, high in ends], color=colour, alpha=0.2, lw=0)
    axes.axhline(0, color=INK, lw=0.8)
    axes.set_xscale("log", base=2)
    axes.set_xticks(n, [str(one) for one in n])
    axes.set_xlabel("n, the answers to choose from")
    axes.set_ylabel("gain over one answer, standard deviations")
    axes.legend(frameon=False, labelcolor=INK)


def weak_to_strong(axes: Any) -> None:
    """Draw weak, strong and ceiling of Qwen2.5-Coder-0.5B, set by set and supervisor by supervisor."""
    found = {case["case"]: case for case in cases("weak-to-strong")}
    rows = [
        (f"{task}, {who}", f"{task}, {who}, confidence, Qwen2.5-Coder-0.5B")
        for task in ("TREC", "SST-2", "Subj", "CR")
        for who in ("generalist", "specialists", "label model")
    ]
    for at, (_, key) in enumerate(rows):
        weak, strong, ceiling = (found[f"{key}: {what}"]["value"] for what in ("weak", "strong", "ceiling"))
        axes.plot([weak, ceiling], [at, at], color=INK, lw=1.5, zorder=1)
        marks: list[tuple[float, str, str, str]] = [
            (weak, "o", FIRST, "the supervisor"),
            (strong, "D", SECOND, "the strong model, taught by it"),
            (ceiling, "|", INK, "its ceiling, taught by people"),
        ]
        for value, mark, colour, label in marks:
            axes.scatter([value], [at], marker=mark, color=colour, s=60, zorder=2, label="" if at else label)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.invert_yaxis()
    axes.set_xlabel("share of test rows that are right")
    axes.legend(frameon=False, labelcolor=INK, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3, fontsize=8)


def curate_ray(axes: Any) -> None:
    """Draw rows a second against rows, here and on one and two workers."""
    told: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for case in cases("curate-ray"):
        if found := re.match(r"(rules|dedupe), ([\d,]+) rows, (.+)$", case["case"]):
            told.setdefault((found[1], found[3]), []).append((case["n"], case["value"]))
    lines = {"local": ":", "1 worker": "--", "2 workers": "-"}
    for (job, engine), points in told.items():
        n, rate = zip(*points, strict=True)
        colour = FIRST if job == "rules" else SECOND
        axes.plot(n, rate, color=colour, ls=lines[engine], marker="o", ms=4, label=f"{job}, {engine}")
    axes.set_xscale("log")
    axes.set_ylim(0)
    axes.set_xlabel("rows")
    axes.set_ylabel("rows a second, Ray up")
    axes.legend(frameon=False, labelcolor=INK, ncols=2, fontsize=8)


PICTURES: dict[str, tuple[Callable[[Any], None], tuple[float, float]]] = {
    "curate-ray": (curate_ray, (6.4, 3.6)),
    "best-of-n": (over_optimisation, (6.4, 3.6)),
    "weak-to-strong": (weak_to_strong, (7.2, 4.2)),
}


def main() -> None:
    """Write every picture."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    plain = {"text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.edgecolor": INK}
    for name, (draw, size) in PICTURES.items():
        with mpl.rc_context({**plain, "svg.hashsalt": name, "font.size": 9}):
            figure = Figure(figsize=size, layout="constrained")
            axes = figure.subplots()
            axes.spines[["top", "right"]].set_visible(False)
            draw(axes)
            figure.savefig(IMAGES / f"{name}.svg", transparent=True, metadata={"Date": None})


if __name__ == "__main__":
    main()
