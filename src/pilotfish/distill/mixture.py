"""Teacher-mixed sampling: each token is drawn from m times the teacher's distribution and 1 - m times the student's.

Source: Gu et al. 2024 (MiniLLM), section 2.2.
"""

from __future__ import annotations

import math
from typing import Any

import torch

__all__ = ["Mixture"]


class Mixture:
    """A logits processor for transformers' `generate`, called at every token with what was said so far.

    Args:
        teacher: a transformers causal LM of the student's vocabulary, but for rows of padding.
        share: m, between 0 and 1.
        mask: (prompts, width) 1 for the prompts' own tokens, which stand at the right.
    """

    def __init__(self, teacher: Any, share: float, mask: Any) -> None:
        self.teacher, self.share, self.mask = teacher, share, mask
        self._cache: Any = None

    def __call__(self, ids: Any, scores: Any) -> Any:
        """Return the mixture's log-probabilities, (prompts, vocabulary), of the student's logits."""
        fresh = ids if self._cache is None else ids[:, -1:]
        if self._cache is not None:
            self.mask = torch.cat([self.mask, torch.ones_like(self.mask[:, :1])], dim=1)
        places = (self.mask.cumsum(-1) - 1).clamp_min(0)[:, -fresh.shape[1] :]
        with torch.no_grad():
            told = self.teacher(
                input_ids=fresh,
                attention_mask=self.mask,
                position_ids=places,
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
            )
        self._cache = told.past_key_values
        both = min(scores.shape[-1], told.logits.shape[-1])  # what is beyond is padding, which nobody says
        judged = told.logits[:, -1, :both].float().log_softmax(-1)
        mixed = scores.float().log_softmax(-1) + math.log(1 - self.share)
        mixed[:, :both] = torch.logaddexp(mixed[:, :both], judged + math.log(self.share))
        return mixed
