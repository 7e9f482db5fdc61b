"""Plain generation, one token at a time, with sampling, penalties, stop strings and log-probabilities.

The fast engine is `pilotfish.decode`; this loop is the plain reading of what generation is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilotfish._extras import need
from pilotfish.model import Request, TokenLogprob


@dataclass
class Piece:
    """A piece of generated text: what is safe to show now, and at the end why it stopped."""

    text: str = ""
    finish: str | None = None
    tokens: int = 0
    logprobs: list[TokenLogprob] = field(default_factory=list)


def pick(logits: Any, request: Request, counts: Any, generator: Any) -> int:
    """Return the next token id from raw logits (vocabulary,): greedy at temperature 0, else a seeded draw.

    The penalties are OpenAI's: presence once for a token already generated, frequency for each time it was. Top-p
    keeps the smallest set of tokens whose probability reaches p (Holtzman et al. 2020), the likeliest always among
    them. `counts` (vocabulary,) holds how often each token was generated so far.
    """
    torch = need("torch", "local")
    logits = logits.float()
    if request.presence_penalty:
        logits = logits - request.presence_penalty * (counts > 0)
    if request.frequency_penalty:
        logits = logits - request.frequency_penalty * counts
    temperature = 0.0 if request.temperature is None else request.temperature
    # Below this a draw is the likeliest token anyway, and dividing by it overflows.
    if temperature < 1e-4:
        return int(logits.argmax())
    probabilities = torch.softmax(logits / temperature, dim=-1)
    if request.top_p is not None and request.top_p < 1:
        ordered, order = probabilities.sort(descending=True)
        beyond = ordered.cumsum(-1) - ordered >= request.top_p
        beyond[0] = False
        probabilities[order[beyond]] = 0
    return int(torch.multinomial(probabilities / probabilities.sum(), 1, generator=generator))


def token_logprob(logits: Any, token: int, tokenizer: Any, top: int) -> TokenLogprob:
    """Return the raw model's log-probability of a token and of the `top` likeliest ones."""
    torch = need("torch", "local")
    logprobs = torch.log_softmax(logits.float(), dim=-1)
    rivals: tuple[tuple[str, float], ...] = ()
    if top:
        values, ids = logprobs.topk(min(top, logprobs.shape[-1]))
        rivals = tuple((tokenizer.decode([i]), value) for i, value in zip(ids.tolist(), values.tolist(), strict=True))
    return TokenLogprob(tokenizer.decode([token]), float(logprobs[token]), rivals)


def held_back(text: str, stops: Sequence[str]) -> int:
    """Return how many last characters may be the beginning of a stop string, and so are not shown yet."""
    longest = 0
    for stop in stops:
        for n in range(min(len(stop) - 1, len(text)), 0, -1):
            if text.endswith(stop[:n]):
                longest = max(longest, n)
                break
    return longest


def first_stop(text: str, stops: Sequence[str]) -> int:
    """Return where the earliest stop string begins, or -1."""
    found = [at for at in (text.find(stop) for stop in stops if stop) if at >= 0]
    return min(found, default=-1)


def generate(
    model: Any, tokenizer: Any, ids: list[int], request: Request, *, max_tokens: int, sample: int = 0
) -> Iterator[Piece]:
    """Yield pieces of text as they become certain; the last has `finish` ("stop" or "length").

    Sampling draws from a generator of its own, seeded by `request.seed` plus the sample's index.
    """
    torch = need("torch", "local")
    from transformers import DynamicCache

    generator = torch.Generator()
    if request.seed is None:
        generator.seed()
    else:
        generator.manual_seed(request.seed + sample)
    ends = _end_ids(model, tokenizer)
    counts = torch.zeros(model.get_output_embeddings().weight.shape[0])
    cache = DynamicCache(config=model.config)
    made: list[int] = []
    shown = 0
    text = ""
    step = torch.tensor([ids], device=model.device)
    while True:
        with torch.inference_mode():
            logits = model(input_ids=step, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[0, -1].cpu()
        token = pick(logits, request, counts, generator)
        piece = Piece(tokens=1)
        if token in ends:
            piece.text, piece.finish = text[shown:], "stop"
            yield piece
            return
        made.append(token)
        counts[token] += 1
        if request.logprobs:
            piece.logprobs.append(token_logprob(logits, token, tokenizer, request.top_logprobs))
        # No cleaning of spaces: it would change text that was shown already.
        text = tokenizer.decode(made, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        stop = first_stop(text, request.stop)
        if stop >= 0:
            piece.text, piece.finish = text[shown:stop], "stop"
            yield piece
            return
        if len(made) >= max_tokens:
            piece.text, piece.finish = text[shown:], "length"
            yield piece
            return
        # Half a character decodes to U+FFFD: wait for its other half.
        whole = text.rstrip("\ufffd")
        safe = max(shown, len(whole) - held_back(whole, request.stop))
        piece.text, shown = text[shown:safe], safe
        yield piece
        step = torch.tensor([[token]], device=model.device)


def _end_ids(model: Any, tokenizer: Any) -> set[int]:
    """Return the ids that end a generation: the generation config's and the tokenizer's own."""
    ends = getattr(model.generation_config, "eos_token_id", None)
    ids = set(ends if isinstance(ends, list) else [ends])
    ids.add(tokenizer.eos_token_id)
    return {i for i in ids if i is not None}
