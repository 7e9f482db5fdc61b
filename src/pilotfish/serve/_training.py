"""Logged traffic as rows that routers, calibration and students learn from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

__all__ = ["training_rows"]


def training_rows(rows: Iterable[Mapping[str, Any]], models: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield a row for each request that a model answered.

    Args:
        rows: of the log, texts included.
        models: the names that get columns; every row has all of them, as CSV needs.
    """
    for row in rows:
        if row["status"] != 200 or row["cached"] or not row["calls"] or row["reply"] is None:
            continue
        out = {
            "id": row["id"],
            "time": row["time"],
            "model": row["model"],
            "prompt": row["prompt"],
            "messages": row["request"].get("messages"),
            "reply": row["reply"].get("text"),
            "tool_calls": row["reply"].get("tool_calls"),
            "answered_by": row["answered_by"],
            "verdict": row["verdict"],
            "score": row["score"],
            "decisions": row["decisions"],
            "cost": row["cost"],
            "seconds": row["seconds"],
        }
        for name in models:
            calls = [call for call in row["calls"] if call["model"] == name and call["role"] != "failed"]
            costs = [call["cost"] for call in calls]
            out[f"cost:{name}"] = None if not calls or None in costs else sum(costs)
            out[f"seconds:{name}"] = sum(call["seconds"] for call in calls) if calls else None
            out[f"quality:{name}"] = row["quality"].get(name)
        yield out
