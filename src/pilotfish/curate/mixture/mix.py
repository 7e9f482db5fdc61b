"""Weights of domains by small models: taught on random mixtures, predicted, recommended, and proved.

Sources: Liu et al. 2024 (RegMix); Xie et al. 2023 (DoReMi), which asks the same of small models by another way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pilotfish.curate._trials import Trials
from pilotfish.curate.mixture.law import Law, mixtures
from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.intervals import Interval, drawn_again
from pilotfish.rows._row import Row

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog
    from pilotfish.train.settings import Fit

__all__ = ["Mixture", "mix"]

REPORT = "mixture.json"


@dataclass(frozen=True)
class Mixture:
    """Which mixture is recommended, and what speaks for it.

    Attributes:
        folder: where it is.
        domains: in the order of the weights.
        natural: the domains' own shares of characters.
        weights: domain -> the share that is recommended; the domain's own where no law was found.
        law: "linear" or "quadratic"; "constant" where the losses follow none.
        mistake: of the law on mixtures left out, root mean square, nats a token; and that without any law.
        rank: rank correlation of its predictions for mixtures left out with their losses.
        predicted: nats a token of the recommended mixture, and of the natural one.
        tried: mixtures that small models were taught on.
        gain: how much lower the recommended mixture's loss is than the natural one's, of trainings of their own;
            None where none were asked for.
    """

    folder: str
    domains: list[str]
    natural: dict[str, float]
    weights: dict[str, float]
    law: str
    mistake: tuple[float, float]
    rank: float | None
    predicted: tuple[float, float]
    tried: int
    gain: Interval | None

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Mixture:
        """Read what `to_json` gave."""
        gain = None if told["gain"] is None else Interval(**told["gain"])
        pairs = {name: tuple(told[name]) for name in ("mistake", "predicted")}
        return cls(**{**told, **pairs, "gain": gain})

    def __str__(self) -> str:
        told = ", ".join(f"{name} {share:.3f} ({self.natural[name]:.3f})" for name, share in self.weights.items())
        told += f"; {self.tried} mixtures tried, a {self.law} law"
        if self.law == "constant":
            return f"{told}: the losses follow the weights in no way that was found; the shares stay as they are"
        told += f" is off by {self.mistake[0]:.4f} nats a token ({self.mistake[1]:.4f} without it)"
        if self.gain is None:
            return told
        return f"{told}; its loss lies {self.gain:+.4f} below that of the domains' own shares"


def mix(
    domains: Mapping[str, Sequence[str]],
    test: Sequence[str],
    student: str | Path,
    out: str | Path,
    *,
    tried: int = 32,
    fit: Fit,
    spread: float = 1.0,
    seeds: Sequence[int] = (0, 1, 2),
    seed: int = 0,
    length: int = 512,
    device: str = "auto",
    catalog: Catalog | None = None,
    progress: bool = True,
) -> Mixture:
    """Find the mixture of domains that teaches a small model the most of what a test shows.

    A stopped run goes on; trainings that have ended are kept.

    Args:
        domains: name -> texts.
        test: texts of what is wanted, which no domain may hold.
        student: the weights that each training begins with.
        out: the folder.
        tried: mixtures, a training each.
        fit: how to train; `steps` says for how long.
        spread: how far mixtures lie about the domains' own shares; less is farther.
        seeds: of the trainings that prove the recommended mixture; none for no proof.
        seed: of the draws.
        length: tokens of an example at most.
        device: "auto", "cpu", "cuda", "mps".
        catalog: where names are looked up.
        progress: show bars.

    Raises:
        ConfigError: fewer than two domains, or no `steps`.
        DataError: an empty domain, or tested texts in one.
    """
    from pilotfish.models._weights import identity_of
    from pilotfish.train.folder import digest, finished, settled, write_report

    if len(domains) < 2:
        raise ConfigError(f"a mixture is of two domains or more, not {len(domains)}")
    if fit.steps is None:
        raise ConfigError("say how long each mixture is learnt: fit.steps; so all learn from as many tokens")
    if tried < 4:
        raise ConfigError(f"a law needs four mixtures or more, not {tried}")
    names, folder = list(domains), Path(out)
    held = {name: [text for text in texts if text.strip()] for name, texts in domains.items()}
    known = {text.strip() for text in test}
    for name, texts in held.items():
        if not texts:
            raise DataError(f"the domain {name!r} has no texts")
        shared = sum(text.strip() in known for text in texts)
        if shared:
            raise DataError(f"{shared:,} texts of the domain {name!r} are tested ones: decontaminate first")
    told = [settled(fit), tried, spread, list(seeds), seed, length, identity_of(student), names]
    everything = (text for texts in [*held.values(), list(test)] for text in texts)
    identity = digest(told, everything)
    done = finished(folder, REPORT, identity, ("runs",))
    if done is not None:
        return Mixture.from_json(done)
    sizes = np.array([sum(map(len, texts)) for texts in held.values()], dtype=np.float64)
    natural = sizes / sizes.sum()
    runs = Trials(student, folder / "runs", identity, fit, "text", None, length, device, catalog, progress)
    asked: list[Row] = [{"text": text} for text in test]
    budget = 8 * fit.steps * fit.batch_tokens * fit.accumulate  # characters: more than the tokens that are learnt

    def loss(name: str, weights: NDArray[np.float64], number: int) -> NDArray[np.float64]:
        rows = _drawn(held, weights, budget, [seed, number])
        return runs.taught(name, rows, asked, number)[0]

    drawn = mixtures(natural, tried, spread=spread, seed=seed)
    tables = [loss(f"mixture-{i}", weights, i) for i, weights in enumerate(drawn)]
    losses = np.array([table[:, 0].sum() / table[:, 1].sum() for table in tables])
    law = Law().fit(drawn, losses)
    best = natural if law.kind_ == "constant" else law.recommend(natural, spread=spread, seed=seed)
    gain = None
    if len(seeds) and law.kind_ != "constant":
        ours = [loss(f"recommended-{one}", best, 10_000 + one) for one in seeds]
        base = [loss(f"natural-{one}", natural, 10_000 + one) for one in seeds]
        both = np.stack([np.stack(ours), np.stack(base)], axis=-1)
        gain = drawn_again(
            both, lambda each: float((each[..., 0, 1].sum() - each[..., 0, 0].sum()) / each[..., 1, 0].sum())
        )
    report = Mixture(
        folder=str(folder),
        domains=names,
        natural=dict(zip(names, natural.tolist(), strict=True)),
        weights=dict(zip(names, best.tolist(), strict=True)),
        law=law.kind_,
        mistake=(law.mistake_, law.mistakes_["constant"]),
        rank=None if np.isnan(law.rank_) else law.rank_,
        predicted=(float(law.predict(best)[0]), float(law.predict(natural)[0])),
        tried=tried,
        gain=gain,
    )
    write_report(folder, REPORT, identity, report.to_json())
    return report


def _drawn(
    held: Mapping[str, Sequence[str]], weights: NDArray[np.float64], budget: int, seed: Sequence[int]
) -> list[Row]:
    """Return texts of about so many characters, each domain with its share; a domain that is too small comes again."""
    random = np.random.default_rng(list(seed))
    rows: list[Row] = []
    for (_, texts), share in zip(held.items(), weights, strict=True):
        left = share * budget
        while left > 0:
            for i in random.permutation(len(texts)):
                if left <= 0:
                    break
                # The last one of a domain is taken by chance, so that shares below one text are right on average.
                if left < len(texts[int(i)]) and random.random() > left / len(texts[int(i)]):
                    left = 0
                    break
                rows.append({"text": texts[int(i)]})
                left -= len(texts[int(i)])
    found: list[Row] = [rows[int(i)] for i in random.permutation(len(rows))]
    return found
