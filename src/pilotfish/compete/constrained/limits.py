"""What a machine allows: memory, time, energy, disk, and how many rows it must do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.compete.constrained.measured import Measured

__all__ = ["Broken", "Limits", "joules", "seconds", "shown", "size"]

DAY = 86_400


@dataclass(frozen=True)
class Limits:
    """Limits, each None where there is none.

    Attributes:
        memory: bytes resident at the peak, of the whole process.
        p95: seconds that 95 of 100 single rows take at most.
        energy: joules a row, one row at a time.
        rows_per_day: rows that a day's work does, in batches.
        cold_start: seconds from the start of the process to its first answer.
        disk: bytes of the exported folder.
    """

    memory: float | None = None
    p95: float | None = None
    energy: float | None = None
    rows_per_day: float | None = None
    cold_start: float | None = None
    disk: float | None = None

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if value is not None and not value > 0:
                raise ConfigError(f"the limit {one.name} must be above 0, not {value}")

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Limits:
        """Read limits as people write them: "2GiB", "200ms", "0.5J"; numbers are bytes, seconds, joules and rows.

        Raises:
            ConfigError: one cannot be read, or is not above 0.
        """
        read: dict[str, Callable[[str], float]] = {
            "memory": size,
            "disk": size,
            "p95": seconds,
            "cold_start": seconds,
            "energy": joules,
            "rows_per_day": float,
        }
        found: dict[str, float | None] = {}
        for name, value in given.items():
            if isinstance(value, str):
                try:
                    found[name] = read[name](value)
                except ValueError:
                    raise ConfigError(f"{name} takes a number, not {value!r}") from None
            else:
                found[name] = value
        return cls(**found)

    @property
    def given(self) -> dict[str, float]:
        """The limits that there are."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in found.items() if value is not None}

    def broken(self, measured: Measured) -> list[Broken]:
        """Return the limits that a candidate breaks, the one it misses by most first."""
        found = []
        for name, limit in self.given.items():
            value = taken(name, measured)
            # Of rows more is better; of all else less is.
            ratio = limit / value if name == "rows_per_day" else value / limit
            if ratio > 1:
                found.append(Broken(name, value, limit, ratio))
        return sorted(found, key=lambda one: -one.ratio)


@dataclass(frozen=True)
class Broken:
    """A limit that a candidate does not keep.

    Attributes:
        name: of the limit.
        value: what the candidate takes.
        limit: what it may take.
        ratio: by what factor it misses; above 1.
    """

    name: str
    value: float
    limit: float
    ratio: float

    def __str__(self) -> str:
        return f"{TITLES[self.name]} {shown(self.name, self.value)}, not {shown(self.name, self.limit)}"


TITLES = {
    "memory": "peak memory",
    "p95": "p95",
    "energy": "energy a row",
    "rows_per_day": "rows a day",
    "cold_start": "cold start",
    "disk": "disk",
}


def taken(name: str, measured: Measured) -> float:
    """Return what a candidate takes of a limit."""
    found: dict[str, float] = {
        "memory": measured.memory,
        "p95": measured.p95,
        "energy": measured.joules,
        "rows_per_day": measured.rows_per_second * DAY,
        "cold_start": measured.cold_start,
        "disk": measured.disk,
    }
    return found[name]


def shown(name: str, value: float) -> str:
    """Return a limit or what is taken of it as people write it."""
    if name in ("memory", "disk"):
        return f"{value / 2**30:.2f} GiB" if value >= 2**30 else f"{value / 2**20:.0f} MiB"
    if name in ("p95", "cold_start"):
        return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.3g} ms"
    if name == "energy":
        return f"{value:.3g} J" if value >= 0.1 else f"{value * 1e3:.3g} mJ"
    return f"{value:,.0f}"


def size(text: str) -> float:
    """Read a size such as 512MB, 2GiB or 1e9.

    Raises:
        ConfigError: it is none.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?(?:[eE]\d\d?)?)\s*([kmgt]?)(i?)b?\s*", text, re.IGNORECASE)
    if found is None:
        raise ConfigError(f"a size is written 512MB or 2GiB, not {text!r}")
    base = 1024 if found[3] else 1000
    return float(found[1]) * float(base ** " kmgt".index(found[2].lower() or " "))


def seconds(text: str) -> float:
    """Read a time such as 200ms, 1.5s or 2min; a bare number is seconds.

    Raises:
        ConfigError: it is none.
    """
    return _with_unit(text, {"us": 1e-6, "ms": 1e-3, "s": 1.0, "": 1.0, "min": 60.0}, "a time is written 200ms or 1.5s")


def joules(text: str) -> float:
    """Read an energy such as 0.5J or 20mJ, or 0.001Wh; a bare number is joules.

    Raises:
        ConfigError: it is none.
    """
    units = {"mj": 1e-3, "j": 1.0, "": 1.0, "kj": 1e3, "mwh": 3.6, "wh": 3600.0}
    return _with_unit(text, units, "an energy is written 0.5J, 20mJ or 0.001Wh")


def _with_unit(text: str, units: Mapping[str, float], how: str) -> float:
    found = re.fullmatch(r"\s*(\d*\.?\d+(?:[eE][+-]?\d\d?)?)\s*([a-zA-Z]*)\s*", text)
    if found is None or found[2].lower() not in units:
        raise ConfigError(f"{how}, not {text!r}")
    return float(found[1]) * units[found[2].lower()]
