"""Where weights are and how to run them: a name becomes a folder, a dtype and a device."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish._extras import need
from pilotfish.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog, Resolved

DTYPES = ("auto", "bfloat16", "float16", "float32")


def located(weights: str | Path, catalog: Catalog | None, *, progress: bool = True) -> tuple[Path, Resolved]:
    """Return the folder of transformers weights for a catalog name, hub id, folder or GGUF file, and what it is.

    A GGUF file is converted to safetensors once and the conversion kept.

    Raises:
        ModelError: no such model, or its files are damaged.
    """
    from pilotfish.models.catalog import Catalog

    resolved = (catalog or Catalog.load()).resolve(str(weights), progress=progress)
    path = resolved.path
    if path.suffix == ".gguf":
        from pilotfish.models._gguf import converted

        path = converted(path, progress=progress)
    return path, resolved


def tokenizer_of(weights: str | Path, catalog: Catalog | None = None) -> Any:
    """Return the transformers tokenizer of weights, which themselves are not loaded.

    Raises:
        ModelError: no such weights, or none with a tokenizer.
    """
    transformers = need("transformers", "local")
    quiet(transformers)
    folder, _ = located(weights, catalog)
    try:
        return transformers.AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
    except Exception as error:  # each library on the way raises its own kinds
        raise ModelError(f"{weights}: no tokenizer that loads: {first_line(error)}") from error


def identity_of(weights: str | Path) -> str:
    """Return what tells weights apart: a name as it is, a folder or file by what it holds, wherever it lies.

    Of each file of weights the ends are read, which training changes; its settings and its tokenizer whole.
    """
    path = Path(weights).expanduser()
    if not path.exists():
        return str(weights)
    found = hashlib.sha256()
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        kind = file.suffix
        if kind not in _WEIGHTS and file.name not in _SETTINGS:
            continue
        found.update(f"{file.name} {file.stat().st_size} ".encode())
        with file.open("rb") as opened:
            found.update(opened.read(_ENDS if kind in _WEIGHTS else -1))
            if kind in _WEIGHTS:
                opened.seek(max(0, file.stat().st_size - _ENDS))
                found.update(opened.read(_ENDS))
    return f"weights:{found.hexdigest()[:24]}"


_WEIGHTS = (".safetensors", ".gguf", ".bin", ".npz")
_SETTINGS = ("config.json", "tokenizer.json", "generation_config.json", "chat_template.jinja", "modules.json")
_ENDS = 1 << 20


def pick_device(device: str) -> str:
    """Return `device`, or for "auto" cuda, mps or cpu: the first that is there.

    Raises:
        ConfigError: there is no such device on this machine.
    """
    torch = need("torch", "local")
    if device != "auto":
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError, NotImplementedError) as error:  # each backend raises its own kind
            raise ConfigError(f"device {device!r} is not there: {first_line(error)}; use auto or cpu") from error
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def pick_dtype(dtype: str, device: str) -> Any:
    """Return a torch dtype; "auto" takes bfloat16 where the machine multiplies it natively, else float32.

    On a CPU without bfloat16 instructions the half-size type is emulated and slower than float32 (measured: 3x).

    Raises:
        ConfigError: `dtype` is none of `DTYPES`.
    """
    torch = need("torch", "local")
    check_dtype(dtype)
    if dtype != "auto":
        return getattr(torch, dtype)
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device == "mps":
        return torch.float16
    return torch.bfloat16 if cpu_has_bfloat16() else torch.float32


def stored_dtype(weights: str, catalog: Catalog | None = None) -> str:
    """Return the dtype that a model's files have, by its config; float32 where that does not say."""
    folder, _ = located(weights, catalog)
    told: dict[str, Any] = {}
    if (folder / "config.json").is_file():
        told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    dtype = str(told.get("dtype") or told.get("torch_dtype") or "float32").removeprefix("torch.")
    return dtype if dtype in DTYPES and dtype != "auto" else "float32"


def cpu_has_bfloat16() -> bool:
    """Say whether this CPU has bfloat16 matrix instructions (AVX-512 BF16, AMX, or Arm's BF16)."""
    torch = need("torch", "local")
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def check_dtype(dtype: str) -> None:
    """Check a dtype's name without importing torch.

    Raises:
        ConfigError: `dtype` is none of `DTYPES`.
    """
    if dtype not in DTYPES:
        raise ConfigError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or the name of its type where it has none."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def quiet(transformers: Any) -> None:
    """Keep transformers' bars and load reports off the terminal; its errors are raised, so none is lost."""
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


def use_threads(threads: int | None) -> None:
    """Set the number of CPU threads torch computes with (for the whole process); None leaves torch's own choice."""
    if threads is None:
        return
    if threads < 1:
        raise ConfigError(f"threads must be at least 1, not {threads}")
    need("torch", "local").set_num_threads(threads)
