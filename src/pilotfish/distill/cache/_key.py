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


def loss_mask(ids: Sequence[int] | NDArray[Any], loss: int | Sequence[bool] | NDArray[Any] | None) -> NDArray[np.bool_]:
    """Return which of ids[1:] are in the loss, (len(ids) - 1,).

    Raises:
        DataError: there are more or fewer flags, or the first token in the loss is none of ids[1:].
    """
    count = max(0, len(ids) - 1)
    if loss is None or isinstance(loss, int):
        start = 1 if loss is None else loss
        if start < 1:
            raise DataError(f"nothing predicts token {start}: the first in the loss is 1 at the least")
        return np.arange(1, count + 1) >= start
    found = np.asarray(loss, np.bool_)
    if found.shape != (count,):
        raise DataError(f"{len(ids)} tokens need {count} flags, one for each but the first, not {found.shape}")
    return found


def example_key(ids: Sequence[int] | NDArray[Any], loss: int | Sequence[bool] | NDArray[Any] | None = None) -> str:
    """Return the sha256 of an example's token ids and of which of them are in the loss, as hex.

    The rest of what decides a distribution (the teacher, the temperature) is one for a whole cache.

    Args:
        ids: the tokens.
        loss: which of ids[1:] are in the loss: a flag for each; or the first that is, where all after it are; or None
            for all.

    Raises:
        DataError: `loss` does not fit the ids.
    """
    digest = hashlib.sha256(len(ids).to_bytes(8, "little"))
    digest.update(np.asarray(ids, "<i8").tobytes())
    digest.update(np.packbits(loss_mask(ids, loss)).tobytes())
    return digest.hexdigest()
