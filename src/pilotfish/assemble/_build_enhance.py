"""From a table of `_specs_enhance` to its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.assemble._specs_enhance import ChooseSpec, DecomposedSpec, DemonstratedSpec, InstructedSpec, SuperICLSpec
from pilotfish.assemble._weights import weights_from
from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.assemble._spec import Spec
    from pilotfish.models.catalog import Catalog
    from pilotfish.prompt.demonstrate import Chooser, Finder, Pool
    from pilotfish.prompt.demonstrate.feedback import Judge
    from pilotfish.rows.bm25 import Words

__all__ = ["build_enhance", "judge_of", "named", "words_of"]


def build_enhance(name: str, spec: Spec, part: Callable[[str], Any], catalog: Catalog, folder: Path) -> Any:
    """Return the model that a table describes.

    Raises:
        ConfigError: a template without its places, an encoder that is none, a file that cannot be read.
        DataError: rows that cannot be read, or lack a column.
        ModelError: no taught retriever in the folder.
    """
    if isinstance(spec, InstructedSpec):
        from pilotfish.prompt.select import instructed

        text = spec.instruction if spec.path is None else _text(name, folder / spec.path)
        return instructed(part(spec.model), str(text), spec.template, name)
    if isinstance(spec, DecomposedSpec):
        from pilotfish.prompt.decompose import Decomposed

        given = spec.model_dump(include={"most", "attempt", "template", "max_tokens"}, exclude_none=True)
        return Decomposed(part(spec.model), part(spec.decomposer), name=name, **given)
    if isinstance(spec, SuperICLSpec):
        return _super_icl(name, spec, part, catalog, folder)
    assert isinstance(spec, DemonstratedSpec)
    from pilotfish.prompt.demonstrate import Form, Pool, demonstrated

    pool = Pool.of(_rows(folder / spec.rows), spec.input, spec.output)
    told = {"input": spec.question, "output": spec.answer, "example": spec.example, "prompt": spec.prompt}
    form = Form(how=spec.show, **{key: value for key, value in told.items() if value is not None})
    chooser = _chooser(spec, pool, part, catalog, folder)
    return demonstrated(chooser, part(spec.model), form, budget=spec.budget, name=name)


def _super_icl(name: str, spec: SuperICLSpec, part: Callable[[str], Any], catalog: Catalog, folder: Path) -> Any:
    from pilotfish.prompt.soft import SoftDemonstration, SuperICL
    from pilotfish.prompt.soft.model import pool_of

    held = [SoftDemonstration.of(row, number) for number, row in enumerate(_rows(folder / spec.rows), 1)]
    chooser = _chooser(spec, pool_of(held), part, catalog, folder)
    given = spec.model_dump(include={"names", "instruction", "reasons", "max_tokens"}, exclude_none=True)
    return SuperICL(part(spec.model), part(spec.plug_in), tuple(spec.labels), tuple(held), chooser, name=name, **given)


def _chooser(spec: ChooseSpec, pool: Pool, part: Callable[[str], Any], catalog: Catalog, folder: Path) -> Chooser:
    from pilotfish.prompt.demonstrate import Chooser

    return Chooser(_finder(spec, pool, part, catalog, folder), **spec.chosen())


def _finder(spec: ChooseSpec, pool: Pool, part: Callable[[str], Any], catalog: Catalog, folder: Path) -> Finder:
    from pilotfish.models.encoder import Encoder
    from pilotfish.prompt.demonstrate import ByChance, ByVectors, ByWords, taught_finder

    if spec.find == "words":
        return ByWords(pool, words_of(spec.language or "english"))
    if spec.find == "chance":
        return ByChance(pool, spec.seed or 0)
    if spec.find == "taught":
        return taught_finder(folder / str(spec.retriever), pool, catalog)
    encoder = part(str(spec.encoder))
    if not isinstance(encoder, Encoder):
        raise ConfigError(f"encoder = {spec.encoder!r}: that model is no encoder, and gives no vectors")
    return ByVectors(pool, encoder, **({} if spec.read is None else {"form": spec.read}))


def words_of(language: str) -> Words:
    """Return what counts as a word in a language; "none" takes words as they are, and all of them."""
    from pilotfish.rows.bm25 import Words

    given = None if language == "none" else language
    return Words(stemmer=given, stop_words=given)


def judge_of(
    models: Collaboration,
    weights: str,
    labels: Sequence[str] | Mapping[str, str] | None,
    device: str = "auto",
    dtype: str = "auto",
) -> Judge:
    """Return what tells how likely a right answer is to a local model: among labels where there are any.

    Raises:
        ConfigError: fewer than two labels.
    """
    from pilotfish.models.local import LocalModel
    from pilotfish.models.reader import Reader
    from pilotfish.prompt.demonstrate import by_choices, by_reading

    found = weights_from(weights, models.folder)
    names = named(labels)
    if names is None:
        return by_reading(Reader(found, device=device, dtype=dtype, catalog=models.catalog))
    return by_choices(LocalModel(found, device=device, dtype=dtype, catalog=models.catalog), names)


def named(labels: Sequence[str] | Mapping[str, str] | None) -> dict[str, str] | None:
    """Return label -> name of a list of labels, or of such a table; None of none."""
    if labels is None:
        return None
    return dict(labels) if isinstance(labels, Mapping) else {label: label for label in labels}


def _rows(path: Path) -> list[dict[str, Any]]:
    from pilotfish.rows.read import read

    return list(read(path, strict=True))


def _text(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"[models.{name}] path: {path}: cannot be read: {error}") from None
