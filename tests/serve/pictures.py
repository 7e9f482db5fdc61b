"""Take the pictures of the page that the docs show: `python -m tests.serve.pictures docs/images`."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from .browser import opened
from .pages import gateway, visit

VIEWS = (("light", "light", (1280, 2100)), ("dark", "dark", (1280, 2100)), ("narrow", "light", (390, 1700)))


def main(folder: Path) -> None:
    """Write `gateway-light.png` and the others into a folder."""
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        with gateway(here, evil=False) as (running, _), opened(here) as tab:
            for view, scheme, size in VIEWS:
                visit(tab, running, scheme, size)
                time.sleep(0.3)
                tab.picture(folder / f"gateway-{view}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
