"""Make a small model an expert: fine-tune it on a domain's texts, so that it can steer a larger frozen one.

An expert and the model it came from (the anti-expert) are what proxy-tuning needs (Liu et al. 2024, "Tuning Language
Models by Proxy", section 2). By default low-rank adapters are trained (Hu et al. 2022, LoRA) and merged at the end, so
the result is a plain folder of weights that any engine loads.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.intervals import Interval, bootstrap
from pilotfish.model import Request
from pilotfish.models.local import LocalModel
from pilotfish.rows.split import split
from pilotfish.train.examples import Example, answered, pieces
from pilotfish.train.folder import digest, finished, settled, write_report
from pilotfish.train.plan import planned
from pilotfish.train.processes import is_main
from pilotfish.train.settings import Fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.catalog import Catalog

__all__ = ["TuneReport", "Tuning", "parted", "perplexity", "tune"]

_Text = TypeVar("_Text", str, tuple[str, str])

REPORT = "pilotfish-tuning.json"
RUN = "run"  # a folder in the result's own: the log stays, the checkpoints go when the run has ended


@dataclass(frozen=True)
class Tuning:
    """How an expert is trained.

    Args:
        rank: of the low-rank adapters on every linear layer; 0 trains all weights (in float32).
        scale: the adapters' alpha; their update counts alpha / rank.
        rate: the highest learning rate; it rises over the first `warmup` share of steps, then falls as a cosine.
        epochs: how often each training text is seen.
        batch_tokens: the most tokens in one step, padding included.
        length: texts are cut into pieces of at most so many tokens.
        max_tokens: stop after about so many training tokens; None trains on all.
        held_out: the share of texts kept for the perplexity before and after, split off first.
        clip: the largest norm of a gradient.
        decay: weight decay (Loshchilov and Hutter 2019).
        every: a checkpoint is written after so many steps.
        seed: of the split, the order and the adapters' first values.
    """

    rank: int = 16
    scale: float = 32.0
    rate: float = 2e-4
    epochs: int = 1
    batch_tokens: int = 2048
    length: int = 512
    max_tokens: int | None = None
    held_out: float = 0.1
    warmup: float = 0.1
    clip: float = 1.0
    decay: float = 0.0
    every: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_tokens", "length", "every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.rank < 0:
            raise ConfigError(f"rank must be 0 (all weights) or more, not {self.rank}")
        if not 0 < self.held_out < 1:
            raise ConfigError(f"held_out is a share between 0 and 1, not {self.held_out}")

    def fit(self, examples: Sequence[Example]) -> Fit:
        """Return the same for the training loop; where `max_tokens` ends it earlier, in steps."""
        names = ("epochs", "batch_tokens", "rate", "warmup", "decay", "clip", "rank", "scale", "every", "seed")
        # The weights stay in the dtype that they were loaded in, so nothing is to be lowered on the way.
        how = Fit(dtype="float32", **{name: getattr(self, name) for name in names})
        if self.max_tokens is None:
            return how
        seen = steps = 0
        for step in planned(examples, how):
            if seen >= self.max_tokens:
                break
            seen += sum(examples[i].count for rows in step for i in rows)
            steps += 1
        return replace(how, steps=steps)


@dataclass(frozen=True)
class TuneReport:
    """What training did: tokens and steps, and the perplexity of the held-out texts before and after.

    `gain` is the drop in nats a token, with its paired bootstrap interval over texts; above 0 is better.
    """

    weights: str
    folder: str
    tokens: int
    steps: int
    texts: int
    held_out: int
    before: float
    after: float
    gain: Interval
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {**asdict(self), "gain": self.gain.to_json()}

    def __str__(self) -> str:
        return (
            f"{self.folder}: {self.tokens:,} tokens of {self.texts} texts in {self.seconds:.0f} s; perplexity of "
            f"{self.held_out} held-out texts {self.before:.2f} -> {self.after:.2f} "
            f"(gain {self.gain.value:.3f} [{self.gain.low:.3f}, {self.gain.high:.3f}] nats a token)"
        )


def perplexity(losses: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    """Return exp(total loss / total tokens) of texts: summed losses in nats (texts,) and token counts (texts,)."""
    return float(np.exp(losses.sum() / counts.sum()))


def parted(texts: Sequence[_Text], tuning: Tuning) -> tuple[list[_Text], list[_Text]]:
    """Return the texts that `tune` trains on and those it holds out; the same for every model and on every machine.

    A text is a string, or a prompt and what answers it.

    Raises:
        DataError: fewer than two different texts, or a share that leaves one part empty.
    """
    unique = [text for text in dict.fromkeys(texts) if (text if isinstance(text, str) else text[1]).strip()]
    if len(unique) < 2:
        raise DataError(f"tuning needs at least two different texts, one of them held out; there are {len(unique)}")
    parts = split(len(unique), {"train": 1 - tuning.held_out, "test": tuning.held_out}, tuning.seed)
    if not len(parts["train"]) or not len(parts["test"]):
        raise DataError(f"{len(unique)} texts leave none to hold out (or to train on) at held_out={tuning.held_out}")
    return [unique[i] for i in parts["train"]], [unique[i] for i in parts["test"]]


def tune(
    weights: str | Path,
    texts: Sequence[str],
    out: str | Path,
    tuning: Tuning | None = None,
    *,
    prompts: Sequence[str] | None = None,
    dtype: str = "auto",
    device: str = "auto",
    catalog: Catalog | None = None,
    progress: bool = True,
) -> TuneReport:
    """Fine-tune a causal language model on texts and write it to the folder `out`, ready for `LocalModel(out)`.

    Texts alone make an expert of a domain. With prompts it learns to answer each with its text: questions and the
    background that they need make a knowledge card (`adapt.knowledge`).

    The held-out texts are split off before anything learns; exact copies of a text count once. A run that was killed
    goes on from its last checkpoint; one that finished is not repeated.

    Args:
        weights: a catalog name, hub id, folder or GGUF file.
        texts: the domain's texts, one a document.
        out: the folder to write; made where it is missing.
        tuning: how to train.
        prompts: one a text, put in the model's own template; the texts alone are in the loss, cut at `tuning.length`
            with their prompts. None has none, and a long text is cut into pieces.
        dtype: of the frozen weights and of the result.
        device: "auto", "cpu", "cuda", "mps".
        catalog: where names are looked up.
        progress: show a bar.

    Raises:
        DataError: fewer than two different texts, not as many prompts, a prompt that leaves no room for its text, or
            `out` holds something else.
        ModelError: the weights are no causal language model.
    """
    from pilotfish.train.causal import Causal
    from pilotfish.train.loop import fit
    from pilotfish.train.lora import adapted, merged

    tuning = tuning or Tuning()
    if prompts is not None and len(prompts) != len(texts):
        raise DataError(f"{len(prompts)} prompts for {len(texts)} texts")
    train: Sequence[str] | Sequence[tuple[str, str]]
    test: Sequence[str] | Sequence[tuple[str, str]]
    if prompts is None:
        train, test = parted(texts, tuning)
    else:
        train, test = parted(list(zip(prompts, texts, strict=True)), tuning)
    out = Path(out)
    identity = digest([str(weights), settled(tuning), dtype], [_flat(text) for text in (*train, *test)])
    done = finished(out, REPORT, identity, (RUN,))
    if done is not None:
        return TuneReport(**{**done, "gain": Interval(**done["gain"])})
    local = LocalModel(weights, dtype=dtype if tuning.rank else "float32", device=device, catalog=catalog).load()
    saved_dtype = local.model.dtype
    length = min(tuning.length, local.max_length)
    learnt, held = (_examples(local, part, length) for part in (train, test))
    how = tuning.fit(learnt)
    task = Causal(adapted(local.model, how), batch_tokens=tuning.batch_tokens, name=local.name)
    before, counts = _by_text(task, held, len(test))
    fitted = fit(task, learnt, [], how, out / RUN, identity, progress=progress)
    task.student = merged(task.student, how).to(saved_dtype).eval()
    if is_main():
        task.student.save_pretrained(out, safe_serialization=True)
        local.tokenizer.save_pretrained(out)
    after, _ = _by_text(task, held, len(test))  # of what was saved: merged, in its own dtype
    rows = np.stack([before - after, counts], axis=1)
    gain = bootstrap(rows, lambda drawn: float(drawn[:, 0].sum() / drawn[:, 1].sum()), resamples=2000, seed=tuning.seed)
    report = TuneReport(
        weights=str(weights),
        folder=str(out),
        tokens=fitted.tokens,
        steps=fitted.steps,
        texts=len(train),
        held_out=len(test),
        before=perplexity(before, counts),
        after=perplexity(after, counts),
        gain=gain,
        seconds=fitted.seconds,
    )
    write_report(out, REPORT, identity, report.to_json())
    if is_main():
        shutil.rmtree(out / RUN / "checkpoints", ignore_errors=True)
    return report


def _flat(text: str | tuple[str, str]) -> str:
    return text if isinstance(text, str) else "\0".join(text)


def _examples(local: LocalModel, texts: Sequence[str] | Sequence[tuple[str, str]], length: int) -> list[Example]:
    plain = [text for text in texts if isinstance(text, str)]
    if plain:
        return pieces(local.tokenizer, plain, length)
    return [
        answered(local.tokenizer, Request.of(text[0]), text[1], length, name=local.name, row=row)
        for row, text in enumerate(texts)
    ]


def _by_text(task: Any, held: Sequence[Example], texts: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each text's summed loss in nats, and how many tokens were predicted: two arrays (texts,)."""
    losses, counts = np.zeros(texts), np.zeros(texts)
    task.eval()
    each, tokens = task.each(held)
    where = [one.row for one in held]
    np.add.at(losses, where, each)
    np.add.at(counts, where, tokens)
    return losses, counts
