"""How a teacher is asked while its student learns: itself, whole or shared, through a cache, or across tokenizers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.distill.rows import Parts
from pilotfish.errors import ConfigError, ModelError
from pilotfish.model import Message, Request
from pilotfish.models.local import LocalModel
from pilotfish.train.processes import in_turn, main_first
from pilotfish.train.settings import Fit

if TYPE_CHECKING:
    from pilotfish.distill.matching import Matching
    from pilotfish.distill.sampling import Sampling
    from pilotfish.distill.whitebox import WhiteBox
    from pilotfish.models.catalog import Catalog
    from pilotfish.train.causal import Causal

__all__ = ["Teaching"]


@dataclass(frozen=True)
class Teaching:
    """What a teacher is asked, and how; see `Distiller` for each.

    Attributes:
        teacher: weights, or None.
        cached: its likeliest tokens that are stored.
        cache: the folder of those.
        on_policy: how the student answers.
        matching: what is matched inside.
        shard: its layers are shared among the processes.
        dtype: of its weights.
        device: where it is.
        catalog: where names are looked up.
        progress: show bars.
    """

    teacher: str | Path | None
    cached: int | None
    cache: Path
    on_policy: Sampling | None
    matching: Matching | None
    shard: bool
    dtype: str
    device: str
    catalog: Catalog | None
    progress: bool

    def check(self, alpha: float) -> None:
        """See that the settings go together.

        Args:
            alpha: the share of the divergence in the loss.

        Raises:
            ConfigError: they do not.
        """
        if self.teacher is None and (alpha or self.cached or self.on_policy or self.matching or self.shard):
            raise ConfigError("without a teacher there are the rows' answers alone: alpha = 0, and nothing else of it")
        if self.cached is not None and (self.on_policy is not None or self.matching is not None):
            raise ConfigError(
                "a cache holds distributions over the data alone: on_policy and matching need the teacher"
            )
        if self.on_policy is not None and self.matching is not None:
            raise ConfigError("give on_policy or matching, not both")
        if self.shard and self.cached is not None:
            raise ConfigError("one process fills the cache, and a shared teacher needs all: shard or cached, not both")
        if self.shard and self.on_policy is not None and self.on_policy.how == "minillm":
            # Every process has to ask a shared teacher equally often.
            raise ConfigError("minillm asks the teacher as often as it happens to sample: shard goes with gkd")

    def task(self, model: Any, local: LocalModel, parts: Parts, rows: Sequence[Any], weighing: Any, how: Fit) -> Causal:
        """Return what is learnt: from the teacher itself, or from what is stored of it.

        Args:
            model: the student as it is trained, with adapters or without.
            local: the student.
            parts: its examples.
            rows: what they were made of.
            weighing: the loss, a `Weighing`.
            how: how to train.

        Raises:
            ConfigError: teacher and student differ, and what is set needs the same.
        """
        from pilotfish.distill.whitebox import WhiteBox
        from pilotfish.train.causal import Causal

        shown: dict[str, Any] = {"batch_tokens": how.batch_tokens, "name": local.name}
        if self.teacher is None:
            return Causal(model, **shown)
        teacher = self._teacher()
        if self.cached is not None:
            return self._cached_task(model, local, teacher, parts, rows, weighing, shown)
        differ = self._differ(local, teacher, rows)
        if differ is not None:
            if self.on_policy is not None or self.matching is not None:
                raise ConfigError(f"{differ}: on_policy and matching need the same")
            from pilotfish.distill.crossed import CrossWhiteBox, Reread

            both = (local.tokenizer, teacher.tokenizer)
            return CrossWhiteBox(model, teacher.model, weighing, Reread(rows, local, teacher), both, **shown)
        if self.on_policy is not None:
            from pilotfish.distill.onpolicy import OnPolicy

            return OnPolicy(model, teacher.model, weighing, self.on_policy, sorted(local.ends), **shown)
        if self.matching is not None:
            from pilotfish.distill.hidden import MatchedWhiteBox

            return MatchedWhiteBox(model, teacher.model, weighing, self.matching, **shown)
        return WhiteBox(model, teacher.model, weighing, **shown)

    def _teacher(self) -> LocalModel:
        """Return the teacher, which is loaded when it is asked; shared among the processes where that is wanted."""
        assert self.teacher is not None
        if not self.shard:
            return LocalModel(self.teacher, dtype=self.dtype, device=self.device, catalog=self.catalog)
        from pilotfish.models._weights import pick_device, pick_dtype
        from pilotfish.train.sharded import mesh_of, sharded

        device = pick_device(self.device)
        dtype = str(pick_dtype(self.dtype, device)).removeprefix("torch.")
        teacher = LocalModel(self.teacher, dtype=dtype, device="cpu", catalog=self.catalog)
        mesh = mesh_of(device)
        with in_turn():  # one whole copy in memory at a time
            sharded(teacher.model, mesh)
        return teacher

    def _cached_task(
        self,
        model: Any,
        local: LocalModel,
        teacher: LocalModel,
        parts: Parts,
        rows: Sequence[Any],
        weighing: Any,
        shown: dict[str, Any],
    ) -> WhiteBox:
        """Return what is learnt from the cache, which is filled first where it lacks examples."""
        from pilotfish.distill.cache import TopKCache, capture, example_key
        from pilotfish.distill.cache._manifest import NAME
        from pilotfish.distill.cached import CachedWhiteBox

        assert self.cached is not None
        folder = self.cache
        examples = [*parts.train, *parts.held_out]
        keys = [example_key(one.ids, one.start) for one in examples]
        with main_first():
            if not (folder / NAME).exists() or TopKCache(folder).missing(keys):
                differ = self._differ(local, teacher, rows)
                if differ is not None:
                    raise ConfigError(f"{differ}: a cache needs the same")
                capture(
                    teacher,
                    [(one.ids, one.start) for one in examples],
                    folder,
                    k=self.cached,
                    temperature=weighing.temperature,
                    vocabulary=self._shared(local, teacher),
                    progress=self.progress,
                )
        return CachedWhiteBox(model, TopKCache(folder), weighing, **shown)

    def _differ(self, local: LocalModel, teacher: LocalModel, rows: Sequence[Any]) -> str | None:
        """Return in what student and teacher read the rows otherwise; None where they read the same tokens."""
        if self._shared(local, teacher) is None:
            return f"{local.name} and {teacher.name} have different vocabularies"
        probe = Request((Message("system", "a"), Message("user", "b"), Message("assistant", "c"), Message("user", "d")))
        if any(not isinstance(row, str) and "text" not in row for row in rows) and (
            _rendered(local, probe) != _rendered(teacher, probe)
        ):
            # Read in the student's template, the teacher would be asked in a way that it was never taught.
            return f"{local.name} and {teacher.name} have different chat templates"
        return None

    def _shared(self, local: LocalModel, teacher: LocalModel) -> int | None:
        """Return how many rows both vocabularies share, padding included; None where their tokens differ."""
        from pilotfish.distill.cross import shared_rows
        from pilotfish.train.backbone import head_in

        sizes = (len(head_in(local.model)), len(head_in(teacher.model)))
        return shared_rows(*sizes, local.tokenizer, teacher.tokenizer)


def _rendered(model: LocalModel, request: Request) -> str | None:
    """Return a conversation in a model's template; None where the template does not take it."""
    try:
        return model.render(request)
    except ModelError:
        return None
