"""GGUF -> a folder that transformers reads at once: config, tokenizer and safetensors, converted once and kept.

transformers can read a GGUF itself, but anew each time, in half a minute for the smallest model; and what comes of it
(packed or not, split into digits or not) differs between its releases. Here the file is read directly.
"""

from __future__ import annotations

import errno
import json
import mmap
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pilotfish._extras import need
from pilotfish._home import home
from pilotfish.errors import ModelError, PilotfishError
from pilotfish.models._fetch_progress import Advance, bars
from pilotfish.models._fetch_store import install, locked, read_marker, remembered_digest
from pilotfish.models._gguf_layout import config_of, generation_of, hub_name, turned
from pilotfish.models._gguf_read import Gguf, Tensor, read_gguf
from pilotfish.models._gguf_tokens import tokenizer_files

__all__ = ["converted", "forget_converted"]

# Raise this when the same file would now convert otherwise: what older code converted is then made anew.
_VERSION = 1
_DTYPES = ("bfloat16", "float16", "float32")
# Weights dequantised at a time: large enough for numpy to be quick, small enough to stay in the cache.
_CHUNK = 1 << 19


def converted(gguf: Path, dtype: str = "bfloat16", progress: bool = True) -> Path:
    """Return the folder of a GGUF file's model as safetensors, made on the first call and kept in `home()`.

    It is kept under the file's sha256: a file that changes is converted anew, and a copy of it is not.

    Args:
        gguf: a file of a llama, mistral, qwen2 or qwen3 model.
        dtype: bfloat16, float16 or float32, of the weights written.
        progress: show a bar on stderr.

    Raises:
        MissingExtra: the `local` extra is not installed.
        ModelError: the file is missing, damaged, or of a model family or quantisation that is not known.
    """
    if dtype not in _DTYPES:
        raise ModelError(f"dtype {dtype!r} is not one of {', '.join(_DTYPES)}")
    if not gguf.is_file():
        raise ModelError(f"{gguf}: no such file")
    sha256 = remembered_digest(gguf)
    wanted = {"gguf_sha256": sha256, "dtype": dtype, "converter": _VERSION}
    folder = home() / "converted" / f"{sha256[:24]}-{dtype}"
    if read_marker(folder, wanted):
        return folder
    with locked(f"{folder.name}"):
        if read_marker(folder, wanted):
            return folder
        header = read_gguf(gguf)
        try:
            _convert(header, folder, wanted, bars(progress).step(f"converting {gguf.name}", unit="tensors"))
        except (PilotfishError, ImportError):
            raise
        except Exception as error:
            # A header of the right form may hold nonsense anywhere; numpy, torch and tokenizers each say so their way.
            reason = (str(error).splitlines() or [""])[0]
            raise ModelError(
                f"{gguf}: this GGUF file is damaged, or says what is not understood here "
                f"({type(error).__name__}: {reason})"
            ) from error
    return folder


def _convert(gguf: Gguf, folder: Path, wanted: dict[str, Any], step: Any) -> None:
    from pilotfish.models._fetch_about import spelt

    need("torch", "local")
    safetensors, failure = need("safetensors.torch", "local"), need("safetensors", "local").SafetensorError
    config = config_of(gguf, dtype=str(wanted["dtype"]))
    tokens = tokenizer_files(gguf)
    generation = generation_of(gguf)
    facts = {**wanted, "name": gguf.path.name, "licence": spelt(gguf.fields.get("general.license"))}
    with install(folder, facts) as partial, step as advance:
        for name, data in {"config.json": config, "generation_config.json": generation}.items():
            (partial / name).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
        for name, text in tokens.items():
            (partial / name).write_text(text, encoding="utf-8")
        weights = dict(_weights(gguf, config, str(wanted["dtype"]), advance))
        try:
            safetensors.save_file(weights, str(partial / "model.safetensors"), metadata={"format": "pt"})
        except failure as error:
            # Its own error for a full disk; `install` puts an OSError into words.
            code = re.search(r"os error (\d+)", str(error))
            raise OSError(int(code[1]) if code else errno.EIO, str(error), str(folder)) from error
        # The library makes it private to its writer; the cache may be shared.
        (partial / "model.safetensors").chmod((partial / "config.json").stat().st_mode)


def _weights(gguf: Gguf, config: dict[str, Any], dtype: str, advance: Advance) -> Iterator[tuple[str, Any]]:
    with gguf.path.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for done, tensor in enumerate(gguf.tensors.values(), start=1):
            name = hub_name(tensor.name, gguf.path)
            if name is not None:
                yield name, turned(tensor.name, _dequantised(gguf, tensor, data, dtype), config)
            advance(done, len(gguf.tensors))


def _dequantised(gguf: Gguf, tensor: Tensor, data: mmap.mmap, dtype: str) -> Any:
    import numpy as np

    torch, library = need("torch", "local"), need("gguf", "local")
    count = int(np.prod(tensor.shape))
    try:
        kind = library.GGMLQuantizationType(tensor.kind)
        block, size = library.GGML_QUANT_SIZES[kind]
    except (ValueError, KeyError):
        raise ModelError(f"{gguf.path}: {tensor.name} has ggml type {tensor.kind}, which is not known") from None
    if count % block or tensor.offset + count // block * size > len(data):
        raise ModelError(f"{gguf.path}: this GGUF file is cut short: {tensor.name} runs past its end")
    raw = np.frombuffer(data, np.uint8, count // block * size, tensor.offset)
    out = torch.empty(count, dtype=getattr(torch, dtype))
    blocks = max(1, _CHUNK // block)
    try:
        for first in range(0, count // block, blocks):
            # One long row at a time: the library walks over rows in Python.
            values = library.dequantize(raw[first * size : (first + blocks) * size].reshape(1, -1), kind).reshape(-1)
            # A view of the file is read-only, of which torch would warn.
            values = values if values.flags.writeable else values.copy()
            out[first * block : first * block + values.size] = torch.from_numpy(values)
    except NotImplementedError:
        raise ModelError(
            f"{gguf.path}: {tensor.name} is quantised as {kind.name}, which cannot be undone here"
        ) from None
    finally:
        # The map cannot be closed while an array looks into it.
        del raw
    return out.reshape(tensor.shape)


def forget_converted(gguf: Path) -> int:
    """Remove every conversion of a GGUF file; return the bytes freed."""
    freed = 0
    for folder in (home() / "converted").glob(f"{remembered_digest(gguf)[:24]}-*"):
        with locked(folder.name):
            freed += sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            (folder / "pilotfish.json").unlink(missing_ok=True)
            shutil.rmtree(folder)
    return freed
