"""A causal language model as an encoder: what learns vectors or a head over them takes it as any other."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pilotfish._extras import need
from pilotfish.errors import DataError, ModelError
from pilotfish.models import _weights
from pilotfish.models.encoder import Encoder

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog

__all__ = ["encoder_of_lm"]


def encoder_of_lm(
    weights: str | Path,
    out: str | Path,
    *,
    max_length: int = 512,
    pooling: Literal["mean", "last"] = "mean",
    catalog: Catalog | None = None,
) -> Encoder:
    """Write a causal language model as a sentence-transformers folder, and return it as an encoder.

    A text's vector is the mean of the last hidden states over its tokens, of length one, as `EncoderFeatures` makes it
    of a `LocalModel`; or the state of its last token, as it is, as Burns et al. 2023 have it. Both go by the text's
    length: a token that has the padding's number counts as any other. The words' output layer is left out.

    Args:
        weights: a catalog name, hub id or folder.
        out: the folder to write; a new one.
        max_length: how many tokens of a text are read.
        pooling: "mean", or "last".
        catalog: where names are looked up.

    Raises:
        ModelError: no such model, or it does not load.
        DataError: the folder holds something already.
    """
    out = Path(out)
    if out.exists() and any(out.iterdir()):
        raise DataError(f"{out} holds something already; give a new folder")
    library = need("sentence_transformers", "train")
    kinds = need("sentence_transformers.models", "train")
    torch, transformers = need("torch", "train"), need("transformers", "train")
    _weights.quiet(transformers)
    folder, _ = _weights.located(str(weights), catalog)
    try:
        body = transformers.AutoModel.from_pretrained(str(folder), dtype=torch.float32, use_safetensors=True)
        cutter = transformers.AutoTokenizer.from_pretrained(str(folder))
    except Exception as error:  # each library on the way raises its own kinds
        raise ModelError(f"{weights}: not a model that loads: {_weights.first_line(error)}") from error
    # With a chat template sentence-transformers would make a conversation of each text.
    cutter.chat_template = None
    cutter.padding_side = "right"
    if cutter.pad_token is None:
        # What padding is does not matter, for it is masked; that there is some does, for texts of several lengths.
        cutter.pad_token = cutter.eos_token
    with tempfile.TemporaryDirectory(prefix="pilotfish-") as plain:
        body.save_pretrained(plain)
        cutter.save_pretrained(plain)
        reader = kinds.Transformer(plain, max_seq_length=max_length)
    width = int(body.config.hidden_size)
    modules = [reader, kinds.Pooling(width, "mean" if pooling == "mean" else "lasttoken")]
    modules += [kinds.Normalize()] if pooling == "mean" else []
    model = library.SentenceTransformer(modules=modules, device="cpu")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save(str(partial), create_model_card=False)
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)
    return Encoder(out, name=out.name)
