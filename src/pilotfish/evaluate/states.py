"""One vector a token: the states of any encoder or causal language model at any layer, to compare token by token.

Texts are encoded once each, those of one length together, and only as far as the layer that is wanted.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import ConfigError, ModelError
from pilotfish.evaluate._weights import padded, places_of
from pilotfish.models._tokens import buckets
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["States", "TokenStates"]

_HELD = 256 << 20  # bytes of states that are kept for texts that come again, as references do


@dataclass(frozen=True)
class States:
    """A text as its tokens.

    Attributes:
        ids: (tokens,) with the special ones.
        special: (tokens,) True where a token was added by the tokenizer and stands for nothing in the text.
        spans: (tokens, 2) where each begins and ends in the text; an added one is empty.
        vectors: (tokens, width) float32, of length 1.
        windows: in how many pieces the text was read, 1 where the model takes it whole.
        left_out: tokens at its end that were not read.
    """

    ids: NDArray[np.int64]
    special: NDArray[np.bool_]
    spans: NDArray[np.int64]
    vectors: Any
    windows: int = 1
    left_out: int = 0

    @property
    def empty(self) -> bool:
        """Whether no token stands for anything in the text."""
        return bool(self.special.all())


class TokenStates:
    """Reads texts; keeps the states of those that it read last.

    Args:
        model: an encoder or a local language model.
        layer: after which layer, from 1; 0 are the embeddings, None the last one, -1 is the last one too.
        long: "windows" reads a text that is longer than the model takes in pieces that overlap by half, each token's
            state from the piece in whose midst it stands; "cut" leaves the rest out.
        batch_tokens: the most tokens, padding included, in one pass.
        held: bytes of states to keep.

    Raises:
        ConfigError: `long` is neither.
    """

    def __init__(
        self,
        model: Encoder | LocalModel,
        layer: int | None = None,
        *,
        long: str = "windows",
        batch_tokens: int = 4096,
        held: int = _HELD,
    ) -> None:
        if long not in ("windows", "cut"):
            raise ConfigError(f"long is windows or cut, not {long!r}")
        self.model, self.layer, self.long = model, layer, long
        self.batch_tokens, self.held = batch_tokens, held
        self._kept: OrderedDict[str, States] = OrderedDict()
        self._size = 0

    def __getstate__(self) -> dict[str, Any]:
        # What was read stays here: a worker reads its own rows.
        return self.__dict__ | {"_kept": OrderedDict(), "_size": 0}

    @property
    def name(self) -> str:
        """The model, the layer, and whether long texts are cut."""
        further = [f"layer {self.layer}"] if self.layer is not None else []
        return ", ".join([self.model.name, *further, *(["cut"] if self.long == "cut" else [])])

    @property
    def tokenizer(self) -> Any:
        """The model's."""
        return self.model.load().tokenizer

    @property
    def body(self) -> Any:
        """The transformer, without pooling and without a head."""
        model = self.model.load().model
        if isinstance(self.model, LocalModel):
            from pilotfish.models.head import body_of

            return body_of(model)
        return model[0].auto_model

    @property
    def most(self) -> int:
        """How many tokens the model takes at once, special ones included."""
        # What the tokenizer says is not asked first: for vectors of whole texts encoders are often told to read less,
        # and one that knows none says 10^30.
        return places_of(self.body.config) or int(min(self.tokenizer.model_max_length, 2**31))

    def of(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> list[States]:
        """Return each text's states; equal texts are read once.

        Args:
            texts: any; an empty one has its special tokens alone.
            progress: called with the number of texts each pass finishes.
        """
        found = {text: self._kept[text] for text in texts if text in self._kept}
        for text in found:
            self._kept.move_to_end(text)
        new = [text for text in dict.fromkeys(texts) if text not in found]
        found.update(zip(new, self._read(new, progress), strict=True))
        for text in new:
            self._keep(text, found[text])
        return [found[text] for text in texts]

    def ids(self, text: str) -> list[int]:
        """Return a text's tokens, with those that the tokenizer adds."""
        tokenizer = self.tokenizer
        return list(tokenizer(_spaced(tokenizer, text), verbose=False)["input_ids"])

    def _keep(self, text: str, states: States) -> None:
        self._kept[text] = states
        self._size += _bytes(states)
        while self._size > self.held and self._kept:
            _, old = self._kept.popitem(last=False)
            self._size -= _bytes(old)

    def _read(self, texts: Sequence[str], progress: Callable[[int], None] | None) -> list[States]:
        if not texts:
            return []
        torch = need("torch", "local")
        pieces = self._pieces(texts)
        flat = [(number, piece) for number, some in enumerate(pieces) for piece in some]
        vectors: list[Any] = [None] * len(flat)
        with torch.inference_mode():
            for batch in buckets([len(piece.ids) for _, piece in flat], self.batch_tokens):
                for place, states in zip(batch, self._pass([flat[i][1].ids for i in batch]), strict=True):
                    vectors[place] = states
                if progress:
                    progress(sum(flat[i][1].first for i in batch))
        found, at = [], 0
        for some in pieces:
            mine = vectors[at : at + len(some)]
            at += len(some)
            found.append(some[0].states(mine[0]) if len(some) == 1 else _joined(some, mine))
        return found

    def _pieces(self, texts: Sequence[str]) -> list[list[_Piece]]:
        tokenizer, most = self.tokenizer, self.most
        spaced = [_spaced(tokenizer, text) for text in texts]
        told = tokenizer(spaced, return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False)
        found = []
        for number, text in enumerate(texts):
            ids = np.asarray(told["input_ids"][number], np.int64)
            special = np.asarray(told["special_tokens_mask"][number], bool)
            spans = np.asarray(told["offset_mapping"][number], np.int64).reshape(-1, 2)
            spans = np.maximum(spans - (len(spaced[number]) - len(text)), 0)
            found.append(list(self._cut(ids, special, spans, most)))
        return found

    def _cut(
        self, ids: NDArray[np.int64], special: NDArray[np.bool_], spans: NDArray[np.int64], most: int
    ) -> Iterator[_Piece]:
        if len(ids) <= most:
            yield _Piece(ids, special, spans, 0, len(ids))
            return
        # The tokens that the tokenizer put around the text go around each piece.
        inside = np.flatnonzero(~special)
        head, tail = slice(0, int(inside[0])), slice(int(inside[-1]) + 1, len(ids))
        room = most - (inside[0] + len(ids) - 1 - inside[-1])
        if room < 2:
            raise ModelError(f"{self.model.name} takes {most} tokens, special ones included: too few for a text")
        body = np.arange(inside[0], inside[-1] + 1)
        starts = [0] if self.long == "cut" else list(range(0, max(1, len(body) - room // 2), room - room // 2))
        for number, start in enumerate(starts):
            mine = body[start : start + room]
            last = number == len(starts) - 1
            # Of what two pieces have in common each gives the half that is nearer to its midst.
            low = 0 if number == 0 else (room // 2) // 2
            high = len(mine) if last else len(mine) - (room // 2 - (room // 2) // 2)
            places = np.concatenate([np.arange(len(ids))[head], mine, np.arange(len(ids))[tail]])
            lead = int(inside[0])
            yield _Piece(
                ids[places],
                special[places],
                spans[places],
                0 if number == 0 else lead + low,
                len(places) if last else lead + high,
                number == 0,
                len(body) - len(mine) if self.long == "cut" else 0,
            )

    def _pass(self, rows: Sequence[NDArray[np.int64]]) -> list[Any]:
        """Return the states of rows of tokens, of length 1: (tokens, width) each."""
        torch = need("torch", "local")
        body = self.body
        ids, mask = padded(rows)
        given = {"input_ids": ids.to(body.device)}
        if not mask.all():  # where nothing is padded attention takes its quickest way
            given["attention_mask"] = mask.to(body.device)
        mixed = getattr(self.model, "_mixed", None)
        with torch.autocast(body.device.type, dtype=mixed or torch.bfloat16, enabled=mixed is not None):
            states = self._states(body, given)
        states = torch.nn.functional.normalize(states.float(), dim=-1).cpu()
        # Copies: a part would keep the whole rectangle in memory.
        return [states[place, : len(row)].clone() for place, row in enumerate(rows)]

    def _states(self, body: Any, given: dict[str, Any]) -> Any:
        layers = _layers(body)
        count = len(layers)
        wanted = count if self.layer is None else self.layer % (count + 1) if self.layer < 0 else self.layer
        if not 0 <= wanted <= count:
            raise ConfigError(f"{self.model.name} has {count} layers, not {self.layer}")
        if isinstance(self.model, LocalModel):
            given["use_cache"] = False
        if wanted == count:
            return body(**given).last_hidden_state
        if wanted == 0:
            caught = layers[0].register_forward_pre_hook(_caught_before, with_kwargs=True)
        else:
            caught = layers[wanted - 1].register_forward_hook(_caught_behind)
        try:
            body(**given)
        except _Enough as enough:
            return enough.states
        finally:
            caught.remove()
        raise ModelError(f"{self.model.name}: layer {wanted} was not come by")


class _Enough(Exception):  # noqa: N818  # no error: the layers behind are not wanted
    def __init__(self, states: Any) -> None:
        super().__init__()
        self.states = states


def _caught_before(layer: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
    raise _Enough(given[0] if given else named["hidden_states"])


def _caught_behind(layer: Any, given: tuple[Any, ...], told: Any) -> None:
    raise _Enough(told[0] if isinstance(told, tuple) else told)


def _layers(body: Any) -> Any:
    """Return the list of a transformer's layers: as many as its settings say."""
    torch = need("torch", "local")
    count = getattr(body.config.get_text_config(), "num_hidden_layers", None)
    for part in body.modules():
        if isinstance(part, torch.nn.ModuleList) and len(part) == count:
            return part
    raise ModelError(f"{type(body).__name__}: no list of {count} layers in it")


@dataclass(frozen=True)
class _Piece:
    """Part of a text as the model reads it; the tokens from `low` to `high` are its own."""

    ids: NDArray[np.int64]
    special: NDArray[np.bool_]
    spans: NDArray[np.int64]
    low: int
    high: int
    first: bool = True
    left_out: int = 0

    def states(self, vectors: Any) -> States:
        return States(self.ids, self.special, self.spans, vectors, left_out=self.left_out)


def _joined(pieces: Sequence[_Piece], vectors: Sequence[Any]) -> States:
    torch = need("torch", "local")

    def own(name: str) -> Any:
        return np.concatenate([getattr(piece, name)[piece.low : piece.high] for piece in pieces])

    kept = torch.cat([some[piece.low : piece.high] for piece, some in zip(pieces, vectors, strict=True)])
    return States(own("ids"), own("special"), own("spans"), kept, len(pieces))


def _spaced(tokenizer: Any, text: str) -> str:
    """Return the text with a space in front where the first word would else be cut otherwise than all others are."""
    return f" {text}" if text and _wants_space(tokenizer) else text


def _wants_space(tokenizer: Any) -> bool:
    known = getattr(tokenizer, "_pilotfish_wants_space", None)
    if known is None:
        alone, spaced, within = (tokenizer.tokenize(text) for text in ("word", " word", "a word"))
        known = alone != spaced and within[-len(spaced) :] == spaced
        tokenizer._pilotfish_wants_space = known
    return bool(known)


def _bytes(states: States) -> int:
    return int(states.vectors.numel() * states.vectors.element_size() + states.ids.nbytes + states.spans.nbytes)
