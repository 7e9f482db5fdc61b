"""Label rows through the memo, for the test that kills it: arguments URL FOLDER ROWS CACHE."""

from __future__ import annotations

import sys
from pathlib import Path

from pilotfish.compete.memo import Memo
from pilotfish.models.classify import Labeller
from pilotfish.models.remote import RemoteModel

LABELS = ["card", "refund"]


def texts(rows: int) -> list[str]:
    """Return the texts; the upstream answers with an echo, so that each names its label."""
    return [f"row {i} of the {LABELS[i % 2]} kind" for i in range(rows)]


def main(url: str, folder: str, rows: str, cache: str) -> None:
    """Label the rows and print how many got which label."""
    kept = Path(folder) / "cache.db" if cache == "cache" else None
    model = RemoteModel("tiny", url, key_env=None, cache=kept, concurrency=8)
    memo = Memo(Path(folder) / "large.jsonl")
    found = memo.predict(Labeller(model, LABELS), texts(int(rows)), "tiny")
    print(*(found.labels.count(label) for label in LABELS), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
