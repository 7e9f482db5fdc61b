"""A large model's ratings of texts, 0 to 5, for a small classifier to learn from.

Source: Penedo et al. 2024 (FineWeb-Edu), section 4: an additive scale, asked for with a reason. A reply that holds no
rating is told, never taken for one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.judging import filled_in, grade_in
from pilotfish.model import Model, Request
from pilotfish.rows.asking import Bill, asked

__all__ = ["EDUCATIONAL", "Rated", "rate"]

EDUCATIONAL = """Below is an extract of a text. How much would somebody learn from it? Give points, one after another:
- 1 if it holds some information of use, even among advertising or other matter;
- 1 more if it treats a subject that is taught, though superficially or without order;
- 1 more if it is coherent and fit to be taught with, though not complete;
- 1 more if it is clear, well ordered and hardly distracts, like a chapter of a textbook;
- 1 more if it is outstanding: thorough, right, and easy to follow.

Text:
{text}

Say in a sentence why, then end with a line of the form "Grade: N", where N is the sum of the points, from 0 to 5."""
MOST = 4000  # characters of a text that are shown, as half of a page's first part tells enough


@dataclass(frozen=True)
class Rated:
    """What a model said.

    Attributes:
        ratings: (texts,) from 0 to 5; NaN where there is none.
        unrated: kind of reason -> texts without a rating.
        bill: what the calls took, those of earlier sessions included.
    """

    ratings: NDArray[np.float64]
    unrated: Counter[str]
    bill: Bill

    @property
    def there(self) -> NDArray[np.int64]:
        """The places of texts with a rating."""
        return np.flatnonzero(~np.isnan(self.ratings)).astype(np.int64)

    def __str__(self) -> str:
        counts = Counter(round(float(value)) for value in self.ratings[self.there])
        text = f"{len(self.there):,} of {len(self.ratings):,} texts rated: "
        text += ", ".join(f"{counts[grade]:,} of {grade}" for grade in range(6) if counts[grade])
        return text + "".join(f"; {count:,} not: {why}" for why, count in self.unrated.most_common())


def rate(
    model: Model,
    texts: Sequence[str],
    folder: str | Path,
    *,
    prompt: str = EDUCATIONAL,
    max_tokens: int = 200,
    concurrency: int | None = None,
    progress: bool = True,
) -> Rated:
    """Ask a model for a rating of each text; what it said is kept in the folder, and no answer is asked for twice.

    Args:
        model: who is asked, at temperature 0.
        texts: each cut after 4,000 characters.
        folder: of the answers.
        prompt: with `{text}` where the text goes; the reply must end with "Grade: N", N from 0 to 5.
        max_tokens: of a reply.
        concurrency: calls at once; None goes by the model.
        progress: show a bar.

    Raises:
        ConfigError: the prompt has no place for the text, or the folder holds answers to other questions.
        DataError: not one reply holds a rating.
        UpstreamError: the endpoint fails for text after text.
    """
    if "{text}" not in prompt:
        raise ConfigError("the prompt of ratings needs {text}, the place of the text")
    questions = [
        (Request.of(filled_in(prompt, text=text[:MOST]), max_tokens=max_tokens, temperature=0.0), 0) for text in texts
    ]
    found = asked(model, questions, folder, concurrency=concurrency, progress=progress)
    ratings = np.full(len(texts), np.nan)
    unrated = Counter(found.unanswered)
    for place, said in enumerate(found.said):
        if said is None:
            continue
        grade = grade_in(said.text, 0, 5)
        if grade is not None:
            ratings[place] = grade
        else:
            unrated[said.fault or "no rating in the answer"] += 1
    if len(texts) and np.isnan(ratings).all():
        raise DataError(f'no reply holds a rating: {", ".join(unrated)}; the prompt should ask for a line "Grade: N"')
    return Rated(ratings, unrated, found.bill)
