"""The name of an example in a cache: equal where a teacher's distributions are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["example_key", "loss_mask"]


def loss_mask(ids: Sequence[int] | NDArray[Any], mask: Sequence[bool] | NDArray[Any] | None) -> NDArray[np.bool_]:
    """Return which of ids[1:] are in the loss, (len(ids) - 1,): all of them where the mask is None.

    Raises:
        DataError: the mask is of another length.
    """
    count = max(0, len(ids) - 1)
    if mask is None:
        return np.ones(count, np.bool_)
    found = np.asarray(mask, np.bool_)
    if found.shape != (count,):
        raise DataError(f"{len(ids)} tokens need a mask of {count}, one for each but the first, not {found.shape}")
    return found


def example_key(ids: Sequence[int] | NDArray[Any], mask: Sequence[bool] | NDArray[Any] | None = None) -> str:
    """Return the sha256 of an example's token ids and of which of ids[1:] are in the loss (None: all), as hex.

    The rest of what decides a distribution (the teacher, the temperature) is one for a whole cache.

    Raises:
        DataError: the mask is not one flag for each token but the first.
    """
    digest = hashlib.sha256(len(ids).to_bytes(8, "little"))
    digest.update(np.asarray(ids, "<i8").tobytes())
    digest.update(np.packbits(loss_mask(ids, mask)).tobytes())
    return digest.hexdigest()
