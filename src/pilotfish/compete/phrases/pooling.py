"""How an encoder's states become one vector: of which tokens, of which layers; chosen by pairs that are kept back.

Sources: the mean of the last layer: Reimers and Gurevych 2019 (Sentence-BERT), section 3; the first and the last layer
together: Su et al. 2021 (Whitening Sentence Representations). Every way here is made of the library's own
parts, so what is saved is a folder that sentence-transformers loads without any code of ours.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pilotfish._extras import need
from pilotfish.compete.phrases.measured import by_kind, found_again
from pilotfish.compete.phrases.pair import Pair
from pilotfish.errors import ConfigError
from pilotfish.measure.intervals import Interval, bootstrap
from pilotfish.models._weights import identity_of
from pilotfish.models.encoder import Encoder

__all__ = ["POOLINGS", "Choice", "Pooling", "Repooled", "choose_pooling", "repooled"]

Pooling = Literal["own", "mean", "cls", "max", "first-last", "last-2", "last-4"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
_LAST = {"last-2": 2, "last-4": 4}


class Repooled(Encoder):
    """An encoder in memory that pools otherwise than its folder says; `model.save` makes a folder of it.

    Attributes:
        pooling: how.
        identity: what tells its vectors from another encoder's.
    """

    pooling: Pooling
    identity: str


@dataclass(frozen=True)
class Choice:
    """Which pooling finds a pair's other phrase best.

    Attributes:
        pooling: the best one; of equal ones the first.
        found: pooling -> the mean reciprocal rank of the other phrase, each kind of pairs counting alike.
        pairs: that it was measured on.
    """

    pooling: Pooling
    found: dict[str, Interval]
    pairs: int

    def __str__(self) -> str:
        told = ", ".join(f"{name} {one:.3f}" for name, one in self.found.items())
        return f"pooling {self.pooling} of {told} ({self.pairs:,} pairs)"


def repooled(encoder: Encoder, pooling: Pooling) -> Encoder:
    """Return a copy of an encoder that pools otherwise, its vectors of length one; for "own" the encoder itself.

    Args:
        encoder: stays as it is.
        pooling: "own" as its folder says; of the last layer's tokens the "mean", the "max" of each dimension, or the
            first one ("cls"); or the mean over the tokens of the last 2 or 4 layers, or of the first and the last one.

    Raises:
        ConfigError: another pooling, or fewer layers than it takes.
    """
    if pooling not in POOLINGS:
        raise ConfigError(f"pooling is one of {', '.join(POOLINGS)}, not {pooling!r}")
    if pooling == "own":
        return encoder
    library = need("sentence_transformers", "local")
    kinds = need("sentence_transformers.models", "local")
    plain = encoder.load().copied()
    reader = plain.model[0]
    width = int(reader.auto_model.config.hidden_size)
    parts: list[Any] = [reader]
    if pooling in ("first-last", *_LAST):
        parts.append(_layers(reader, width, pooling, encoder.name))
    mode = pooling if pooling in ("cls", "max") else "mean"
    parts += [kinds.Pooling(width, mode), kinds.Normalize()]
    model = library.SentenceTransformer(modules=parts, device=str(plain.model.device))
    model.max_seq_length = encoder.model.max_seq_length
    found = copy.copy(plain)
    found.__class__ = Repooled
    assert isinstance(found, Repooled)
    found._model = model.eval()
    found.pooling, found.identity = pooling, f"{identity_of(encoder.weights)} {pooling}"
    # No weights of that name are there: who wants it again by its name is told so, and is not given the other pooling.
    found.name, found.weights = f"{encoder.name}, {pooling}", f"{encoder.weights} pooled by {pooling}"
    return found


def _layers(reader: Any, width: int, pooling: str, name: str) -> Any:
    """Return what averages layers before the tokens are pooled; the reader is told to give them all."""
    torch = need("torch", "local")
    kinds = need("sentence_transformers.models", "local")
    count = int(reader.auto_model.config.num_hidden_layers)
    if count < _LAST.get(pooling, 1):
        raise ConfigError(f"{name} has {count} layers; pooling {pooling!r} takes {_LAST[pooling]}")
    reader.auto_model.config.output_hidden_states = True
    # Of the states the embeddings are the first, then each layer's.
    start = 1 if pooling == "first-last" else count + 1 - _LAST[pooling]
    weights = torch.ones(count + 1 - start)
    if pooling == "first-last":
        weights[1:-1] = 0.0
    return kinds.WeightedLayerPooling(width, count, start, torch.nn.Parameter(weights, requires_grad=False))


def choose_pooling(
    encoder: Encoder, pairs: Sequence[Pair], poolings: Sequence[Pooling] = POOLINGS, *, seed: int = 0
) -> Choice:
    """Return which pooling is best on pairs that nothing else is measured on.

    Args:
        encoder: stays as it is.
        pairs: that are near; all their other phrases are what each is to be told from.
        poolings: to choose from; those that take more layers than there are, are left out.
        seed: of the intervals.

    Raises:
        ConfigError: no pooling, or an unknown one.
        DataError: no pairs.
    """
    layers = int(encoder.model[0].auto_model.config.num_hidden_layers)
    some = [one for one in poolings if _LAST.get(one, 0) <= layers]
    if not some:
        raise ConfigError("there is no pooling to choose from")
    found: dict[str, Interval] = {}
    for name in some:
        rows = found_again(repooled(encoder, name), pairs)
        found[name] = bootstrap(rows, by_kind, strata=rows[:, 1], seed=seed, method="percentile", resamples=2000)
    best = max(some, key=lambda name: (found[name].value, -some.index(name)))
    return Choice(best, found, len(pairs))
