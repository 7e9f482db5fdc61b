"""From a checked table to a route."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotfish.assemble._specs_route import ChooseSpec, RouteSpec
    from pilotfish.infer.route import Route
    from pilotfish.infer.routing import Objective
    from pilotfish.models.catalog import Catalog


def build_route(name: str, spec: RouteSpec, part: Callable[[str], Any], catalog: Catalog, folder: Path) -> Route:
    """Return the route; `part` gives the model of another name, `folder` is what the router's path starts from."""
    from pilotfish.infer.route import Route
    from pilotfish.infer.routing import load_router

    models = {one: part(one) for one in spec.models}
    router = load_router(folder / spec.router, catalog)
    return Route(models, router, _objective(spec.choose), name, spec.sticky)


def _objective(spec: ChooseSpec) -> Objective:
    from pilotfish.infer.routing import AtLeast, AtMost, Trade

    if spec.quality_at_least is not None:
        return AtLeast(spec.quality_at_least)
    if spec.cost_at_most is not None:
        return AtMost(spec.cost_at_most)
    return Trade(spec.price or 0.0)
