"""A causal model without its head: token ids in, the states that its head would be given out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pilotfish._extras import need
from pilotfish.errors import ModelError
from pilotfish.models.head import Head, head_of
from pilotfish.models.head import body_of as plain_body
from pilotfish.train.batch import Rows

__all__ = ["Seen", "body_of", "check", "head_in", "seen"]

_SAMPLE = 7  # tokens by which a model's own logits are compared with its head's


@dataclass(frozen=True)
class Seen:
    """What a model sees in a batch.

    Attributes:
        last: (examples, longest, dimension): what the head is given.
        hidden: of every layer, the embeddings first, each (examples, longest, dimension); None where not asked for.
        attentions: of every layer, (examples, heads, longest, longest); None where not asked for.
    """

    last: Any
    hidden: tuple[Any, ...] | None = None
    attentions: tuple[Any, ...] | None = None

    def at(self, rows: Rows) -> Any:
        """Return the states that predict the tokens in the loss: (tokens, dimension)."""
        return self.last[rows.row, rows.at]


def body_of(model: Any) -> Any:
    """Return the model without its head; of one with adapters, the body that holds them."""
    return plain_body(_plain(model))


def seen(model: Any, rows: Rows, *, hidden: bool = False, attentions: bool = False) -> Seen:
    """Run a model's body over a batch.

    Padding stands at the end, where causal attention keeps real tokens from seeing it, so no mask is needed.
    """
    found = body_of(model)(
        input_ids=rows.ids, use_cache=False, output_hidden_states=hidden, output_attentions=attentions
    )
    return Seen(
        found.last_hidden_state, found.hidden_states if hidden else None, found.attentions if attentions else None
    )


def head_in(model: Any) -> Head:
    """Return the LM head of a model with adapters or without, as it is now."""
    return head_of(_plain(model))


def check(model: Any, name: str) -> None:
    """See that body and head together are the model.

    Raises:
        ModelError: they are not: something else stands between states and logits.
    """
    torch = need("torch", "train")
    plain = _plain(model)
    head = head_of(plain)
    was = plain.training
    plain.eval()
    with torch.no_grad():
        ids = torch.arange(1, 1 + _SAMPLE, device=plain.device)[None] % len(head)
        wanted = plain(input_ids=ids, use_cache=False).logits[0].float()
        states = body_of(plain)(input_ids=ids, use_cache=False).last_hidden_state[0]
        found = torch.empty(_SAMPLE, len(head), dtype=torch.float32, device=wanted.device)
        head.raw(states, len(head), found)
        head.shape_(found, 1.0)
    plain.train(was)
    if not bool(torch.isfinite(wanted).all()):
        raise ModelError(f"{name}: its logits are not finite; its weights are damaged")
    if not torch.allclose(found, wanted, atol=0.05 * float(wanted.std()) + 1e-4, rtol=0.02):
        raise ModelError(f"{name}: its logits are more than its hidden states times its head; it can't be distilled")


def _plain(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model
