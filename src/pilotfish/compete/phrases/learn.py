"""A small encoder is taught a user's phrases: pairs that are near are drawn together, all others pushed apart.

Sources: Wang et al. 2021 (Phrase-BERT), section 3; Chen et al. 2024 (PEARL), section 3: contrastive pairs, types as a
second task; the weights between the old and the new encoder: Wortsman et al. 2022 (Robust fine-tuning of zero-shot
models). Which of them is kept is decided on pairs that nothing was learnt from, and
what it is worth is measured on further ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.compete.phrases.characters import WithCharacters, choose_share
from pilotfish.compete.phrases.losses import Known, held_out_loss, pair_loss, shape_of, type_loss
from pilotfish.compete.phrases.measured import by_kind, found_again
from pilotfish.compete.phrases.pair import Pair, distinct, normal
from pilotfish.compete.phrases.parts import parts_of
from pilotfish.compete.phrases.pooling import Repooled
from pilotfish.compete.phrases.taught import FILE, FORMAT, Taught
from pilotfish.errors import ConfigError
from pilotfish.measure.intervals import bootstrap, paired_bootstrap
from pilotfish.models._weights import identity_of
from pilotfish.models.encoder import Encoder
from pilotfish.train.encoding import ScaledHead, train
from pilotfish.train.folder import digest
from pilotfish.train.kept import keep_encoder
from pilotfish.train.settings import Fit

__all__ = ["FIT", "PhraseLearner", "between"]

FIT = Fit(epochs=2, batch_tokens=2048, rate=3e-5, decay=0.01, dtype="float32", evaluate_every=20, patience=4)
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
Types = Mapping[str, str] | Literal["shape"] | None


class PhraseLearner:
    """Teaches an encoder which phrases are near.

    Args:
        encoder: what to start from, pooled as it is to be (`repooled`). It stays as it is.
        how: how to train; a pass's pairs are each other's negatives, so `batch_tokens` is how many there are. With a
            rank by adapters. `patience` counts looks at the validation pairs.
        temperature: of the softmax over cosines.
        types: phrase -> its type, a second task; "shape" takes those that its letters tell; None has no such task.
        type_weight: of the second task's loss.
        shares: of the tuned weights in those that are kept, to choose from.
        characters: what the cosine of characters counts beside the encoder's, to choose from; see `WithCharacters`.
        held_out: the share of pairs that is kept back to validate on, and as many again to measure on.
        folder: of checkpoints, so that a killed training of the same pairs goes on; None keeps none.

    Attributes:
        encoder_: taught, without characters.
        vectors_: the encoder, with characters where they help.
        report_: what it learnt from.

    Raises:
        ConfigError: a setting out of range.
    """

    encoder_: Encoder
    vectors_: Encoder | WithCharacters
    report_: Taught

    def __init__(
        self,
        encoder: Encoder,
        how: Fit = FIT,
        *,
        temperature: float = 0.05,
        types: Types = None,
        type_weight: float = 0.1,
        shares: Sequence[float] = SHARES,
        characters: Sequence[float] = (0.0,),
        held_out: float = 0.1,
        folder: str | Path | None = None,
    ) -> None:
        if not temperature > 0 or type_weight < 0 or not 0 < held_out < 0.5:
            raise ConfigError("the temperature is above 0, type_weight 0 or more, and held_out above 0 and below 0.5")
        if not shares or min(shares) < 0 or max(shares) > 1:
            raise ConfigError(f"shares of the tuned weights are 0 to 1, one or more, not {list(shares)}")
        self.encoder, self.how, self.temperature, self.types = encoder, how, temperature, types
        self.type_weight, self.shares, self.held_out = type_weight, tuple(sorted(shares)), held_out
        self.characters, self.folder = tuple(characters), folder

    def fit(self, pairs: Sequence[Pair], *, progress: bool = False) -> Self:
        """Learn from pairs.

        Raises:
            DataError: too few pairs to learn from and to keep some back.
            ModelError: the loss is not finite.
        """
        pairs = distinct(pairs)
        parts = parts_of(pairs, self.held_out, self.how.seed)
        encoder = self.encoder.load().copied()
        steps, best = self._learn(encoder, pairs, parts, progress)
        validation, test = ([pairs[i] for i in parts[name]] for name in ("validation", "test"))
        found = {
            share: held_out_loss(between(self.encoder, encoder, share), validation, self.temperature)
            for share in self.shares
        }
        share = min(found, key=lambda one: (found[one], one))
        kept = between(self.encoder, encoder, share)
        beside, _ = choose_share(kept, validation, self.characters)
        vectors = WithCharacters(kept, beside) if beside else kept
        was, now = found_again(self.encoder, test), found_again(vectors, test)
        how: Any = {"strata": was[:, 1], "seed": self.how.seed, "method": "percentile", "resamples": 2000}
        # No folder has these weights yet: asked for by their name they are missed, and not taken for the old ones.
        told = [self.encoder.weights, asdict(self.how), share, steps, best]
        name = digest(told, [text for one in pairs for text in (one.a, one.b)])[:12]
        kept.weights = f"{self.encoder.weights}, taught {name}"
        if isinstance(kept, Repooled):
            kept.identity = kept.weights
        self.encoder_, self.vectors_ = kept, vectors
        self.report_ = Taught(
            len(parts["train"]),
            dict(Counter(pairs[i].kind for i in parts["train"])),
            len(validation),
            len(test),
            len(pairs) - sum(map(len, parts.values())),
            bootstrap(was, by_kind, **how),
            bootstrap(now, by_kind, **how),
            paired_bootstrap(now, was, by_kind, **how),
            share,
            {f"{one:g}": value for one, value in found.items()},
            steps,
            best,
            beside,
        )
        return self

    def _learn(
        self, encoder: Encoder, pairs: Sequence[Pair], parts: Mapping[str, NDArray[np.int64]], progress: bool
    ) -> tuple[int, int]:
        """Train in place; return the steps taken, and the best one."""
        torch = need("torch", "train")
        device = encoder.model.device
        names, types = self._types(pairs)
        known = Known(pairs)
        width = encoder.dimension
        given = torch.tensor(types, device=device)

        def loss(found: Any, rows: Any, counted: Any) -> Any:
            left_out = torch.from_numpy(known.left_out(rows.tolist())).to(found.device)
            each = pair_loss(found[..., :width], left_out, self.temperature)
            if names:
                each = each + self.type_weight * type_loss(found[..., width:], given[rows])
            return (each * counted).sum()

        texts = [(pair.a, pair.b) for pair in pairs]
        weights = np.zeros(len(pairs))
        weights[parts["train"]] = weights[parts["validation"]] = 1.0
        told = [asdict(self.how), self.temperature, self.type_weight, self.held_out, names, types.tolist()]
        own = getattr(self.encoder, "identity", None) or identity_of(self.encoder.weights)
        identity = digest([*told, own], [text for pair in texts for text in pair])
        folder = None if self.folder is None else Path(self.folder) / identity[:16]
        fitted = train(
            encoder,
            _head(width, len(names), self.how.seed),
            texts,
            weights,
            loss,
            self.how,
            folder,
            identity,
            held_out=parts["validation"].tolist(),
            progress=progress,
        )
        encoder.model.eval()
        return fitted.steps, fitted.best

    def _types(self, pairs: Sequence[Pair]) -> tuple[list[str], NDArray[np.int64]]:
        """Return the types' names, and each end's number, (pairs, 2), -1 where it has none."""
        of: Callable[[str], str | None]
        if self.types is None:
            return [], np.full((len(pairs), 2), -1)
        if self.types == "shape":
            of = shape_of
        else:
            known = {normal(phrase): name for phrase, name in dict(self.types).items()}
            of = lambda phrase: known.get(normal(phrase))  # noqa: E731
        # A sentence has no type of its own.
        ends = [(of(pair.a), None if pair.kind == "sentence" else of(pair.b)) for pair in pairs]
        names = sorted({name for both in ends for name in both if name is not None})
        numbers = {name: number for number, name in enumerate(names)}
        found = [[-1 if name is None else numbers[name] for name in both] for both in ends]
        # One type says nothing.
        return (names, np.array(found)) if len(names) > 1 else ([], np.full((len(pairs), 2), -1))

    def save(self, folder: str | Path) -> None:
        """Write the encoder into `encoder` there, a plain folder, and what it learnt; the facts go first and last."""
        keep_encoder(folder, FILE, self.encoder_, {"format": FORMAT, "report": self.report_.to_json()})


def between(old: Encoder, new: Encoder, share: float) -> Encoder:
    """Return an encoder with the weighted mean of two encoders' weights, `share` of the new ones; both stay."""
    found = old.copied()
    ours, theirs = found.model.state_dict(), new.model.state_dict()
    for name, value in ours.items():
        if value.is_floating_point():
            value.lerp_(theirs[name].to(value.device, value.dtype), share)
    found.model.eval()
    return found


def _head(width: int, types: int, seed: int) -> Any:
    """Return what gives a vector as it is, and the logits of its type behind it."""
    torch = need("torch", "train")
    if not types:
        return torch.nn.Identity()
    head = ScaledHead(width, types, 30.0, seed).module

    class Beside(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.head = head

        def forward(self, vectors: Any) -> Any:
            return torch.cat([vectors, self.head(vectors)], dim=-1)

    return Beside()
