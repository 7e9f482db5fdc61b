"""Rules: what turns the logits of several models in lockstep into those of one distribution.

Each is a pure function of a list of raw logits, one (…, vocabulary) tensor a model, and gives logits of the same shape;
positions are treated apart. `functools.partial` sets its parameters.
"""

from __future__ import annotations

from pilotfish.decode.rules.proxy import proxy_tuning

__all__ = ["proxy_tuning"]
