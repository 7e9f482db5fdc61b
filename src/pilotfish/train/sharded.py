"""A frozen model whose layers are shared among the processes of a run: each holds a part of every layer's weights.

The layers' weights are gathered one layer at a time as a pass comes to it (FSDP: Zhao et al. 2023, section 3.2), so a
teacher that no single device holds can be asked. Embeddings, last norm and LM head stay whole: the loss reads the head.
"""

from __future__ import annotations

from typing import Any

from pilotfish._extras import need
from pilotfish.errors import ConfigError, ModelError
from pilotfish.train.backbone import body_of
from pilotfish.train.processes import count

__all__ = ["mesh_of", "sharded"]


def mesh_of(device: Any) -> Any:
    """Return the mesh of all processes; every process has to ask for it at the same time.

    Raises:
        ConfigError: there is one process only.
    """
    if count() < 2:
        raise ConfigError("a teacher is shared among several processes: start them by `accelerate launch`")
    torch = need("torch", "train")
    return torch.distributed.device_mesh.init_device_mesh(torch.device(device).type, (count(),))


def sharded(model: Any, mesh: Any) -> Any:
    """Share a model's layers among a mesh's processes, in place, and return it.

    From now on every process has to ask it equally often, whatever it asks.

    Args:
        model: a transformers causal LM on the CPU, with the same weights in every process; it is never trained.
        mesh: of one dimension.

    Raises:
        ModelError: it has no layers in a list.
        ConfigError: torch is too old.
    """
    torch = need("torch", "train")
    lists = [module for module in body_of(model).modules() if isinstance(module, torch.nn.ModuleList) and len(module)]
    if not lists:
        raise ModelError(f"{type(model).__name__} has no list of layers that could be shared")
    layers = max(lists, key=lambda one: sum(value.numel() for value in one.parameters()))
    share = getattr(torch.distributed.fsdp, "fully_shard", None)
    if share is None:
        raise ConfigError(f"a shared teacher needs torch 2.6 or newer, and this is {torch.__version__}")
    model.eval().requires_grad_(False)
    for layer in layers:
        share(layer, mesh=mesh, reshard_after_forward=True)
    inner = {id(value) for value in [*layers.parameters(), *layers.buffers()]}
    for value in [*model.parameters(), *model.buffers()]:
        if id(value) not in inner:
            value.data = value.data.to(mesh.device_type)
    return model
