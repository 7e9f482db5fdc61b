"""From the name of a judge in a collaboration file to who grades answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotfish.assemble._specs_aligned import RewardSpec

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.models.judges import Grades

__all__ = ["grades_of", "is_reward"]


def is_reward(models: Collaboration, name: str) -> bool:
    """Whether a name is a reward model's of the file: it gives numbers, and is asked nothing."""
    return name in models.names and isinstance(models.spec(name), RewardSpec)


def grades_of(models: Collaboration, name: str, **how: Any) -> Grades:
    """Return who grades answers: a reward model, or a model that is asked, in the way that is given.

    Raises:
        ConfigError: no such model.
    """
    from pilotfish.models.judges import JudgeGrades, JudgeReward

    return JudgeReward(models.part(name)) if is_reward(models, name) else JudgeGrades(models.model(name), **how)
