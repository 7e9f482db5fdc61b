"""What a phrase encoder learnt, and the folder that keeps it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish._saved import facts_in, reading
from pilotfish.compete.phrases.characters import WithCharacters
from pilotfish.measure.intervals import Interval
from pilotfish.models.encoder import Encoder
from pilotfish.train.kept import FOLDER

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog

__all__ = ["FILE", "FORMAT", "Taught", "taught_encoder"]

FILE, FORMAT = "phrases.json", 1


@dataclass(frozen=True)
class Taught:
    """What an encoder learnt from, and what that was worth.

    Attributes:
        pairs: that it learnt from.
        kinds: how many of which kind.
        validation: other pairs, by which it stopped and the share was chosen.
        test: further ones, by which it is measured.
        left_out: pairs that were none of them, since they share a phrase with one that is kept back.
        before, after: the mean reciprocal rank at which a test pair's phrase finds the other, each kind of pairs
            counting alike; `gain`: paired.
        share: of the tuned weights in those that are kept; 0 kept the encoder as it was.
        shares: share -> the contrastive loss of the validation pairs, by which it was chosen.
        characters: what the cosine of characters counts beside the encoder's, chosen on them by the measure; 0 is none.
        steps: that were taken, and `best`: the one whose weights were.
    """

    pairs: int
    kinds: dict[str, int]
    validation: int
    test: int
    left_out: int
    before: Interval
    after: Interval
    gain: Interval
    share: float
    shares: dict[str, float]
    steps: int
    best: int
    characters: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Taught:
        """Read what `to_json` gave."""
        return cls(**{**told, **{name: Interval(**told[name]) for name in ("before", "after", "gain")}})

    def __str__(self) -> str:
        return (
            f"{self.pairs:,} pairs, {self.steps:,} steps, of the tuned weights {self.share:.0%}; of {self.test:,} "
            f"others a phrase finds its partner at a reciprocal rank of {self.before.value:.3f} -> "
            f"{self.after.value:.3f} (gain {self.gain.value:+.3f} [{self.gain.low:+.3f}, {self.gain.high:+.3f}])"
        )


def taught_encoder(folder: str | Path, catalog: Catalog | None = None) -> tuple[Encoder | WithCharacters, Taught]:
    """Return the encoder that `PhraseLearner.save` wrote, with its characters where it has any, and what it learnt.

    Raises:
        ModelError: the folder holds none, or a damaged one.
    """
    folder = Path(folder)
    with reading(folder, "phrase encoder"):
        told = facts_in(folder / FILE, "phrase encoder", FORMAT)
        report = Taught.from_json(told["report"])
    encoder = Encoder(folder / FOLDER, name=told["name"], catalog=catalog)
    return (WithCharacters(encoder, report.characters) if report.characters else encoder), report
