"""From the checked `[judge]` table to judges."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.assemble._build_judge import is_reward
from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_judge import JudgeSpec
    from pilotfish.evaluate.judge import Pairwise, Pointwise, Rubric, TrainedJudge

__all__ = ["build_judges", "rubric_of"]


def rubric_of(spec: JudgeSpec) -> Rubric:
    """Return the rubric of a table.

    Raises:
        ConfigError: no criteria, or a scale or meanings that are none.
    """
    from pilotfish.evaluate.judge import Rubric

    if spec.criteria is None:
        raise ConfigError("[judge] what is judged? give `criteria`, or --rubric")
    try:
        meanings = {int(number): meaning for number, meaning in spec.meanings.items()}
    except ValueError as error:
        raise ConfigError(f"[judge] meanings are of whole numbers: {error}") from None
    return Rubric(spec.criteria, spec.low, spec.high, meanings)


def build_judges(
    spec: JudgeSpec, models: Collaboration, out: Path, *, progress: bool = False
) -> dict[str, Pairwise | Pointwise | TrainedJudge]:
    """Return name -> judge; what an asked one says is stored in `out`, by its name.

    Raises:
        ConfigError: no such model, no rubric for a judge that is asked, or settings that do not go together.
    """
    from pilotfish.evaluate.judge import Pairwise, Pointwise, TrainedJudge

    found: dict[str, Pairwise | Pointwise | TrainedJudge] = {}
    for name in spec.models or [models.default]:
        if name in found:
            raise ConfigError(f"[judge] {name!r} judges twice: a panel is of different judges")
        if is_reward(models, name):
            table: Any = models.spec(name)
            found[name] = TrainedJudge.load(models.folder / table.path, models.catalog, name=name)
            continue
        settings = {**spec.settings, "temperature": spec.temperature, "max_tokens": spec.max_tokens}
        how: dict[str, Any] = {
            "model": models.model(name),
            "rubric": rubric_of(spec),
            "settings": settings,
            "store": out / f"{name.replace('/', '_')}.sqlite",
            "progress": progress,
            **{key: getattr(spec, key) for key in ("prompt", "by", "explain", "constrained", "concurrency")},
        }
        if spec.against is None:
            found[name] = Pointwise(together=spec.together, samples=spec.samples, **how)
        else:
            found[name] = Pairwise(ties=spec.ties, settle=spec.settle, **how)
    return found
