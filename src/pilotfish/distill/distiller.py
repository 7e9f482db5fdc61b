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
from pilotfish.distill._teaching import Teaching
from pilotfish.distill.divergence import divergence as divergence_of
from pilotfish.distill.report import Distilled
from pilotfish.distill.rows import keyed, parted
from pilotfish.errors import ConfigError
from pilotfish.models._weights import identity_of, stored_dtype
from pilotfish.models.local import LocalModel
from pilotfish.rows._atomic import atomic
from pilotfish.train.folder import digest, finished, settled, write_report
from pilotfish.train.processes import is_main, join
from pilotfish.train.settings import Fit

if TYPE_CHECKING:
    from pilotfish.distill.matching import Matching
    from pilotfish.distill.sampling import Sampling
    from pilotfish.models.catalog import Catalog

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
        shard: the teacher's layers are shared among the processes that `accelerate launch` started (FSDP), each of
            which holds a part; for a teacher too large for one device. The student is whole in each of them.
        answers_of: who gave the rows' answers, for the card of a student that has no teacher.
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
        shard: bool = False,
        answers_of: str | None = None,
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
        self.on_policy, self.matching, self.shard = on_policy, matching, shard
        self.answers_of = answers_of
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
        teaching = Teaching(
            teacher=self.teacher,
            cached=self.cached,
            cache=out / CACHE if self.cache is None else Path(self.cache),
            on_policy=self.on_policy,
            matching=self.matching,
            shard=self.shard,
            dtype=self.teacher_dtype,
            device=self.device,
            catalog=self.catalog,
            progress=self.progress,
        )
        teaching.check(self.alpha)
        if not 0 <= self.alpha <= 1 or not self.temperature > 0:
            raise ConfigError(f"alpha is a share and the temperature above 0, not {self.alpha} and {self.temperature}")
        kind = divergence_of(self.divergence, **(self.settings or {}))
        apart = ("catalog", "progress", "out", "how", "report_", "shard", "answers_of", "cache")  # not of the result
        told = {name: value for name, value in vars(self).items() if value is not None and name not in apart}
        told |= {name: settled(told[name]) for name in ("on_policy", "matching") if name in told}
        told |= {name: identity_of(told[name]) for name in ("student", "teacher") if name in told}
        identity = digest([told, settled(how)], keyed(rows))
        done = finished(out, REPORT, identity, (RUN, CACHE))
        if done is not None:
            self.report_ = Distilled.from_json(done)
            return self
        from pilotfish.distill.compare import nearness
        from pilotfish.distill.whitebox import Weighing
        from pilotfish.train.loop import fit
        from pilotfish.train.lora import adapted, merged

        join(self.device)
        local = LocalModel(
            self.student, dtype="auto" if how.rank else "float32", device=self.device, catalog=self.catalog
        ).load()
        length = min(self.length, local.max_length)
        parts = parted(local.tokenizer, rows, length, share=self.held_out, seed=how.seed, name=local.name)
        model = adapted(local.model, how)
        task = teaching.task(model, local, parts, rows, Weighing(kind, self.alpha, self.temperature), how)
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
            answers_of=self.answers_of,
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
