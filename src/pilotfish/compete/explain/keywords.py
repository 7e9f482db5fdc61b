"""N-grams that a large model names for each class, once; a linear model over their counts then needs it no more.

Source: Singh et al. 2023, section "Aug-Tree", where a language model says which n-grams belong to an idea; here they
become a table of coefficients.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish.compete.explain.aug import PENALTIES, Aug, ngram_linear
from pilotfish.errors import DataError
from pilotfish.model import Message, Model, Request
from pilotfish.models.classify.ngrams import tokens_of
from pilotfish.rows.asking import Bill, asked

__all__ = ["Keywords", "aug_keywords", "keywords_by"]

_MARKER = re.compile(r"^\s*(?:[-*•–]|\d{1,3}[.):])\s*")
_QUESTION = (
    "Texts are sorted into these categories: {names}. Write {count} words or phrases of at most {most} words that "
    "texts of the category {name} contain and texts of the others seldom do. One a line, nothing else.{shown}"
)
_CUT = 300  # characters of an example


@dataclass(frozen=True)
class Keywords:
    """What a model named.

    Attributes:
        words: class -> n-grams, in lower case.
        bill: what it took.
        unread: lines that are no n-gram of so many words.
    """

    words: Mapping[str, tuple[str, ...]]
    bill: Bill = field(default_factory=Bill)
    unread: int = 0


def keywords_by(
    model: Model,
    texts: Sequence[str],
    labels: Sequence[str],
    folder: str | Path,
    *,
    names: Mapping[str, str] | None = None,
    count: int = 40,
    most: int = 2,
    examples: int = 8,
    draws: int = 1,
    seed: int = 0,
    concurrency: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Keywords:
    """Ask a model for n-grams of each class; what it answered stays in a folder and is not asked again.

    Args:
        model: any.
        texts: of which some are shown.
        labels: theirs.
        folder: of its answers.
        names: label -> what it is called in the question.
        count: n-grams that are asked for.
        most: words of one.
        examples: texts of the class that are shown; 0 shows none.
        draws: answers a class; the first at temperature 0.
        seed: of the texts that are shown.
        concurrency: as for `rows.asking.asked`.
        progress: called with the questions that are answered, at the end.

    Raises:
        DataError: it named nothing at all.
        UpstreamError: the endpoint fails for question after question.
    """
    classes = sorted(set(map(str, labels)))
    shown = {one: (names or {}).get(one, one.replace("_", " ")) for one in classes}
    rng = np.random.default_rng(seed)
    questions: list[tuple[Request, int]] = []
    for one in classes:
        own = [text for text, label in zip(texts, labels, strict=True) if str(label) == one]
        picked = [own[i][:_CUT] for i in rng.permutation(len(own))[:examples].tolist()]
        told = "".join(f"\n- {' '.join(text.split())}" for text in picked)
        question = _QUESTION.format(
            names=", ".join(shown.values()),
            count=count,
            most=most,
            name=shown[one],
            shown=f"\n\nTexts of the category:{told}" if told else "",
        )
        for draw in range(draws):
            how: dict[str, Any] = {"temperature": 0.0 if draw == 0 else 0.8, "max_tokens": 12 * count}
            questions.append((Request((Message("user", question),), **how), draw))
    answers = asked(model, questions, folder, concurrency=concurrency, progress=False)
    found: dict[str, dict[str, None]] = {one: {} for one in classes}
    unread = 0
    for number, said in enumerate(answers.said):
        lines = said.text.splitlines() if said is not None else []
        for line in lines:
            name = " ".join(word for word, _ in tokens_of(_MARKER.sub("", line)))
            if name and len(name.split()) <= most:
                found[classes[number // draws]][name] = None
            elif line.strip():
                unread += 1
    if progress:
        progress(len(questions))
    if not any(found.values()):
        raise DataError(f"{model.name} named no word of any class")
    return Keywords({one: tuple(own) for one, own in found.items()}, answers.bill, unread)


def aug_keywords(
    texts: Sequence[str],
    labels: Sequence[str],
    keywords: Keywords,
    *,
    cs: Sequence[float] = PENALTIES,
    seed: int = 0,
) -> Aug:
    """Teach a linear model over the counts of n-grams that were named.

    Those of one class share a coefficient beside each one's own, so a keyword that the rows hardly show counts too.
    """
    vocabulary = list(dict.fromkeys(name for own in keywords.words.values() for name in own))
    groups = np.array([[float(name in own) for own in keywords.words.values()] for name in vocabulary])
    longest = max(len(name.split()) for name in vocabulary)
    return ngram_linear(texts, labels, vocabulary=vocabulary, groups=groups, ngrams=(1, longest), cs=cs, seed=seed)
