"""What people are told of batches under way: a line when something has changed, on standard error.

Lines and no bar: whoever asks thousands of questions shows a bar of its own.
"""

from __future__ import annotations

import sys
import time
from collections import Counter

from pilotfish.models._batch_form import Status
from pilotfish.rows._progress import Progress

__all__ = ["Teller"]

_QUIET = 600.0  # seconds after which a line is due though nothing has changed


class Teller:
    """Tells how batches stand; `shown=False` tells nothing."""

    def __init__(self, *, shown: bool = True) -> None:
        self.shown = shown
        self._bars: dict[str, tuple[Progress, float]] = {}
        self.under_way: dict[str, str] = {}  # the provider's id -> how it stands in words

    def say(self, text: str) -> None:
        """Print one line."""
        if self.shown:
            sys.stderr.write(" ".join(text.split()) + "\n")
            sys.stderr.flush()

    def seen(self, status: Status, total: int) -> None:
        """Take note of how a batch stands."""
        bar, printed = self._bars.get(status.id, (None, 0.0))
        now = time.monotonic()
        if bar is None:
            bar = Progress(total, shown=self.shown, unit=f"batch {status.id}")
            self._bars[status.id] = bar, now
            self.say(f"batch {status.id}: {_count(total)} at the endpoint, {status.status}")
        ended, note = status.done + status.failed, status.status
        changed = ended > bar.done or note != bar.note
        bar.note = note
        if not status.ended and (changed or now - printed > _QUIET):
            # `add` prints when it has not done so for some seconds; a bar it would only draw inside of `with`.
            bar.add(max(0, ended - bar.done), max(0, status.failed - bar.rejected))
            self._bars[status.id] = bar, now
        self.under_way[status.id] = f"{status.id} ({ended:,} of {total:,} done)"

    def gone(self, batch: str) -> None:
        """Take note that a batch is none of ours any more."""
        self._bars.pop(batch, None)
        self.under_way.pop(batch, None)

    def ended(self, status: Status, here: int, strange: Counter[str]) -> None:
        """Tell how a batch ended: how many requests it has a line for, and which of its lines were odd."""
        odd = ", ".join(f"{count:,} {kind}" for kind, count in sorted(strange.items()))
        why = f" ({status.why})" if status.status == "failed" else ""
        self.say(f"batch {status.id}: {status.status}{why}, {here:,} read" + (f"; lines: {odd}" if odd else ""))
        self.gone(status.id)

    def parted(self, *, sending: bool) -> None:
        """Tell that nobody waits any more, and what stays; `sending` where a batch may be made this moment."""
        if not self.under_way:
            if sending:
                self.say("no longer waiting: a batch was being sent; run again, and it is looked for at the endpoint")
            return
        which = ", ".join(list(self.under_way.values())[:3]) + (", …" if len(self.under_way) > 3 else "")
        self.say(
            f"no longer waiting: batch {which} goes on at the endpoint; run again to take its answers, or stop it with "
            "`pilotfish batches cancel`"
        )


def _count(number: int) -> str:
    return f"{number:,} request{'' if number == 1 else 's'}"
