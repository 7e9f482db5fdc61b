"""Late interaction: a text is one vector a token, and a match the sum of each query token's best one.

Sources: Khattab and Zaharia 2020 (ColBERT); Santhanam et al. 2022 (ColBERTv2: residual codes, distillation; PLAID: the
stages of a search).
"""

from __future__ import annotations

from pilotfish.retrieve.late.encoder import LateEncoder
from pilotfish.retrieve.late.index import LateIndex
from pilotfish.retrieve.late.late import Late

__all__ = ["Late", "LateEncoder", "LateIndex"]
