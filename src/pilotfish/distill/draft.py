"""A draft for speculative decoding, taught to say what its target says.

The target answers the prompts itself, and the draft learns its distributions over those answers: what is accepted is
told by how near the two are there, and nowhere else (Zhou et al. 2024, DistillSpec, sections 4.1 and 5.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._sync import ask
from pilotfish.distill.distiller import Distiller
from pilotfish.distill.report import Distilled
from pilotfish.distill.rows import keyed, request_of
from pilotfish.errors import DataError
from pilotfish.measure.intervals import Interval, bootstrap
from pilotfish.model import Request
from pilotfish.models._weights import identity_of
from pilotfish.models.local import LocalModel
from pilotfish.rows.asking import asked
from pilotfish.rows.split import split
from pilotfish.train.folder import digest, finished, settled, write_report
from pilotfish.train.processes import join, main_first

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.models.catalog import Catalog
    from pilotfish.train.settings import Fit

__all__ = ["Acceptance", "Drafted", "acceptance", "teach_draft"]

REPORT = "pilotfish-draft.json"
ANSWERS, STUDENT = "answers", "draft"  # folders in the result's own


@dataclass(frozen=True)
class Acceptance:
    """What became of a draft's proposals, an entry a prompt.

    Attributes:
        tokens: said.
        passes: of the target, to say them.
        judged: positions at which a proposed token was looked at.
        accepted: how many of them were taken.
    """

    tokens: NDArray[np.float64]
    passes: NDArray[np.float64]
    judged: NDArray[np.float64]
    accepted: NDArray[np.float64]

    @property
    def length(self) -> Interval:
        """Tokens a pass of the target, its own one included, with a bootstrap over prompts."""
        return _ratio(self.tokens, self.passes)

    @property
    def rate(self) -> Interval:
        """The share of proposed tokens that were looked at and taken, with a bootstrap over prompts."""
        return _ratio(self.accepted, self.judged)


def acceptance(
    target: LocalModel,
    draft: LocalModel,
    requests: Sequence[Request],
    *,
    length: int = 4,
    max_tokens: int = 128,
) -> Acceptance:
    """Return what the target takes of the draft's proposals while it answers requests.

    Args:
        target: who answers.
        draft: who proposes; of the same vocabulary.
        requests: what is asked; their temperature is kept.
        length: tokens a proposal.
        max_tokens: of an answer.
    """
    from pilotfish.decode.face import DecodedModel
    from pilotfish.decode.speculative import Fixed, ModelDraft, Speculative

    decoder = target.decoder()
    proposer = ModelDraft(draft.decoder(), decoder.vocabulary, target.ends | draft.ends, draft.name)
    strategy = Speculative(decoder, proposer, Fixed(length), ends=target.ends, target_name=target.name)
    model = DecodedModel(
        "draft and target",
        strategy=lambda: strategy,
        prompt=lambda request: [*target.prompt(request), *draft.prompt(request)],
        tokenizer=lambda: target.tokenizer,
        ends=lambda: target.ends,
        max_rows=1,
    )
    sums = [[0, 0, 0, 0]]
    for request in requests:
        ask(model, request.with_(max_tokens=max_tokens))
        told = strategy.report
        sums.append([told.tokens, told.rounds, told.judged, told.accepted])
    return Acceptance(*np.diff(np.array(sums, np.float64), axis=0).T)


@dataclass(frozen=True)
class Drafted:
    """What teaching a draft did, measured on prompts that it did not learn from.

    Attributes:
        distilled: the distillation's report.
        folder: the draft's weights.
        prompts: prompts whose answers were learnt.
        held_out: prompts measured on.
        length: tokens a proposal.
        before: accepted length (tokens a pass of the target) of the untaught draft.
        after: of the taught one.
        gain: the difference, a paired bootstrap over prompts.
        rate_before: the share of looked-at tokens that was taken.
        rate_after: the same of the taught one.
    """

    distilled: Distilled
    folder: str
    prompts: int
    held_out: int
    length: int
    before: Interval
    after: Interval
    gain: Interval
    rate_before: Interval
    rate_after: Interval

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Drafted:
        """Return what `to_json` gave."""
        spans = {name: Interval(**told[name]) for name in ("before", "after", "gain", "rate_before", "rate_after")}
        return cls(**{**told, **spans, "distilled": Distilled.from_json(told["distilled"])})

    def __str__(self) -> str:
        return (
            f"{self.folder}: on {self.held_out} held-out prompts, {self.length} tokens a proposal: accepted length "
            f"{self.before.value:.2f} -> {self.after.value:.2f} tokens a pass (gain {self.gain.value:+.2f} "
            f"[{self.gain.low:.2f}, {self.gain.high:.2f}]), taken of those looked at {self.rate_before.value:.1%} -> "
            f"{self.rate_after.value:.1%}; {self.distilled}"
        )


def teach_draft(
    target: str | Path,
    draft: str | Path,
    rows: Sequence[Mapping[str, Any]],
    out: str | Path,
    *,
    length: int = 4,
    max_tokens: int = 128,
    temperature: float = 0.0,
    held_out: float = 0.1,
    divergence: str = "forward-kl",
    settings: Mapping[str, float] | None = None,
    fit: Fit | None = None,
    context: int = 1024,
    cached: int | None = None,
    target_dtype: str = "auto",
    device: str = "auto",
    catalog: Catalog | None = None,
    progress: bool = True,
) -> Drafted:
    """Teach a draft on its target's answers to prompts, and measure what is accepted before and after.

    The prompts are split before anything learns. The target's answers, the training and the result are each kept as
    they come: a run that was killed goes on, a finished one is not repeated.

    Args:
        target: weights: a catalog name, hub id, folder or GGUF file.
        draft: the same, of the same vocabulary.
        rows: each has `prompt` or `messages`; an `answer` is not looked at.
        out: the folder; the draft's weights are in `draft` within.
        length: tokens a proposal, where acceptance is measured.
        max_tokens: of the target's answers.
        temperature: at which the target answers, while it teaches and while it is measured; 0 is greedy.
        held_out: the share of prompts to measure on.
        divergence: see `Distiller`.
        settings: of the divergence.
        fit: how to train.
        context: the most tokens of a prompt with its answer.
        cached: see `Distiller`.
        target_dtype: of the target's weights.
        device: "auto", "cpu", "cuda", "mps".
        catalog: where names are looked up.
        progress: show bars.

    Raises:
        DataError: too few prompts, or `out` holds something else.
        ModelError: the models are no causal LMs.
    """
    from pilotfish.train.settings import Fit as Settings

    out, how = Path(out), fit or Settings()
    unique = dict(zip(keyed([_asking(row) for row in rows]), rows, strict=True))
    requests = [request_of(row) for row in unique.values()]
    parts = split(len(requests), {"train": 1 - held_out, "held_out": held_out}, how.seed) if requests else {}
    if not parts or not len(parts["train"]) or not len(parts["held_out"]):
        raise DataError(f"{len(requests)} different prompts leave none to learn from, or none to measure on")
    given = [
        identity_of(target),
        identity_of(draft),
        length,
        max_tokens,
        temperature,
        held_out,
        divergence,
        settings,
        settled(how),
    ]
    identity = digest([*given, context, cached, target_dtype], unique)
    done = finished(out, REPORT, identity, (ANSWERS, STUDENT))
    if done is not None:
        return Drafted.from_json(done)
    join(device)
    large = LocalModel(target, dtype=target_dtype, device=device, catalog=catalog)
    sampling: dict[str, Any] = {"temperature": temperature, "max_tokens": max_tokens}
    if temperature:
        sampling["seed"] = how.seed
    learnt = [requests[int(i)] for i in parts["train"]]
    with main_first():
        told = asked(large, [(one.with_(**sampling), 0) for one in learnt], out / ANSWERS, progress=progress)
    taught = [
        {
            "messages": [message.to_json() for message in request.messages],
            "answer": said.text,
            "cut": said.finish_reason == "length",
        }
        for request, said in zip(learnt, told.said, strict=True)
        if said is not None and said.text
    ]
    # Without a seed: with one, a draft is taken where it guesses the very token that the seed will draw.
    held = [requests[int(i)].with_(temperature=temperature, seed=None) for i in parts["held_out"]]
    small = LocalModel(draft, dtype=target_dtype, device=device, catalog=catalog)
    first = acceptance(large, small, held, length=length, max_tokens=max_tokens)
    distiller = Distiller(
        draft,
        target,
        out / STUDENT,
        divergence=divergence,
        settings=settings,
        fit=how,
        length=context,
        held_out=held_out,
        cached=cached,
        teacher_dtype=target_dtype,
        device=device,
        catalog=catalog,
        progress=progress,
    ).fit(taught)
    after = LocalModel(out / STUDENT, dtype=target_dtype, device=device)
    then = acceptance(large, after, held, length=length, max_tokens=max_tokens)
    report = Drafted(
        distilled=distiller.report_,
        folder=str(out / STUDENT),
        prompts=len(taught),
        held_out=len(held),
        length=length,
        before=first.length,
        after=then.length,
        gain=_gain(first, then),
        rate_before=first.rate,
        rate_after=then.rate,
    )
    write_report(out, REPORT, identity, report.to_json())
    return report


def _asking(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("messages", "prompt") if name in row}


def _ratio(over: NDArray[np.float64], under: NDArray[np.float64]) -> Interval:
    table = np.stack([over, under], axis=1)
    return bootstrap(table, lambda drawn: float(drawn[:, 0].sum() / max(drawn[:, 1].sum(), 1e-9)), resamples=2000)


def _gain(before: Acceptance, after: Acceptance) -> Interval:
    table = np.stack([before.tokens, before.passes, after.tokens, after.passes], axis=1)

    def gained(drawn: Any) -> float:
        said, passes, told, needed = np.asarray(drawn).sum(axis=0)
        return float(told / needed - said / passes)

    return bootstrap(table, gained, resamples=2000)
