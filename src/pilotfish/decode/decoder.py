"""What a decoder is: a language model that is fed tokens, gives logits, and can be rolled back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Decoder", "Prompt", "Row"]

# One list of token ids for each member of a decoder: a single model has one member, a lockstep of three has three.
Prompt = Sequence[Sequence[int]]


@dataclass(eq=False)
class Row:
    """One sequence inside a decoder: the prompt (one list of ids a member) and the tokens fed after it.

    `tokens` are shared by all members. `state` belongs to the decoder that made the row and to nobody else.
    """

    prompt: Prompt
    tokens: list[int] = field(default_factory=list)
    state: Any = None


class Decoder(Protocol):
    """A causal language model, or several in lockstep, with the keys and values of every open row.

    Logits are raw (unnormalised), float32, on `device`. Rows are independent: what is fed together gives what it
    gives alone. Calls from several threads take turns.
    """

    @property
    def members(self) -> int:
        """How many models advance together; a `Prompt` has as many lists of ids."""

    @property
    def vocabulary(self) -> int:
        """How many logits there are."""

    @property
    def device(self) -> Any:
        """The torch device of the logits."""

    def start(self, prompts: Sequence[Prompt]) -> tuple[list[Row], Tensor]:
        """Open a row a prompt and run the prompts; return the rows and logits (rows, vocabulary) after each prompt.

        Raises:
            ModelError: a prompt is empty or longer than the model takes.
        """

    def feed(
        self, rows: Sequence[Row], tokens: Sequence[Sequence[int]], parents: Sequence[Sequence[int]] | None = None
    ) -> list[Tensor]:
        """Feed each row its tokens (at least one) and return logits (its tokens, vocabulary) after each of them.

        With `parents` the tokens of a row are a tree: token j follows token parents[i][j] of the same feed, or the
        row's last token where that is -1; it attends to its ancestors only. Parents stand before their children. After
        a tree, `keep` must be called before the row is fed again (`ModelError` otherwise).

        Raises:
            ModelError: a row has no room for its tokens (see `room`), or trees are asked of a decoder without `trees`.
        """

    @property
    def trees(self) -> bool:
        """Whether `feed` takes `parents`."""

    @property
    def early(self) -> list[Tensor]:
        """Early-exit logits of the last `start` or `feed`: (tokens, exits, vocabulary) a row.

        Each is a layer's hidden state through the final norm and the head, for decoders that were made with `exits`
        (layer numbers as in `hidden_states`: 0 is the embedding); empty for the others.
        """

    def keep(self, row: Row, path: Sequence[int]) -> None:
        """After a tree: keep the nodes of `path` (indices into the last feed, a root first), forget the others."""

    def rollback(self, row: Row, length: int) -> None:
        """Forget all but the first `length` tokens fed after the prompt; as if the others had never been fed."""

    def fork(self, row: Row) -> Row:
        """Return an independent copy of a row."""

    def close(self, row: Row) -> None:
        """Give a row's memory back; it is not to be used again."""

    def room(self, row: Row) -> int:
        """Return how many more tokens the row takes."""
