"""SelfCheck: what a model makes up it says otherwise the next time. Sentences of an answer against further answers.

Source: Manakul et al. 2023 (SelfCheckGPT), section 5: by BERTScore (5.1), by n-grams (5.3), by NLI (5.4) and by a
prompt (5.5). A score is how likely a sentence is made up: higher is worse.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pilotfish.errors import ConfigError, DataError
from pilotfish.evaluate.nli import CONTRADICTION, ENTAILMENT, Infers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.evaluate.bertscore.score import BertScore

__all__ = ["SUPPORTED", "by_bertscore", "by_ngrams", "by_nli", "by_prompt"]

SUPPORTED = """Context: {context}

Sentence: {sentence}

Is the sentence supported by the context above? Answer Yes or No.

Answer:"""


def by_nli(sentences: Sequence[str], samples: Sequence[str], infers: Infers) -> NDArray[np.float64]:
    """Return of each sentence the mean over samples of P(contradiction), neutral left out.

    The sentence is the premise and the sample the hypothesis, as the paper's program has it. All pairs are one call.

    Args:
        sentences: of the answer that is checked.
        samples: further answers to the same question.
        infers: see `nli`; its pairs may be given in any number.
    """
    _checked(sentences, samples)
    told = infers([(sentence, sample) for sentence in sentences for sample in samples])
    both = told[:, [ENTAILMENT, CONTRADICTION]]
    shares = both[:, 1] / np.maximum(both.sum(axis=1), 1e-12)
    return _means(shares, sentences)


def by_bertscore(sentences: Sequence[str], samples: Sequence[Sequence[str]], metric: BertScore) -> NDArray[np.float64]:
    """Return of each sentence 1 - the mean over samples of the best F1 with any of a sample's sentences.

    Args:
        sentences: of the answer that is checked.
        samples: the sentences of each further answer.
        metric: with a baseline, as the paper has it, or without.
    """
    _checked(sentences, samples)
    if not all(samples):
        raise DataError("a sample has no sentence")
    pairs = [(mine, theirs) for mine in sentences for some in samples for theirs in some]
    distinct = list(dict.fromkeys(pairs))
    found = metric([mine for mine, _ in distinct], [theirs for _, theirs in distinct])
    known = dict(zip(distinct, found.values, strict=True))
    best = [[max(known[mine, theirs] for theirs in some) for some in samples] for mine in sentences]
    return 1 - _means(np.array(best, np.float64), sentences)


def by_ngrams(
    sentences: Sequence[str], samples: Sequence[str], *, n: int = 1, smoothing: float = 1.0, worst: bool = False
) -> NDArray[np.float64]:
    """Return of each sentence how surprising its n-grams are to a model of the samples and the answer itself, in nats.

    The model counts n-grams of all samples and of the answer, with add-k smoothing; -log p is averaged over a
    sentence's n-grams, or its largest is taken.

    Args:
        sentences: of the answer that is checked.
        samples: further answers.
        n: 1 for words.
        smoothing: what each n-gram is counted more often.
        worst: take the largest; the paper found that the best of them for single words.
    """
    _checked(sentences, samples)
    if n < 1 or not smoothing > 0:
        raise ConfigError(f"n must be 1 or more, smoothing above 0, not {n} and {smoothing}")
    counts: Counter[tuple[str, ...]] = Counter()
    for text in (*samples, " ".join(sentences)):
        counts.update(_grams(text, n))
    total = counts.total() + smoothing * (len(counts) + 1)
    found = []
    for sentence in sentences:
        surprise = [-math.log((counts[gram] + smoothing) / total) for gram in _grams(sentence, n)]
        found.append(0.0 if not surprise else max(surprise) if worst else float(np.mean(surprise)))
    return np.array(found, np.float64)


def by_prompt(
    sentences: Sequence[str],
    samples: Sequence[str],
    answers: Callable[[Sequence[str]], Sequence[str]],
    *,
    prompt: str = SUPPORTED,
) -> NDArray[np.float64]:
    """Return of each sentence the mean over samples of what a model answers: yes is 0, no is 1, anything else a half.

    Args:
        sentences: of the answer that is checked.
        samples: further answers.
        answers: from prompts to a model's replies; all are asked at once.
        prompt: with {context} and {sentence}.
    """
    _checked(sentences, samples)
    for place in ("{context}", "{sentence}"):
        if place not in prompt:
            raise ConfigError(f"the prompt needs the place {place}")
    asked = [_filled(prompt, sample, sentence) for sentence in sentences for sample in samples]
    said = answers(asked)
    if len(said) != len(asked):
        raise DataError(f"{len(asked)} prompts, {len(said)} replies")
    return _means(np.array([_made_up(reply) for reply in said]), sentences)


def _means(values: NDArray[np.float64], sentences: Sequence[str]) -> NDArray[np.float64]:
    """Return of values of sentences by samples each sentence's mean."""
    found: NDArray[np.float64] = values.reshape(len(sentences), -1).mean(axis=1)
    return found


def _made_up(reply: str) -> float:
    word = re.match(r"\W*(yes|no)\b", reply, re.IGNORECASE)
    return 0.5 if word is None else float(word.group(1).lower() == "no")


def _filled(prompt: str, context: str, sentence: str) -> str:
    # At once: a context that holds {sentence} is not filled in.
    told = {"{context}": context, "{sentence}": sentence}
    return re.sub(r"\{(?:context|sentence)\}", lambda place: told[place.group()], prompt)


def _grams(text: str, n: int) -> list[tuple[str, ...]]:
    words = re.findall(r"\w+|[^\w\s]", text.casefold())
    padded = ["<s>"] * (n - 1) + words
    return [tuple(padded[i : i + n]) for i in range(len(padded) - n + 1)] if words else []


def _checked(sentences: Sequence[str], samples: Sequence[object]) -> None:
    if not sentences or not samples:
        raise DataError("a sentence and a sample are needed at least")
