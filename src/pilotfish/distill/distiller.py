"""A student taught by a teacher whose weights are here.

For example::

    student = student_of("smollm2-135m-instruct", "half", layers=15)
    taught = Distiller(student.folder, "smollm2-135m-instruct", "taught", divergence="jsd").fit(rows)
    print(taught.report_)
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pilotfish._extras import need
from pilotfish.distill._card import card
from pilotfish.distill.divergence import divergence as divergence_of
from pilotfish.distill.report import Distilled
from pilotfish.distill.rows import Parts, keyed, parted
from pilotfish.errors import ConfigError, ModelError
from pilotfish.model import Message, Request
from pilotfish.models._weights import stored_dtype
from pilotfish.models.local import LocalModel
from pilotfish.rows._atomic import atomic
from pilotfish.train.folder import digest, finished, settled, write_report
from pilotfish.train.processes import is_main, main_first
from pilotfish.train.settings import Fit

if TYPE_CHECKING:
    from pilotfish.distill.matching import Matching
    from pilotfish.distill.sampling import Sampling
    from pilotfish.distill.whitebox import WhiteBox
    from pilotfish.models.catalog import Catalog
    from pilotfish.train.causal import Causal

__all__ = ["Distiller"]

REPORT = "pilotfish-distilled.json"
RUN = "run"  # a folder in the result's own: the log stays, the checkpoints go when the run has ended
CACHE = "teacher"  # where the cached teacher is, unless told otherwise


class Distiller:
    """White-box distillation of a causal language model.

    The rows are split before anything learns, exact copies of a row count once, and the student is measured on the
    held-out part before and after. A run that was killed goes on from its last checkpoint; a finished one is not
    repeated.

    Args:
        student: weights: a catalog name, hub id, folder or GGUF file; `student_of` makes a smaller one of a teacher.
        teacher: the same. Where its tokenizer is another one, tokens are aligned by their bytes. None learns from the
            rows alone, such as a black-box teacher's answers (see `pilotfish.distill.blackbox`), with `alpha` 0.
        out: the folder to write, which `LocalModel(out)` loads.
        divergence: the loss's: see `pilotfish.distill.divergence`.
        alpha: its share; the rest is the cross-entropy of the data. With 0 the teacher only measures: what distillation
            is to be compared with.
        temperature: of the loss.
        settings: of the divergence, such as {"beta": 0.5}.
        fit: how to train.
        length: the most tokens of an example: a text is cut into pieces, an answer loses its end.
        held_out: the share of rows to measure on.
        cached: how many of the teacher's likeliest tokens to store at each position, so that it is loaded once and
            then never; None asks the teacher at each step.
        cache: the folder of what is stored; one in `out` by default.
        on_policy: the student answers some of the prompts itself (see `pilotfish.distill.onpolicy`).
        matching: hidden states or attention are matched too (see `pilotfish.distill.hidden`).
        teacher_dtype: of the teacher's weights.
        device: "auto", "cpu", "cuda", "mps".
        catalog: where names are looked up.
        progress: show bars.

    Attributes:
        report_: what came of it, after `fit`.
    """

    def __init__(
        self,
        student: str | Path,
        teacher: str | Path | None,
        out: str | Path,
        *,
        divergence: str = "forward-kl",
        alpha: float = 1.0,
        temperature: float = 1.0,
        settings: Mapping[str, float] | None = None,
        fit: Fit | None = None,
        length: int = 512,
        held_out: float = 0.1,
        cached: int | None = None,
        cache: str | Path | None = None,
        on_policy: Sampling | None = None,
        matching: Matching | None = None,
        teacher_dtype: str = "auto",
        device: str = "auto",
        catalog: Catalog | None = None,
        progress: bool = True,
    ) -> None:
        self.student, self.teacher, self.out = student, teacher, out
        self.divergence, self.alpha, self.temperature, self.settings = divergence, alpha, temperature, settings
        self.how = fit
        self.length, self.held_out = length, held_out
        self.cached, self.cache = cached, cache
        self.on_policy, self.matching = on_policy, matching
        self.teacher_dtype, self.device = teacher_dtype, device
        self.catalog, self.progress = catalog, progress

    def fit(self, rows: Sequence[str | Mapping[str, Any]]) -> Self:
        """Teach the student on rows: texts, or prompts (or conversations) with answers (see `examples_of`).

        Raises:
            ConfigError: a setting is wrong.
            DataError: too few rows can be read, or `out` holds something else.
            ModelError: the models are no causal LMs.
        """
        out, how = Path(self.out), self.how or Fit()
        if self.teacher is None and (self.alpha or self.cached or self.on_policy or self.matching):
            raise ConfigError("without a teacher there are the rows' answers alone: alpha = 0, and nothing else of it")
        if self.cached is not None and (self.on_policy is not None or self.matching is not None):
            raise ConfigError(
                "a cache holds distributions over the data alone: on_policy and matching need the teacher"
            )
        if self.on_policy is not None and self.matching is not None:
            raise ConfigError("give on_policy or matching, not both")
        if not 0 <= self.alpha <= 1 or not self.temperature > 0:
            raise ConfigError(f"alpha is a share and the temperature above 0, not {self.alpha} and {self.temperature}")
        kind = divergence_of(self.divergence, **(self.settings or {}))
        apart = ("catalog", "progress", "out", "how", "report_")
        told = {name: value for name, value in vars(self).items() if value is not None and name not in apart}
        told |= {name: settled(told[name]) for name in ("on_policy", "matching") if name in told}
        identity = digest([told, settled(how)], keyed(rows))
        done = finished(out, REPORT, identity, (RUN, CACHE))
        if done is not None:
            self.report_ = Distilled.from_json(done)
            return self
        from pilotfish.distill.compare import nearness
        from pilotfish.distill.whitebox import Weighing
        from pilotfish.train.loop import fit
        from pilotfish.train.lora import adapted, merged

        local = LocalModel(
            self.student, dtype="auto" if how.rank else "float32", device=self.device, catalog=self.catalog
        ).load()
        length = min(self.length, local.max_length)
        parts = parted(local.tokenizer, rows, length, share=self.held_out, seed=how.seed, name=local.name)
        model = adapted(local.model, how)
        task = self._task(model, local, parts, rows, Weighing(kind, self.alpha, self.temperature), how)
        before = nearness(task, parts.held_out)
        fitted = fit(task, parts.train, parts.held_out, how, out / RUN, identity, progress=self.progress)
        stored = stored_dtype(local.weights, self.catalog)  # what is saved is as large as what it began with
        task.student = merged(model, how).to(getattr(need("torch", "train"), stored))
        after = nearness(task, parts.held_out)
        report = Distilled.of(
            self.student,
            self.teacher,
            out,
            self._loss(),
            parts=parts,
            fitted=fitted,
            before=before,
            after=after,
            local=local,
        )
        if is_main():
            task.student.save_pretrained(out, safe_serialization=True)
            local.tokenizer.save_pretrained(out)
            with atomic(out / "README.md") as file:
                file.write(card(report, how).encode())
        write_report(out, REPORT, identity, report.to_json())
        if is_main():
            shutil.rmtree(out / RUN / "checkpoints", ignore_errors=True)
        self.report_ = report
        return self

    def _loss(self) -> str:
        """Return what is learnt in words."""
        told = "cross-entropy"
        if self.alpha > 0:
            settings = "".join(f", {name} {value:g}" for name, value in (self.settings or {}).items())
            told = f"{self.alpha:g} x {self.divergence}{settings}"
            if self.alpha < 1:
                told += f" + {1 - self.alpha:g} x cross-entropy"
            told += f", temperature {self.temperature:g}"
        if self.on_policy is not None:
            told += f", {self.on_policy.share:g} of the passes over the student's own answers ({self.on_policy.how})"
        if self.matching is not None:
            told += f", {self.matching.weight:g} x matching of {self.matching.what}"
        if self.cached is not None:
            told += f", teacher's {self.cached} likeliest tokens cached"
        return told

    def _task(
        self, model: Any, local: LocalModel, parts: Parts, rows: Sequence[Any], weighing: Any, how: Fit
    ) -> Causal:
        """Return what is learnt: from the teacher itself, or from what is stored of it."""
        from pilotfish.distill.whitebox import WhiteBox
        from pilotfish.train.causal import Causal

        shown: dict[str, Any] = {"batch_tokens": how.batch_tokens, "name": local.name}
        if self.teacher is None:
            return Causal(model, **shown)
        teacher = LocalModel(self.teacher, dtype=self.teacher_dtype, device=self.device, catalog=self.catalog)
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
        folder = Path(self.cache) if self.cache is not None else Path(self.out) / CACHE
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
                    temperature=self.temperature,
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
