"""A model whose replies a small corrector rewrites.

Source: Ji et al. 2024 (Aligner), figure 2 and equation 1: the corrector sees the question and the answer, whoever gave
it, and is asked once.
"""

from __future__ import annotations

from dataclasses import dataclass

from pilotfish.errors import ConfigError
from pilotfish.model import Model, Reply, Request, WholeReplies
from pilotfish.supervise.aligner.rows import TEMPLATE, asked

__all__ = ["Aligned"]


@dataclass(frozen=True)
class Aligned(WholeReplies):
    """Any model, and a small corrector behind it.

    The question is the last user turn. A reply with tool calls is left as it is; so is one whose correction is empty or
    cut, for half an answer is worse than none changed. The trace says which it was.

    Attributes:
        model: who answers.
        corrector: who rewrites.
        template: of what the corrector is asked; the one that it was taught with.
        max_tokens: of a correction; None for what the corrector gives by itself.
        name: in traces.

    Raises:
        ConfigError: a template that lacks the answer.
    """

    model: Model
    corrector: Model
    template: str = TEMPLATE
    max_tokens: int | None = 512
    name: str = "aligned"

    def __post_init__(self) -> None:
        asked("", "", self.template)
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ConfigError(f"{self.name}: max_tokens must be 1 or more, not {self.max_tokens}")

    async def reply(self, request: Request) -> Reply:
        """Answer, and correct the answer."""
        if request.n > 1:
            raise ConfigError(f"{self.name}: one answer is corrected, and n = {request.n} asks for several")
        first = await self.model.reply(request)
        if first.tool_calls or not first.text.strip():
            return first.decided(self.name, "left")
        question = Request.of(
            asked(request.prompt, first.text, self.template),
            temperature=0.0,
            max_tokens=self.max_tokens,
            metadata=dict(request.metadata),
        )
        second = await self.corrector.reply(question)
        text = second.text.strip()
        if not text or second.finish_reason == "length":
            # The corrector was paid for, whatever came of it.
            kept = first.with_(trace=first.trace + second.trace)
            return kept.decided(self.name, "kept: the correction is cut" if text else "kept: the correction is empty")
        verdict = "unchanged" if text == first.text.strip() else "corrected"
        # Its log-probabilities are those of another text than the answer's.
        return second.with_(text=text).after(first).decided(self.name, verdict)
