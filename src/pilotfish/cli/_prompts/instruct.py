"""`pilotfish prompts run`: from the [prompts.instruction] table to the search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_enhance import InstructionSpec
    from pilotfish.prompt.select import PromptJudge, PromptReport
    from pilotfish.rows import Row

__all__ = ["searched"]


def searched(models: Collaboration, file: str, out: str | None, *, progress: bool) -> tuple[PromptReport, Path]:
    """Search for an instruction; return the report and the folder.

    Raises:
        ConfigError: no table, or one that does not fit.
        DataError: rows that do not fit.
        UpstreamError: an endpoint fails for call after call; what was answered stays.
    """
    from pilotfish._sync import wait
    from pilotfish.errors import ConfigError
    from pilotfish.models.calls import Budget, Calls
    from pilotfish.prompt.select import PromptScorer, Proposer, Search, optimise
    from pilotfish.rows._lock import locked
    from pilotfish.rows.model_stage import Template

    spec = models.prompts.instruction if models.prompts is not None else None
    if spec is None:
        raise ConfigError(f"{file}: no [prompts.instruction] table: it says what an instruction is searched for")
    folder = models.folder / spec.out if out is None else Path(out)
    rows = _rows(models, spec)
    examples = [(Template(spec.prompt).fill(row), str(row[spec.gold])) for row in rows]
    named = {spec.model: spec.by} | ({} if spec.proxy is None else {spec.proxy: spec.proxy_by})
    if spec.proxy == spec.model:
        raise ConfigError(f"{file}: [prompts.instruction] proxy = {spec.proxy!r}: the small model is the large one")
    # One store and one budget a model, whatever it is asked for.
    stores: dict[str, Calls] = {}
    with locked(folder):

        def calls(name: str) -> Calls:
            if name not in stores:
                budget = Budget(calls=spec.max_calls) if name == spec.model else None
                path = folder / f"calls-{name}.sqlite"
                stores[name] = Calls(models.model(name), path, budget=budget, concurrency=spec.concurrency)
            return stores[name]

        def judge(name: str) -> PromptJudge:
            if named[name] == "likelihood":
                return _likely(models, spec, name, rows, folder)
            return _graded(spec, calls(name), rows, progress)

        given = {"held_out", "rounds", "proposals", "finalists", "proxy_rows", "first", "eta", "seed"}
        search = Search(**spec.model_dump(include=given), most=_most(spec))
        scorer = None
        if spec.scorer is not None:
            from pilotfish.assemble.build import encoder_named

            scorer = PromptScorer(encoder_named(spec.scorer, models).encode)

        async def go() -> PromptReport:
            try:
                return await optimise(
                    judge(spec.model),
                    examples,
                    spec.present,
                    _candidates(models, spec),
                    folder,
                    search,
                    proposer=None if spec.proposer is None else Proposer(calls(spec.proposer), progress=progress),
                    proxy=None if spec.proxy is None else judge(spec.proxy),
                    scorer=scorer,
                    names={"large": spec.model, "small": str(spec.proxy), "proposer": str(spec.proposer)},
                )
            finally:
                await models.aclose()

        try:
            report = wait(go())
        finally:
            for store in stores.values():
                store.close()
        (folder / "prompt.toml").write_text(_table(spec), encoding="utf-8")
    return report, folder


def _most(spec: InstructionSpec) -> int | None:
    """Return how many judgements the budget leaves, where proposals of the same model are paid out of it too."""
    if spec.max_calls is None or spec.by == "likelihood":
        return None
    wide = 4 if spec.scorer is not None else 1  # of later rounds, in which a scorer takes its pick
    asked = spec.proposals * (1 + wide * (spec.rounds - 1)) if spec.proposer == spec.model else 0
    left = spec.max_calls - asked
    if left < 4:
        from pilotfish.errors import ConfigError

        raise ConfigError(
            f"[prompts.instruction] max_calls = {spec.max_calls}: {asked} proposals leave {max(0, left)} to judge by"
        )
    return left


def _rows(models: Collaboration, spec: InstructionSpec) -> list[Row]:
    from pilotfish.errors import DataError
    from pilotfish.rows import need_columns, read
    from pilotfish.rows.model_stage import Template

    source = str(models.folder / spec.rows)
    found: list[Row] = list(read(source))
    for number, row in enumerate(found, 1):
        need_columns(row, spec.gold, *Template(spec.prompt).columns, source=f"{source}: row {number}")
        if row[spec.gold] is None or row[spec.gold] == "":
            raise DataError(f"{source}: row {number}: no right answer in {spec.gold!r}")
    return found


def _candidates(models: Collaboration, spec: InstructionSpec) -> list[str]:
    from pilotfish.errors import DataError

    if not isinstance(spec.candidates, str):
        return list(spec.candidates)
    path = models.folder / spec.candidates
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: the candidates cannot be read: {error}") from None
    return [line.strip() for line in lines if line.strip()]


def _graded(spec: InstructionSpec, calls: Any, rows: Sequence[Row], progress: bool) -> PromptJudge:
    from pilotfish.measure.grade import grader
    from pilotfish.prompt.select import ByGrade

    settings = {"max_tokens": spec.max_tokens, "temperature": spec.temperature}
    grade = grader(spec.grade, spec.gold)
    return ByGrade(calls, rows, spec.prompt, grade, template=spec.template, settings=settings, progress=progress)


def _likely(models: Collaboration, spec: InstructionSpec, name: str, rows: Sequence[Row], folder: Path) -> PromptJudge:
    from pilotfish.assemble._build_enhance import judge_of
    from pilotfish.assemble._weights import weights_from
    from pilotfish.assemble.specs import LocalSpec
    from pilotfish.errors import ConfigError
    from pilotfish.models._weights import identity_of
    from pilotfish.prompt.select import ByLikelihood
    from pilotfish.train.folder import digest

    table = models.spec(name)
    if not isinstance(table, LocalSpec):
        raise ConfigError(f"{models.where}: [prompts.instruction]: {name!r} has no weights here: no likelihood is told")
    judge = judge_of(models, table.weights, spec.labels, table.device, table.dtype)
    path = folder / f"read-{name}.jsonl"
    identity = digest([identity_of(weights_from(table.weights, models.folder)), spec.labels], ())
    return ByLikelihood(judge, rows, spec.prompt, spec.gold, path, identity, template=spec.template)


def _table(spec: InstructionSpec) -> str:
    import json

    # TOML's basic strings are JSON's, but for the escape of a slash, which JSON need not have.
    template = "" if spec.template is None else f"template = {json.dumps(spec.template, ensure_ascii=False)}\n"
    path = f"{spec.out.rstrip('/')}/prompt.txt"
    names = f"model = {json.dumps(spec.model)}\npath = {json.dumps(path)}\n"
    return f'[models.instructed]\nuse = "instructed"\n{names}{template}'
