"""Models from the Hugging Face hub, into the hub's own shared cache: safetensors, never pickles."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotfish._extras import need
from pilotfish.errors import ModelError
from pilotfish.models._fetch_progress import Bars
from pilotfish.models._fetch_store import digest

__all__ = ["Snapshot", "check_weights", "fetch_hub"]

_TAKE = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken", "README.md"]
# The same weights again, in other programs' formats, and checkpoints of the training.
_LEAVE = ["onnx/*", "openvino/*", "original/*", "coreml/*", "checkpoint-*/*", "runs/*", "consolidated*.safetensors"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was fetched: the folder, its files with their sizes in bytes, and the sha256 of those that have one."""

    folder: Path
    files: dict[str, int]
    sums: dict[str, str]


def fetch_hub(repo: str, *, members: Sequence[str], bars: Bars) -> Snapshot:
    """Download `org/name[@revision]`.

    Where the hub states a sha256 for a file (it names the blob after it), the file is checked against that. Under
    `HF_HUB_OFFLINE` only what the hub's cache already holds is used.

    Args:
        repo: `org/name`, with `@revision` (branch, tag or commit) where not the main one.
        members: the only files wanted (a `.gguf`, say); empty: everything that transformers needs.
        bars: where progress is shown.

    Raises:
        MissingExtra: huggingface_hub is not installed.
        ModelError: no such repository, no network, only pickled weights, or a file that is not what the hub states.
    """
    hub = need("huggingface_hub", "local")
    name, _, revision = repo.partition("@")
    bars.say(f"{name}: from the hub's cache or the hub (its own progress follows)")
    try:
        with _hub_bars(bars.shown):
            snapshot = hub.snapshot_download(
                name,
                revision=revision or None,
                allow_patterns=list(members) or _TAKE,
                ignore_patterns=None if members else _LEAVE,
            )
    except Exception as error:  # the client raises errors of several libraries; all mean that nothing was fetched
        raise ModelError(f"hf:{repo}: {_why(error)}") from error
    folder = Path(snapshot)
    files = {str(p.relative_to(folder)): p for p in sorted(folder.rglob("*")) if p.is_file()}
    for member in members:
        if member not in files:
            raise ModelError(f"hf:{repo}: no file {member!r} in that repository")
    if not members:
        check_weights(folder, f"hf:{repo}")
    sums = _checked_sums(files, repo, bars)
    return Snapshot(folder, {name: path.stat().st_size for name, path in files.items()}, sums)


@contextlib.contextmanager
def _hub_bars(shown: bool) -> Iterator[None]:
    """The hub's client draws its own bars; they can only be switched for the whole process, so put them back."""
    switches = need("huggingface_hub.utils", "local")
    was_off = bool(switches.are_progress_bars_disabled())
    if not shown and not was_off:
        switches.disable_progress_bars()
    try:
        yield
    finally:
        if not shown and not was_off:
            switches.enable_progress_bars()


def _why(error: Exception) -> str:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "GatedRepoError" in kinds:
        return "this repository asks you to accept its terms on the hub first, then to log in (`hf auth login`)"
    if "RepositoryNotFoundError" in kinds:
        return "no such repository on the hub, or it is private"
    if "RevisionNotFoundError" in kinds:
        return "the repository has no such revision"
    status = getattr(getattr(error.__cause__, "response", None), "status_code", None)
    if status is not None and "LocalEntryNotFoundError" in kinds:
        return f"not in the hub's cache, and the hub answered {status}"
    if kinds & {"LocalEntryNotFoundError", "OfflineModeIsEnabled"}:
        return "not in the hub's cache, and the hub cannot be reached (no network, or HF_HUB_OFFLINE is set)"
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__


def check_weights(folder: Path, what: str) -> None:
    """Make sure that a folder has a config and whole safetensors weights.

    Raises:
        ModelError: config.json is missing, there are no safetensors, or a shard of their index is missing.
    """
    if not (folder / "config.json").is_file():
        raise ModelError(f"{what}: no config.json, so this is not a model that transformers can read")
    indexes = list(folder.glob("*.safetensors.index.json"))
    if not indexes and not list(folder.glob("*.safetensors")):
        raise ModelError(f"{what}: no safetensors weights; pickled ones (.bin) can run code and are never loaded")
    for index in indexes:
        listed: dict[str, Any] = json.loads(index.read_text(encoding="utf-8")).get("weight_map", {})
        missing = sorted({shard for shard in listed.values() if not (folder / str(shard)).is_file()})
        if missing:
            raise ModelError(f"{what}: the shard {missing[0]} is missing ({len(missing)} in all); pull it again")


def _checked_sums(files: dict[str, Path], repo: str, bars: Bars) -> dict[str, str]:
    stated = {name: path for name, path in files.items() if re.fullmatch(r"[0-9a-f]{64}", path.resolve().name)}
    total = sum(path.stat().st_size for path in stated.values())
    done = 0
    with bars.step(f"checking {repo}") as advance:
        for name, path in stated.items():
            blob = path.resolve()
            if digest(blob) != blob.name:
                blob.unlink()
                raise ModelError(f"hf:{repo}: {name} is not what the hub's sha256 promises; removed it, pull again")
            done += path.stat().st_size
            advance(done, total)
    return {name: path.resolve().name for name, path in stated.items()}
