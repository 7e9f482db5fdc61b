"""Speculative decoding: a cheap draft guesses ahead, one pass of the target checks it, and the answer is the target's.

Source: Leviathan et al. 2023 (Fast Inference from Transformers via Speculative Decoding); Chen et al. 2023. The target
may be several models in lockstep, so that proxy-tuned or contrastive answers come faster too. See
`decode.speculative` for the rules.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from pilotfish.decode.face import DecodedModel
from pilotfish.decode.target import WhiteBoxTarget, white_box
from pilotfish.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pilotfish.decode.decoder import Decoder, Prompt
    from pilotfish.decode.speculative import Draft, Policy, Speculative, SpeculativeReport
    from pilotfish.decode.strategy import Strategy
    from pilotfish.model import Request

__all__ = ["Layers", "SpeculativeModel"]


@dataclass(frozen=True)
class Layers:
    """The target's own first layers as the draft: no second model, but weights that were not made for it."""

    count: int


class SpeculativeModel(DecodedModel):
    """A model that answers as `target` does, only sooner; a `WhiteBoxTarget` itself, its target's.

    Greedy answers are the target's to the token (in float32; in lower precisions passes over several tokens round
    otherwise than passes over one, and near ties may fall the other way). Sampled ones have its distribution, and with
    a seed they are those of plain decoding with that seed. The trace has the target's calls and the draft's, and a
    decision that tells what was accepted.

    Args:
        target: a model whose weights are here, or several in lockstep.
        draft: a smaller model, "prompt-lookup", or `Layers`. One with another tokenizer drafts by text.
        length: how many tokens are drafted at a time; "auto" measures what pays, and stops drafting where nothing does.
        tree: how the draft branches, as widths by depth or as a number of nodes. With `length` "auto" it is tried
            beside chains; with a number it is what is drafted, and `length` bounds the depth of a tree of nodes.
        max_ngram: the longest end of the text that prompt look-up searches for.
        name: the name in traces.
        max_tokens: how many tokens an answer may have where the request does not say.
        max_rows: how many answers run together.

    Raises:
        ConfigError: target or draft is a black box, or settings do not go together.
    """

    def __init__(
        self,
        target: Any,
        draft: Any = "prompt-lookup",
        *,
        length: int | Literal["auto"] = "auto",
        tree: Sequence[int] | int | None = None,
        max_ngram: int = 3,
        name: str = "speculative",
        max_tokens: int = 256,
        max_rows: int = 32,
    ) -> None:
        self.target = white_box(target, f"{name}: target")
        self.length, self.tree, self.max_ngram = length, tree, max_ngram
        if length != "auto" and (not isinstance(length, int) or length < 1):
            raise ConfigError(f'{name}: length is "auto" or at least 1, not {length!r}')
        self.draft: WhiteBoxTarget | Layers | None = self._checked(draft, name)
        if tree is not None and self.draft is None:
            raise ConfigError(f"{name}: prompt look-up drafts no trees: leave `tree` out, or draft with a model")
        self._policy()  # a wrong tree is told at once
        super().__init__(
            name,
            strategy=self._make,
            prompt=self._prompts,
            tokenizer=lambda: self.tokenizer,
            ends=lambda: self.ends,
            max_tokens=max_tokens,
            max_rows=max_rows,
        )

    def _checked(self, draft: Any, name: str) -> WhiteBoxTarget | Layers | None:
        if draft == "prompt-lookup":
            return None
        if isinstance(draft, Layers):
            if "layers" not in inspect.signature(type(self.target).decoder).parameters:
                raise ConfigError(
                    f"{name}: only a single local model can draft with its own first layers; {self.target.name!r} is "
                    f"a {type(self.target).__name__}"
                )
            if draft.count < 1:
                raise ConfigError(f"{name}: draft: layers must be at least 1, not {draft.count}")
            return draft
        return white_box(draft, f"{name}: draft")

    # A target for others: its own target's words.

    @property
    def tokenizer(self) -> Any:
        """The target's transformers tokenizer."""
        return self.target.tokenizer

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that end an answer of the target."""
        return self.target.ends

    def decoder(self) -> Decoder:
        """Return the target's decoder."""
        return self.target.decoder()

    def asked(self, request: Request) -> Request:
        """Return the request as the target would run it: DoLa's penalty, say, is part of what it says."""
        settled = getattr(self.target, "asked", None)
        return request if settled is None else settled(request)

    def prompt(self, request: Request) -> Prompt:
        """Return the target's prompt."""
        return self.target.prompt(request)

    @property
    def report(self) -> SpeculativeReport:
        """What drafting has come to over all answers so far."""
        return self.speculative.report

    @cached_property
    def speculative(self) -> Speculative:
        """The strategy; loads the models.

        Raises:
            ConfigError: the draft cannot be made from this target.
            ModelError: a model does not load.
        """
        from pilotfish.decode.speculative import Speculative

        target = self.target.decoder()
        draft = self._draft(target.vocabulary)
        return Speculative(target, draft, self._policy(), ends=self.ends, name=self.name, target_name=self.target.name)

    def _make(self) -> Strategy:
        return self.speculative

    def _prompts(self, request: Request) -> Prompt:
        """Return the target's prompt, and the draft's own where it has one."""
        prompt = list(self.target.prompt(request))
        if self.draft is None or isinstance(self.draft, Layers):
            return prompt
        try:
            return [*prompt, *self.draft.prompt(request)]
        except ModelError:
            # Too long for the draft, or not in its template's reach: with no tokens it stays without a draft.
            return [*prompt, []]

    def _draft(self, vocabulary: int) -> Draft:
        from pilotfish.decode.speculative import CrossDraft, LookupDraft, ModelDraft
        from pilotfish.decode.vocabulary import first_difference

        if self.draft is None:
            return LookupDraft(self.max_ngram, ends=self.ends)
        if isinstance(self.draft, Layers):
            decoder = self.target.decoder(layers=self.draft.count)  # type: ignore[call-arg]
            name = f"{self.target.name}, {self.draft.count} layers"
            return ModelDraft(decoder, vocabulary, self.ends, name)
        small, own = self.draft.decoder(), self.draft.tokenizer
        if first_difference(self.tokenizer, own) is None:
            return ModelDraft(small, vocabulary, self.ends | self.draft.ends, self.draft.name)
        return CrossDraft(small, own, self.tokenizer, self.draft.ends, self.ends, self.draft.name)

    def _policy(self) -> Policy:
        from pilotfish.decode.speculative.policy import Auto, Fixed
        from pilotfish.decode.speculative.tree import Tree

        tree = None
        if isinstance(self.tree, int):
            tree = Tree(nodes=self.tree, depth=6 if self.length == "auto" else self.length)
        elif self.tree is not None:
            tree = Tree(tuple(self.tree))
        return Auto(tree=tree) if self.length == "auto" else Fixed(self.length, tree, baseline=True)
