"""Install the third-party package of `tests/plugin_package` into a folder, as a wheel of it would be."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

PACKAGE = Path(__file__).parent / "plugin_package"


def install(folder: Path) -> Path:
    """Put its module and its metadata into `folder`, which may then stand on PYTHONPATH; return it."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(PACKAGE / "src" / "pilotfish_parrot.py", folder)
    name = project["name"].replace("-", "_")
    about = folder / f"{name}-{project['version']}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{point} = {target}" for point, target in points.items())]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder
