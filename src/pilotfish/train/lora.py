"""Low-rank adapters on a model's linear layers, and their merging at the end."""

from __future__ import annotations

from typing import Any

from pilotfish._extras import need
from pilotfish.train.settings import Fit

__all__ = ["adapted", "merged"]


def adapted(model: Any, fit: Fit, kind: str = "CAUSAL_LM") -> Any:
    """Return the model with adapters on every linear layer but the LM head, all else frozen; itself where rank is 0.

    `kind` is peft's type of task: "FEATURE_EXTRACTION" of a model without a head.
    Where inner values are to be computed again on the way back, the model is told so.
    """
    if fit.recompute:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        if fit.rank:  # the embeddings are frozen, and what has no gradient is not computed again
            model.enable_input_require_grads()
    if not fit.rank:
        return model
    peft, torch = need("peft", "train"), need("torch", "train")
    config = peft.LoraConfig(
        r=fit.rank,
        lora_alpha=fit.scale,
        target_modules="all-linear",
        task_type=kind,
        fan_in_fan_out=model.config.model_type == "gpt2",  # its linears are stored (in, out)
    )
    with torch.random.fork_rng():
        torch.manual_seed(fit.seed)
        return peft.get_peft_model(model, config)


def merged(model: Any, fit: Fit) -> Any:
    """Return the plain model with its adapters merged into the weights."""
    if not fit.rank:
        return model
    # Merged in float32: a small update added in bfloat16 would be rounded away twice.
    return model.float().merge_and_unload()
