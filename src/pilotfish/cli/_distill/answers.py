"""What a language model learns of a teacher's answers: the answers, labels with rationales, preferences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotfish.cli._common import say
from pilotfish.cli._distill.parts import asked_in, model_named, rows_with, student_of_spec
from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_blackbox import AnswersSpec, JudgeSpec, PreferencesSpec
    from pilotfish.assemble._specs_distill import DistillSpec
    from pilotfish.distill.blackbox import Filter, JudgePairs
    from pilotfish.distill.blackbox.report import Taught
    from pilotfish.distill.preferred import Preferred
    from pilotfish.model import Model
    from pilotfish.models.judges import Grades

__all__ = ["answered", "preferred", "rationalised"]


def answered(
    models: Collaboration, spec: DistillSpec, rows: list[dict[str, Any]], *, quiet: bool
) -> list[dict[str, Any]]:
    """Ask the teacher about every row, and return its answers as rows; what it said stays beside the result."""
    from pilotfish.distill.blackbox import answers
    from pilotfish.train.processes import main_first

    asked = spec.answers
    assert spec.teacher is not None
    keep = filters(models, asked)
    with main_first():  # of several processes one asks, and the others read what was said
        taught = answers(
            rows,
            model_named(models, spec, spec.teacher),
            asked_in(models, f"{spec.out}-answers", spec.teacher, *_name_of(asked.judge)),
            prompt=spec.prompt,
            samples=asked.samples,
            keep=keep,
            balanced=asked.balanced,
            concurrency=asked.concurrency,
            progress=not quiet,
            **asked.settings,
        )
    return _told(taught)


def filters(models: Collaboration, asked: AnswersSpec) -> list[Filter]:
    """Return what sifts the answers, in the order in which it does."""
    from pilotfish.assemble._build_check import build_check
    from pilotfish.distill.blackbox import Agreeing, Best, BestByJudge, Graded, Verified

    keep: list[Filter] = []
    for one in asked.verify:
        check = build_check(one.by, one.settings(), models.folder, models.catalog, models.model)
        keep.append(Verified(check))
    if asked.agree is not None:
        keep.append(Agreeing(asked.agree, asked.read))
    if asked.gold is not None:
        keep.append(Graded(asked.read, asked.gold))
    least = {} if asked.least is None else {"least": asked.least}
    if asked.best is not None:
        keep.append(Best(asked.best, asked.count, **least))
    if asked.judge is not None:
        keep.append(BestByJudge(_grades(models, asked.judge), asked.count, **least))
    return keep


def rationalised(
    models: Collaboration, spec: DistillSpec, rows: list[dict[str, Any]], student: str, *, quiet: bool
) -> list[dict[str, Any]]:
    """Ask the teacher for the label of every row and why, and return both as rows."""
    from pilotfish._extras import need
    from pilotfish.distill.blackbox import rationales
    from pilotfish.models._weights import located
    from pilotfish.train.processes import main_first

    asked = spec.rationales
    assert asked is not None and spec.teacher is not None and spec.prompt is not None
    more: dict[str, Any] = {"prompt": asked.prompt} if asked.prompt is not None else {}
    if asked.weigh == "answers":
        folder, _ = located(student, models.catalog)
        cut = need("transformers", "train").AutoTokenizer.from_pretrained(str(folder))
        more["length"] = lambda text: len(cut(text, add_special_tokens=False)["input_ids"]) + 1
    labels = None if asked.labels is None else {label: asked.names.get(label, label) for label in asked.labels}
    with main_first():
        taught = rationales(
            rows,
            model_named(models, spec, spec.teacher),
            asked_in(models, f"{spec.out}-rationales", spec.teacher),
            question=spec.prompt,
            labels=labels,
            parse=asked.parse,
            alpha=asked.alpha,
            gold=asked.gold,
            concurrency=asked.concurrency,
            progress=not quiet,
            **more,
            **asked.settings,
        )
    return _told(taught, spec.prompt)


def preferred(models: Collaboration, spec: DistillSpec, *, quiet: bool) -> Preferred:
    """Let the student answer and a model judge, and teach the student what that prefers."""
    from pilotfish.distill.blackbox import preferences
    from pilotfish.distill.prefer import prefer
    from pilotfish.models.local import LocalModel
    from pilotfish.train.processes import main_first
    from pilotfish.train.settings import Fit

    asked = spec.preferences
    assert asked is not None
    rows = rows_with(spec)
    student = student_of_spec(models, spec, [text for _, text in rows], quiet=quiet)
    judge = _judge(models, spec, asked)
    with main_first():
        taught = preferences(
            [row for row, _ in rows],
            LocalModel(student, device=spec.device, catalog=models.catalog),
            judge,
            asked_in(models, f"{spec.out}-preferences", *(_name_of(asked.judge) or [str(spec.teacher)])),
            prompt=spec.prompt,
            samples=asked.samples,
            pairs=asked.pairs,
            margin=asked.margin,
            pick=asked.seed,
            concurrency=asked.concurrency,
            progress=not quiet,
            **asked.settings,
        )
    return prefer(
        student,
        _told(taught),
        str(spec.out),
        beta=asked.beta,
        label_smoothing=asked.label_smoothing,
        fit=Fit(**spec.fit.model_dump()),
        length=spec.length,
        held_out=spec.held_out,
        device=spec.device,
        catalog=models.catalog,
        progress=not quiet,
    )


def _told(taught: Taught, question: str | None = None) -> list[dict[str, Any]]:
    """Tell how the rows came, and return them as they are learnt.

    A row's other columns are no part of its question: two rows that ask the same must not be split for them. So the
    source goes, or the question stands for it where one question has several prompts.
    """
    from pilotfish.errors import DataError
    from pilotfish.rows.model_stage import Template
    from pilotfish.train.processes import is_main

    if is_main():
        say(str(taught.report))
    if not taught.rows:
        raise DataError("nothing to learn is left of what was said: see what was dropped, and why, above")
    if question is None:
        return [{name: value for name, value in row.items() if name != "source"} for row in taught.rows]
    fill = Template(question).fill
    return [{**row, "source": fill(row["source"])} for row in taught.rows]


def _name_of(judge: str | JudgeSpec | None) -> list[str]:
    return [] if judge is None else [judge if isinstance(judge, str) else judge.model]


def _judge(models: Collaboration, spec: DistillSpec, asked: PreferencesSpec) -> JudgePairs | Grades:
    """Return who compares answers: the judge that is named, else the teacher."""
    from pilotfish.assemble._build_judge import is_reward
    from pilotfish.distill.blackbox import JudgeGrades, JudgePairs

    if asked.judge is None:
        assert spec.teacher is not None
        model = model_named(models, spec, spec.teacher)
        return JudgeGrades(model) if asked.by == "grades" else JudgePairs(model)
    if asked.by == "grades":
        return _grades(models, asked.judge)
    (name,) = _name_of(asked.judge)
    if is_reward(models, name):
        raise ConfigError(f'{models.where}: {name!r} is a reward, which grades each answer: give by = "grades"')
    model, more = _asked_judge(models, asked.judge)
    return JudgePairs(model, **more)


def _grades(models: Collaboration, judge: str | JudgeSpec) -> Grades:
    """Return who grades answers: a model that is asked, or a reward model of the file."""
    from pilotfish.assemble._build_judge import grades_of, is_reward

    if isinstance(judge, str):
        return grades_of(models, judge)
    if is_reward(models, judge.model):
        name = judge.model
        raise ConfigError(f'{models.where}: {name!r} is a reward, which is not asked: give judge = "{name}"')
    return grades_of(models, judge.model, **_asked_judge(models, judge)[1])


def _asked_judge(models: Collaboration, asked: str | JudgeSpec) -> tuple[Model, dict[str, Any]]:
    """Return the judge's model, and how it is asked where that is told."""
    if isinstance(asked, str):
        return models.model(asked), {}
    more = asked.model_dump(include={"prompt", "low", "high"}, exclude_none=True)
    return models.model(asked.model), {**more, "settings": {"temperature": 0.0, "max_tokens": asked.max_tokens}}
