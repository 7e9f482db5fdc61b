"""From a checked table to a cascade."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.assemble._build_check import build_check
from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.assemble._specs_cascade import AcceptSpec, CascadeSpec
    from pilotfish.infer import Accept, Cascade
    from pilotfish.infer.calibrate import Calibration
    from pilotfish.models.catalog import Catalog


def build_cascade(name: str, spec: CascadeSpec, part: Callable[[str], Any], catalog: Catalog, folder: Path) -> Cascade:
    """Return the cascade; `part` gives the model of another name, `folder` is what relative paths start from."""
    from pilotfish.infer import Cascade

    models = [part(one) for one in spec.names]
    accepts = []
    for one, model in zip(spec.ways, models, strict=False):
        accepts.append(accept_of(name, one, model, part, catalog, folder))
    return Cascade.of(models, accepts, name)


def accept_of(
    name: str, spec: AcceptSpec, model: Any, part: Callable[[str], Any], catalog: Catalog, folder: Path
) -> Accept:
    """Return what trusts the replies of a model, by its own threshold or a calibration's; `name` has it in traces.

    Raises:
        ConfigError: the calibration is of another score.
    """
    calibration = None if spec.calibration is None else _calibration(spec, folder)
    above = {} if calibration is None else {"above": calibration.above}
    accept = _accept(spec, spec.settings() | above, model, part, catalog, folder)
    return accept if calibration is None else _watched(accept, spec, calibration, name)


def _calibration(spec: AcceptSpec, folder: Path) -> Calibration:
    from pilotfish.infer.calibrate import Calibration

    path = folder / str(spec.calibration)
    found = Calibration.load(path)
    if found.score != spec.score_of:
        raise ConfigError(f"{path}: this threshold is of {found.score}, and the cascade accepts by {spec.score_of}")
    return found


def _watched(accept: Accept, spec: AcceptSpec, calibration: Calibration, name: str) -> Accept:
    from pilotfish.infer.drift import Watch
    from pilotfish.infer.watched import Watched

    watch = Watch(calibration.scores, calibration.above, window=spec.window or 500)
    return Watched(accept, watch, spec.on_drift or "tell", name)


def _accept(
    spec: AcceptSpec, given: dict[str, Any], model: Any, part: Callable[[str], Any], catalog: Catalog, folder: Path
) -> Accept:
    """Return what trusts the replies of `model`."""
    from pilotfish import infer

    if spec.by == "score":
        return infer.Above(**given)
    if spec.by == "scope":
        return infer.InScope(**given)
    if spec.by == "agreement":
        return infer.Agreement(model, **given)
    if spec.by == "self-verification":
        other = given.pop("model", None)
        return infer.SelfVerification(part(other) if other else model, **given)
    if spec.by == "learned":
        from pilotfish.infer.deferral_head import DeferralHead, Learned

        return Learned(DeferralHead.load(folder / given["head"], catalog), given["above"])
    return build_check(spec.by, given, folder, catalog, part)
