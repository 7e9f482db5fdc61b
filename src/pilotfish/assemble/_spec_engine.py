"""`engine = "ray"`: where the work of a table is done; keys that several tables share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Count, From0, Ref, Spec

if TYPE_CHECKING:
    from pilotfish.rows.engine import Engine

__all__ = ["SPREAD_MEANS", "EngineSpec", "SpreadSpec"]

SPREAD_MEANS = ("workers", "cpus", "gpus", "address")


class EngineSpec(Spec):
    """`engine = "ray"`, `workers = 4`, `cpus = 0.5`, `gpus = 0.25`, `address = "auto"`: as for `pilotfish.rows.Ray`."""

    engine: Literal["local", "ray"] = "local"
    workers: Count | None = None
    cpus: From0 | None = None
    gpus: From0 | None = None
    address: Annotated[str | None, Field(min_length=1)] = None

    @model_validator(mode="after")
    def _of_ray(self) -> Self:
        for name in ("workers", "cpus", "gpus", "address"):
            if getattr(self, name) is not None and self.engine != "ray":
                raise ValueError(f'`{name}` is of engine = "ray": nothing else would look at it')
        return self

    @property
    def where(self) -> Engine:
        """The engine, as runs take it.

        Raises:
            ConfigError: what a worker needs is out of range.
        """
        from pilotfish.rows.engine import Ray

        if self.engine == "local":
            return "local"
        given = {name: getattr(self, name) for name in ("workers", "cpus", "gpus", "address")}
        return Ray(**{name: value for name, value in given.items() if value is not None})


class SpreadSpec(Spec):
    """`use = "spread"`: copies of a model in workers of Ray."""

    use: Literal["spread"]
    model: Ref
    workers: Count = 2
    cpus: From0 = 1.0
    gpus: From0 = 0.0
    address: Annotated[str | None, Field(min_length=1)] = None
