"""Any model as a classifier: asked for one of the labels, zero-shot or with examples.

A model whose weights are here gives the log-probability of every label (no parsing, no failures). A black-box model
writes an answer, which is parsed; an answer that names no label is a *parse failure*: counted, shown, never guessed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeGuard, runtime_checkable

import numpy as np

from pilotfish._sync import wait
from pilotfish.errors import ConfigError
from pilotfish.model import Call, Message, Model, Reply, Request, TokenLogprob, Trace, WholeReplies
from pilotfish.models.classify._parse import parse_label
from pilotfish.rows.model_stage import concurrency_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

INSTRUCTION = "Sort the text into exactly one category. Answer with the category's name and nothing else."


@runtime_checkable
class Chooser(Model, Protocol):
    """A white-box model that scores a set of choices after a context (`LocalModel`)."""

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


def _chooses(model: Model) -> TypeGuard[Chooser]:
    """Say whether a model is a `Chooser`, without reading its properties: some of them load the weights."""
    return all(callable(getattr(model, name, None)) for name in ("choices", "render", "count"))


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
        concurrency: the most questions in flight to a black-box model; None is as many as the model takes.
        max_text: the most characters of a text that the prompt holds; None for no limit but the model's own.

    Raises:
        ConfigError: fewer than two labels, a label twice or empty, an example with another label, or a limit below 1.

    Attributes:
        shown: label -> the name in the prompt, without line breaks; two labels never share one.
        prior_: (classes,) log of the mean label probabilities, set by `calibrate`; subtracted from then on.
    """

    model: Model
    labels: Sequence[str]
    names: Mapping[str, str] = field(default_factory=dict)
    examples: Sequence[tuple[str, str]] = ()
    instruction: str = INSTRUCTION
    concurrency: int | None = None
    max_text: int | None = None
    name: str = "labeller"
    prior_: NDArray[np.float64] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.concurrency is None:
            self.concurrency = concurrency_of(self.model, None)
        if len(set(self.labels)) < 2:
            raise ConfigError("a labeller needs two different labels or more")
        if len(set(self.labels)) < len(self.labels):
            twice = next(label for label in self.labels if list(self.labels).count(label) > 1)
            raise ConfigError(f"a labeller needs each label once; {twice!r} stands there twice")
        if not all(label.strip() for label in self.labels):
            raise ConfigError("a labeller's label must not be empty")
        for key in ("concurrency", "max_text"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise ConfigError(f"a labeller's {key} must be at least 1, not {value}")
        unknown = [label for _, label in self.examples if label not in set(self.labels)]
        if unknown:
            raise ConfigError(f"an example has the label {unknown[0]!r}, which is not among the labels")
        self.shown = {
            label: _one_line(self.names.get(label) or label.replace("_", " ")) or label for label in self.labels
        }
        if len(set(self.shown.values())) < len(self.labels):
            self.shown = {label: label for label in self.labels}

    @property
    def white_box(self) -> bool:
        """Whether the labels' probabilities are read off the model, so that no answer is parsed."""
        return _chooses(self.model)

    def request(self, text: str) -> Request:
        """Return what the model is asked about a text."""
        listing = "\n".join(f"- {name}" for name in self.shown.values())
        messages = [Message("system", f"{self.instruction}\n\nCategories:\n{listing}")]
        for example, label in self.examples:
            messages += [Message("user", self._framed(example)), Message("assistant", self.shown[label])]
        messages.append(Message("user", self._framed(text)))
        # The longest name in characters bounds its tokens; room is left for quotes or a short preamble.
        longest = max(len(name) for name in self.shown.values())
        return Request(messages=tuple(messages), temperature=0.0, max_tokens=longest + 16)

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
        if _chooses(self.model):
            return self._by_probability(self.model, texts, progress)
        return wait(self._by_answer(texts, progress))

    def calibrate(self, texts: Sequence[str]) -> Labeller:
        """Learn the model's bias towards some labels from unlabelled texts, and correct for it from then on.

        Batch calibration (Zhou et al. 2023, equation 3): each label's log-probability less the log of its mean over
        the texts. No label is looked at. A black-box model has no probabilities, so nothing changes.
        """
        if _chooses(self.model) and texts:
            contexts, _ = self._fitted(self.model, texts)
            self.fit_prior(_normalised(self.model.choices(contexts, list(self.shown.values()))))
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
        raw = model.choices(contexts, list(self.shown.values()), progress=progress)
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
            # No tokenizer packs more characters into a token: so a text of megabytes is not tokenised to its end.
            cut = text[: room * 64]
            context = model.render(self.request(cut))
            if model.count(context) > room:
                cut = self._shortened(model, cut, room)
                context = model.render(self.request(cut))
            truncated.append(cut != text or self._too_long(text))
            contexts.append(context)
        return contexts, truncated

    def _shortened(self, model: Chooser, text: str, room: int) -> str:
        """Return the longest beginning of a text (but for a token or so) whose prompt has `room` tokens at most."""

        def fits(length: int) -> bool:
            return model.count(model.render(self.request(text[:length]))) <= room

        if not fits(1):
            raise ConfigError(f"{self.model.name}: its {model.max_length} tokens do not hold the labels and examples")
        low, high = 1, min(len(text), self.max_text or len(text))
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        return text[:low]

    async def _by_answer(self, texts: Sequence[str], progress: Callable[[int], None] | None) -> Labels:
        gate = asyncio.Semaphore(concurrency_of(self.model, self.concurrency))

        async def one(text: str) -> tuple[str | None, Trace]:
            async with gate:
                reply = await self.model.reply(self.request(text))
            if progress:
                progress(1)
            return parse_label(reply.text, self.shown), reply.trace

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(text)) for text in texts]
        except BaseExceptionGroup as failed:
            # The first failure stopped the others; it is what the caller can act on.
            raise failed.exceptions[0] from None
        answers = [task.result() for task in tasks]
        cut = [self._too_long(text) for text in texts]
        return Labels([label for label, _ in answers], None, [trace for _, trace in answers], cut)

    # One text at a time, as a Model.

    async def reply(self, request: Request) -> Reply:
        """Return the label of the last user turn; an answer that names none is passed on as the model wrote it.

        Such a reply has the finish reason "parse_failure", so that a collaboration can tell.
        """
        if _chooses(self.model):
            labels = await asyncio.to_thread(self._by_probability, self.model, [request.prompt], None)
            assert labels.logprobs is not None
            order = np.argsort(-labels.logprobs[0], kind="stable")
            ranked = tuple((self.labels[i], float(labels.logprobs[0][i])) for i in order)
            return Reply(
                ranked[0][0], logprobs=(TokenLogprob(ranked[0][0], ranked[0][1], ranked),), trace=labels.traces[0]
            )
        asked = self.request(request.prompt).with_(logprobs=request.logprobs, top_logprobs=request.top_logprobs)
        reply = await self.model.reply(asked)
        label = parse_label(reply.text, self.shown)
        if label is None:
            return reply.with_(finish_reason="parse_failure").decided(self.name, "no label in the answer")
        return reply.with_(text=label)


def _one_line(text: str) -> str:
    """Return a text with every run of white space as one space."""
    return " ".join(text.split())


def _normalised(logprobs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log-probabilities that sum to one over the last axis."""
    top = logprobs.max(axis=-1, keepdims=True)
    return np.asarray(logprobs - top - np.log(np.exp(logprobs - top).sum(axis=-1, keepdims=True)))
