"""What drafting came to: how much was accepted, what it cost, and whether it paid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["SpeculativeReport"]


@dataclass
class SpeculativeReport:
    """Sums over rounds; the questions are properties. A round is one pass of the target over one row.

    Attributes:
        tokens: what was said.
        rounds: passes through the target after the prompt, a row's own share counted whole.
        drafts: rounds that had a proposal.
        drafted: nodes proposed.
        judged: positions at which the target looked for its token among the nodes.
        accepted: nodes accepted.
        lengths: accepted nodes a draft -> drafts.
        overlap: sum over judged positions of sum(min(p, q)), where q is known (`overlaps` positions).
        target_seconds, draft_seconds: a row's share of the passes, prompts left out.
        plain_total: what a plain step would have taken in each of `plain_rounds` rounds, by measured times.
        verify_seconds: what the rounds with a proposal took the target.
        draft_steps: passes through the draft, a row's share of them counted whole.
        said: the tokens of each round, for one answer; sums of several do not keep them.
        told: what was decided on the way, for the trace.
    """

    tokens: int = 0
    rounds: int = 0
    drafts: int = 0
    drafted: int = 0
    judged: int = 0
    accepted: int = 0
    lengths: Counter[int] = field(default_factory=Counter)
    overlap: float = 0.0
    overlaps: int = 0
    target_seconds: float = 0.0
    draft_seconds: float = 0.0
    verify_seconds: float = 0.0
    plain_total: float = 0.0
    plain_rounds: int = 0
    draft_steps: int = 0
    said: list[int] = field(default_factory=list)
    told: str = ""

    def spent(self, target_seconds: float, draft_seconds: float, steps: int, plain_seconds: float) -> None:
        """Note a round: a row's shares of the passes, and of a plain one (0: not measured)."""
        self.rounds += 1
        self.target_seconds += target_seconds
        self.draft_seconds += draft_seconds
        self.draft_steps += steps
        self.plain_total += plain_seconds
        self.plain_rounds += plain_seconds > 0

    def judge(self, nodes: int, depth: int, accepted: int, overlaps: Sequence[float], seconds: float) -> None:
        """Note what became of a proposal of so many nodes, `depth` of them on its longest path."""
        self.drafts += 1
        self.drafted += nodes
        self.judged += min(accepted + 1, depth)
        self.accepted += accepted
        self.lengths[accepted] += 1
        self.overlap += sum(overlaps)
        self.overlaps += len(overlaps)
        self.verify_seconds += seconds

    @property
    def plain_seconds(self) -> float:
        """What a plain step takes, a row's share of it; 0 where none was measured."""
        return self.plain_total / self.plain_rounds if self.plain_rounds else 0.0

    @property
    def acceptance(self) -> float:
        """Accepted nodes over drafted nodes."""
        return self.accepted / self.drafted if self.drafted else 0.0

    @property
    def mean_length(self) -> float:
        """Tokens said a draft: 1 + accepted / drafts."""
        return 1.0 + self.accepted / self.drafts if self.drafts else 1.0

    @property
    def alpha(self) -> float:
        """E[sum(min(p, q))] (Leviathan et al. 2023, corollary 3.6); the judged positions' share accepted without q."""
        if self.overlaps:
            return self.overlap / self.overlaps
        return self.accepted / self.judged if self.judged else 0.0

    @property
    def cost_ratio(self) -> float | None:
        """c: a draft pass over a plain pass of the target; None where either was not measured."""
        if not self.draft_steps or not self.plain_seconds:
            return None
        return self.draft_seconds / self.draft_steps / self.plain_seconds

    @property
    def predicted(self) -> float | None:
        """The speed-up of rounds with a draft by Leviathan et al. 2023, theorem 3.8, at the mean drafted length k.

        (1 - alpha^(k + 1)) / ((1 - alpha) (k c + v)), v being the time of a verifying pass over a plain one.
        """
        c = self.cost_ratio
        if c is None or not self.drafts:
            return None
        k = self.draft_steps / self.drafts
        alpha = min(self.alpha, 1 - 1e-9)
        verify = self.verify_seconds / self.drafts / self.plain_seconds
        length = self.drafted / self.drafts
        return float((1 - alpha ** (length + 1)) / ((1 - alpha) * (k * c + verify)))

    @property
    def measured(self) -> float | None:
        """Tokens a second over those of plain steps; None where no plain step was measured."""
        spent = self.target_seconds + self.draft_seconds
        return self.tokens * self.plain_seconds / spent if self.plain_seconds and spent else None

    def __add__(self, other: SpeculativeReport) -> SpeculativeReport:
        keys = self.__dataclass_fields__.keys() - {"said", "told"}  # of one answer, not of all
        return SpeculativeReport(**{key: getattr(self, key) + getattr(other, key) for key in keys})

    def summary(self) -> str:
        """One line: what a trace shows."""
        if not self.drafts:
            return f"not drafted ({self.told})" if self.told else "not drafted"
        parts = [
            f"accepted {self.accepted} of {self.drafted} drafted tokens",
            f"{self.mean_length:.2f} tokens a draft",
            f"alpha {self.alpha:.2f}",
        ]
        if self.cost_ratio is not None:
            parts.append(f"cost ratio {self.cost_ratio:.2f}")
        if self.measured is not None:
            parts.append(f"speed-up {self.measured:.2f}")
        if self.told:
            parts.append(self.told)
        return "; ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Return the sums and the answers as plain data."""
        data = {key: getattr(self, key) for key in self.__dataclass_fields__ if key not in ("lengths", "said")}
        for key in ("plain_seconds", "acceptance", "mean_length", "alpha", "cost_ratio", "predicted", "measured"):
            data[key] = getattr(self, key)
        return data | {"lengths": {str(length): count for length, count in sorted(self.lengths.items())}}

    def table(self) -> Table:
        """Return the report for a terminal (rich)."""
        from rich.table import Table

        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="dim")
        table.add_column(justify="right")
        table.add_column()

        def told(value: float | None) -> str:
            return "not measured" if value is None else f"{value:.2f}"

        table.add_row("acceptance rate", f"{self.acceptance:.1%}", f"{self.accepted} of {self.drafted} drafted tokens")
        table.add_row("mean accepted length", f"{self.mean_length:.2f}", "tokens a draft, the target's own included")
        table.add_row("alpha", f"{self.alpha:.3f}", "E[sum(min(p, q))]" if self.overlaps else "accepted / judged")
        table.add_row("cost ratio", told(self.cost_ratio), "a draft pass over a target pass")
        table.add_row("predicted speed-up", told(self.predicted))
        table.add_row("measured speed-up", told(self.measured))
        most = max(self.lengths.values(), default=1)
        for length in range(max(self.lengths, default=-1) + 1):
            count = self.lengths[length]
            table.add_row(f"{length} accepted", str(count), "#" * round(30 * count / most))
        return table
