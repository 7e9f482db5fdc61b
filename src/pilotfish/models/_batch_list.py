"""The batches of a folder for people, and their cancelling; another process may be waiting for them meanwhile."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from pilotfish.errors import ConfigError, UpstreamError, did_you_mean
from pilotfish.model import Price
from pilotfish.models._batch_api import BatchApi
from pilotfish.models._batch_form import Status
from pilotfish.models._batch_journal import FILE, Journal, Plan, Told
from pilotfish.models._batch_settings import Settings

__all__ = ["BatchState", "cancelled", "listed"]


@dataclass(frozen=True)
class BatchState:
    """How a batch stands.

    Attributes:
        id: the provider's; our own where the provider's is not known.
        state: the provider's word; "not made" for one that was about to be when a process was killed, "not found" where
            the provider has it no more, or shows it to another key only.
        done, failed, total: requests, as the provider counts them.
        answered: answers that are here.
        age: seconds from its planning to its end, or to now.
        cost: US dollars for the answers that are here; None where the price is not known.
        open: whether answers may still come.
    """

    id: str
    state: str
    done: int
    failed: int
    total: int
    answered: int
    age: float
    cost: float | None
    open: bool

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


async def listed(settings: Settings, price: Price | None) -> list[BatchState]:
    """Return the folder's batches, oldest first; the provider is asked about those that have not ended here."""
    found = _told(settings)
    async with BatchApi(settings) as api:
        return [_state(told, await _status(api, told.plan), price) for told in found]


async def cancelled(settings: Settings, ids: Sequence[str]) -> list[str]:
    """Cancel batches that have not ended, or those of them that are named; return their ids."""
    under_way: dict[str, Plan] = {}
    known = _told(settings)
    async with BatchApi(settings) as api:
        for told in known:
            status = await _status(api, told.plan)
            if status is not None and not status.ended:
                under_way[status.id] = told.plan
        for one in ids:
            if one not in under_way:
                ended = any(one == told.plan.id for told in known)
                why = "has ended" if ended else f"is no batch of {settings.folder}{did_you_mean(one, under_way)}"
                raise ConfigError(f"{one!r} {why}")
        for one in ids or under_way:
            await api.patiently(functools.partial(api.cancel, one))
    return list(ids or under_way)


def _told(settings: Settings) -> list[Told]:
    if not (settings.folder / FILE).exists():
        return []
    with closing(Journal(settings.folder)) as journal:
        return journal.told()


async def _status(api: BatchApi, plan: Plan) -> Status | None:
    """Return what the provider says of a batch; None where it has ended here, or is not there."""
    if plan.state == "made":
        try:
            return await api.patiently(functools.partial(api.get, plan.id))
        except UpstreamError as error:
            if error.status == 404:
                return None
            raise
    if plan.state == "uploaded":
        return await api.patiently(functools.partial(api.find, plan.ours, plan.file, plan.sent))
    return None


def _state(told: Told, status: Status | None, price: Price | None) -> BatchState:
    plan = told.plan
    end = time.time() if plan.ended is None else plan.ended
    cost = None if price is None else price.cost(told.tokens_in, told.tokens_out)
    here = plan.status if plan.state == "ended" else "not found" if plan.id else "not made"
    done, failed = (status.done, status.failed) if status is not None else (plan.done, plan.failed)
    return BatchState(
        status.id if status is not None else plan.id or plan.ours,
        here if status is None else status.status,
        done,
        failed,
        plan.total,
        told.answered,
        round(end - plan.created, 1),
        cost,
        plan.state != "ended" and status is not None,
    )
