"""Questions that are answered by yes or no, and how surely: UniEval's dimensions, and P(True).

Sources: Zhong et al. 2022 (UniEval), section 3.1: a dimension is a question, its score P(yes) / (P(yes) + P(no));
Kadavath et al. 2022 (Language Models (Mostly) Know What They Know), section 3: P(True) of an answer, beside other
answers that were drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pilotfish.errors import ConfigError, DataError
from pilotfish.evaluate.scores import Scores
from pilotfish.rows.model_stage import Template

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotfish.evaluate.likelihood import Likelihoods

__all__ = ["DIMENSIONS", "P_TRUE", "Chooses", "ReadsPairs", "YesNo", "p_true"]

# A question of each of UniEval's dimensions, in words of our own.
DIMENSIONS: Mapping[str, str] = {
    "coherence": "Document: {source}\n\nSummary: {text}\n\nQuestion: Do the sentences of this summary fit together and "
    "follow the document's line of thought?\nAnswer:",
    "consistency": "Document: {source}\n\nClaim: {text}\n\nQuestion: Is everything that the claim says also said in "
    "the document?\nAnswer:",
    "fluency": "Paragraph: {text}\n\nQuestion: Is this paragraph written in fluent, correct language?\nAnswer:",
    "relevance": "Document: {source}\n\nSummary: {text}\n\nQuestion: Does this summary hold what matters most in the "
    "document, and nothing beside it?\nAnswer:",
}

P_TRUE = """Question: {question}
Brainstormed answers:
{samples}
Possible answer: {answer}
Is the possible answer true or false?
The possible answer is:"""


class Chooses(Protocol):
    """What finds some endings of a text likelier than others: a `LocalModel`."""

    @property
    def name(self) -> str:
        """In reports."""

    def choices(
        self, contexts: Sequence[str], choices: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float64]:
        """Return log p(choice | context): (contexts, choices)."""


class ReadsPairs:
    """A sequence-to-sequence model, or any that finds one text likely after another, as one that chooses.

    Args:
        likelihoods: the model.
    """

    def __init__(self, likelihoods: Likelihoods) -> None:
        self.likelihoods = likelihoods

    @property
    def name(self) -> str:
        """The model's."""
        return self.likelihoods.name

    def choices(
        self, contexts: Sequence[str], choices: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float64]:
        """See `Chooses`."""
        pairs = [(context, choice.strip()) for context in contexts for choice in choices]
        told = self.likelihoods.of(pairs)
        if progress:
            progress(len(contexts))
        return np.array([one.logprobs.sum() for one in told], np.float64).reshape(len(contexts), len(choices))


class YesNo:
    """Scores rows by how surely a model says yes to a question about them.

    Args:
        model: who is asked.
        question: with places for columns in braces; one of `DIMENSIONS`, or any.
        answers: what counts as yes and as no.
        name: in reports; the question's name otherwise.

    Raises:
        ConfigError: a question without places, or answers that are alike.
    """

    def __init__(
        self, model: Chooses, question: str, *, answers: tuple[str, str] = (" Yes", " No"), name: str | None = None
    ) -> None:
        known = DIMENSIONS.get(question)
        self._template = Template(known or question)
        self.columns: tuple[str, ...] = tuple(self._template.columns)
        if not self.columns:
            raise ConfigError(f"the question {question!r} has no place for a column, such as {{text}}")
        if answers[0].strip() == answers[1].strip():
            raise ConfigError(f"yes and no are both {answers[0]!r}")
        self.model, self.question, self.answers = model, known or question, answers
        self.name = f"{name or (question if known else 'yes or no')} ({model.name})"

    def __call__(self, *columns: Sequence[str], progress: Callable[[int], None] | None = None) -> Scores:
        """Return P(yes) / (P(yes) + P(no)); equal rows are asked once.

        Of a question that is longer than a local model takes the middle of its longest columns is left out, and noted.

        Args:
            columns: as many as the question has places, in the order of `columns`.
            progress: called with the number of questions done.

        Raises:
            DataError: another number of columns, or columns of different length.
            ModelError: a question too long for the model, whatever is left out of it.
        """
        if len(columns) != len(self.columns) or len({len(column) for column in columns}) != 1:
            wanted = ", ".join(self.columns)
            raise DataError(f"{self.name}: columns for {wanted}, all of one length; got {[*map(len, columns)]}")
        rows = list(zip(*columns, strict=True))
        filled = [self._filled(dict(zip(self.columns, row, strict=True))) for row in rows]
        asked = [one for one, _ in filled]
        distinct = list(dict.fromkeys(asked))
        shares = dict(zip(distinct, _first(self.model.choices(distinct, self.answers, progress=progress)), strict=True))
        notes = [
            "; ".join(
                [f"{name} is empty" for name, text in zip(self.columns, row, strict=True) if not text.strip()] + cut
            )
            for row, (_, cut) in zip(rows, filled, strict=True)
        ]
        return Scores(self.name, np.array([shares[one] for one in asked], np.float64), {}, notes)

    def _filled(self, row: dict[str, str]) -> tuple[str, list[str]]:
        """Return the question about a row, and what was left out of it."""
        prompt = self._template.fill(row)
        # What reads pairs cuts by itself.
        most, count = getattr(self.model, "max_length", None), getattr(self.model, "count", None)
        if most is None or count is None or len(prompt.encode()) < most:  # a token is one byte at least
            return prompt, []
        room = most - max(count(answer) for answer in self.answers) - 2
        kept = {name: len(text) for name, text in row.items()}
        while (over := count(prompt) - room) > 0 and any(kept.values()):
            longest, *others = sorted(kept, key=lambda name: -kept[name])
            # By as many characters as the tokens that are too many have here, and a little more; of several long
            # columns by no more than brings it to half.
            wanted = int(over * max(1.0, len(prompt) / count(prompt))) + 8
            most_of_it = max(kept[longest] - (kept[others[0]] if others else 0), (kept[longest] + 1) // 2)
            kept[longest] -= min(wanted, most_of_it)
            prompt = self._template.fill({name: _ends_of(text, kept[name]) for name, text in row.items()})
        cut = {name: len(text) - kept[name] for name, text in row.items() if kept[name] < len(text)}
        return prompt, [f"cut: {lost} characters of {name} were not read" for name, lost in cut.items()]


def _ends_of(text: str, kept: int) -> str:
    """Return so many characters of a text, half from its beginning and half from its end."""
    return text if kept >= len(text) else f"{text[: kept - kept // 2]} ... {text[len(text) - kept // 2 :]}"


def p_true(
    model: Chooses, questions: Sequence[str], answers: Sequence[str], samples: Sequence[Sequence[str]] | None = None
) -> NDArray[np.float64]:
    """Return of each answer how likely a model finds it true: (answers,).

    Args:
        model: who is asked, which may be the one that answered.
        questions: that were answered.
        answers: one of each.
        samples: further answers to each question, which are shown before it; of too many for the model the middle is
            left out.

    Raises:
        DataError: columns of different length.
        ModelError: a question too long for the model, whatever is left out of it.
    """
    if len(questions) != len(answers) or (samples is not None and len(samples) != len(answers)):
        raise DataError(
            f"{len(questions)} questions, {len(answers)} answers, {len(samples or answers)} rows of samples"
        )
    shown = ["\n".join(some) or "(none)" for some in (samples if samples is not None else [()] * len(answers))]
    rows = {"question": questions, "answer": answers, "samples": shown}
    asked = YesNo(model, P_TRUE, answers=(" True", " False"), name="P(True)")
    return asked(*(rows[name] for name in asked.columns)).values if len(answers) else np.zeros(0)


def _first(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the first choice's share of both."""
    gap = logs[:, 1] - logs[:, 0]
    return np.array([1 / (1 + math.exp(min(700.0, float(one)))) for one in gap])
