"""Domains to steer on: held-out documents' perplexity, on PubMedQA's contexts and on Shakespeare's plays."""

from __future__ import annotations

import gc
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks._steering import RESAMPLES, Ways, only, rules, shares
from pilotfish.adapt.expert import perplexity
from pilotfish.measure.intervals import bootstrap
from pilotfish.models.local import LocalModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPEECHES = 1400  # characters of Shakespeare in one document, about


def documents(data: Path, domain: str) -> list[str]:
    """Return a domain's texts: each PubMedQA question's contexts, or runs of speeches."""
    if domain == "pubmedqa":
        rows = json.loads((data / "pubmedqa" / "ori_pqal.json").read_text(encoding="utf-8"))
        return [" ".join(row["CONTEXTS"]) for row in rows.values()]
    texts = [""]
    for speech in (data / "tinyshakespeare" / "input.txt").read_text(encoding="utf-8").split("\n\n"):
        if len(texts[-1]) + len(speech) > SPEECHES:
            texts.append("")
        texts[-1] += speech + "\n\n"
    return texts


def losses(ways: Ways, documents: Sequence[Sequence[int]]) -> dict[str, NDArray[np.float64]]:
    """Return each way's summed -log p of each document, in nats, its first token given: (documents,)."""
    import torch

    found: dict[str, list[float]] = {name: [] for name in ways.rules}
    decoder = ways.decoder
    for ids in documents:
        rows, _ = decoder.start([[list(ids[:1])] * decoder.members])
        said = {name: [logits] for name, logits in ways.said.items()}
        if len(ids) > 2:
            decoder.feed(rows, [list(ids[1:-1])])
            for name, logits in ways.said.items():
                said[name].append(logits)
        decoder.close(rows[0])
        for name, parts in said.items():
            logprobs = torch.log_softmax(torch.cat(parts), dim=-1)
            found[name].append(-float(logprobs[range(len(ids) - 1), list(ids[1:])].double().sum()))
    return {name: np.array(each) for name, each in found.items()}


def steered(
    domain: str,
    models: Sequence[LocalModel],
    direct_at: Path,
    pieces: Sequence[Sequence[int]],
    fitting: Sequence[Sequence[int]],
    *,
    threads: int,
) -> list[dict[str, Any]]:
    """Return every way's perplexity of the held-out pieces, and the shares of the direct gain.

    Args:
        domain: what the cases begin with.
        models: base, expert and anti-expert.
        direct_at: the folder of the base tuned itself.
        pieces: token ids of the held-out documents.
        fitting: token ids of training documents that weights are fitted on.
        threads: for the direct model.
    """
    from pilotfish.decode.evidence import gather
    from pilotfish.decode.fit import fit_weights

    fit = fit_weights("product", [gather([model.decoder() for model in models], fitting, domain, limit=1000)])
    found = losses(Ways(models, rules(fit)), pieces)
    found |= losses(Ways([LocalModel(direct_at, threads=threads)], only("direct")), pieces)
    gc.collect()
    counts = np.array([len(ids) - 1 for ids in pieces], np.float64)
    cases = []
    for name, each in found.items():
        interval = bootstrap(np.stack([each, counts], axis=1), _per_token, resamples=RESAMPLES)
        ends = {"low": float(np.exp(interval.low)), "high": float(np.exp(interval.high))}
        rest = {"value": perplexity(each, counts), **ends, "unit": "perplexity of held-out documents", "n": len(pieces)}
        cases.append({"case": f"{domain}: perplexity, {name}", **rest})
    ways = {name: each for name, each in found.items() if name.startswith("steered")}
    return cases + shares(domain, "share of nats a token", found["base"], found["direct"], ways)


def _per_token(drawn: Any) -> float:
    return float(drawn[:, 0].sum() / drawn[:, 1].sum())
