"""From the checked tables of steps that clean rows to the steps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.assemble import _specs_curate_clean as specs

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._spec import Spec
    from pilotfish.curate.barrier import Barrier
    from pilotfish.rows.stage import Stage

__all__ = ["build_clean_step"]


def build_clean_step(step: Spec, text: str, models: Collaboration) -> Stage | Barrier:
    """Return a step of a table.

    Raises:
        ConfigError: settings that do not go together.
        MissingExtra: what a step needs is not installed.
    """
    own: dict[str, Any] = step.model_dump(exclude={"do"}, exclude_unset=True)
    if isinstance(step, specs.LanguageSpec):
        from pilotfish.curate.language import Language

        return Language(text=text, **own)
    if isinstance(step, specs.SubstringsSpec):
        from pilotfish.curate.substrings import Substrings

        return Substrings(text=text, **own)
    if isinstance(step, specs.SemanticSpec):
        from pilotfish.assemble.build import encoder_named
        from pilotfish.curate.semantic import Semantic

        return Semantic(encoder_named(own.pop("encoder"), models, "auto"), text=own.pop("columns", None) or text, **own)
    if isinstance(step, specs.KenLMSpec):
        from pilotfish.curate.kenlm import KenLM

        for name in ("models", "pieces"):
            if name in own:
                own[name] = _beside(models.folder, own[name])
        return KenLM(text=text, **own)
    assert isinstance(step, specs.RedactSpec)
    from pilotfish.curate.redact import Redact

    return Redact(text=text, **own)


def _beside(folder: Path, given: str | dict[str, str]) -> Path | dict[str, Path]:
    """Return paths as the file means them."""
    if isinstance(given, str):
        return folder / Path(given).expanduser()
    return {language: folder / Path(path).expanduser() for language, path in given.items()}
