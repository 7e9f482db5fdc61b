"""From the checked `[curate]` table to the steps of a curation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotfish.assemble._specs_curate import CurateSpec, DecontaminateSpec, DedupeSpec, QualitySpec, RulesSpec
from pilotfish.assemble._specs_curate_clean import CLEAN_STEPS
from pilotfish.errors import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._spec import Spec
    from pilotfish.curate.barrier import Barrier
    from pilotfish.rows._row import Row
    from pilotfish.rows.stage import Stage

__all__ = ["build_curate", "rows_of", "texts_of"]

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
        elif isinstance(step, QualitySpec):
            found.append(_quality(step, spec, models))
        elif isinstance(step, DedupeSpec):
            from pilotfish.curate.dedupe import Dedupe

            found.append(Dedupe(text=spec.text, **step.model_dump(exclude={"do"})))
        elif isinstance(step, DecontaminateSpec):
            found.append(_decontaminate(step, spec.text, models))
        elif type(step) in CLEAN_STEPS.values():
            from pilotfish.assemble._build_curate_clean import build_clean_step

            found.append(build_clean_step(step, spec.text, models))
        else:
            from pilotfish.assemble._build_curate_models import build_model_step

            found.append(build_model_step(step, spec.text, models))
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


def _quality(step: QualitySpec, spec: CurateSpec, models: Collaboration) -> Stage | Barrier:
    from pilotfish.curate.quality import Quality, QualityShare
    from pilotfish.errors import ConfigError, ModelError

    known = spec.classifiers.get(step.classifier)
    folder = models.folder / (known.out if known is not None else step.classifier)
    try:
        if step.share is not None:
            return QualityShare(folder, step.share, text=spec.text, into=step.into)
        return Quality(
            folder, text=spec.text, into=step.into, threshold=step.threshold, pareto=step.pareto, seed=step.seed
        )
    except ModelError as error:
        if known is not None and not (folder / "quality.json").exists():
            raise ConfigError(
                f"the classifier {step.classifier!r} has learnt nothing yet: pilotfish curate learn {models.where}"
            ) from None
        if known is None and not folder.exists():
            near = did_you_mean(step.classifier, spec.classifiers)
            raise ConfigError(
                f"{folder}: no such folder, and no [curate.classifiers.{step.classifier}]{near}"
            ) from None
        raise error from None


def _decontaminate(step: DecontaminateSpec, text: str, models: Collaboration) -> Stage:
    from pilotfish.curate.decontaminate import Decontaminate

    tests = {name: texts_of(models.folder / file, step.test_text or text) for name, file in step.tests.items()}
    return Decontaminate(
        tests, text=text, ngram=step.ngram or None, shortest=step.shortest, threshold=step.threshold or None
    )


def texts_of(path: Path, text: str) -> list[str]:
    """Return the texts of a file of rows; rows without one are left out.

    Raises:
        DataError: it cannot be read, has no such column, or no row has a text in it.
    """
    return [row[text] for row in rows_of(path, text)]


def rows_of(path: Path, text: str) -> list[Row]:
    """Return the rows of a file that have a text.

    Raises:
        DataError: it cannot be read, has no such column, or no row has a text in it.
    """
    from pilotfish.errors import DataError
    from pilotfish.rows import need_columns, read

    rows = list(read(path))
    need_columns(rows[0], text, source=str(path))
    found = [row for row in rows if isinstance(row.get(text), str) and row[text].strip()]
    if not found:
        raise DataError(f"{path}: no row has a text in {text!r}")
    return found


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
