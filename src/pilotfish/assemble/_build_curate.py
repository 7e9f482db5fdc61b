"""From the checked `[curate]` table to the steps of a curation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotfish.assemble._specs_curate import CurateSpec, RulesSpec

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._spec import Spec
    from pilotfish.curate.barrier import Barrier
    from pilotfish.rows.stage import Stage

__all__ = ["build_curate"]

SWITCHES = {"punctuated", "javascript", "policies", "citations", "lorem_ipsum", "curly"}


def build_curate(spec: CurateSpec, models: Collaboration) -> list[Stage | Barrier]:
    """Return the steps of a table, in order.

    Raises:
        ConfigError: settings that do not go together.
        DataError: a file of rows or words cannot be read.
    """
    found: list[Stage | Barrier] = []
    for step in spec.steps:
        if isinstance(step, RulesSpec):
            found += [_rule(name, getattr(step, name), spec.text, models) for name in step.rules]
    return found


def _rule(name: str, spec: Spec, text: str, models: Collaboration) -> Stage:
    from pilotfish.curate.rules import RULES

    # What is not given is left to the rule. False is no bound, which Python calls None, but where it turns a rule off.
    given: dict[str, Any] = spec.model_dump(exclude_unset=True, exclude_none=True)
    settings = {key: None if value is False and key not in SWITCHES else value for key, value in given.items()}
    for key in given.keys() & {"max_top", "max_duplicate"}:
        settings[key] = {int(n): share for n, share in given[key].items()}
    if "bad_words" in given:
        settings["bad_words"] = _words(models, given["bad_words"])
    made: Any = RULES[name]
    rule: Stage = made(text=text, **settings)
    return rule


def _words(models: Collaboration, file: str) -> tuple[str, ...]:
    from pilotfish.errors import DataError

    path = models.folder / file
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as words, one a line: {error}") from None
    words = tuple(line.strip() for line in lines if line.strip())
    if not words:
        raise DataError(f"{path}: no words in it")
    return words
