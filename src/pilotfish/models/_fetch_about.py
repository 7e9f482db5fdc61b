"""What a folder or file of weights says about itself: its licence and its kind."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

__all__ = ["kind_of", "licence_of", "spelt"]

UNKNOWN = "unknown"
# The hub writes licences in lower case; SPDX has its own spelling.
_SPDX = {
    name.lower(): name
    for name in ("Apache-2.0", "MIT", "BSD-3-Clause", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC0-1.0", "GPL-3.0")
}


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def licence_of(path: Path) -> str:
    """Return the licence that a model folder or a GGUF file states, in SPDX spelling where it has one; else "unknown".

    Looked for in our own marker, the README's front matter, config.json, and a GGUF's `general.license`.
    """
    if path.suffix == ".gguf" and path.is_file():
        from pilotfish.models._gguf_read import read_gguf

        return spelt(read_gguf(path).fields.get("general.license"))
    for stated in (
        _json(path / "pilotfish.json").get("licence"),
        _front_matter(path),
        _json(path / "config.json").get("license"),
    ):
        if isinstance(stated, str) and stated and stated != UNKNOWN:
            return spelt(stated)
    return UNKNOWN


def spelt(stated: Any) -> str:
    """Return a licence in SPDX spelling where it has one, else as stated; "unknown" where nothing is stated."""
    return _SPDX.get(stated.lower(), stated) if isinstance(stated, str) and stated else UNKNOWN


def _front_matter(folder: Path) -> str | None:
    try:
        text = (folder / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    block = re.match(r"---\r?\n(.*?)\r?\n---", text, re.DOTALL)
    keys = dict(
        re.findall(r"^(license|license_name):[ \t]*['\"]?([^'\"\s#]+)", block.group(1), re.MULTILINE) if block else []
    )
    # `license: other` only points at license_name.
    return keys.get("license_name") if keys.get("license") == "other" else keys.get("license")


def kind_of(path: Path) -> str:
    """Return causal-lm, encoder, classifier, seq2seq or "unknown", from what the folder holds."""
    if path.suffix == ".gguf":
        return "causal-lm"
    if (path / "modules.json").is_file():
        return "encoder"
    names = _json(path / "config.json").get("architectures") or [""]
    for ending, kind in (
        ("ForCausalLM", "causal-lm"),
        ("LMHeadModel", "causal-lm"),
        ("ForSequenceClassification", "classifier"),
        ("ForConditionalGeneration", "seq2seq"),
        ("ForMaskedLM", "encoder"),
        ("Model", "encoder"),
    ):
        if str(names[0]).endswith(ending):
            return kind
    return UNKNOWN
