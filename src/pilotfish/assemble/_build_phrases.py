"""From the `[phrases]` table to an encoder that was taught phrases, and from a name to what makes phrases' vectors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.assemble._build_encoder import tunable
from pilotfish.errors import DataError

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._specs_phrases import PhrasesSpec
    from pilotfish.compete.phrases import Choice, Mined, Pair, Taught, WithCharacters, Written
    from pilotfish.models.encoder import Encoder

__all__ = ["Learnt", "learn", "vectors_of"]

WRITTEN = "written.sqlite"


@dataclass(frozen=True)
class Learnt:
    """What `[phrases]` came to.

    Attributes:
        taught: what the encoder learnt.
        mined: pairs of the texts; None without texts.
        written: pairs of the model; None without one.
        choice: of the pooling; None where the file says it.
    """

    taught: Taught
    mined: Mined | None
    written: Written | None
    choice: Choice | None


def learn(models: Collaboration, spec: PhrasesSpec, *, progress: bool = True) -> Learnt:
    """Find pairs, have the model write some, teach the encoder and save it.

    Raises:
        ConfigError: an unknown kind of pairs, or fewer layers than the pooling takes.
        DataError: rows that lack what they are to have, or too few pairs.
        ModelError: no such weights.
    """
    from pilotfish.compete.phrases import PhraseLearner, choose_pooling, mined, repooled, written
    from pilotfish.compete.phrases.characters import SHARES
    from pilotfish.compete.phrases.learn import FIT
    from pilotfish.compete.phrases.mine import USUAL
    from pilotfish.compete.phrases.pair import distinct
    from pilotfish.compete.phrases.parts import parts_of
    from pilotfish.models.calls import Budget

    out = models.folder / spec.out
    encoder = tunable(spec.encoder, models, out, max_length=spec.max_length)
    without = [(one.a, one.b) for one in _pairs(models, spec, spec.without)]
    pairs = _pairs(models, spec, spec.pairs)
    found = said = choice = None
    if spec.texts is not None:
        found = mined(
            _texts(models, spec),
            USUAL if spec.kinds is None else spec.kinds,
            without=without,
            mask=encoder.tokenizer.mask_token or "…",
            most=spec.most,
            least=spec.least,
            longest=spec.longest,
            language=spec.language,
        )
        pairs += found.pairs
        if spec.model is not None:
            out.mkdir(parents=True, exist_ok=True)
            more: dict[str, Any] = {} if spec.prompt is None else {"prompt": spec.prompt}
            said = written(
                models.model(spec.model),
                [one.text for one in found.phrases[: spec.ask]],
                out / WRITTEN,
                count=spec.words,
                without=without,
                budget=Budget(calls=spec.budget),
                concurrency=spec.concurrency,
                progress=progress,
                **more,
            )
            # What a model wrote is nearer in meaning than what stood in the same places.
            pairs = said.pairs + pairs
    pairs = distinct(pairs, without)
    how = FIT if spec.fit is None else replace(FIT, **spec.fit.model_dump(exclude_unset=True))
    if spec.pooling == "choose":
        held = parts_of(pairs, spec.held_out, how.seed)["validation"]
        choice = choose_pooling(encoder, [pairs[i] for i in held], seed=how.seed)
    pooling = choice.pooling if choice is not None else spec.pooling
    learner = PhraseLearner(
        repooled(encoder, pooling),  # type: ignore[arg-type]
        how,
        temperature=spec.temperature,
        types=_types(models, spec),
        type_weight=spec.type_weight,
        characters=SHARES if spec.characters else (0.0,),
        held_out=spec.held_out,
        folder=out / "run",
    ).fit(pairs, progress=progress)
    learner.save(out)
    return Learnt(learner.report_, found, said, choice)


def _texts(models: Collaboration, spec: PhrasesSpec) -> list[str]:
    return [row[spec.text] for row in _rows(models, str(spec.texts), [spec.text])]


def _pairs(models: Collaboration, spec: PhrasesSpec, path: str | None) -> list[Pair]:
    from pilotfish.compete.phrases import Pair

    return [Pair(row[spec.a], row[spec.b]) for row in _rows(models, path, [spec.a, spec.b])] if path else []


def _types(models: Collaboration, spec: PhrasesSpec) -> Any:
    """Return "shape", None, or the types of a file of rows with the columns phrase and type."""
    if spec.types is None or spec.types == "shape":
        return spec.types
    return {row["phrase"]: row["type"] for row in _rows(models, spec.types, ["phrase", "type"])}


def _rows(models: Collaboration, path: str, columns: list[str]) -> list[dict[str, Any]]:
    from pilotfish.rows import need_columns, read

    source = str(models.folder / path)
    rows: list[dict[str, Any]] = list(read(source))
    for number, row in enumerate(rows, 1):
        need_columns(row, *columns, source=f"{source}: row {number}")
        for name in columns:
            if not isinstance(row[name], str):
                raise DataError(f"{source}: row {number}: column {name!r} is {type(row[name]).__name__}, not text")
    return rows


def vectors_of(weights: str, pooling: str = "own") -> Encoder | WithCharacters:
    """Return what makes phrases' vectors: a folder that `learn` wrote, or any encoder by its weights.

    Raises:
        ModelError: no such weights.
        ConfigError: another pooling, or one of a folder that has its own.
    """
    from pilotfish.compete.phrases import repooled, taught_encoder
    from pilotfish.compete.phrases.taught import FILE
    from pilotfish.errors import ConfigError
    from pilotfish.models.encoder import Encoder

    if (Path(weights) / FILE).is_file():
        if pooling != "own":
            raise ConfigError(f"{weights} was taught with a pooling of its own")
        return taught_encoder(weights)[0]
    return repooled(Encoder(weights), pooling)  # type: ignore[arg-type]
