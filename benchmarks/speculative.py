"""Drafting: ours against our own plain decoding, and against `transformers.generate(assistant_model=…)`.

Qwen2.5-Coder-1.5B drafted by the 0.5B, greedily, on HumanEval's prompts and Spec-Bench; prompt look-up on its
summarisation and RAG questions. Each prompt in turn (A B A B); a rate counts tokens after the first one of each
answer, so prompts are left out. Most RAG answers have 10 to 40 tokens, so look-up is run on more prompts; `low` and
`high` are a 95% interval of the ratio over prompts, where there are enough. Parity is the share of answers that differ:
none should in float32. Where "ours" and "peer" are both ours, the peer is plain decoding. `--quick` takes SmolLM2-135M,
drafted by its own first layers.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks._decoding import PROMPTS
from benchmarks._drafting import Drive, assisted, drive, humaneval, interval, joined, spec_bench
from pilotfish.decode.pick import decoder_for
from pilotfish.decode.speculative import Auto, Draft, LookupDraft, ModelDraft, Policy, Speculative, Tree
from pilotfish.decode.strategy import Plain
from pilotfish.model import Request
from pilotfish.models.local import LocalModel

THREADS = 2
LARGE, SMALL = "qwen2.5-coder-1.5b-instruct", "qwen2.5-coder-0.5b-instruct"
TINY = "smollm2-135m-instruct"
BITS = {"int8": ("bfloat16", "int8"), "bfloat16": ("bfloat16", "none"), "float32": ("float32", "none")}
TOKENS, CODE, EACH, ROUNDS = 128, 8, 3, 2
LOOK_UP = {"summarisation": 10, "RAG": 20}  # prompts; RAG answers are short
# float32 is run for the answers, which must be the same; its speed matters less, and it is slow.
FLOAT32_TOKENS, FLOAT32_CODE = 64, 4


@dataclass
class Setting:
    """A pair in one precision: the target's decoder, its modules, and what drafts."""

    name: str
    model: LocalModel
    target: Any
    small: Any
    module: Any
    small_module: Any

    def prompts(self, texts: Sequence[str]) -> list[Any]:
        """Return texts as prompts of the chat template."""
        return [self.model.prompt(Request.of(text)) for text in texts]

    def draft(self, kind: str) -> Draft:
        """Return a new draft: "model" or "look-up"."""
        if kind == "look-up":
            return LookupDraft(ends=self.model.ends)
        return ModelDraft(self.small, self.target.vocabulary, self.model.ends)


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return speed-ups over plain decoding and over assisted generation, and whether answers are the same."""
    torch.set_num_threads(THREADS)
    if not quick and data is None:
        return {"name": "speculative", "peer": "needs --data (HumanEval, Spec-Bench)", "cases": []}
    cases: list[dict[str, Any]] = []
    notes: dict[str, Any] = {}
    for bits in ("float32",) if quick else BITS:
        setting = _quick(bits) if quick else _pair(bits)
        cases += _cases(setting, quick, data, notes)
        del setting
        gc.collect()
    return {
        "name": "speculative",
        "peer": "plain decoding by ours, and transformers.generate(assistant_model=...)",
        "threads": THREADS,
        "notes": notes,
        "cases": cases,
    }


def _quick(bits: str) -> Setting:
    model = LocalModel(TINY, dtype=BITS[bits][0], threads=THREADS).load()
    target, small = decoder_for(model.model), decoder_for(model.model, layers=20)
    return Setting(f"{TINY}, {bits}", model, target, small, None, None)


def _pair(bits: str) -> Setting:
    dtype, quantize = BITS[bits]
    large, small = (LocalModel(weights, dtype=dtype, threads=THREADS).load() for weights in (LARGE, SMALL))
    target, draft = (decoder_for(model.model, quantize=quantize) for model in (large, small))
    return Setting(f"{LARGE}, {bits}", large, target, draft, large.model, small.model)


def _cases(setting: Setting, quick: bool, data: Path | None, notes: dict[str, Any]) -> list[dict[str, Any]]:
    exact = setting.name.endswith("float32")
    limit = 32 if quick else FLOAT32_TOKENS if exact else TOKENS
    code = list(PROMPTS[:3]) if quick or data is None else humaneval(data, FLOAT32_CODE if exact else CODE)
    cases = [
        _against_plain(setting, "code, drafted by the small model", "model", code, limit, notes),
        _against_plain(setting, "code, drafted as trees too", "model", code, limit, notes, tree=Tree((3, 2, 1, 1))),
        _against_plain(setting, "code, batch 4", "model", code, limit, notes, batch=4),
    ]
    if setting.small_module is not None:
        cases.append(_against_generate(setting, code, limit))
    if quick or data is None:
        return [*cases, _against_plain(setting, "look-up", "look-up", code, limit, notes)]
    for task, texts in spec_bench(data, 1 if exact else max(LOOK_UP.values())).items():
        some = texts[:EACH]
        cases.append(_against_plain(setting, f"{task}, drafted by the small model", "model", some, limit, notes))
        if task in LOOK_UP:
            some = texts[: LOOK_UP[task]]
            cases.append(_against_plain(setting, f"{task}, prompt look-up", "look-up", some, limit, notes))
    return cases


def _against_plain(
    setting: Setting,
    title: str,
    kind: str,
    texts: Sequence[str],
    limit: int,
    notes: dict[str, Any],
    *,
    tree: Tree | None = None,
    batch: int = 1,
) -> dict[str, Any]:
    """Return the case; its report goes into the notes."""
    policy: Policy = Auto(tree=tree)
    strategy = Speculative(setting.target, setting.draft(kind), policy, ends=setting.model.ends)
    prompts, ends = setting.prompts(texts), setting.model.ends
    # What the policy measures at first (a few plain steps, one trial) is a start that a service pays once.
    drive(strategy, prompts[:batch], ends, min(limit, 48), batch)
    strategy.reset()
    case = _case(
        f"{setting.name}: {title}",
        lambda some: drive(strategy, some, ends, limit, batch),
        lambda some: drive(Plain(setting.target), some, ends, limit, batch),
        [prompts[at : at + batch] for at in range(0, len(prompts), batch)],
    )
    notes[case["case"]] = strategy.report.to_json() | {"policy": policy.state}
    return case


def _against_generate(setting: Setting, texts: Sequence[str], limit: int) -> dict[str, Any]:
    strategy = Speculative(setting.target, setting.draft("model"), Auto(), ends=setting.model.ends)
    prompts, ends = setting.prompts(texts[:4]), setting.model.ends
    drive(strategy, prompts[:1], ends, min(limit, 48))
    return _case(
        f"{setting.name}: code, against assisted generation" + (" in bfloat16" if "int" in setting.name else ""),
        lambda some: drive(strategy, some, ends, limit),
        lambda some: assisted(setting.module, setting.small_module, some, ends, limit),
        [[prompt] for prompt in prompts],
    )


def _case(
    title: str,
    ours: Callable[[Sequence[Any]], Drive],
    peer: Callable[[Sequence[Any]], Drive],
    batches: Sequence[Sequence[Any]],
) -> dict[str, Any]:
    """Return the case. Batch by batch in turn, not set by set: a busy minute of the machine then meets both."""
    pairs = []
    for _ in range(ROUNDS):
        both = [(ours(batch), peer(batch)) for batch in batches]
        pairs.append((joined([mine for mine, _ in both]), joined([its for _, its in both])))
    count = sum(map(len, batches))
    ratios = [mine.rate / its.rate for mine, its in pairs]
    mine, its = pairs[0]
    range_ = interval(pairs)
    told = {} if range_ is None else {"low": round(range_.low, 2), "high": round(range_.high, 2)}
    differ = sum(one != other for one, other in zip(mine.answers, its.answers, strict=True))
    spread = f" ({range_.low:.2f} to {range_.high:.2f} over prompts)" if range_ is not None else ""
    rounds = [round(ratio, 2) for ratio in ratios]
    print(f"{title}: {rounds}{spread}, {differ} differ", file=sys.stderr, flush=True)
    return {
        "case": title,
        "ours": round(median(run.rate for run, _ in pairs), 2),
        "peer": round(median(run.rate for _, run in pairs), 2),
        "unit": "tokens a second",
        "ratio": round(median(ratios), 2),
        "ratio_min": round(min(ratios), 2),
        "ratio_max": round(max(ratios), 2),
        **told,
        "parity": differ / count,
        "n": count,
    }
