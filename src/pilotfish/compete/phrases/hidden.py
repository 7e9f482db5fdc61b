"""The large model's own states as phrase vectors: what the small encoder has to beat.

Sources: the mean of a causal model's last states: as `EncoderFeatures` has it; the state behind a prompt that asks for
one word: Jiang et al. 2023 (Scaling Sentence Embeddings with Large Language Models; PromptEOL).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError
from pilotfish.measure.judging import filled_in
from pilotfish.models.reader import Reader

__all__ = ["ONE_WORD", "Hidden"]

ONE_WORD = 'This phrase: "{phrase}" means in one word: "'


class Hidden:
    """A causal model read as an encoder of phrases.

    Args:
        reader: of the model.
        pooling: "mean" of the states of a phrase's tokens, or "last", the state of the last token.
        form: what is read, with the place {phrase}; None is the phrase alone, and `ONE_WORD` where the last is taken.
        centre: (width,) that is taken off each vector before it is made of length one: the states of language models
            lie in a narrow cone (Ethayarajh 2019), and the mean of some others' opens it. None takes off nothing.

    Raises:
        ConfigError: another pooling, or a form without the place.
    """

    def __init__(
        self,
        reader: Reader,
        pooling: Literal["mean", "last"] = "mean",
        form: str | None = None,
        centre: NDArray[np.float32] | None = None,
    ) -> None:
        if pooling not in ("mean", "last"):
            raise ConfigError(f"pooling is mean or last, not {pooling!r}")
        self.form = form if form is not None else ONE_WORD if pooling == "last" else "{phrase}"
        if "{phrase}" not in self.form:
            raise ConfigError("the form needs the place {phrase}")
        self.reader, self.pooling, self.centre = reader, pooling, centre
        self.name = f"{reader.name}, {pooling}"

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return int(self.reader.model.config.get_text_config().hidden_size)

    def centred(self, phrases: Sequence[str]) -> Hidden:
        """Return the same with the mean of some phrases' vectors taken off; none of them is to be measured on."""
        plain = Hidden(self.reader, self.pooling, self.form)
        return Hidden(self.reader, self.pooling, self.form, plain.encode(phrases).mean(axis=0))

    def encode(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Return a vector of length one for each phrase: (texts, dimension)."""
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        filled = [filled_in(self.form, phrase=text) for text in texts]
        if self.pooling == "mean":
            found = self.reader.pooled(filled, progress=progress)
        else:
            # What a further token would follow from is the last one's state; which token it is plays no part in it.
            rows = [self.reader.ids(text)[-(self.reader.max_length - 1) :] for text in filled]
            told = self.reader.read([([*ids, ids[0]], len(ids)) for ids in rows], progress=progress)
            found = np.stack([state for _, state in told])
        unit = _unit(found)
        return unit if self.centre is None else _unit(unit - self.centre)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12), np.float32)
