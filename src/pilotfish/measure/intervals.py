"""Every number with its uncertainty: intervals, the paired bootstrap, non-inferiority, McNemar, Holm.

Which to use:

- one accuracy: `wilson(hits, rows)`;
- any other statistic of rows (macro-F1, a mean cost): `bootstrap`;
- trainings with several seeds, on the same rows: `drawn_again(table, value)`;
- two systems on the same rows: `paired_bootstrap`, or `paired_score` for 0/1 scores that hardly ever disagree;
- "the small model is as good, give or take a point": `non_inferiority(small, large, margin=0.01)`;
- "they differ": `mcnemar`; many such claims at once: pass the p-values through `holm` first.

Rows that are not independent (sentences of one document, messages of one customer) need `groups`.
"""

from __future__ import annotations

from pilotfish.measure._bootstrap import Method, Statistic, bootstrap, paired_bootstrap
from pilotfish.measure._compare import McNemar, NonInferiority, holm, mcnemar, non_inferiority, paired_score
from pilotfish.measure._interval import Interval, wilson
from pilotfish.measure._seeds import drawn_again, redrawn

__all__ = [
    "Interval",
    "McNemar",
    "Method",
    "NonInferiority",
    "Statistic",
    "bootstrap",
    "drawn_again",
    "holm",
    "mcnemar",
    "non_inferiority",
    "paired_bootstrap",
    "paired_score",
    "redrawn",
    "wilson",
]
