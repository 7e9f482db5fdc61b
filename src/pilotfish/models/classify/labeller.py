"""Any model as a classifier: asked for one of the labels, zero-shot or with examples.

A model whose weights are here gives the log-probability of every label (no parsing, no failures). A black-box model
writes an answer, which is parsed; an answer that names no label is a *parse failure*: counted, shown, never guessed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from pilotfish._sync import wait
from pilotfish.errors import ConfigError
from pilotfish.model import Call, Message, Model, Reply, Request, TokenLogprob, Trace, WholeReplies
from pilotfish.models.classify._parse import parse_label

if TYPE_CHECKING:
    from numpy.typing import NDArray

INSTRUCTION = "Sort the text into exactly one category. Answer with the category's name and nothing else."


@runtime_checkable
class Chooser(Protocol):
    """A white-box model that scores a set of choices after a context (`LocalModel`)."""

    max_tokens: int

    @property
    def max_length(self) -> int:
        """The most tokens it takes."""

    def render(self, request: Request) -> str:
        """Return the prompt text of a request."""

    def count(self, text: str) -> int:
        """Return the number of tokens of a text."""

    def choices(
        self, contexts: Sequence[str], choices: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float64]:
        """Return log p(choice | context): (contexts, choices)."""


@dataclass
class Labels:
    """What a labeller said of some texts.

    Attributes:
        labels: one a text; None where the answer named no label (black box only).
        logprobs: (texts, classes) log-probabilities, normalised over the classes, in the labeller's order of labels;
            None for a black box.
        traces: one a text: tokens, seconds, cost.
        truncated_rows: one a text: whether it was cut to fit the model.
    """

    labels: list[str | None]
    logprobs: NDArray[np.float64] | None
    traces: list[Trace]
    truncated_rows: list[bool]

    @property
    def truncated(self) -> int:
        """How many texts were cut to fit the model."""
        return sum(self.truncated_rows)

    @property
    def failures(self) -> int:
        """How many answers named no label."""
        return sum(label is None for label in self.labels)

    @property
    def failure_rate(self) -> float:
        """The share of answers that named no label."""
        return self.failures / len(self.labels) if self.labels else 0.0


@dataclass
class Labeller(WholeReplies):
    """A model that answers with one of `labels`.

    Args:
        model: any model; one with `choices` (a `LocalModel`) is read by log-probabilities.
        labels: the labels, two or more.
        names: label -> the name the prompt shows for it; by default the label with `_` as spaces.
        examples: (text, label) pairs shown before the question (few-shot).
        instruction: the system message's first paragraph.
        concurrency: the most questions in flight to a black-box model.
        max_text: the most characters of a text that the prompt holds; None for no limit but the model's own.

    Attributes:
        prior_: (classes,) log of the mean label probabilities, set by `calibrate`; subtracted from then on.
    """

    model: Model
    labels: Sequence[str]
    names: Mapping[str, str] = field(default_factory=dict)
    examples: Sequence[tuple[str, str]] = ()
    instruction: str = INSTRUCTION
    concurrency: int = 8
    max_text: int | None = None
    name: str = "labeller"
    prior_: NDArray[np.float64] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if len(set(self.labels)) < 2:
            raise ConfigError("a labeller needs two different labels or more")
        unknown = [label for _, label in self.examples if label not in set(self.labels)]
        if unknown:
            raise ConfigError(f"an example has the label {unknown[0]!r}, which is not among the labels")
        self.shown = {label: self.names.get(label) or label.replace("_", " ").strip() for label in self.labels}
        if len(set(self.shown.values())) < len(set(self.labels)):
            self.shown = {label: label for label in self.labels}

    @property
    def white_box(self) -> bool:
        """Whether the labels' probabilities are read off the model, so that no answer is parsed."""
        return isinstance(self.model, Chooser)

    def request(self, text: str) -> Request:
        """Return what the model is asked about a text."""
        listing = "\n".join(f"- {name}" for name in self.shown.values())
        messages = [Message("system", f"{self.instruction}\n\nCategories:\n{listing}")]
        for example, label in self.examples:
            messages += [Message("user", self._framed(example)), Message("assistant", self.shown[label])]
        messages.append(Message("user", self._framed(text)))
        # The longest name in characters bounds its tokens; room is left for quotes or a short preamble.
        longest = max(len(name) for name in self.shown.values())
        return Request(messages=tuple(messages), temperature=0.0, max_tokens=min(longest + 16, 64))

    def _too_long(self, text: str) -> bool:
        return self.max_text is not None and len(text) > self.max_text

    def _framed(self, text: str) -> str:
        return f"Text: {text[: self.max_text] if self.max_text else text}"

    # Many texts at once.

    def predict(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> Labels:
        """Label texts. A black-box model is asked about several at a time, each question once.

        Raises:
            UpstreamError: the endpoint failed after its retries.
        """
        if isinstance(self.model, Chooser):
            return self._by_probability(self.model, texts, progress)
        return wait(self._by_answer(texts, progress))

    def calibrate(self, texts: Sequence[str]) -> Labeller:
        """Learn the model's bias towards some labels from unlabelled texts, and correct for it from then on.

        Batch calibration (Zhou et al. 2023, equation 3): each label's log-probability less the log of its mean over
        the texts. No label is looked at. A black-box model has no probabilities, so nothing changes.
        """
        if isinstance(self.model, Chooser) and texts:
            self.prior_ = None
            logprobs = self._by_probability(self.model, texts, None).logprobs
            assert logprobs is not None
            self.fit_prior(logprobs)
        return self

    def fit_prior(self, logprobs: NDArray[np.float64]) -> Labeller:
        """Set the correction from uncorrected log-probabilities (texts, classes) of unlabelled texts."""
        self.prior_ = np.log(np.exp(logprobs).mean(axis=0).clip(min=1e-12))
        return self

    def corrected(self, logprobs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return log-probabilities (texts, classes) with the prior, if there is one, taken out, normalised."""
        return logprobs if self.prior_ is None else _normalised(logprobs - self.prior_)

    def _by_probability(self, model: Chooser, texts: Sequence[str], progress: Callable[[int], None] | None) -> Labels:
        contexts, truncated = self._fitted(model, texts)
        started = time.perf_counter()
        raw = model.choices(contexts, [self.shown[label] for label in self.labels], progress=progress)
        each = (time.perf_counter() - started) / max(1, len(texts))
        logprobs = self.corrected(_normalised(raw))
        labels: list[str | None] = [self.labels[i] for i in logprobs.argmax(axis=1)]
        traces = [Trace((Call(self.model.name, "labeller", model.count(context), 0, each),)) for context in contexts]
        return Labels(labels, logprobs, traces, truncated)

    def _fitted(self, model: Chooser, texts: Sequence[str]) -> tuple[list[str], list[bool]]:
        """Return the prompts, texts cut where the model would not take them, and which were cut."""
        room = model.max_length - max(model.count(name) for name in self.shown.values()) - 2
        contexts, truncated = [], []
        for text in texts:
            context = model.render(self.request(text))
            cut = text
            # A token is a character at least, so one round mostly does; re-tokenising may need a second.
            while model.count(context) > room:
                shorter = cut[: max(0, len(cut) - max(1, (model.count(context) - room)))]
                if shorter == cut or not shorter:
                    raise ConfigError(
                        f"{self.model.name}: its {model.max_length} tokens do not hold the labels and examples"
                    )
                cut = shorter
                context = model.render(self.request(cut))
            truncated.append(cut != text or self._too_long(text))
            contexts.append(context)
        return contexts, truncated

    async def _by_answer(self, texts: Sequence[str], progress: Callable[[int], None] | None) -> Labels:
        gate = asyncio.Semaphore(self.concurrency)

        async def one(text: str) -> tuple[str | None, Trace]:
            async with gate:
                reply = await self.model.reply(self.request(text))
            if progress:
                progress(1)
            return parse_label(reply.text, self.shown), reply.trace

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(text)) for text in texts]
        answers = [task.result() for task in tasks]
        cut = [self._too_long(text) for text in texts]
        return Labels([label for label, _ in answers], None, [trace for _, trace in answers], cut)

    # One text at a time, as a Model.

    async def reply(self, request: Request) -> Reply:
        """Return the label of the last user turn; an answer that names none is passed on as the model wrote it.

        Such a reply has the finish reason "parse_failure", so that a collaboration can tell.
        """
        if isinstance(self.model, Chooser):
            labels = await asyncio.to_thread(self._by_probability, self.model, [request.prompt], None)
            assert labels.logprobs is not None
            order = np.argsort(-labels.logprobs[0], kind="stable")
            ranked = tuple((self.labels[i], float(labels.logprobs[0][i])) for i in order)
            return Reply(
                ranked[0][0], logprobs=(TokenLogprob(ranked[0][0], ranked[0][1], ranked),), trace=labels.traces[0]
            )
        reply = await self.model.reply(self.request(request.prompt))
        label = parse_label(reply.text, self.shown)
        if label is None:
            return reply.with_(finish_reason="parse_failure").decided(self.name, "no label in the answer")
        return reply.with_(text=label)


def _normalised(logprobs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log-probabilities that sum to one over the last axis."""
    top = logprobs.max(axis=-1, keepdims=True)
    return np.asarray(logprobs - top - np.log(np.exp(logprobs - top).sum(axis=-1, keepdims=True)))
