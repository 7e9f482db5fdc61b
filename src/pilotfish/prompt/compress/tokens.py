"""Units by a token classifier: a small encoder says of each word whether it is kept.

Source: Pan et al. 2024 (LLMLingua-2), section 4: a bidirectional encoder and a linear layer, p(keep) a token; here the
question may stand before the text, as a first segment, so that it decides, too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish._saved import facts_in, reading
from pilotfish.errors import ConfigError, ModelError
from pilotfish.models._tokens import buckets
from pilotfish.models.encoder import Encoder
from pilotfish.prompt.compress.units import Span, per_unit
from pilotfish.prompt.compress.way import Asked, Scored
from pilotfish.train.kept import FOLDER, HEAD, keep_encoder

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog

__all__ = ["ByTokens", "TokenClassifier", "Window", "states", "windows"]

WHAT, FILE, FORMAT = "token classifier", "keeps.json", 1


@dataclass(frozen=True)
class Window:
    """A stretch of a text as the encoder reads it.

    Attributes:
        ids: the tokens, special ones and the question's included.
        types: their segments.
        at: (tokens of the text,) their places among `ids`.
        places: where each of these lies in the text.
        first, last: the units that it holds, last not included.
    """

    ids: list[int]
    types: list[int]
    at: list[int]
    places: list[Span]
    first: int
    last: int


def windows(
    encoder: Encoder, text: str, units: Sequence[Span], question: str, length: int, overlap: float = 0.25
) -> list[Window]:
    """Return a text as windows that end between units, and overlap.

    Args:
        encoder: whose tokens they are.
        text: any.
        units: of it.
        question: put before each window; a long one loses its end.
        length: tokens of a window at most, all included.
        overlap: the share of a window that the next one has, too.

    Raises:
        ModelError: the tokenizer does not tell where its tokens lie.
    """
    tokenizer = encoder.tokenizer
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(f"{encoder.name}: its tokenizer does not tell where tokens lie; take one that is fast")
    if not units:
        return []
    told = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False)
    ends = [end for _, end in units]
    owners = [min(bisect_right(ends, start), len(units) - 1) for start, _ in told["offset_mapping"]]
    sizes = np.bincount(owners, minlength=len(units))
    asked = _cut(tokenizer, question, length // 3)
    special = len(tokenizer(*([asked, ""] if asked else [""]), verbose=False)["input_ids"])
    room = max(4, length - special)
    found: list[Window] = []
    first = 0
    while first < len(units):
        last, total = first, 0
        while last < len(units) and (last == first or total + sizes[last] <= room):
            total += int(sizes[last])
            last += 1
        found.append(_window(tokenizer, text, units, asked, first, last, length))
        if last == len(units):
            break
        back, total = last, 0
        while back > first + 1 and total + sizes[back - 1] <= overlap * room:
            back -= 1
            total += int(sizes[back])
        first = back
    return found


def _cut(tokenizer: Any, question: str, most: int) -> str:
    if not question.strip():
        return ""
    told = tokenizer(question, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False)
    places = told["offset_mapping"]
    return question if len(places) <= most else question[: int(places[most - 1][1])]


def _window(
    tokenizer: Any, text: str, units: Sequence[Span], question: str, first: int, last: int, length: int
) -> Window:
    start, end = units[first][0], units[last - 1][1]
    given = (question, text[start:end]) if question else (text[start:end],)
    # A single unit that is longer than the encoder reads is the one thing that is cut.
    told = tokenizer(
        *given,
        return_offsets_mapping=True,
        truncation="only_second" if question else True,
        max_length=length,
        return_token_type_ids=True,
        verbose=False,
    )
    own = 1 if question else 0
    at = [i for i, segment in enumerate(told.sequence_ids(0)) if segment == own]
    places = [(start + int(told["offset_mapping"][i][0]), start + int(told["offset_mapping"][i][1])) for i in at]
    return Window(list(told["input_ids"]), list(told["token_type_ids"]), at, places, first, last)


def states(body: Any, some: Sequence[Window], device: Any) -> Any:
    """Return the encoder's last states of windows, padded: (windows, longest, width)."""
    torch = need("torch", "local")
    longest = max(len(one.ids) for one in some)
    ids = torch.zeros((len(some), longest), dtype=torch.long)
    types, mask = torch.zeros_like(ids), torch.zeros_like(ids)
    for row, one in enumerate(some):
        ids[row, : len(one.ids)] = torch.tensor(one.ids)
        types[row, : len(one.ids)] = torch.tensor(one.types)
        mask[row, : len(one.ids)] = 1
    given = {"input_ids": ids.to(device), "attention_mask": mask.to(device)}
    if getattr(body.config, "type_vocab_size", 0) > 1:
        given["token_type_ids"] = types.to(device)
    return body(**given).last_hidden_state


class TokenClassifier:
    """An encoder and one linear layer: the log-odds that a token is kept. Taught by `teach`.

    Args:
        encoder: taught.
        weight: (width,).
        bias: one number.
        length: tokens that it reads at once; None reads what the encoder says of itself.
        asks: whether it was taught with questions; without, it is given none.
        report: what it learnt from, as plain data.

    Raises:
        ConfigError: a length out of range.
    """

    def __init__(
        self,
        encoder: Encoder,
        weight: NDArray[np.float32],
        bias: float,
        *,
        length: int | None = None,
        asks: bool = False,
        report: dict[str, Any] | None = None,
    ) -> None:
        if length is not None and length < 16:
            raise ConfigError(f"windows have 16 tokens or more, not {length}")
        self.encoder, self.weight, self.bias = encoder, weight, bias
        self.asks, self.report, self._length = asks, report or {}, length

    @property
    def length(self) -> int:
        """Tokens that it reads at once."""
        return self._length or min(512, self.encoder.max_length)

    def odds(self, text: str, units: Sequence[Span], question: str = "") -> tuple[NDArray[np.float64], int]:
        """Return each unit's log-odds of being kept, the mean over its tokens, and how many tokens were read.

        A unit that two windows have is judged by the one in whose midst it stands.
        """
        torch = need("torch", "local")
        encoder = self.encoder.load()
        some = windows(encoder, text, units, question if self.asks else "", self.length)
        found = np.zeros(len(units))
        margin = np.full(len(units), -1)
        device = encoder.model.device
        weight = torch.tensor(self.weight, device=device)
        with encoder.reading() as body:
            for batch in buckets([len(one.ids) for one in some], encoder.batch_tokens):
                group = [some[i] for i in batch]
                told = (states(body, group, device).float() * weight).sum(-1) + self.bias
                for one, row in zip(group, told.cpu().numpy().astype(np.float64), strict=True):
                    own = units[one.first : one.last]
                    values = per_unit(own, one.places, row[one.at], empty=-20.0)
                    # From the edges that cut the text; at its two ends there is no more to see.
                    at = np.arange(len(own))
                    left = at if one.first else np.full(len(own), len(units))
                    right = at[::-1] if one.last < len(units) else np.full(len(own), len(units))
                    room = np.minimum(left, right)
                    better = room > margin[one.first : one.last]
                    found[one.first : one.last][better] = values[better]
                    margin[one.first : one.last][better] = room[better]
        return found, sum(len(one.ids) for one in some)

    def save(self, folder: str | Path) -> None:
        """Write the encoder, the layer, and what it learnt from; the file of facts goes first and comes last."""
        arrays = {"weight": np.asarray(self.weight, np.float32), "bias": np.array([self.bias], np.float32)}
        told = {"format": FORMAT, "length": self._length, "asks": self.asks, "report": self.report}
        keep_encoder(folder, FILE, self.encoder, told, arrays)

    @classmethod
    def load(
        cls, folder: str | Path, *, dtype: str = "float32", device: str = "auto", catalog: Catalog | None = None
    ) -> TokenClassifier:
        """Read what `save` wrote; the encoder's weights load at the first use.

        Raises:
            ModelError: the folder holds none, or a damaged one.
        """
        folder = Path(folder)
        with reading(folder, WHAT):
            told = facts_in(folder / FILE, WHAT, FORMAT)
            arrays = need("safetensors.numpy", "local").load_file(folder / HEAD)
            encoder = Encoder(folder / FOLDER, name=told["name"], dtype=dtype, device=device, catalog=catalog)
            return cls(
                encoder,
                arrays["weight"],
                float(arrays["bias"][0]),
                length=told["length"],
                asks=bool(told["asks"]),
                report=told["report"],
            )


@dataclass(frozen=True)
class ByTokens:
    """Scores units by a token classifier.

    Attributes:
        classifier: taught.
    """

    classifier: TokenClassifier
    name: str = "tokens"

    def __call__(self, asked: Asked) -> Scored:
        """Return each unit's log-odds of being kept."""
        values, read = self.classifier.odds(asked.text, asked.units, asked.question)
        return Scored(values, None, read)
