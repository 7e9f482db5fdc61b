"""Alignment at inference: a small aligned model steers a large one that is left as it is.

Sources: nudging, Fei et al. 2025; reward-guided search, Khanov et al. 2024 (ARGS); weak-to-strong search, Zhou et al.
2024. The rules and strategies are in `decode.rules`, `decode.nudging`, `decode.reward` and `decode.search`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pilotfish.decode.lockstep_model import LockstepModel, named_parts
from pilotfish.decode.rules import nudging, reward_guided
from pilotfish.errors import ConfigError
from pilotfish.models.best_of import reward_of
from pilotfish.supervise._reward import Asked

if TYPE_CHECKING:
    from pilotfish.decode.decoder import Prompt
    from pilotfish.decode.reward import Reward
    from pilotfish.decode.strategy import Strategy
    from pilotfish.model import Request

__all__ = ["Nudged", "RewardGuided", "WeakToStrongSearch"]


class Nudged(LockstepModel):
    """A large base model that a small aligned one helps where it is unsure.

    Args:
        base: the large model.
        nudge: the small aligned one, with its own chat template.
        gamma: the top-1 probability below which the base is unsure; 0.4 in the paper for most pairs, 0.3 for some.
        unit: "word", what the paper does, for any two tokenizers; "token", for one vocabulary, which can be the target
            of draft-and-verify.
        system: system turns of their own, by role: "base", "nudging".
        name: the name in traces.
        settings: `max_tokens`, `max_rows` (see `LockstepModel`).

    Raises:
        ConfigError: a setting out of its range, or a model that is a black box.
    """

    def __init__(
        self,
        base: Any,
        nudge: Any,
        *,
        gamma: float = 0.4,
        unit: Literal["word", "token"] = "word",
        system: Mapping[str, str] | None = None,
        name: str = "nudged",
        **settings: Any,
    ) -> None:
        if not 0 <= gamma <= 1:
            raise ConfigError(f"{name}: gamma is a probability, not {gamma}")
        if unit not in ("word", "token"):
            raise ConfigError(f'{name}: unit is "word" or "token", not {unit!r}')
        self.gamma = gamma
        self.unit = unit
        if unit == "word":
            self.no_decoder = 'it hands over whole words; set unit = "token"'
        parts = named_parts([("base", base), ("nudging", nudge)], system, name)
        super().__init__(name, parts, partial(nudging, gamma=gamma), **settings)

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that end an answer: the base's; the nudging model's too where they share a vocabulary."""
        return super().ends if self.unit == "token" else self.parts[0].model.ends

    def _strategy_now(self) -> Strategy:
        if self.unit == "token":
            return super()._strategy_now()
        from pilotfish.decode.nudging import Nudging, Voice

        base, nudge = (
            Voice(part.decoder(), part.model.tokenizer, part.model.ends, part.model.name) for part in self.parts
        )
        return Nudging(base, nudge, self.gamma, name=self.name)


class RewardGuided(LockstepModel):
    """A model whose k likeliest tokens are chosen among by logit and reward (ARGS).

    Give either `reward`, or `tuned` and `reference` of the base's vocabulary: then the reward is what tuning did to the
    small model, and all three run in lockstep.

    Args:
        base: the large model.
        reward: a callable (prompt, answers so far) -> numbers, or a classifier model (`models.classify`): then the
            reward is its log-odds of `label` for the answer.
        label: see `reward`.
        tuned: a small aligned model.
        reference: the one it was tuned from.
        weight: how much the reward counts.
        k: how many candidates a token has; each costs the reward one text.
        system: system turns of their own, by role: "base", "tuned", "reference".
        name: the name in traces.
        settings: `max_tokens`, `max_rows` (see `LockstepModel`).

    Raises:
        ConfigError: both kinds of reward or none, a label that is not the classifier's, or a model that is a black box.
    """

    def __init__(
        self,
        base: Any,
        reward: Any = None,
        *,
        label: str | None = None,
        tuned: Any = None,
        reference: Any = None,
        weight: float = 1.0,
        k: int = 10,
        system: Mapping[str, str] | None = None,
        name: str = "reward-guided",
        **settings: Any,
    ) -> None:
        if (tuned is None) != (reference is None) or (reward is None) == (tuned is None):
            raise ConfigError(f"{name}: give a reward, or a tuned model and the reference it was tuned from")
        if k < 1:
            raise ConfigError(f"{name}: k must be at least 1, not {k}")
        self.weight = weight
        self.k = k
        self.reward: Reward | None = None
        self.reward_name = str(getattr(reward, "name", getattr(reward, "__name__", "reward")))
        models = [("base", base)]
        if reward is None:
            models += [("tuned", tuned), ("reference", reference)]
        else:
            self.reward = reward_of(reward, label, name)
            self.no_decoder = "its reward is of texts; give tuned and reference instead"
        rule = partial(reward_guided, weight=weight, k=k) if reward is None else _alone
        super().__init__(name, named_parts(models, system, name), rule, **settings)

    def prompt(self, request: Request) -> Prompt:
        """Return the parts' prompts; the last user turn goes with them, for the reward.

        Raises:
            ModelError: it does not fit one of them.
        """
        return Asked(super().prompt(request), request.prompt)

    def _strategy_now(self) -> Strategy:
        if self.reward is None:
            return super()._strategy_now()
        from pilotfish.decode.lockstep import Lockstep
        from pilotfish.decode.reward import RewardGuided as Guided

        (part,) = self.parts
        return Guided(
            Lockstep([part.decoder()], _alone, roles=["base"], names=[part.model.name]),
            self.reward,
            self.tokenizer,
            lambda prompt: prompt.question if isinstance(prompt, Asked) else "",
            weight=self.weight,
            k=self.k,
            name=self.reward_name,
        )


class WeakToStrongSearch(LockstepModel):
    """A large model's best continuations, judged chunk by chunk by what tuning did to a small model.

    Args:
        base: the large model, which is drawn from.
        tuned: a small aligned model; of any vocabulary.
        reference: the one it was tuned from.
        beams: W, how many continuations are kept.
        successors: K, how many of each are drawn.
        chunk: L, tokens between two selections; 0 for the whole answer: with beams = 1 that is best-of-N.
        temperature: where the request sets none; drawing is what there is to search through.
        system: system turns of their own, by role: "base", "tuned", "reference".
        name: the name in traces.
        settings: `max_tokens`, `max_rows` (see `LockstepModel`); a row is a whole search of W x K continuations.

    Raises:
        ConfigError: a number that is too small, or a model that is a black box.
    """

    def __init__(
        self,
        base: Any,
        tuned: Any,
        reference: Any,
        *,
        beams: int = 4,
        successors: int = 4,
        chunk: int = 5,
        temperature: float = 0.7,
        system: Mapping[str, str] | None = None,
        name: str = "weak-to-strong-search",
        **settings: Any,
    ) -> None:
        _check_search(beams, successors, chunk, name)
        self.beams = beams
        self.successors = successors
        self.chunk = chunk
        self.temperature = temperature
        self.no_decoder = "it searches, and has no distribution of a next token"
        parts = named_parts([("base", base), ("tuned", tuned), ("reference", reference)], system, name)
        super().__init__(name, parts, _alone, **{"max_rows": 4, **settings})

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that end an answer of the base."""
        return self.parts[0].model.ends

    def asked(self, request: Request) -> Request:
        """Return the request with the temperature, where it sets none."""
        return request if request.temperature is not None else request.with_(temperature=self.temperature)

    def _strategy_now(self) -> Strategy:
        from pilotfish.decode.lockstep import Lockstep
        from pilotfish.decode.retoken import text_of
        from pilotfish.decode.search import ChunkBeamSearch, Judge
        from pilotfish.decode.vocabulary import common_width, first_difference

        base, *small = (part.model for part in self.parts)
        decoders = [part.decoder() for part in self.parts]
        tokenizer = base.tokenizer
        width = decoders[0].vocabulary
        judges = []
        for model, decoder in zip(small, decoders[1:], strict=True):
            same = first_difference(tokenizer, model.tokenizer) is None
            if same:
                names = [base.name, model.name]
                width = min(width, common_width([tokenizer] * 2, [width, decoder.vocabulary], names))
            judges.append(Judge(decoder, model.name, None if same else model.tokenizer))
        return ChunkBeamSearch(
            Lockstep(decoders[:1], _alone, width=width),
            (judges[0], judges[1]),
            self.ends,
            beams=self.beams,
            successors=self.successors,
            chunk=self.chunk,
            base_name=base.name,
            text=partial(text_of, tokenizer),
            name=self.name,
        )


def _alone(logits: Any) -> Any:
    """The rule of one model: its logits as they are."""
    return logits[0]


def _check_search(beams: int, successors: int, chunk: int, name: str) -> None:
    if beams < 1 or successors < 1 or chunk < 0:
        raise ConfigError(
            f"{name}: beams and successors must be at least 1, chunk at least 0 (the whole answer); "
            f"not {beams}, {successors}, {chunk}"
        )
