"""The likeliest class of each row; of classes that lead together, one drawn by the row's id, or none."""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pilotfish.errors import ConfigError

__all__ = ["leaders", "likeliest"]

_CLOSE = 1e-9


def leaders(proba: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which classes lead each row, give or take rounding: (rows, classes); none in a row of NaN.

    Several lead where the votes do not decide. How often a row is right on average, whatever way such ties fall, is
    `leaders(p)[row, truth] / leaders(p)[row].sum()`.
    """
    best = np.where(np.isnan(proba), -np.inf, proba).max(axis=1, keepdims=True)
    return np.asarray((proba >= best - _CLOSE) & np.isfinite(proba))


def likeliest(
    proba: NDArray[np.float64], classes: Sequence[Any], ids: Sequence[Hashable], ties: Literal["row", "none"]
) -> list[Any]:
    """Return one label a row, None where the row is NaN.

    A tie broken by the lowest class would favour that class, and one broken by chance would need a seed and change from
    run to run. A hash of the row's id does neither.

    Raises:
        ConfigError: `ties` is neither of the two.
    """
    if ties not in ("row", "none"):
        raise ConfigError(f'ties is "row" or "none", not {ties!r}')
    lead = leaders(proba)
    many = lead.sum(axis=1)
    found: list[Any] = [classes[at] for at in lead.argmax(axis=1)]
    for row in np.flatnonzero(many != 1).tolist():
        if ties == "none" or many[row] == 0:
            found[row] = None
        else:
            drawn = zlib.crc32(repr(ids[row]).encode()) % int(many[row])
            found[row] = classes[np.flatnonzero(lead[row])[drawn]]
    return found
