"""White-box distillation that also matches what goes on inside: hidden states or attention, layer by layer.

Sources: Jiao et al. 2020 (TinyBERT), eq. 7 and 8; Wang et al. 2020 (MiniLM); see `pilotfish.distill.match`.
"""

from __future__ import annotations

from typing import Any

import torch

from pilotfish.distill.match import AttentionMatch, HiddenMatch, layer_map
from pilotfish.distill.matching import Matching
from pilotfish.distill.whitebox import Weighing, WhiteBox
from pilotfish.train.backbone import head_in, seen
from pilotfish.train.batch import Rows
from pilotfish.train.fused import FromHead, fused_loss

__all__ = ["MatchedWhiteBox"]


class MatchedWhiteBox(WhiteBox):
    """A `Task`: beside the distributions, states or attentions at the positions in the loss are matched.

    Args:
        student: a transformers causal LM, adapters or not.
        teacher: another one of the same vocabulary but for rows of padding.
        weighing: the loss of the distributions.
        matching: what is matched, and how much it counts.
        batch_tokens: the most tokens, padding included, in one pass over held-out examples.
        name: the student's, for errors.
    """

    def __init__(
        self,
        student: Any,
        teacher: Any,
        weighing: Weighing,
        matching: Matching,
        *,
        batch_tokens: int = 2048,
        name: str = "the student",
    ) -> None:
        super().__init__(student, teacher, weighing, batch_tokens=batch_tokens, name=name)
        self.matching = matching
        mine, theirs = (model.config.get_text_config() for model in (student, teacher))
        layers = layer_map(mine.num_hidden_layers, theirs.num_hidden_layers, matching.layers)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            if matching.what == "hidden":
                self.match: Any = HiddenMatch(
                    layers, mine.hidden_size, theirs.hidden_size, loss=matching.loss, normalise=matching.normalise
                )
            else:
                self.match = AttentionMatch(layers)
                for model in (student, teacher):  # other kinds of attention keep no weights
                    model.set_attn_implementation("eager")
        self.match.to(next(student.parameters()).device)

    def forward(self, rows: Rows) -> tuple[Any, dict[str, Any]]:
        """Return the loss's sum over a batch, and the sums of its parts."""
        asked = {"hidden": self.matching.what == "hidden", "attentions": self.matching.what == "attention"}
        mine = seen(self.student, rows, **asked)
        (teacher,) = self._teacher
        with torch.no_grad():
            theirs = seen(teacher, rows, **asked)
        weighing = self.weighing
        losses = fused_loss(
            mine.at(rows),
            head_in(self.student),
            FromHead(theirs.at(rows), head_in(teacher)),
            weighing.divergence,
            rows.labels,
            alpha=weighing.alpha,
            temperature=weighing.temperature,
            weights=rows.weights,
        )
        # Where a token in the loss is predicted, and nowhere else: so both parts have one denominator.
        real = torch.zeros_like(rows.ids, dtype=torch.bool)
        real[rows.row, rows.at] = True
        pair = (mine.hidden, theirs.hidden) if asked["hidden"] else (mine.attentions, theirs.attentions)
        apart = self.match(*pair, real, count=1.0)
        figures = {"divergence": (losses.divergence * rows.weights).sum(), "matching": apart.detach()}
        if weighing.alpha < 1:
            figures["cross_entropy"] = (losses.cross_entropy * rows.weights).sum()
        return losses.total + self.matching.weight * apart, figures
