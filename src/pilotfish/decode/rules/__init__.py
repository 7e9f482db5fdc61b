"""Rules: what turns the logits of several models in lockstep into those of one distribution.

Each is a pure function of a list of raw logits, one (…, vocabulary) tensor a model, and gives logits of the same shape;
positions are treated apart. `functools.partial` sets its parameters. None of the modules imports torch before it is
called, so that the faces, which name rules, stay light.
"""

from __future__ import annotations

from pilotfish.decode.rules.contrast import context_aware, contrastive, contrastive_logits
from pilotfish.decode.rules.dola import dola
from pilotfish.decode.rules.experts import combined, gated_mixture, mixture, product
from pilotfish.decode.rules.nudge import nudging
from pilotfish.decode.rules.proxy import proxy_tuning
from pilotfish.decode.rules.reward import reward_guided

__all__ = [
    "combined",
    "context_aware",
    "contrastive",
    "contrastive_logits",
    "dola",
    "gated_mixture",
    "mixture",
    "nudging",
    "product",
    "proxy_tuning",
    "reward_guided",
]
