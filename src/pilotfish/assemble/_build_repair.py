"""From tables of `_specs_repair` to a model with plug-ins behind it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.assemble._build_check import read_schema
from pilotfish.assemble._specs_repair import GROUP, PLUGINS, RepairedSpec, RepairPluginSpec
from pilotfish.assemble.plugins import plugin
from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog
    from pilotfish.repair import Plugin, Repaired
    from pilotfish.repair.ways import Way

__all__ = ["build_repaired"]


def build_repaired(
    name: str, spec: RepairedSpec, part: Callable[[str], Any], catalog: Catalog, folder: Path
) -> Repaired:
    """Return the model that a table describes.

    Raises:
        ConfigError: a setting out of range, a label that a classifier does not have, a function that is none.
        DataError: a file of words that cannot be read.
        ModelError: a folder that holds no detector or classifier.
    """
    from pilotfish.repair import Repaired

    evidence = spec.evidence if isinstance(spec.evidence, str) else tuple(spec.evidence)
    return Repaired(
        part(spec.model),
        tuple(_plugin(name, one, part, catalog, folder) for one in spec.plugins),
        evidence,
        spec.language,
        spec.most,
        name,
    )


def _plugin(name: str, spec: RepairPluginSpec, part: Callable[[str], Any], catalog: Catalog, folder: Path) -> Plugin:
    if spec.use not in PLUGINS:
        made: Any = plugin(spec.use, GROUP)(name=spec.name or spec.use, settings=dict(spec.settings or {}), part=part)
        for needed in ("name", "touch", "whole", "detect", "mend"):
            if not hasattr(made, needed):
                raise ConfigError(f"[models.{name}] the plug-in {spec.use!r} is none: it has no {needed!r}")
        found: Plugin = made
        return found
    from pilotfish.repair import plugins as kinds

    given = spec.own()
    general: dict[str, Any] = {"name": spec.name} if spec.name is not None else {}
    if spec.touch is not None:
        general["touch"] = frozenset(spec.touch)
    if spec.way is not None:
        general["way"] = _way(spec, part)
    if spec.use == "calculation":
        return kinds.Calculation(**given, **general)
    if spec.use == "repetition":
        return kinds.Repetition(**given, **general)
    if spec.use == "personal":
        return kinds.Personal(**_tuples(given), **general)
    if spec.use == "toxic":
        return _toxic(given, general, catalog, folder)
    if spec.use == "json":
        path = given.pop("schema_file", None)
        return kinds.JsonForm(None if path is None else read_schema(folder / path), **given, **general)
    if spec.use == "unsupported":
        from pilotfish.repair.plugins.unsupported import Unsupported
        from pilotfish.repair.tokens import SpanDetector

        return Unsupported(SpanDetector.load(folder / given.pop("path"), catalog), **given, **general)
    return kinds.ByFunction(given.pop("function"), **given, **general)


def _toxic(given: dict[str, Any], general: dict[str, Any], catalog: Catalog, folder: Path) -> Plugin:
    from pilotfish.models.classify import TextClassifier
    from pilotfish.repair.plugins import Toxic, words_in

    path, file = given.pop("classifier", None), given.pop("words_file", None)
    words = (*given.pop("words", ()), *(words_in(folder / file) if file is not None else ()))
    classifier = None if path is None else TextClassifier.load(folder / path, catalog)
    return Toxic(classifier, words=words, **_tuples(given), **general)


def _way(spec: RepairPluginSpec, part: Callable[[str], Any]) -> Way:
    from pilotfish.repair import ways

    def told(*names: str) -> dict[str, Any]:
        return {name: value for name in names if (value := getattr(spec, name)) is not None}

    if spec.way == "remove":
        return ways.Remove()
    if spec.way == "remove-span":
        return ways.Remove("span")
    if spec.way == "mark":
        # Who says what stands before a place wants nothing behind it but what is said.
        return ways.Mark(**({"after": ""} if spec.before is not None else {}) | told("before", "after"))
    if spec.way == "replace":
        return ways.Replace(spec.text)
    if spec.way == "rewrite":
        return ways.Rewrite(part(str(spec.writer)), **told("prompt", "max_tokens"))
    return ways.Abstain(**(told("text") | ({} if spec.sure is None else {"above": spec.sure})))


def _tuples(given: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
