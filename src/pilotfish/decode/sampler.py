"""One row's way from logits to its next token: penalties, constraint, temperature, truncation, draw.

The order is: the row's own rule (`extra`), repetition penalty, presence and frequency penalties, bias, constraint,
temperature, top-k, top-p, min-p. A row draws from a generator of its own, so its tokens do not depend on what else is
in the batch.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from pilotfish.decode._penalties import Counts
from pilotfish.decode._truncate import kept
from pilotfish.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from pilotfish.decode.constraint import Constraint

__all__ = ["Sampler", "Sampling", "choose_each"]

# Below this a draw is the likeliest token anyway, and dividing by it overflows.
COLDEST = 1e-4


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen. The defaults are greedy.

    Attributes:
        temperature: 0 (below 0.0001) takes the likeliest token, the lowest id among equals.
        top_k: how many of the likeliest tokens may be drawn; 0 for all.
        top_p: the nucleus' probability; 1 for all.
        min_p: the least probability, as a share of the likeliest token's.
        repetition_penalty: divides positive and multiplies negative logits of tokens in the prompt or the answer
            (Keskar et al. 2019, section 4.1).
        presence_penalty: taken off the logit of every token that is in the answer (OpenAI).
        frequency_penalty: taken off once for each time the token is in the answer (OpenAI).
        seed: of the row's generator; None takes one at random.
        logit_bias: added to the logits of these token ids; -inf or -100 forbid in practice.

    Raises:
        ConfigError: a setting is out of its range.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    logit_bias: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, low, high in (
            ("temperature", 0.0, math.inf),
            ("top_k", 0, math.inf),
            ("top_p", 0.0, 1.0),
            ("min_p", 0.0, 1.0),
            ("presence_penalty", -math.inf, math.inf),
            ("frequency_penalty", -math.inf, math.inf),
        ):
            value = getattr(self, name)
            if not low <= value <= high or math.isinf(value):
                least = f"{name} must be a number" if low == -math.inf else f"{name} must be at least {low:g}"
                raise ConfigError(f"{least}{'' if high == math.inf else f' and at most {high:g}'}, not {value}")
        if not (0 < self.repetition_penalty < math.inf):
            raise ConfigError(f"repetition_penalty must be above 0, not {self.repetition_penalty}")

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is taken, nothing drawn."""
        return self.temperature < COLDEST


class Sampler:
    """One row's history, generator and constraint. Nothing here is shared with other rows.

    Args:
        sampling: the settings.
        vocabulary: how many logits there are.
        prompt_ids: the prompt's tokens, which only the repetition penalty looks at.
        constraint: what may be said next; it moves with `accept`.
        device: where the logits are.
        sample: added to the seed, so that several answers to one request differ.

    Attributes:
        extra: a rule that depends on the answer so far, applied first: given its tokens (those ahead included) and the
            raw logits (vocabulary,), it returns logits. It must not change what it is given.
        tokens: the answer so far: what was accepted.
    """

    def __init__(
        self,
        sampling: Sampling,
        vocabulary: int,
        prompt_ids: Sequence[int] = (),
        constraint: Constraint | None = None,
        device: Any = "cpu",
        sample: int = 0,
    ) -> None:
        for token in sampling.logit_bias:
            if not 0 <= token < vocabulary:
                raise ConfigError(f"logit_bias: no token {token}; this model has tokens 0 to {vocabulary - 1}")
        self.sampling = sampling
        self.vocabulary = vocabulary
        self.constraint = constraint
        device = _exact(device)
        self.extra: Callable[[list[int], torch.Tensor], torch.Tensor] | None = None
        self.tokens: list[int] = []
        self._generator = torch.Generator()
        if sampling.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed((sampling.seed + sample) % 2**63)
        self._said = Counts(device=device) if sampling.presence_penalty or sampling.frequency_penalty else None
        self._seen = Counts(prompt_ids, device) if sampling.repetition_penalty != 1 else None
        self._bias: tuple[torch.Tensor, torch.Tensor] | None = None
        if sampling.logit_bias:
            ids, values = list(sampling.logit_bias), list(sampling.logit_bias.values())
            self._bias = torch.tensor(ids, device=device), torch.tensor(values, dtype=torch.float32, device=device)

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is taken, nothing drawn."""
        return self.sampling.greedy

    @property
    def bare(self) -> bool:
        """Whether nothing is done to the logits before temperature and truncation."""
        return self.extra is None and self.constraint is None and not self._penalised

    @property
    def _penalised(self) -> bool:
        return self._said is not None or self._seen is not None or self._bias is not None

    def logprobs(self, logits: torch.Tensor, ahead: Sequence[int] = ()) -> torch.Tensor:
        """Return the log-probabilities that tokens are drawn from: (n, vocabulary) from raw logits (n, vocabulary).

        Row i stands after the history and `ahead[: len(ahead) - n + 1 + i]`, so the last row stands after all of
        `ahead`. Tokens that cannot be drawn have -inf. Greedy: 0 for the likeliest token, -inf for the others.

        Raises:
            ModelError: a logit is not a number, or the constraint allows no token.
        """
        processed = self._processed(logits, ahead)
        out = torch.full_like(processed, -math.inf)
        if self.greedy:
            ids = _likeliest(processed)
            out[torch.arange(len(ids), device=out.device), ids] = 0.0
            return out
        for row, into in zip(processed, out, strict=True):
            ids, values = self._kept(row)
            if ids is None:
                into.copy_(values)
            else:
                into[ids] = values
        return out

    def choose(self, logits: torch.Tensor, ahead: Sequence[int] = ()) -> list[int]:
        """Return one token a row of raw logits (n, vocabulary); rows stand where `logprobs` says.

        Raises:
            ModelError: a logit is not a number, or the constraint allows no token.
        """
        processed = self._processed(logits, ahead)
        if self.greedy:
            return list(_likeliest(processed).tolist())
        chosen = []
        for row in processed:
            ids, values = self._kept(row)
            at = self.draw(values)
            chosen.append(at if ids is None else int(ids[at]))
        return chosen

    def draw(self, logprobs: torch.Tensor) -> int:
        """Return the index drawn from log-probabilities (n,); -inf is never drawn. One uniform number a draw.

        Raises:
            ModelError: none has a probability.
        """
        # The cumulative distribution inverted at that number; in float64, since it may have 150,000 steps.
        reached = logprobs.double().exp().cumsum(-1)
        total = float(reached[-1])
        if not total > 0:
            raise ModelError("no token can be drawn: none has a probability")
        at = int(torch.searchsorted(reached, self.uniform() * total, right=True))
        if at == len(reached):  # the product was rounded up to the total: the last token that has a probability
            at = int(torch.searchsorted(reached, total))
        return at

    def uniform(self) -> float:
        """Return a number drawn evenly from [0, 1)."""
        return float(torch.rand((), generator=self._generator, dtype=torch.float64))

    def accept(self, tokens: Sequence[int]) -> None:
        """Add tokens to the history, and move the constraint on.

        Raises:
            ModelError: the constraint does not allow them.
        """
        if self.constraint is not None:
            self.constraint.accept(tokens)
        self.tokens.extend(tokens)
        for token in tokens:
            self._push(token)

    def fork(self, sample: int | None = None) -> Sampler:
        """Return an independent copy that will draw what this one would; another `sample` draws differently."""
        made = Sampler.__new__(Sampler)
        made.__dict__.update(self.__dict__)
        made.tokens = list(self.tokens)
        made.constraint = None if self.constraint is None else self.constraint.fork()
        made._said = None if self._said is None else self._said.copy()
        made._seen = None if self._seen is None else self._seen.copy()
        made._generator = torch.Generator()
        made._generator.set_state(self._generator.get_state())
        if sample is not None:
            # A number of this row's own stream, moved on by the sample: no two forks of any rows share a stream.
            start = int(torch.randint(2**62, (), generator=made._generator))
            made._generator.manual_seed((start + sample) % 2**63)
        return made

    # The way there.

    def _processed(self, logits: torch.Tensor, ahead: Sequence[int]) -> torch.Tensor:
        """Return logits with everything that comes before the temperature done to them."""
        logits = logits.to(_exact(logits.device)).float()
        if self.bare:
            return logits
        first = len(ahead) - len(logits) + 1
        if self.extra is not None:
            history = [*self.tokens, *ahead]
            until = len(self.tokens) + first
            rule = self.extra
            logits = torch.stack([rule(history[: until + i], row) for i, row in enumerate(logits)])
        elif self._penalised:
            logits = logits.clone()
        if self._penalised:
            for token in ahead[:first]:
                self._push(token)
            for i, row in enumerate(logits):
                if i:
                    self._push(ahead[first + i - 1])
                self._penalise(row)
            for token in reversed(ahead):
                self._pop(token)
        if self.constraint is not None:
            allowed = self.constraint.allowed(ahead, len(logits), logits.shape[-1]).to(logits.device)
            logits = logits.masked_fill(~allowed, -math.inf)
        return logits

    def _penalise(self, row: torch.Tensor) -> None:
        """Change one row (vocabulary,) in place."""
        settings = self.sampling
        if self._seen is not None and len(self._seen):
            ids = self._seen.ids
            was = row[ids]
            row[ids] = torch.where(was > 0, was / settings.repetition_penalty, was * settings.repetition_penalty)
        if self._said is not None and len(self._said):
            row[self._said.ids] -= settings.presence_penalty + settings.frequency_penalty * self._said.counts
        if self._bias is not None:
            row[self._bias[0]] += self._bias[1]

    def _push(self, token: int) -> None:
        for counts in (self._said, self._seen):
            if counts is not None:
                counts.add(token)

    def _pop(self, token: int) -> None:
        for counts in (self._said, self._seen):
            if counts is not None:
                counts.pop(token)

    def _kept(self, row: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor]:
        _check(row.max())
        return kept(row, self.sampling)


def _exact(device: Any) -> Any:
    """Return where rows are sampled: on the logits' own device, but for those that have no float64 (Apple's)."""
    return "cpu" if torch.device(device).type == "mps" else device


def choose_each(samplers: Sequence[Sampler], logits: Sequence[torch.Tensor]) -> list[int | Exception]:
    """Return one token for each sampler from its raw logits (vocabulary,), or the error that its row alone met."""
    if len(samplers) > 1 and logits[0].device.type != "cpu" and all(s.greedy and s.bare for s in samplers):
        # One kernel and one wait for the device instead of one a row; on a CPU the copy would cost more.
        with contextlib.suppress(ModelError):
            return list(_likeliest(torch.stack(list(logits))).tolist())
    chosen: list[int | Exception] = []
    for sampler, row in zip(samplers, logits, strict=True):
        try:
            chosen.append(sampler.choose(row[None])[0])
        except Exception as error:  # of one row's constraint or rule: the others go on
            chosen.append(error)
    return chosen


def _likeliest(logits: torch.Tensor) -> torch.Tensor:
    """Return the first index of each row's maximum (rows,)."""
    ids = logits.argmax(dim=-1)
    for most in logits.gather(-1, ids[:, None])[:, 0].tolist():
        _check(most)
    return ids


def _check(most: Any) -> None:
    """Refuse a row by its maximum, which is NaN where any logit is."""
    if math.isnan(most):
        raise ModelError("a logit is not a number (NaN): the weights are damaged or overflow in this dtype")
    if most == math.inf:
        raise ModelError("a logit is infinite: the weights are damaged or overflow in this dtype")
    if most == -math.inf:
        raise ModelError("no token may come next: all are forbidden")
