"""Distil an encoder into static token vectors, once: the result is kept beside the models."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
from pathlib import Path
from typing import Any

from pilotfish._extras import need
from pilotfish.models._fetch_store import home
from pilotfish.models.encoder import Encoder

MARKER = "pilotfish.json"


def distilled(encoder: Encoder, dimension: int) -> Any:
    """Return model2vec's StaticModel of an encoder with `dimension` principal components.

    Distilling runs the encoder over its own vocabulary (15 s for MiniLM on two cores), so the result is kept, keyed by
    the encoder's weights; a folder without its marker is one that was not finished, and is made anew.
    """
    static = need("model2vec", "train").StaticModel
    folder = home() / "static" / f"{_fingerprint(encoder)}-{dimension}"
    if (folder / MARKER).exists():
        return static.from_pretrained(folder)
    distil = need("model2vec.distill", "train")
    body = encoder.model[0].auto_model
    # model2vec draws a bar of its own over ours; what goes wrong is raised.
    with contextlib.redirect_stderr(io.StringIO()):
        model = distil.distill_from_model(
            body, encoder.tokenizer, device=str(body.device), pca_dims=dimension, quantize_to="float32"
        )
    _keep(model, folder)
    return model


def _keep(model: Any, folder: Path) -> None:
    """Write the model whole or not at all; of two processes at once the later one's copy is dropped."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        model.save_pretrained(temporary)
        (temporary / MARKER).write_text("{}\n", encoding="utf-8")
        if folder.exists() and not (folder / MARKER).exists():
            shutil.rmtree(folder)
        if not folder.exists():
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _fingerprint(encoder: Encoder) -> str:
    """Return a hash of the encoder's weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:24]
