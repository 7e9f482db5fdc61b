"""From a checked classifier's table to the model: of one label or several, of texts or of columns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.assemble.specs import ClassifierSpec
    from pilotfish.models.catalog import Catalog

__all__ = ["TABLE", "TAGGER", "TREES", "build_classifier"]

TREES = "trees.safetensors"  # which only the folder of a tree student holds
TAGGER = "fields-tagger.json"  # which only the folder of a field tagger holds
TABLE = "table.json"  # which only the folder of a table's model holds


def build_classifier(name: str, spec: ClassifierSpec, path: Path, catalog: Catalog) -> Any:
    """Return the model of a saved classifier.

    Raises:
        ConfigError: a scope's settings for one that has none.
        ModelError: the folder holds no classifier.
    """
    from pilotfish.models.classify import ClassifierModel, TextClassifier, load_classifier

    if (path / TABLE).is_file():
        from pilotfish.compete.tables.model import TableModel, TableReplies

        _unscoped(name, spec, path)
        return TableReplies(TableModel.load(path), name)
    if (path / TAGGER).is_file():
        from pilotfish.compete.extraction import FieldTagger, TaggerReplies

        _unscoped(name, spec, path)
        return TaggerReplies(FieldTagger.load(path, catalog), name)
    if (path / TREES).is_file():
        from pilotfish.distill.blackbox.tabular import TableClassifier

        _unscoped(name, spec, path)
        return ClassifierModel(TableClassifier.load(path), name=name)
    found = load_classifier(path, catalog)
    if not isinstance(found, TextClassifier):
        from pilotfish.models.classify import SeveralModel

        _unscoped(name, spec, path)
        return SeveralModel(found, name)
    if found.scope is None:
        _unscoped(name, spec, path)
        return ClassifierModel(found, name)
    return ClassifierModel(found, name, **_scoped(spec))


def _scoped(spec: ClassifierSpec) -> dict[str, Any]:
    """Return what the model is told of its scope."""
    told = spec.out_of_scope
    if told is None:
        return {}
    if told is False:
        return {"scoped": False}
    if isinstance(told, str):
        return {"outside": told}
    return {"outside": told.answer or None, "above": told.above}


def _unscoped(name: str, spec: ClassifierSpec, path: Path) -> None:
    if spec.out_of_scope:
        raise ConfigError(
            f"[models.{name}] out_of_scope: {path} holds a classifier that does not know its scope; "
            "teach it by `pilotfish classify learn --out-of-scope`"
        )
