"""Causal language models as networks: their averaged states with a head, or the labels that they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pilotfish._extras import need
from pilotfish.compete.explain.text.network import Tokens, blank_of, eager, head_of
from pilotfish.compete.explain.text.reads import LabellerReads
from pilotfish.compete.explain.text.words import Span
from pilotfish.errors import ModelError
from pilotfish.models._tokens import encode, joint_choices, start_token
from pilotfish.models.classify import TextClassifier
from pilotfish.models.head import body_of
from pilotfish.models.local import LocalModel

__all__ = ["LabellerNetwork", "PooledNetwork"]


class PooledNetwork:
    """A causal language model whose last states are averaged, brought to length one, and a linear head."""

    def __init__(self, reads: TextClassifier) -> None:
        self.reads = reads
        given = reads.features.encoder  # type: ignore[attr-defined]
        self.exact = isinstance(given, LocalModel) and given.dtype == "float32"
        # What reads fast has laid its weights out anew, and gradients need the digits: so another copy.
        how: dict[str, Any] = {"dtype": "float32", "device": given.device, "catalog": given._catalog}
        self.model = given if self.exact else LocalModel(given.weights, **how)
        self.body = body_of(self.model.model)

    def read(self, text: str) -> Tokens:
        """See `Network`."""
        ids, spans = _offsets(self.model.tokenizer, text)
        most = self.model.max_length
        return Tokens(tuple(ids[:most]), tuple(spans[:most]))

    def embed(self, ids: Sequence[int]) -> Any:
        """See `Network`."""
        return _embedded(self.model, ids)

    @property
    def blank(self) -> int:
        """See `Network`."""
        return blank_of(self.model.tokenizer)

    def logits(self, vectors: Any, tokens: Tokens) -> Any:
        """See `Network`."""
        states = self.body(inputs_embeds=vectors, use_cache=False).last_hidden_state.mean(dim=1)
        coef, bias = head_of(self.reads, states)
        return states / states.norm(dim=1, keepdim=True).clamp(min=1e-12) @ coef.T + bias

    def attentions(self, tokens: Tokens) -> tuple[list[Any], Any]:
        """See `Network`."""
        torch = need("torch", "local")
        found = _causal_attentions(self.model, self.body, tokens.ids)
        return found, torch.full((len(tokens.ids),), 1 / len(tokens.ids))


class LabellerNetwork:
    """A language model that is asked for a label: log-probabilities of the labels after the prompt."""

    def __init__(self, reads: LabellerReads) -> None:
        self.reads, self.labeller = reads, reads.labeller
        model = self.labeller.model
        assert isinstance(model, LocalModel), "see is_network"
        self.exact = model.dtype == "float32" and model.quantize == "none"
        how: dict[str, Any] = {"dtype": "float32", "device": model.device, "catalog": model._catalog}
        self.model = model if self.exact else LocalModel(model.weights, **how)
        self.body = body_of(self.model.model)

    def read(self, text: str) -> Tokens:
        """Return the prompt's tokens, of which the text's are its own, and the labels'."""
        contexts, _ = self.labeller._fitted(self.model, [text])
        context = contexts[0].rstrip(" \t")
        cut = text
        while cut and self.labeller._framed(cut) not in context:  # it was cut at its end to fit
            cut = cut[:-1]
        framed = self.labeller._framed(cut)
        start = context.rfind(framed) + framed.rfind(cut)
        if text.strip() and not cut.strip():
            raise ModelError(f"{self.model.name}: its prompt does not hold the text as it is: {text[:40]!r}")
        ids, tails = joint_choices(self.model.tokenizer, contexts, list(self.labeller.shown.values()))
        known, offsets = _offsets(self.model.tokenizer, context)
        size = len(ids[0])
        if known[:size] != list(ids[0]):
            raise ModelError(f"{self.model.name}: where its prompt's tokens stand in the text is not known")
        spans = []
        for a, b in offsets[:size]:
            low, high = max(a, start), min(b, start + len(cut))
            spans.append((low - start, high - start) if high > low else (0, 0))
        own = tails[0]
        if any(len(a) < len(b) and b[: len(a)] == a for a in own for b in own):
            own = tuple((*tail, self.model.tokenizer.eos_token_id) for tail in own)
        return Tokens(tuple(ids[0]), tuple(spans), own)

    def embed(self, ids: Sequence[int]) -> Any:
        """See `Network`."""
        return _embedded(self.model, ids)

    @property
    def blank(self) -> int:
        """See `Network`."""
        return blank_of(self.model.tokenizer)

    def logits(self, vectors: Any, tokens: Tokens) -> Any:
        """See `Network`: log-probabilities of the labels, less the labeller's prior."""
        torch = need("torch", "local")
        rows = len(vectors)
        found = []
        for tail in tokens.tails:
            # The last token predicts nothing that is asked for.
            after = self.embed(tail[:-1])[None].expand(rows, -1, -1)
            given = torch.cat([vectors, after], dim=1)
            told = self.model.model(inputs_embeds=given, use_cache=False, logits_to_keep=len(tail))
            logs = told.logits.float().log_softmax(-1)
            wanted = torch.tensor(tail, device=logs.device)[None, :, None].expand(rows, -1, -1)
            found.append(logs.gather(-1, wanted)[..., 0].sum(dim=1))
        together = torch.stack(found, dim=1)
        prior = self.labeller.prior_
        return together if prior is None else together - torch.tensor(prior, dtype=together.dtype)

    def attentions(self, tokens: Tokens) -> tuple[list[Any], Any]:
        """See `Network`: the labels follow from the last token's state."""
        torch = need("torch", "local")
        weights = torch.zeros(len(tokens.ids))
        weights[-1] = 1.0
        return _causal_attentions(self.model, self.body, tokens.ids), weights


def _offsets(tokenizer: Any, text: str) -> tuple[list[int], list[Span]]:
    """Return a text's ids as `encode` gives them, and where each token stands.

    Raises:
        ModelError: a tokenizer that cannot tell.
    """
    ids = encode(tokenizer, text) or [start_token(tokenizer)]
    if not tokenizer.is_fast:
        raise ModelError("this tokenizer does not tell where its tokens stand in a text")
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    spans = [(int(a), int(b)) for a, b in found["offset_mapping"]]
    return ids, [(0, 0)] * (len(ids) - len(spans)) + spans


def _embedded(model: LocalModel, ids: Sequence[int]) -> Any:
    torch = need("torch", "local")
    module = model.model
    given = torch.tensor(list(ids), dtype=torch.long, device=module.device)
    return module.get_input_embeddings()(given).detach()


def _causal_attentions(model: LocalModel, body: Any, ids: Sequence[int]) -> list[Any]:
    torch = need("torch", "local")
    given = torch.tensor([list(ids)], device=model.model.device)
    with eager(model.model), torch.no_grad():
        found = body(input_ids=given, use_cache=False, output_attentions=True)
    return [one[0] for one in found.attentions]
