"""On-policy distillation: the student answers, and its teacher judges every token of it.

GKD (Agarwal et al. 2024, algorithm 1): with probability λ the answers of a pass are the student's own, and the
divergence is learnt over them. MiniLLM (Gu et al. 2024, eq. 5 to 7): the reverse KL of whole answers, as the KL of each
token, exactly, and a policy gradient for what the token leads to, whose reward is normalised by length; where the
teacher has a share in the sampling, each token weighs what the student gives it over what it was drawn with (eq. 9's
single step). Each sample is learnt from once, so there is nothing to clip; the language-modelling loss beside it is
what the passes over the data learn.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch

from pilotfish.distill.divergence import ReverseKL
from pilotfish.distill.mixture import Mixture
from pilotfish.distill.sampling import Sampling
from pilotfish.distill.whitebox import Weighing, WhiteBox
from pilotfish.train.backbone import head_in, seen
from pilotfish.train.batch import Rows, rows_of
from pilotfish.train.examples import Example
from pilotfish.train.fused import Losses, fused_loss

__all__ = ["OnPolicy", "rewards_to_go"]

# What a model's own generation settings may hold, and no sample of its distribution has.
_PLAIN: dict[str, Any] = {
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "min_p": None,
    "typical_p": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
    "bad_words_ids": None,
    "num_beams": 1,
    "min_length": 0,
}


class OnPolicy(WhiteBox):
    """A `Task`: the student learns from its teacher over its own answers, and over the data's.

    Args:
        student: a transformers causal LM, adapters or not.
        teacher: another one of the same vocabulary.
        weighing: the loss over the data's tokens. Over the student's own there is no cross-entropy, since they are no
            example; with "minillm" the divergence is the reverse KL.
        sampling: how it answers.
        ends: the ids that end an answer.
        batch_tokens: the most tokens, padding included, in one pass over held-out examples.
        name: the student's, for errors.
    """

    def __init__(
        self,
        student: Any,
        teacher: Any,
        weighing: Weighing,
        sampling: Sampling,
        ends: Sequence[int],
        *,
        batch_tokens: int = 2048,
        name: str = "the student",
    ) -> None:
        super().__init__(student, teacher, weighing, batch_tokens=batch_tokens, name=name)
        self.sampling, self.ends = sampling, tuple(ends)

    def prepare(self, examples: Sequence[Example], step: int) -> Rows:
        """Return the examples, or the student's own answers to them; what is drawn follows torch's seed."""
        own = [one for one in examples if one.start > 1]  # a text has no prompt to answer
        if not self.training or not own or float(torch.rand(())) >= self.sampling.share:
            return super().prepare(examples, step)
        rows = rows_of(self.answered(own), next(self.student.parameters()).device, sampled=True)
        if self.sampling.how == "minillm":
            said, judged = self._logprobs(rows)
            advantages = rewards_to_go(judged - said, [one.count for one in rows.examples])
            return dataclasses.replace(rows, advantages=advantages, importance=self._importance(said, judged))
        return rows

    def answered(self, examples: Sequence[Example]) -> list[Example]:
        """Return the prompts with answers that the student samples, each up to its end token, that one included."""
        device = next(self.student.parameters()).device
        prompts = [one.ids[: one.start] for one in examples]
        width = max(map(len, prompts))
        ids = torch.zeros((len(prompts), width), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for i, prompt in enumerate(prompts):  # at the right, where generation goes on
            ids[i, width - len(prompt) :] = torch.tensor(prompt)
            mask[i, width - len(prompt) :] = 1
        was = self.student.training
        self.student.eval()  # dropout is for learning, not for answering
        with torch.no_grad():
            said = self.student.generate(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                do_sample=True,
                temperature=self.sampling.temperature,
                top_k=0,
                top_p=1.0,
                max_new_tokens=self.sampling.max_tokens,
                eos_token_id=list(self.ends) or None,
                pad_token_id=self.ends[0] if self.ends else 0,
                use_cache=True,
                logits_processor=self._mixture(mask.to(device)),
                **_PLAIN,
            )
        self.student.train(was)
        found = []
        for one, prompt, row in zip(examples, prompts, said[:, width:].tolist(), strict=True):
            # Cut at the first end token, whatever id the padding after it has.
            length = next((at + 1 for at, token in enumerate(row) if token in self.ends), len(row))
            found.append(dataclasses.replace(one, ids=(*prompt, *row[:length])))
        return found

    def forward(self, rows: Rows) -> tuple[Any, dict[str, Any]]:
        """Return the loss's sum over a batch, and the sums of its parts."""
        if not rows.sampled:
            return super().forward(rows)
        losses = self._own(rows)
        figures = {"divergence": (losses.divergence * rows.weights).sum()}
        return losses.total, figures

    def _own(self, rows: Rows) -> Losses:
        weighing = self.weighing
        states, head = seen(self.student, rows).at(rows), head_in(self.student)
        if self.sampling.how == "gkd":
            return fused_loss(
                states,
                head,
                self.target(rows, states),
                weighing.divergence,
                temperature=weighing.temperature,
                weights=rows.weights,
            )
        # One half of each, and twice the weight: the KL of the token itself, and the reward of what follows.
        return fused_loss(
            states,
            head,
            self.target(rows, states),
            ReverseKL(),
            rows.labels,
            alpha=0.5,
            weights=2 * rows.weights * (1 if rows.importance is None else rows.importance),
            advantages=rows.advantages,
        )

    def _logprobs(self, rows: Rows) -> tuple[Any, Any]:
        """Return what student and teacher give the tokens that were said, in nats: (tokens,) each."""
        with torch.no_grad():
            was = self.student.training
            self.student.eval()
            said, judged = (
                -fused_loss(seen(model, rows).at(rows), head_in(model), None, None, rows.labels, alpha=0).cross_entropy
                for model in (self.student, self._teacher[0])
            )
            self.student.train(was)
        return said, judged

    def _importance(self, said: Any, judged: Any) -> Any:
        """Return q / (m p + (1 - m) q) of each token, (tokens,); None where the student drew alone."""
        mixed = self.sampling.mixed
        return 1 / (1 - mixed + mixed * (judged - said).exp()) if mixed else None

    def _mixture(self, mask: Any) -> Any:
        return [Mixture(self._teacher[0], self.sampling.mixed, mask)] if self.sampling.mixed else None


def rewards_to_go(rewards: Any, counts: Sequence[int]) -> Any:
    """Return the mean reward of the tokens after each, 0 for an answer's last (Gu et al. 2024, eq. 7).

    Args:
        rewards: (tokens,), of all answers, one after another.
        counts: how many tokens each answer has.
    """
    found = []
    for part in torch.split(rewards, list(counts)):
        after = part.flip(0).cumsum(0).flip(0) - part
        left = torch.arange(len(part) - 1, -1, -1, device=part.device, dtype=part.dtype)
        found.append(after / left.clamp_min(1))
    return torch.cat(found) if found else rewards
