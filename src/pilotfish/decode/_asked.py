"""What a request asks of sampling, and what it must not ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotfish.decode.sampler import Sampling
from pilotfish.errors import ConfigError, ModelError, did_you_mean
from pilotfish.model import Request

__all__ = ["check_request", "sampling_of"]

# Fields of a chat-completions request that say nothing about the answer, or are looked at elsewhere.
IGNORED = {"metadata", "parallel_tool_calls", "prompt_cache_key", "safety_identifier", "service_tier", "store", "user"}
# Settings of the sampler that the chat-completions request has no field for.
SAMPLING = {"top_k": int, "min_p": float, "repetition_penalty": float, "logit_bias": dict}


def check_request(request: Request, name: str) -> None:
    """Refuse what would otherwise be passed over in silence.

    Raises:
        ModelError: a setting that is not known here, or no answer at all.
    """
    for key in request.extra:
        if key not in IGNORED and key not in SAMPLING:
            near = did_you_mean(key, [*SAMPLING, "seed", "stop", "temperature", "top_p"])
            raise ModelError(f"{name}: a local model takes no {key}{near}")
    if request.n < 1:
        raise ModelError(f"{name}: n must be at least 1, not {request.n}")


def sampling_of(request: Request, name: str) -> Sampling:
    """Return the sampler's settings; what the request leaves open is greedy and free of penalties.

    Raises:
        ModelError: a setting is out of its range or of the wrong kind.
    """
    settings: dict[str, Any] = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
    }
    for key, kind in SAMPLING.items():
        value = request.extra.get(key)
        if value is None:
            continue
        if kind is dict:
            settings[key] = _bias(value, name)
        elif isinstance(value, bool) or not isinstance(value, int | kind):
            raise ModelError(f"{name}: {key} must be a number, not {value!r}")
        else:
            settings[key] = value
    try:
        return Sampling(**{key: value for key, value in settings.items() if value is not None})
    except ConfigError as error:
        raise ModelError(f"{name}: {error}") from error


def _bias(value: Any, name: str) -> dict[int, float]:
    """Read a logit bias: token ids (JSON has them as text) and what is added to their logits."""
    if isinstance(value, Mapping):
        try:
            return {int(token): float(bias) for token, bias in value.items()}
        except (TypeError, ValueError):
            pass
    raise ModelError(f'{name}: logit_bias must map token ids to numbers: {{"1234": -100}}')
