"""Pilotfish: small models that make large language models cheaper, better, and sometimes unnecessary."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pilotfish._sync import ask
from pilotfish.model import Call, Delta, Message, Model, Price, Reply, Request, Trace, Usage, WhiteBoxModel

if TYPE_CHECKING:
    from pilotfish.models.batch import BatchModel
    from pilotfish.models.encoder import Encoder
    from pilotfish.models.local import LocalModel
    from pilotfish.models.recorded import RecordedModel
    from pilotfish.models.remote import RemoteModel

__version__ = "0.1.0.dev0"

# Heavy names load on first use, so that `import pilotfish` stays quick.
_LAZY = {
    "BatchModel": "pilotfish.models.batch",
    "Encoder": "pilotfish.models.encoder",
    "LocalModel": "pilotfish.models.local",
    "RecordedModel": "pilotfish.models.recorded",
    "RemoteModel": "pilotfish.models.remote",
}

__all__ = [
    "BatchModel",
    "Call",
    "Delta",
    "Encoder",
    "LocalModel",
    "Message",
    "Model",
    "Price",
    "RecordedModel",
    "RemoteModel",
    "Reply",
    "Request",
    "Trace",
    "Usage",
    "WhiteBoxModel",
    "ask",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'pilotfish' has no attribute {name!r}")
