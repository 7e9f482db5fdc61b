"""Distil an encoder into static token vectors, once: the result is kept beside the models."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from pathlib import Path
from typing import Any

from pilotfish._extras import need
from pilotfish._home import home
from pilotfish.models._fetch_store import MARKER, install, locked
from pilotfish.models.encoder import Encoder


def distilled(encoder: Encoder, dimension: int) -> Any:
    """Return model2vec's StaticModel of an encoder with `dimension` principal components.

    Distilling runs the encoder over its own vocabulary (15 s for MiniLM on two cores), so the result is kept, keyed by
    the encoder's weights; a folder without its marker is one that was not finished, and is made anew.
    """
    static = need("model2vec", "train").StaticModel
    name = f"{_fingerprint(encoder)}-{dimension}"
    folder = home() / "static" / name
    with locked(f"static-{name}"):
        if not (folder / MARKER).exists():
            _distil(encoder, dimension, folder)
    return static.from_pretrained(folder)


def _distil(encoder: Encoder, dimension: int, folder: Path) -> None:
    """Write the distilled model, whole or not at all."""
    distil = need("model2vec.distill", "train")
    body = encoder.model[0].auto_model
    # model2vec draws a bar of its own over ours; what goes wrong is raised.
    with contextlib.redirect_stderr(io.StringIO()):
        model = distil.distill_from_model(
            body, encoder.tokenizer, device=str(body.device), pca_dims=dimension, quantize_to="float32"
        )
    with install(folder, {"encoder": encoder.weights, "dimension": dimension}) as partial:
        model.save_pretrained(partial)


def _fingerprint(encoder: Encoder) -> str:
    """Return a hash of the encoder's weights and vocabulary."""
    digest = hashlib.sha256(json.dumps(sorted(encoder.tokenizer.get_vocab().items())).encode())
    for name, tensor in sorted(encoder.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:24]
