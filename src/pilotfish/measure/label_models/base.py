"""What every label model shares: votes checked, gold rows, rows without a vote, ties, saving."""

from __future__ import annotations

import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish._saved import facts_in, reading
from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.label_models._ties import likeliest
from pilotfish.measure.votes import Gold, Label, Votes

__all__ = ["LabelModel"]

FILE, ARRAYS, FORMAT = "label_model.json", "label_model.safetensors", 1
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class LabelModel(ABC):
    """From many sources' votes to one probability a class and row. scikit-learn's contract over `Votes`.

    A row that nobody voted on has NaN for every class and None for its label: what the model would say of it is its
    prior, `prior_`, which is no label. Gold rows are clamped in `fit`: their class is taken as known.

    Attributes:
        classes_: the labels, in the votes' order.
        sources_: the sources, in the votes' order; votes of others are refused later on.
        prior_: (classes,) how frequent each class is.
        posterior_: (rows, classes) of the rows in `fit`, gold rows clamped; not saved.
    """

    kind: ClassVar[str]
    classes_: tuple[Label, ...]
    sources_: tuple[str, ...]
    prior_: Floats
    posterior_: Floats

    def fit(self, votes: Votes, gold: Gold | None = None) -> Self:
        """Learn how good the sources are.

        Args:
            votes: what they said.
            gold: true labels of some rows: a mapping from row ids, or one label a row with None where not known.

        Raises:
            ConfigError: a setting is out of its range.
            DataError: no votes, gold that does not fit them, or votes that the model can learn nothing from.
        """
        self._typed()
        self._checked()
        if not len(votes):
            raise DataError("there are no votes to learn from")
        truth = votes.truth(gold)
        self.classes_, self.sources_ = votes.classes, votes.sources
        posterior = self._learn(votes, truth)
        known = truth >= 0
        posterior[known] = np.eye(len(self.classes_))[truth[known]]
        posterior[~(votes.voted | known)] = np.nan
        self.posterior_ = posterior
        return self

    def predict_proba(self, votes: Votes) -> Floats:
        """Return (rows, classes) probabilities in the order of `classes_`; NaN for a row without votes.

        Raises:
            DataError: other classes, or a source that `fit` did not see.
        """
        seen = votes.seen_by(self.sources_, self.classes_)
        found = self._posterior(seen)
        found[~seen.voted] = np.nan
        return found

    def predict(self, votes: Votes, ties: Literal["row", "none"] = "row") -> list[Label | None]:
        """Return the likeliest label of each row, None for a row without votes.

        Args:
            votes: what the sources said.
            ties: "row" draws one of the classes that lead by the row's id, always the same; "none" gives None.

        Raises:
            DataError: as for `predict_proba`.
        """
        return likeliest(self.predict_proba(votes), self.classes_, votes.ids, ties)

    def _two_sided(self, votes: Votes) -> None:
        """Refuse votes that a model which takes silence as missing can explain by calling one class never true.

        Raises:
            DataError: every source votes for one class only, so that each may be always right, or always wrong.
        """
        k, s = len(votes.classes), len(votes.sources)
        sides = (np.bincount(votes.source * k + votes.label, minlength=s * k).reshape(s, k) > 0).sum(axis=1)
        if sides.max() < 2 and len(np.unique(votes.label)) > 1:
            raise DataError(
                f"{self.kind}: each source votes for one class only, and silence is taken as missing, so it cannot be "
                'told which sources are right: take majority, weighted, mace, data-programming, or abstain = "vote"'
            )

    @abstractmethod
    def _learn(self, votes: Votes, truth: Ints) -> Floats:
        """Learn, set `prior_`, and return the posterior of all rows; `truth` is -1 where it is not known."""

    @abstractmethod
    def _posterior(self, votes: Votes) -> Floats:
        """Return (rows, classes) of votes whose sources and classes are the model's; any value where nobody voted."""

    def _typed(self) -> None:
        """Check that settings are of the type that they should be, as a file may have any.

        Raises:
            ConfigError: one is not.
        """
        for name, parameter in inspect.signature(type(self)).parameters.items():
            value, default = getattr(self, name), parameter.default
            many = isinstance(default, tuple)
            wanted = "" if default is None or isinstance(default, str) else "a number"
            if isinstance(default, int):
                wanted = "a whole number"
            if many:
                wanted = f"{len(default)} numbers"
            each = list(value) if many and isinstance(value, list | tuple) else [value]
            kinds = int if wanted == "a whole number" else int | float
            right = all(isinstance(one, kinds) and not isinstance(one, bool) and one == one for one in each)  # noqa: PLR0124 no NaN
            if wanted and not (right and (not many or len(each) == len(default))):
                raise ConfigError(f"{self.kind}: {name} is {wanted}, not {value!r}")

    def _checked(self) -> None:  # noqa: B027 most settings need no check
        """Check the settings.

        Raises:
            ConfigError: one is out of its range.
        """

    def _arrays(self) -> dict[str, Floats]:
        """Return what was learned: the learned attributes that are arrays, by name without the underscore."""
        return {
            name[:-1]: value
            for name, value in vars(self).items()
            if name.endswith("_") and isinstance(value, np.ndarray) and name != "posterior_"
        }

    def _facts(self) -> dict[str, Any]:
        """Return what was learned and is no array, as plain data, by name without the underscore."""
        return {}

    def settings(self) -> dict[str, Any]:
        """Return what `__init__` takes, as plain data."""
        return {name: _plain(getattr(self, name)) for name in inspect.signature(type(self)).parameters}

    def save(self, folder: str | Path) -> None:
        """Write the model: safetensors and JSON; `label_model.json` goes first and comes last."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).unlink(missing_ok=True)
        arrays = {name: np.ascontiguousarray(value) for name, value in self._arrays().items()}
        need("safetensors.numpy", "local").save_file(arrays, folder / ARRAYS)
        told = {
            "format": FORMAT,
            "kind": self.kind,
            "settings": self.settings(),
            "classes": list(self.classes_),
            "sources": list(self.sources_),
            "facts": self._facts(),
        }
        (folder / FILE).write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    @staticmethod
    def load(folder: str | Path) -> LabelModel:
        """Read a label model of any kind.

        Raises:
            ModelError: the folder holds none, or a damaged one.
        """
        from pilotfish.measure.label_models.kinds import kind_of

        folder = Path(folder)
        with reading(folder, "label model"):
            told = facts_in(folder / FILE, "label model", FORMAT)
            model = kind_of(told["kind"])(**told["settings"])
            model.classes_, model.sources_ = tuple(told["classes"]), tuple(told["sources"])
            arrays = need("safetensors.numpy", "local").load_file(folder / ARRAYS)
            for name, value in {**arrays, **told["facts"]}.items():
                setattr(model, f"{name}_", value)
            if model.prior_.shape != (len(model.classes_),):
                raise ValueError(f"a prior of shape {model.prior_.shape} for {len(model.classes_)} classes")
        return model


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    return list(value) if isinstance(value, tuple) else value
