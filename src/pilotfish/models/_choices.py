"""log p(choice | context) for many contexts and a fixed set of choices, one forward pass a batch.

The usual way (lm-evaluation-harness) feeds the context again for each choice: 77 labels cost 77 passes. Here the
contexts' common beginning (instruction and examples) is run once and its keys and values are kept; after each row's
own text the choices are laid out as a *tree* of tokens that share their beginnings, each node attending to its
ancestors only (tree attention, as in SpecInfer, Miao et al. 2024, section 4.2). Leaves need no pass: nothing follows
them. The result equals scoring each choice on its own; a test checks it against that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish.decode._ancestors import ancestors
from pilotfish.decode.transformers_decoder import JOINT
from pilotfish.models._scoring import LOGITS
from pilotfish.models._tokens import buckets

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Families whose attention is full and takes a four-dimensional mask, so that a tree can be laid out in one row.
# Gemma 3 wants a mask for each kind of layer, which this pass does not lay out.
TREE_FAMILIES = JOINT - {"gemma3_text"}


def takes_trees(model: Any, longest: int) -> bool:
    """Say whether a tree can stand in for texts of up to `longest` tokens: a known family, and no window in the way."""
    config = model.config
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    return config.model_type in TREE_FAMILIES and (not window or longest <= int(window))


@dataclass(frozen=True)
class TokenTree:
    """The choices' tokens as a tree. Inner nodes only: `tokens[i]` under `parents[i]` (-1: the context's end).

    `edges[c]` lists the steps of choice c as (node that predicts, token predicted); node -1 is the context's end.
    """

    tokens: list[int]
    parents: list[int]
    depths: list[int]
    edges: list[list[tuple[int, int]]]

    @classmethod
    def of(cls, choices: Sequence[Sequence[int]]) -> TokenTree:
        """Build the tree of token sequences, none of them empty."""
        tokens: list[int] = []
        parents: list[int] = []
        depths: list[int] = []
        children: dict[tuple[int, int], int] = {}
        edges: list[list[tuple[int, int]]] = []
        for choice in choices:
            node, path = -1, []
            for depth, token in enumerate(choice):
                path.append((node, token))
                if depth == len(choice) - 1:
                    break
                if (node, token) not in children:
                    children[node, token] = len(tokens)
                    tokens.append(token)
                    parents.append(node)
                    depths.append(depth)
                node = children[node, token]
            edges.append(path)
        return cls(tokens, parents, depths, edges)


def common_beginning(rows: Sequence[Sequence[int]]) -> int:
    """Return how many first ids all rows share, leaving each row at least one id of its own."""
    shortest = min(len(row) for row in rows)
    first = rows[0]
    for n in range(shortest - 1):
        if any(row[n] != first[n] for row in rows):
            return n
    return max(0, shortest - 1)


class PrefixCache:
    """The keys and values of one token prefix, kept between calls while the prefix stays the same."""

    def __init__(self) -> None:
        self.ids: tuple[int, ...] = ()
        self.layers: list[tuple[Any, Any]] = []

    def fit(self, model: Any, ids: Sequence[int]) -> int:
        """Return how many of `ids` may be taken from here; runs them all through the model where too few are held.

        What is held serves where it covers at least half: so one text after another under the same instruction pays
        for the instruction once, and a change of instruction pays again.
        """
        held = 0
        while held < min(len(ids), len(self.ids)) and ids[held] == self.ids[held]:
            held += 1
        if 2 * held >= len(ids):
            return held
        self._run(model, ids)
        return len(ids)

    def _run(self, model: Any, ids: Sequence[int]) -> None:
        from transformers import DynamicCache

        torch = need("torch", "local")
        cache = DynamicCache(config=model.config)
        model(input_ids=torch.tensor([list(ids)], device=model.device), past_key_values=cache, logits_to_keep=1)
        self.layers = [(layer.keys, layer.values) for layer in cache.layers]
        self.ids = tuple(ids)

    def expanded(self, model: Any, rows: int, length: int) -> Any:
        """Return a cache that holds the first `length` ids for `rows` rows; its use does not touch what is held."""
        from transformers import DynamicCache

        cache = DynamicCache(config=model.config)
        for index, (keys, values) in enumerate(self.layers):
            cache.update(
                keys[:, :, :length].expand(rows, -1, -1, -1), values[:, :, :length].expand(rows, -1, -1, -1), index
            )
        return cache


def choice_logprobs(
    model: Any,
    contexts: Sequence[list[int]],
    choices: Sequence[Sequence[int]],
    *,
    batch_tokens: int,
    prefix: PrefixCache,
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.float64]:
    """Return log p(choice | context) in nats: (contexts, choices).

    Args:
        model: a transformers causal LM of one of `TREE_FAMILIES`.
        contexts: token ids of each context, none empty.
        choices: token ids of each choice, none empty.
        batch_tokens: the most tokens in one pass, padding included.
        prefix: holds the common beginning between calls.
        progress: called with the number of contexts each batch finishes.
    """
    torch = need("torch", "local")
    tree = TokenTree.of(choices)
    shared = common_beginning(contexts)
    out = np.zeros((len(contexts), len(choices)))
    with torch.inference_mode():
        if shared:
            shared = prefix.fit(model, contexts[0][:shared])
        tails = [row[shared:] for row in contexts]
        nodes = len(tree.tokens)
        step = max(1, LOGITS // (int(model.get_output_embeddings().weight.shape[0]) * (nodes + 1)))
        for bucket in buckets([len(tail) + nodes for tail in tails], batch_tokens):
            for start in range(0, len(bucket), step):
                batch = bucket[start : start + step]
                logits = _tree_pass(model, [tails[i] for i in batch], tree, shared, prefix)
                for j, i in enumerate(batch):
                    out[i] = _gather(logits[j], tree)
                if progress:
                    progress(len(batch))
    return out


def _tree_pass(model: Any, tails: list[list[int]], tree: TokenTree, shared: int, prefix: PrefixCache) -> Any:
    """Return logits (rows, 1 + nodes, vocabulary): after the context's end, then after each node."""
    torch = need("torch", "local")
    rows, longest, nodes = len(tails), max(len(tail) for tail in tails), len(tree.tokens)
    width = longest + nodes
    ids = torch.zeros((rows, width), dtype=torch.long)
    positions = torch.zeros((rows, width), dtype=torch.long)
    sees = torch.zeros((rows, width, shared + width), dtype=torch.bool)
    sees[:, :, :shared] = True
    causal = torch.ones((longest, longest), dtype=torch.bool).tril()
    within = torch.from_numpy(ancestors(tree.parents))
    for i, tail in enumerate(tails):
        pad = longest - len(tail)
        ids[i, pad:longest] = torch.tensor(tail)
        positions[i, pad:longest] = shared + torch.arange(len(tail))
        sees[i, :longest, shared + pad : shared + longest] = causal[:, pad:]
        # A padding position sees itself, so that its softmax is defined; nothing else sees it.
        sees[i, range(pad), [shared + p for p in range(pad)]] = True
        if nodes:
            ids[i, longest:] = torch.tensor(tree.tokens)
            positions[i, longest:] = shared + len(tail) + torch.tensor(tree.depths)
            sees[i, longest:, shared + pad : shared + longest] = True
            sees[i, longest:, shared + longest :] = within
    mask = torch.zeros(sees.shape, dtype=model.dtype).masked_fill(~sees, torch.finfo(model.dtype).min)
    cache = prefix.expanded(model, rows, shared) if shared else None
    return model(
        input_ids=ids.to(model.device),
        position_ids=positions.to(model.device),
        attention_mask=mask[:, None].to(model.device),
        past_key_values=cache,
        use_cache=shared > 0,
        logits_to_keep=nodes + 1,
    ).logits


def _gather(logits: Any, tree: TokenTree) -> NDArray[np.float64]:
    """Sum each choice's steps off the logits (1 + nodes, vocabulary) of one row."""
    torch = need("torch", "local")
    wide = logits.float()
    norm = torch.logsumexp(wide, dim=-1).double().cpu().numpy()
    nodes = [node + 1 for path in tree.edges for node, _ in path]
    tokens = [token for path in tree.edges for _, token in path]
    picked = wide[nodes, tokens].double().cpu().numpy() - norm[nodes]
    ends = np.cumsum([len(path) for path in tree.edges])
    return np.array([part.sum() for part in np.split(picked, ends[:-1])])
