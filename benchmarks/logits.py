"""Rules over logits: against their authors' formulas, and what contrast and penalties do to repetition.

First, each rule on the logits of real models, against the formula of its paper over probabilities in float64; and the
whole way (decoder, lockstep, rule) against transformers' forward and that formula. Then open-ended continuations of
wikitext passages by a large and a small model, plain, with penalties, and with contrastive decoding: rep-4, diversity
and distinct-2 of the words, and perplexity under a third model that took no part. A tuned expert's steering is measured
by `benchmarks.adapt`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import _formulas as formulas
from pilotfish.decode import rules
from pilotfish.decode.rules.dola import bucket
from pilotfish.measure.intervals import bootstrap
from pilotfish.measure.repetition import distinct, diversity, rep, words
from pilotfish.models.local import LocalModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.decode.decoder import Decoder
    from pilotfish.decode.sampler import Sampling

SMALL, LARGE, THIRD = "qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-1.5b-instruct", "smollm2-135m-instruct"
THREADS = 2
PASSAGES = [
    "The river rises in the hills north of the town and flows for forty miles before it",
    "In the spring of that year the company moved its offices to a larger building, where",
    "The species was first described by a Swedish naturalist, who had collected it near",
]


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return the rules' distances from their formulas, and repetition and perplexity a method."""
    large = LocalModel(THIRD if quick else LARGE, dtype="float32", threads=THREADS).load()
    small = large if quick else LocalModel(SMALL, dtype="float32", threads=THREADS).load()
    third = large if quick else LocalModel(THIRD, dtype="float32", threads=THREADS).load()
    # The quick form has one model only: its own first layers are the amateur, and it judges itself.
    half = int(large.model.config.num_hidden_layers) * 2 // 3
    amateur = large.decoder(layers=half) if quick else small.decoder()
    cases = parity(large, small, 2 if quick else 3)
    if data is None:
        return {"name": "logits", "peer": "continuations not run: give --data, for wikitext2_eval", "cases": cases}
    prompts = passages(data / "wikitext2_eval" / "test.txt", large, 2 if quick else 40)
    cases += continuations(large, amateur, third, prompts, tokens=16 if quick else 128)
    return {"name": "logits", "peer": "the formulas of the papers, float64", "cases": cases}


# Parity.


def parity(large: LocalModel, small: LocalModel, texts: int) -> list[dict[str, Any]]:
    """Return each rule's largest difference of log p from its formula, on the same logits and end to end."""
    import torch

    from pilotfish.decode.lockstep import Lockstep

    layers = bucket(int(large.model.config.num_hidden_layers), "low", bool(large.model.config.tie_word_embeddings))[:4]
    plain, little, deep = large.decoder(), small.decoder(), large.decoder(exits=layers)
    # What each rule's members are, and how many of a text's first tokens each is not shown: other views of one text
    # stand for the experts and contexts that parity does not need.
    ways: dict[str, tuple[Any, Callable[..., Any], list[Decoder], list[int]]] = {
        "proxy-tuning": (rules.proxy_tuning, formulas.proxy_tuning, [plain, little, little], [0, 0, 3]),
        "contrastive, ratio": (rules.contrastive, formulas.contrastive, [plain, little], [0, 2]),
        "contrastive, logits": (rules.contrastive_logits, formulas.contrastive_logits, [plain, little], [0, 2]),
        "context-aware": (rules.context_aware, formulas.context_aware, [plain, plain], [0, 4]),
        "dola": (rules.dola, lambda last, *early: formulas.dola(last, early), [deep], [0]),
    }
    views: dict[tuple[bool, int, int], list[Any]] = {}

    def seen(at: int, cut: int, decoder: Decoder) -> list[Any]:
        """What transformers gives for text `at` without its first `cut` tokens, to the model behind a decoder."""
        model, key = (small, (True, at, cut)) if decoder is little else (large, (False, at, cut))
        if key not in views:
            views[key] = forward(model, ids_of[at], cut, () if decoder is little else layers)
        return views[key] if decoder is deep else views[key][:1]

    ids_of = [large.tokenizer(text)["input_ids"] for text in PASSAGES[:texts]]
    cases = []
    for name, (rule, formula, decoders, cuts) in ways.items():
        alone, whole, count = 0.0, 0.0, 0
        for at, ids in enumerate(ids_of):
            given = [view for decoder, cut in zip(decoders, cuts, strict=True) for view in seen(at, cut, decoder)]
            width = min(view.shape[-1] for view in given)
            given = [view[:, :width] for view in given]
            wanted = formula(*(view.double().numpy() for view in given))
            mine = rule(given).double().log_softmax(-1).numpy()
            alone = max(alone, gap(mine, wanted))
            tokenizers = [large.tokenizer if decoder is not little else small.tokenizer for decoder in decoders]
            lockstep = Lockstep(decoders, rule, tokenizers=tokenizers)
            (row,), first = lockstep.start([[ids[cut:6] for cut in cuts]])
            (rest,) = lockstep.feed([row], [ids[6:]])
            lockstep.close(row)
            ours = torch.cat([first, rest]).double().log_softmax(-1).numpy()
            whole = max(whole, gap(ours, wanted))
            count += len(wanted)
        title = f"{name}: largest difference of p or log p from the formula"
        cases.append({"case": f"{title}, same logits", "value": alone, "unit": "nats", "n": count})
        cases.append({"case": f"{title}, own decoders", "value": whole, "unit": "nats", "n": count})
    return cases


def forward(model: LocalModel, ids: Sequence[int], cut: int, layers: Sequence[int]) -> list[Any]:
    """Return transformers' float32 logits after ids[5], ids[6], …: the last layer's, and each early one's."""
    import torch

    module = model.model
    with torch.inference_mode():
        out = module(input_ids=torch.tensor([list(ids[cut:])]), output_hidden_states=True)
        early = [module.lm_head(module.model.norm(out.hidden_states[layer][0])).float() for layer in layers]
    return [view[5 - cut :] for view in (out.logits[0].float(), *early)]


def gap(ours: NDArray[np.float64], wanted: NDArray[np.float64]) -> float:
    """Return the largest difference of log p where p is at least 1e-9, and of p where it is less.

    A token at the very edge of a mask may fall on either side of it by rounding; such tokens are left out.
    """
    one, other = np.exp(ours), np.exp(wanted)
    edge = (ours < -5000) != np.isneginf(wanted)
    shown = (np.minimum(one, other) >= 1e-9) & ~edge
    far = np.abs(np.subtract(ours, wanted, where=shown, out=np.zeros_like(ours))).max()
    return float(max(far, np.abs(np.where(shown | edge, 0.0, one - other)).max()))


# Continuations.


def passages(path: Path, model: LocalModel, count: int, length: int = 32) -> list[list[int]]:
    """Return the first tokens of some paragraphs, spread over the file, their spacing put right."""
    found = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    found = [
        natural(line) for line in found if len(line) > 400 and not line.startswith("=") and "<unk>" not in line[:300]
    ]
    step = max(1, len(found) // count)
    return [list(model.tokenizer(text)["input_ids"][:length]) for text in found[::step][:count]]


def natural(text: str) -> str:
    """Return a wikitext line as it was printed: spaces before punctuation and @-@ taken out."""
    text = re.sub(r" @(.)@ ", r"\1", text)
    text = re.sub(r" ([,.;:!?)\]'])", r"\1", text)
    return re.sub(r"([(\[]) ", r"\1", text)


def continuations(
    large: LocalModel, amateur: Decoder, third: LocalModel, prompts: Sequence[Sequence[int]], tokens: int
) -> list[dict[str, Any]]:
    """Return repetition and perplexity of each method's continuations, with intervals over prompts."""
    from pilotfish.decode.lockstep import Lockstep
    from pilotfish.decode.sampler import Sampling

    expert = large.decoder()
    width = min(expert.vocabulary, amateur.vocabulary)
    alone = Lockstep([expert], lambda logits: logits[0], width=width)
    amateur_alone = Lockstep([amateur], lambda logits: logits[0], width=width)

    def against(rule: Any) -> Lockstep:
        return Lockstep([expert, amateur], rule, tokenizers=[large.tokenizer] * 2)

    # No answer ends before its length, so that all methods' texts are equally long.
    greedy = Sampling(logit_bias=dict.fromkeys(large.ends, -1000.0))
    drawn = replace(greedy, temperature=1.0, seed=0)
    methods: dict[str, tuple[Lockstep, Sampling]] = {
        "large, greedy": (alone, greedy),
        "small, greedy": (amateur_alone, greedy),
        "large, nucleus 0.95": (alone, replace(drawn, top_p=0.95)),
        "large, greedy, repetition penalty 1.2": (alone, replace(greedy, repetition_penalty=1.2)),
        "large, greedy, frequency penalty 0.5": (alone, replace(greedy, frequency_penalty=0.5)),
        "contrastive (1 + 0.5) large - 0.5 small, greedy": (against(rules.contrastive_logits), greedy),
        "contrastive large / small, greedy": (against(rules.contrastive), greedy),
        "contrastive large / small, sampled": (against(rules.contrastive), drawn),
        "contrastive large / small (temperature 0.5), greedy": (
            against(partial(rules.contrastive, temperature=0.5)),
            greedy,
        ),
    }
    cases = []
    for name, (decoder, sampling) in methods.items():
        answers = [continued(decoder, ids, sampling, tokens) for ids in batched(prompts, 8)]
        texts = [large.tokenizer.decode(ids, skip_special_tokens=True) for batch in answers for ids in batch]
        starts = [large.tokenizer.decode(list(ids)) for ids in prompts]
        scored = third.score(zip(starts, texts, strict=True))
        losses = np.array([[-one.total, len(one.logprobs)] for one in scored])
        cut = [words(text) for text in texts]
        for what, value, unit in (
            ("rep-4", [rep(text, 4) for text in cut], "share of 4-grams that stood before"),
            ("diversity", [diversity(text) for text in cut], "product of 1 - rep-n, n = 2 to 4"),
        ):
            interval = bootstrap(value, resamples=2000)
            cases.append(case(f"{what}: {name}", interval.value, unit, len(prompts), interval.low, interval.high))
        cases.append(case(f"distinct-2: {name}", distinct(cut, 2), "different bigrams a word", len(prompts)))
        likely = bootstrap(losses, lambda rows: float(np.exp(rows[:, 0].sum() / rows[:, 1].sum())), resamples=2000)
        title = f"perplexity under {third.name}: {name}"
        cases.append(case(title, likely.value, "perplexity a token", len(prompts), likely.low, likely.high))
    return cases


def case(title: str, value: float, unit: str, n: int, low: float | None = None, high: float | None = None) -> Any:
    """Return a case, with its interval where there is one."""
    found = {"case": title, "value": value, "unit": unit, "n": n}
    return found if low is None else {**found, "low": low, "high": high}


def continued(decoder: Any, prompts: Sequence[Sequence[int]], sampling: Sampling, tokens: int) -> list[list[int]]:
    """Return so many tokens after each prompt."""
    from pilotfish.decode.sampler import Sampler
    from pilotfish.decode.strategy import Job, Plain

    strategy = Plain(decoder)
    jobs = [
        Job([ids] * decoder.members, Sampler(sampling, decoder.vocabulary, ids, sample=i), tokens)
        for i, ids in enumerate(prompts)
    ]
    strategy.begin(jobs)
    for _ in range(tokens):
        for step in strategy.step(jobs):
            if step.error is not None:
                raise step.error
    for job in jobs:
        strategy.end(job)
    return [list(job.sampler.tokens) for job in jobs]


def batched(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """Return the items in pieces of a size."""
    return [items[at : at + size] for at in range(0, len(items), size)]
