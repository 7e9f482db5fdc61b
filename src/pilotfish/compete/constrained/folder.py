"""The output of a fit: the choice, ready to deploy and proven; the report; a file that `pilotfish ask` runs."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pilotfish.compete.constrained.fitting import Fit
from pilotfish.compete.constrained.manifest import Manifest, sealed
from pilotfish.compete.constrained.measured import apart
from pilotfish.compete.constrained.page import page
from pilotfish.compete.folder import plain, table
from pilotfish.errors import ModelError
from pilotfish.measure.report import render_html
from pilotfish.rows._atomic import atomic, cannot_write

__all__ = ["LAST", "write_folder"]

LAST = "fit.json"
CLOSE = 1e-3  # how far a row's score may move between two processes: sums in another order


def write_folder(fit: Fit, out: Path) -> Fit:
    """Write model/ (the choice, copied), report.html, pilotfish.toml, fit.json last; return the fit with its proof.

    The copy is loaded in a process of its own, every file held against its checksum, and must score the rows as it
    did. Where nothing keeps the limits there is no model/ and no pilotfish.toml.

    Raises:
        DataError: the folder cannot be written.
        ModelError: the copy does not do what was measured.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        for old in (LAST, "pilotfish.toml"):
            (out / old).unlink(missing_ok=True)
        if (out / "model").exists():
            shutil.rmtree(out / "model")
        if fit.verdict.chosen is not None:
            fit = replace(fit, proof=_deployed(fit, out))
            _put(out / "pilotfish.toml", _toml(fit))
        _put(out / "report.html", render_html(page(fit)))
        _put(out / LAST, json.dumps(plain(fit.to_json()), ensure_ascii=False, indent=1, allow_nan=False) + "\n")
    except OSError as error:
        raise cannot_write(out, error) from error
    return fit


def _deployed(fit: Fit, out: Path) -> dict[str, Any]:
    """Copy the choice, with its figures in the manifest; return what its proof found."""
    chosen = fit.verdict.chosen
    assert chosen is not None
    target = out / "model"
    shutil.copytree(chosen.folder, target)
    figures = {**chosen.measured.figures, "quality": chosen.quality.to_json(), "rows": len(fit.task.rows)}
    sealed(Manifest.load(target), target, plain(figures))
    coming = out / "proof.coming"
    try:
        again = apart(target, out / "rows.json", fit.settings.how, coming, only_scores=True)
    finally:
        coming.unlink(missing_ok=True)
    gap = float(np.abs(np.array(again["scores"]) - chosen.measured.table).max())
    if gap > CLOSE * max(1.0, float(np.abs(chosen.measured.table).max())):
        shutil.rmtree(target)
        raise ModelError(f"{chosen.name}: its copy scores a row by {gap:.3g} otherwise than was measured; not exported")
    return {"rows": len(fit.task.rows), "largest_change": gap}


def _toml(fit: Fit) -> str:
    chosen = fit.verdict.chosen
    assert chosen is not None
    lines = [f"# Written by `pilotfish fit`: {chosen.name}."]
    if fit.task.sort == "similarity":
        lines.append("# An encoder answers no requests: pilotfish.compete.constrained.open('model').encode(texts).")
    else:
        lines += ['# Try it:  pilotfish ask pilotfish.toml "…" --trace', 'default = "fitted"']
    return "\n".join([*lines, "", *table("models.fitted", {"use": "fitted", "path": "model"})])


def _put(path: Path, text: str) -> None:
    with atomic(path) as file:
        file.write(text.encode())
