"""The folder that everything fetched, compiled and cached lies in."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["home"]


def home() -> Path:
    """Return `PILOTFISH_HOME`, else the user's cache folder."""
    chosen = os.environ.get("PILOTFISH_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("pilotfish"))
